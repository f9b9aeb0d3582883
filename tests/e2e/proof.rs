//! What must hold of every log whatever happened: nothing doubled, nothing missing, all money accounted for.

use std::collections::{BTreeMap, BTreeSet};

use daybook_tests::{Event, Studio};
use serde_json::{Value, json};
use sqlx::Row;

use crate::story::nanousd;

/// An event as the database holds it.
pub struct Stored {
    pub position: i64,
    pub stream: String,
    pub sequence: i64,
    pub event: String,
    pub kind: String,
    pub session: Option<String>,
    pub payload: Value,
}

/// The viewer's whole log.
pub async fn log(studio: &Studio) -> Vec<Stored> {
    let rows = sqlx::query(
        "SELECT position, stream_id::text AS stream, sequence, event_id::text AS event, event_type, \
           session_id::text AS session, payload::text AS payload FROM events WHERE book_id = $1 ORDER BY position",
    )
    .bind(studio.database.installation.home_book.uuid())
    .fetch_all(&studio.database.pool)
    .await
    .unwrap();
    let stored = |row: sqlx::postgres::PgRow| Stored {
        position: row.get("position"),
        stream: row.get("stream"),
        sequence: row.get("sequence"),
        event: row.get("event"),
        kind: row.get("event_type"),
        session: row.get("session"),
        payload: serde_json::from_str(row.get("payload")).unwrap(),
    };
    rows.into_iter().map(stored).collect()
}

/// How many events of a kind there are.
pub fn count(log: &[Stored], kind: &str) -> usize {
    log.iter().filter(|event| event.kind == kind).count()
}

/// Positions and sequences are dense, no event is there twice, each model call is charged once, the chain verifies,
/// and rebuilt read models equal those that serve.
pub async fn holds(studio: &Studio) {
    let log = log(studio).await;
    assert!(log.iter().map(|event| event.position).eq(1..=log.len() as i64), "positions are dense");
    let ids: BTreeSet<&str> = log.iter().map(|event| event.event.as_str()).collect();
    assert_eq!(ids.len(), log.len(), "no event is there twice");
    let mut streams: BTreeMap<&str, i64> = BTreeMap::new();
    for event in &log {
        let last = streams.entry(&event.stream).or_default();
        *last += 1;
        assert_eq!(event.sequence, *last, "sequences are dense in {}", event.stream);
    }
    calls_are_charged(&log);
    ledger_sums_to_zero(studio).await;
    audit_and_rebuild_agree(studio, log.len()).await;
}

/// Each model call that began is over, and was charged or given back, once. A tool call begins once.
fn calls_are_charged(log: &[Stored]) {
    let of = |kind: &str, field: &str| -> Vec<String> {
        let events = log.iter().filter(|event| event.kind == kind);
        let mut ids: Vec<String> = events.map(|event| event.payload[field].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    };
    let charged = of("usage.charged", "llm_call_id");
    let mut settled = [of("reservation.released", "llm_call_id"), charged.clone()].concat();
    settled.sort();
    assert_eq!(of("step.started", "llm_call_id"), settled, "each model call is charged or given back, once");
    assert_eq!(of("spend.reserved", "llm_call_id"), settled);
    assert_eq!(of("usage.metered", "llm_call_id"), charged);
    let mut over = ["step.completed", "step.failed", "step.interrupted"].map(|kind| of(kind, "llm_call_id")).concat();
    over.sort();
    assert_eq!(over, settled);
    let started = of("tool_call.started", "tool_call_id");
    let once: BTreeSet<&String> = started.iter().collect();
    assert_eq!(once.len(), started.len(), "no tool call is started twice");
}

/// All postings, memo accounts included, sum to zero; so do those of each charge.
pub async fn ledger_sums_to_zero(studio: &Studio) {
    let mut sums: BTreeMap<String, i64> = BTreeMap::new();
    for entry in ledger(studio, true).await {
        *sums.entry(entry["llmCallId"].as_str().unwrap().to_owned()).or_default() += nanousd(&entry["amountUsd"]);
    }
    assert!(sums.values().all(|sum| *sum == 0), "{sums:?}");
}

/// All pages of the ledger.
pub async fn ledger(studio: &Studio, memo: bool) -> Vec<Value> {
    let query = "query($memo: Boolean!, $after: String) { ledger(includeMemo: $memo, first: 100, after: $after) { \
        nodes { account amountUsd origin sessionId llmCallId } pageInfo { hasNextPage endCursor } } }";
    let (mut entries, mut after) = (vec![], Value::Null);
    loop {
        let mut page = studio.client.ask(query, json!({ "memo": memo, "after": after })).await["ledger"].take();
        entries.extend(page["nodes"].as_array().unwrap().iter().cloned());
        if page["pageInfo"]["hasNextPage"] == false {
            return entries;
        }
        after = page["pageInfo"]["endCursor"].take();
    }
}

/// `audit verify` and `rebuild --check` on the same database, beside the server.
async fn audit_and_rebuild_agree(studio: &Studio, events: usize) {
    let lines = |said: String| -> Vec<Value> {
        said.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
    };
    let home = studio.database.installation.home_book.to_string();
    let verified = lines(studio.say(&["audit", "verify", "--json"]).await);
    assert!(verified.iter().all(|book| book["broken"].is_null()), "{verified:?}");
    let own = verified.iter().find(|book| book["book_id"] == home).expect("the book is verified");
    assert!(own["verified"].as_u64().unwrap() >= events as u64, "{own}");
    let compared = lines(studio.say(&["rebuild", "--check", "--json"]).await);
    let names: BTreeSet<&str> = compared.iter().filter_map(|one| one["projection"].as_str()).collect();
    assert!(names.len() >= 7, "every projection is compared: {names:?}");
    assert!(compared.iter().all(|one| one["equal"] == true), "{compared:?}");
}

/// What had been seen before is still there, in the same places, and new events come only after it.
pub fn begins_with(seen: &[Event], now: &[Event]) {
    assert!(now.len() >= seen.len(), "{} events were seen, {} are there", seen.len(), now.len());
    assert_eq!(seen, &now[..seen.len()]);
}

/// The session's events as the database holds them, in the shape in which a follower gets them.
pub async fn session_positions(studio: &Studio, session: &str) -> Vec<String> {
    let epoch = studio.database.installation.epoch;
    let bare = session.trim_start_matches("session:");
    let log = log(studio).await;
    let own = log.iter().filter(|event| event.session.as_deref() == Some(bare));
    own.map(|event| format!("{epoch}-{}", event.position)).collect()
}
