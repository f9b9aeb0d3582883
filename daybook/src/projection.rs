//! `daybook projections`: how read models fare, what they could not take in, and what is to be done about it.

use anyhow::{Context, bail};
use commands::ids::new_id;
use domain::quarantine::{QuarantineRetried, QuarantineSkipped};
use domain::{BookId, Viewer};
use projections::feed::Partition;
use projections::quarantine;
use projections::status::{self, Condition, Status};

use crate::cli::{EventInQuarantine, NO, OK, Place, Rebuild};
use crate::node::Node;
use crate::out::say;

/// How many events in quarantine are shown at most.
const SHOWN: i64 = 1_000;
/// How much of an error is shown, in bytes.
const ERROR_SHOWN: usize = 200;

/// Shows how every projection fares.
pub async fn list(place: &Place, json: bool) -> anyhow::Result<u8> {
    let node = Node::open(place).await?;
    let mut db = node.pool.acquire().await?;
    let all = status::list(&mut db).await?;
    drop(db);
    if !json {
        say!(
            "{:<11} {:>3} {:<18} {:<10} {:<6} {:>9} {:>7} {:>8} {:>9}  {:<13} last error",
            "NAME",
            "VER",
            "BUILD",
            "STATE",
            "BOOK",
            "POSITION",
            "BEHIND",
            "SECONDS",
            "EVENTS/S",
            "OWNER"
        );
    }
    for one in &all {
        if json {
            say!("{}", serde_json::to_string(one)?);
        } else {
            row(&node, one)?;
        }
    }
    node.close().await;
    Ok(OK)
}

fn row(node: &Node, one: &Status) -> anyhow::Result<()> {
    let installation = node.commands.installation();
    let book = match one.book_id {
        id if id == installation.system_book => "system",
        id if id == installation.home_book => "home",
        _ => "other",
    };
    let state = match one.condition {
        _ if one.state != "serving" => one.state.as_str(),
        Condition::Current if one.quarantined > 0 => "quarantine",
        Condition::Current => "current",
        Condition::Behind => "behind",
        Condition::Failing => "failing",
        Condition::Stopped => "STOPPED",
    };
    // The last block of a UUIDv7 is random, the first ones are the time.
    let owner = one.worker_id.map(|id| id.to_string().rsplit('-').next().unwrap_or_default().to_owned());
    let owner = owner.map_or("-".into(), |id| if one.beat_at.is_some() { id } else { format!("{id}†") });
    let error = one
        .failed_at
        .zip(one.error.as_deref())
        .map(|(at, error)| format!("{} {}", at.format("%Y-%m-%d %H:%M:%S"), domain::content::head(error, ERROR_SHOWN)));
    let (behind, build, error) = (one.lag_events(), &one.build, error.unwrap_or_default());
    say!(
        "{:<11} {:>3} {build:<18} {state:<10} {book:<6} {:>9} {behind:>7} {:>8.1} {:>9.1}  {owner:<13} {error}",
        one.projection,
        one.version,
        one.position,
        one.lag_seconds,
        one.rate
    );
    Ok(())
}

/// Lists what is in quarantine.
pub async fn list_quarantine(place: &Place, json: bool) -> anyhow::Result<u8> {
    let node = Node::open(place).await?;
    node.runner.catch_up().await?;
    let installation = node.commands.installation();
    let mut found = vec![];
    for book_id in [installation.home_book, installation.system_book] {
        let mut db = node.reader.book(book_id).await?;
        found.extend(quarantine::list(&mut db, book_id, None, SHOWN).await?);
    }
    if found.is_empty() && !json {
        say!("Nothing is in quarantine.");
    }
    for one in &found {
        if json {
            say!("{}", serde_json::to_string(one)?);
            continue;
        }
        let what = if one.stops { "stopped" } else { "waits" };
        let partition = one.session_id.map_or_else(|| format!("stream {}", one.partition_id), |id| id.to_string());
        say!(
            "{} {what} at {} since {}: {} v{} in {partition}: {}",
            one.projection,
            one.position,
            one.since.format("%Y-%m-%d %H:%M:%S"),
            one.event_type,
            one.event_version,
            one.error
        );
    }
    node.close().await;
    Ok(if found.is_empty() { OK } else { NO })
}

/// Has a projection try again to take an event in.
pub async fn retry(place: &Place, event: &EventInQuarantine) -> anyhow::Result<u8> {
    let node = Node::open(place).await?;
    let viewer = viewer(&node, event);
    let standing = stands(&node, &viewer, event).await?;
    let order = QuarantineRetried { projection: event.projection.clone(), position: event.position };
    node.commands.quarantine_retry(&viewer, new_id(), order, standing).await?;
    settled(node, &viewer, event).await
}

/// Has a projection go on for good without an event.
pub async fn skip(place: &Place, event: &EventInQuarantine, reason: &str) -> anyhow::Result<u8> {
    let reason = domain::text::Reason::parse("reason", reason)?.as_str().to_owned();
    let node = Node::open(place).await?;
    let viewer = viewer(&node, event);
    let standing = stands(&node, &viewer, event).await?;
    let order = QuarantineSkipped { projection: event.projection.clone(), position: event.position, reason };
    node.commands.quarantine_skip(&viewer, new_id(), order, standing).await?;
    settled(node, &viewer, event).await
}

/// Folds one session, or one stream outside of any, anew.
pub async fn rebuild_partition(place: &Place, wanted: &Rebuild) -> anyhow::Result<u8> {
    let [name] = &wanted.names[..] else { bail!("say which projection: one, with --session or --stream") };
    let id = match (&wanted.session, &wanted.stream) {
        (Some(session), _) => session.parse::<domain::SessionId>()?.uuid(),
        (None, Some(stream)) => stream.parse().context("--stream: expected a UUID")?,
        (None, None) => bail!("say which session with --session ID, or which stream with --stream ID"),
    };
    let node = Node::open(place).await?;
    node.runner.catch_up().await?;
    let partition = Partition { book_id: node.commands.installation().home_book, id };
    let waits = node.runner.rebuild_partition(name, partition).await?;
    match waits {
        None => say!("{name}: folded anew"),
        Some(position) => say!("{name}: the event at {position} cannot be taken in, what follows it waits"),
    }
    node.close().await;
    Ok(if waits.is_none() { OK } else { NO })
}

async fn settled(node: Node, viewer: &Viewer, event: &EventInQuarantine) -> anyhow::Result<u8> {
    node.runner.catch_up().await?;
    let waits = stands(&node, viewer, event).await?;
    let EventInQuarantine { projection, position, .. } = event;
    if waits {
        say!("{projection} still cannot take in the event at {position}: see `daybook projections quarantine`");
    } else {
        say!("{projection} goes on after {position}");
    }
    node.close().await;
    Ok(if waits { NO } else { OK })
}

/// Whoever has the data folder may do everything.
fn viewer(node: &Node, event: &EventInQuarantine) -> Viewer {
    let installation = node.commands.installation();
    let book_id: BookId = if event.system { installation.system_book } else { installation.home_book };
    Viewer { book_id, ..node.access.demo_user().clone() }
}

async fn stands(node: &Node, viewer: &Viewer, event: &EventInQuarantine) -> anyhow::Result<bool> {
    node.runner.catch_up().await?;
    let mut db = node.reader.book(viewer.book_id).await?;
    Ok(quarantine::stands(&mut db, viewer.book_id, &event.projection, event.position).await?)
}
