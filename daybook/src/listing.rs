//! `daybook sessions` and `daybook timeline`.

use anyhow::bail;
use domain::SessionId;
use projections::{as_of, session, timeline};

use crate::cli::{Listing, OK, Place, Timeline};
use crate::node::Node;
use crate::out::say;

/// How many lines of a timeline are read at once.
const PAGE: i64 = 1_000;

/// Lists sessions, newest first.
pub async fn sessions(place: &Place, listing: &Listing) -> anyhow::Result<u8> {
    let node = Node::open(place).await?;
    node.runner.catch_up().await?;
    let book_id = node.commands.installation().home_book;
    let mut db = node.reader.book(book_id).await?;
    let sessions = match listing.as_of {
        None => session::list(&mut db, book_id, None, None, listing.limit).await?,
        Some(moment) => as_of::sessions(&mut db, book_id, moment, listing.limit).await?,
    };
    drop(db);
    if sessions.is_empty() && !listing.json {
        say!("There are no sessions yet. Start one with:  daybook run \"demo\"");
    }
    for (id, row) in sessions {
        let origin = serde_json::to_value(row.origin)?;
        if listing.json {
            let line = serde_json::json!({
                "id": id, "title": row.title, "origin": origin, "createdAt": row.created_at, "messages": row.messages,
                "importSource": row.import_source,
            });
            say!("{line}");
        } else {
            let when = row.created_at.format("%Y-%m-%d %H:%M");
            say!("{id}  {when}  {:<6}  {}", origin.as_str().unwrap_or_default(), row.title);
        }
    }
    node.close().await;
    Ok(OK)
}

/// Shows what happened in a session.
pub async fn timeline(place: &Place, wanted: &Timeline) -> anyhow::Result<u8> {
    let node = Node::open(place).await?;
    node.runner.catch_up().await?;
    let book_id = node.commands.installation().home_book;
    let mut db = node.reader.book(book_id).await?;
    let session_id: SessionId = wanted.session.parse()?;
    if session::get(&mut db, book_id, session_id).await?.is_none() {
        bail!("there is no {session_id}: `daybook sessions` lists those that are");
    }
    let until = match wanted.as_of {
        None => i64::MAX,
        Some(moment) => as_of::position(&mut db, book_id, moment).await?,
    };
    let mut after = 0;
    loop {
        let mut lines = timeline::list(&mut db, book_id, session_id, after, PAGE).await?;
        lines.retain(|(position, _)| *position <= until);
        let Some((last, _)) = lines.last() else { break };
        after = *last;
        for (position, row) in lines {
            if wanted.json {
                let line = serde_json::json!({
                    "position": position, "type": row.event_type, "title": row.title, "detail": row.detail,
                    "actor": row.actor_id, "occurredAt": row.occurred_at, "recordedAt": row.recorded_at,
                });
                say!("{line}");
            } else {
                say!("{position:>6}  {}  {:<22} {}", row.occurred_at.format("%H:%M:%S%.3f"), row.title, row.detail);
            }
        }
    }
    drop(db);
    node.close().await;
    Ok(OK)
}
