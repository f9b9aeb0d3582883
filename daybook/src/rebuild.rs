//! `daybook rebuild`: makes read models anew from the log, goes back to the build before, or checks what serves.

use std::time::{Duration, Instant};

use anyhow::bail;
use projections::check;
use projections::rebuild::{Difference, Options, Phase, Progress, RebuildError, Report};
use tokio::sync::broadcast::{self, error::RecvError};

use crate::cli::{NO, OK, Place, Rebuild};
use crate::node::Node;
use crate::out::say;

/// How often a line of progress is shown.
const SHOW_EVERY: Duration = Duration::from_secs(1);

/// Does what was asked.
pub async fn run(place: &Place, wanted: &Rebuild) -> anyhow::Result<u8> {
    let node = Node::open(place).await?;
    node.runner.catch_up().await?;
    let code = if wanted.check {
        check(&node, wanted.json).await
    } else if let Some(name) = &wanted.undo {
        undo(&node, name, wanted.json).await
    } else if let Some(name) = &wanted.cancel {
        cancel(&node, name, wanted.json).await
    } else {
        rebuild(&node, wanted).await
    };
    node.close().await;
    code
}

async fn rebuild(node: &Node, wanted: &Rebuild) -> anyhow::Result<u8> {
    let all = projections::all();
    let all: Vec<_> = all.iter().map(|projection| projection.name()).collect();
    if let Some(name) = wanted.names.iter().find(|name| !all.contains(&name.as_str())) {
        bail!("there is no read model {name}: there are {}", all.join(", "));
    }
    let names: Vec<&str> = if wanted.all { all } else { wanted.names.iter().map(String::as_str).collect() };
    let shown = tokio::spawn(show(node.reports(), wanted.json));
    let options = Options { accept_difference: wanted.accept_difference, ..asked(node) };
    let mut work = Box::pin(node.rebuilder.rebuild(&names, options));
    let results = tokio::select! {
        results = &mut work => results,
        _ = tokio::signal::ctrl_c() => {
            eprintln!("giving up…");
            for name in &names {
                node.rebuilder.cancel(name, asked(node)).await?;
            }
            (&mut work).await
        }
    };
    drop(work);
    node.written().await;
    shown.abort();
    let mut code = OK;
    for (name, result) in results? {
        if let Err(error) = result {
            code = NO;
            if wanted.json {
                say!("{}", serde_json::json!({ "projection": name, "error": error.to_string() }));
            } else {
                say!("{name}: {error}");
                if matches!(error, RebuildError::Differs { .. }) {
                    say!("  to switch all the same:  daybook rebuild {name} --accept-difference");
                    say!("  to drop it:              daybook rebuild --cancel {name}");
                }
            }
        } else if !wanted.json {
            say!("{name}: serves; `daybook rebuild --undo {name}` goes back");
        }
    }
    Ok(code)
}

/// Whose wish it is: whoever has the data folder is the built-in user.
fn asked(node: &Node) -> Options {
    Options { asked_by: Some(node.access.demo_user().actor()), ..Options::default() }
}

/// Shows what is reported until the reports end.
async fn show(mut reports: broadcast::Receiver<Report>, json: bool) -> std::io::Result<()> {
    let (mut phase, mut shown) = (None, Instant::now());
    loop {
        match reports.recv().await {
            Ok(Report::Progress(progress)) => {
                if phase.as_ref() == Some(&(progress.build.clone(), progress.phase)) && shown.elapsed() < SHOW_EVERY {
                    continue;
                }
                (phase, shown) = (Some((progress.build.clone(), progress.phase)), Instant::now());
                show_progress(&progress, json)?;
            }
            Ok(Report::Started { build, resumed: true, .. }) if !json => {
                eprintln!("{}: goes on with build {}", build.projection, build.build);
            }
            Ok(Report::Compared(compared)) if json => say!("{}", serde_json::to_string(&compared)?),
            Ok(Report::Compared(compared)) => {
                let (books, different) = (compared.books.len(), compared.different_books());
                if compared.same_version() {
                    eprintln!("{}: {books} book(s) compared, {different} differ", compared.build.projection);
                }
                compared.differences.iter().for_each(show_difference);
            }
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return Ok(()),
        }
    }
}

fn show_progress(progress: &Progress, json: bool) -> std::io::Result<()> {
    if json {
        say!("{}", serde_json::to_string(progress)?);
        return Ok(());
    }
    let name = &progress.build.projection;
    match progress.phase {
        Phase::Reading => {
            let eta = progress.eta_seconds.map_or_else(String::new, |eta| format!(", {eta:.0} s left"));
            let (done, total, rate) = (progress.events_done, progress.events_total, progress.events_per_second);
            eprintln!("{name}: {:.0} % ({done} of {total} events, {rate:.0} events/s{eta})", progress.percent);
        }
        Phase::Indexing => eprintln!("{name}: making indexes"),
        Phase::CatchingUp => eprintln!("{name}: catching up"),
        Phase::Comparing => eprintln!("{name}: comparing with what serves"),
        Phase::Switched | Phase::Failed | Phase::Cancelled => {}
    }
    Ok(())
}

fn show_difference(difference: &Difference) {
    let row = |row: &Option<serde_json::Value>| row.as_ref().map_or_else(|| "no row".to_owned(), ToString::to_string);
    eprintln!("  serves:  {}\n  rebuilt: {}", row(&difference.serving), row(&difference.rebuilt));
}

async fn undo(node: &Node, name: &str, json: bool) -> anyhow::Result<u8> {
    let result = node.rebuilder.undo(name, asked(node)).await;
    node.written().await;
    answer(name, "the build before serves again", result.map(|()| true), json)
}

async fn cancel(node: &Node, name: &str, json: bool) -> anyhow::Result<u8> {
    let result = node.rebuilder.cancel(name, asked(node)).await;
    node.written().await;
    answer(name, "given up", result, json)
}

/// Answers in a line. That there was nothing to do is a no.
fn answer(name: &str, done: &str, result: Result<bool, RebuildError>, json: bool) -> anyhow::Result<u8> {
    let (code, words) = match result {
        Ok(true) => (OK, done.to_owned()),
        Ok(false) => (NO, "nothing is being rebuilt".to_owned()),
        Err(error @ (RebuildError::Database(_) | RebuildError::Lost | RebuildError::Malformed)) => {
            return Err(error.into());
        }
        Err(error) => (NO, error.to_string()),
    };
    if json {
        say!("{}", serde_json::json!({ "projection": name, "done": code == OK, "answer": words }));
    } else {
        say!("{name}: {words}");
    }
    Ok(code)
}

/// Folds everything into a scratch build and compares.
async fn check(node: &Node, json: bool) -> anyhow::Result<u8> {
    let comparisons = check::check(&node.pool, |projection| {
        if !json {
            eprintln!("checking {projection}…");
        }
    })
    .await?;
    for one in &comparisons {
        if json {
            say!("{}", serde_json::to_string(one)?);
        } else {
            let verdict = if one.equal { "equal" } else { "DIFFERS" };
            say!(
                "{:<12} {} at {}: {} rows serve, {} rebuilt: {verdict}",
                one.projection,
                one.book_id,
                one.position,
                one.serving_rows,
                one.rebuilt_rows
            );
        }
    }
    let equal = comparisons.iter().all(|one| one.equal);
    Ok(if equal { OK } else { NO })
}
