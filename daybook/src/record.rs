//! Turns what the read side reports about rebuilds into events of the system book, and keeps versions up to date: a
//! build of an earlier release serves until this release's has been made beside it.

use std::collections::BTreeSet;
use std::time::Duration;

use commands::Commands;
use domain::rebuild::{
    RebuildCancelled, RebuildCompared, RebuildEvent, RebuildFailed, RebuildStarted, RebuildSwitched, RebuildUndone,
};
use projections::rebuild::{Options, Progress, RebuildError, Rebuilder, Report};
use tokio::sync::{broadcast, mpsc, watch};

/// How many reports may wait to be written down.
pub const WAITING: usize = 64;
/// How many reports a slow listener may lag behind.
pub const HEARD: usize = 256;
/// How long to wait before looking whether another process has made this release's builds.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// How long to wait before trying once more what the moment was to blame for.
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// How often progress in the background is logged.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// Writes down reports until there are no more; passes each on, and counts them.
pub async fn record(
    commands: Commands,
    mut reports: mpsc::Receiver<Report>,
    heard: broadcast::Sender<Report>,
    written: watch::Sender<u64>,
) {
    while let Some(report) = reports.recv().await {
        if let Some((projection, event, by)) = event(&report)
            && let Err(error) = commands.rebuild_record(&projection, event, by).await
        {
            tracing::error!(%error, projection, "what happened to a rebuild could not be written down");
        }
        // Nobody has to listen.
        let _ = heard.send(report);
        written.send_modify(|count| *count += 1);
    }
}

/// The event that a report is; none for progress.
fn event(report: &Report) -> Option<(String, RebuildEvent, Option<String>)> {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let (build, event, by): (_, RebuildEvent, _) = match report {
        Report::Progress(_) => return None,
        Report::Started { build, asked_by, .. } => {
            let (projection, version, number) = (build.projection.clone(), build.version, build.build);
            (build, RebuildStarted { projection, version, build: number }.into(), asked_by.clone())
        }
        Report::Compared(compared) => {
            let build = &compared.build;
            let compared = RebuildCompared {
                projection: build.projection.clone(),
                build: build.build,
                version: build.version,
                serving_version: compared.serving_version,
                books: count(compared.books.len()),
                different_books: count(compared.different_books()),
                serving_rows: compared.books.iter().map(|book| book.serving_rows).sum(),
                rebuilt_rows: compared.books.iter().map(|book| book.rebuilt_rows).sum(),
            };
            (build, compared.into(), None)
        }
        Report::Switched { build } => {
            (build, RebuildSwitched { projection: build.projection.clone(), build: build.build }.into(), None)
        }
        Report::Undone { build, asked_by } => {
            let undone = RebuildUndone { projection: build.projection.clone(), build: build.build };
            (build, undone.into(), asked_by.clone())
        }
        Report::Failed { build, reason } => {
            let (projection, number, reason) = (build.projection.clone(), build.build, reason.clone());
            (build, RebuildFailed { projection, build: number, reason }.into(), None)
        }
        Report::Cancelled { build, asked_by } => {
            let cancelled = RebuildCancelled { projection: build.projection.clone(), build: build.build };
            (build, cancelled.into(), asked_by.clone())
        }
    };
    Some((build.projection.clone(), event, by))
}

/// Makes this release's builds where those of an earlier one serve. Another process may be faster. As long as a build
/// can still come to something it is tried again: what an earlier release serves may be posted by nobody any more.
pub async fn deploy(rebuilder: Rebuilder) {
    if let Err(error) = rebuilder.report_serving().await {
        tracing::warn!(%error, "which builds serve could not be read");
    }
    let mut given_up = BTreeSet::new();
    loop {
        let wait = match next_builds(&rebuilder, &mut given_up).await {
            Ok(Some(wait)) => wait,
            Ok(None) => return,
            Err(RebuildError::Owned { owner, .. }) => {
                tracing::info!(owner, "another process makes the next builds");
                LOOK_AGAIN
            }
            Err(error) if error.passes() => {
                tracing::error!(%error, "the next builds were interrupted; the earlier version serves meanwhile");
                TRY_AGAIN
            }
            Err(error) => {
                tracing::error!(%error, "the next builds were not made; the earlier version goes on serving");
                return;
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// Makes the builds that are still to be made; answers after which time to look again, if at all.
async fn next_builds(rebuilder: &Rebuilder, given_up: &mut BTreeSet<String>) -> Result<Option<Duration>, RebuildError> {
    let mut outdated = rebuilder.outdated().await?;
    outdated.retain(|projection| !given_up.contains(*projection));
    if outdated.is_empty() {
        return Ok(None);
    }
    tracing::info!(
        projections = outdated.join(", "),
        "the next builds are to be made: what serves is of an earlier version, or a rebuild was interrupted"
    );
    let results = rebuilder.rebuild(&outdated, Options::default()).await?;
    for (projection, result) in results {
        match result {
            Ok(()) => tracing::info!(projection, "the new version serves"),
            Err(error) if error.passes() => tracing::warn!(%error, projection, "the new version is to serve later"),
            Err(error) => {
                tracing::error!(%error, projection, "the earlier version goes on serving");
                given_up.insert(projection);
            }
        }
    }
    Ok(Some(TRY_AGAIN))
}

/// Logs how rebuilds go on, now and then.
pub async fn log_progress(mut heard: broadcast::Receiver<Report>) {
    let mut logged: Option<(tokio::time::Instant, Progress)> = None;
    while let Ok(report) = heard.recv().await {
        let Report::Progress(now) = report else { continue };
        let new = logged.as_ref().is_none_or(|(at, before)| {
            at.elapsed() >= LOG_EVERY || (before.phase, &before.build) != (now.phase, &now.build)
        });
        if new {
            let (projection, percent) = (&now.build.projection, now.percent.round());
            tracing::info!(projection, phase = ?now.phase, percent, events_per_second = now.events_per_second.round(), "rebuilding");
            logged = Some((tokio::time::Instant::now(), now));
        }
    }
}
