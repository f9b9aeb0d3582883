//! The audit finds whatever was changed behind Daybook's back, and names where.

use std::collections::BTreeMap;

use commands::ids::new_id;
use commands::log::{Append, Context};
use commands::{Commands, MessageSend, SessionStart};
use daybook_tests::Database;
use domain::BookId;
use domain::session::Origin;
use domain::text::MessageText;
use futures::future::join_all;
use projections::audit;
use sqlx::{Executor, PgConnection};

use crate::fixture::{append, developer, in_time, marked, number, stream, superuser, to_stream};

/// Each column, and another value for it.
const CHANGES: [(&str, &str); 24] = [
    ("stream_id", "gen_random_uuid()"),
    ("sequence", "sequence + 1000"),
    ("session_id", "gen_random_uuid()"),
    ("session_id", "NULL"),
    ("event_id", "gen_random_uuid()"),
    ("event_type", "event_type || '_'"),
    ("event_version", "event_version + 1"),
    ("occurred_at", "occurred_at + interval '1 microsecond'"),
    ("recorded_at", "recorded_at + interval '1 microsecond'"),
    ("actor_id", "actor_id || ' '"),
    ("correlation_id", "gen_random_uuid()"),
    ("correlation_id", "NULL"),
    ("causation_id", "gen_random_uuid()"),
    ("causation_id", "NULL"),
    ("request_id", "gen_random_uuid()"),
    ("request_id", "NULL"),
    ("request_hash", "set_byte(request_hash, 31, get_byte(request_hash, 31) # 1)"),
    ("request_hash", "NULL"),
    ("payload", "regexp_replace(payload::text, '[a-z]', 'X')::json"),
    ("payload", "NULL"),
    ("metadata", "(metadata::text || ' ')::json"),
    ("salt", "set_byte(salt, 15, get_byte(salt, 15) # 128)"),
    ("commitment", "set_byte(commitment, 0, get_byte(commitment, 0) # 1)"),
    ("hash", "set_byte(hash, 0, get_byte(hash, 0) # 1)"),
];

/// A book with some thirty events of all kinds, and a copy of it to restore from.
struct Kept {
    database: Database,
    db: PgConnection,
    book: BookId,
    events: i64,
}

impl Kept {
    async fn new() -> Self {
        let database = Database::fresh().await;
        let book = database.installation.home_book;
        fill(&database.commands().await, book).await;
        database.runner().await.catch_up().await.expect("the read models follow");
        let mut db = superuser(&database).await;
        db.execute("CREATE TABLE kept AS TABLE events").await.unwrap();
        let events = number(&mut db, "SELECT count(*) FROM events").await;
        assert!(events >= 30);
        Self { database, db, book, events }
    }

    /// The position that does not hold, if any.
    async fn broken(&self) -> Option<i64> {
        let report = audit::verify(&self.database.pool, self.book, |_| {}).await.expect("the database answers");
        report.broken.map(|broken| {
            assert_eq!(report.verified, broken.position - 1);
            broken.position
        })
    }

    /// Changes something; answers how many rows that changed.
    async fn change(&mut self, sql: &str) -> u64 {
        self.db.execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}")).rows_affected()
    }

    /// Undoes every change; the book holds again.
    async fn restore(&mut self) {
        self.change("TRUNCATE events").await;
        self.change("INSERT INTO events TABLE kept").await;
        assert_eq!(self.broken().await, None);
    }
}

/// Sessions with messages, and appends that name what caused them.
async fn fill(commands: &Commands, book: BookId) {
    let viewer = developer(book);
    let text = |text: &str| MessageText::parse("text", text).unwrap();
    for _ in 0..4 {
        let input = SessionStart {
            text: text("make it green"),
            title: None,
            approval_policy: Default::default(),
            origin: Origin::Web,
            model: "scripted/test".into(),
        };
        let started = commands.session_start(&viewer, new_id(), input).await.unwrap().answer;
        let input =
            MessageSend { session_id: started.session_id, text: text("and soon"), model: "scripted/test".into() };
        commands.message_send(&viewer, new_id(), input).await.unwrap();
        let caused = append(commands.log(), book, vec![to_stream(stream(), 0, &["because"])]);
        let context = Context { causation_id: Some(stream()), ..caused.context.clone() };
        commands.log().append(Append { context, ..caused }).await.unwrap();
    }
}

#[tokio::test]
async fn every_changed_column_of_every_event_is_found_at_its_position() {
    let mut kept = Kept::new().await;
    assert_eq!(kept.broken().await, None);
    let mut changed: BTreeMap<usize, u64> = BTreeMap::new();
    in_time(async {
        for position in 1..=kept.events {
            for (index, (column, value)) in CHANGES.iter().enumerate() {
                let change = format!(
                    "UPDATE events SET {column} = {value} WHERE position = {position} \
                     AND ({column})::text IS DISTINCT FROM ({value})::text"
                );
                if kept.change(&change).await == 0 {
                    continue;
                }
                assert_eq!(kept.broken().await, Some(position), "{column} = {value} at position {position}");
                *changed.entry(index).or_default() += 1;
                let back = format!(
                    "UPDATE events SET {column} = kept.{column} FROM kept \
                     WHERE events.position = {position} AND kept.position = {position}"
                );
                assert_eq!(kept.change(&back).await, 1);
            }
            assert_eq!(kept.broken().await, None, "restored at position {position}");
        }
    })
    .await;
    assert_eq!(changed.len(), CHANGES.len(), "each column was changed at least once: {changed:?}");
}

#[tokio::test]
async fn two_events_that_changed_places_are_found() {
    let mut kept = Kept::new().await;
    for position in 1..kept.events {
        let next = position + 1;
        kept.change(&format!("UPDATE events SET position = -1 WHERE position = {position}")).await;
        kept.change(&format!("UPDATE events SET position = {position} WHERE position = {next}")).await;
        kept.change(&format!("UPDATE events SET position = {next} WHERE position = -1")).await;
        assert_eq!(kept.broken().await, Some(position));
        kept.restore().await;
    }
}

#[tokio::test]
async fn an_event_that_is_gone_or_was_slipped_in_is_found() {
    let mut kept = Kept::new().await;
    for position in 1..=kept.events {
        kept.change(&format!("DELETE FROM events WHERE position = {position}")).await;
        assert_eq!(kept.broken().await, Some(position));
        kept.restore().await;
    }
    let last = kept.events;
    for slipped in [0, last + 1, last + 7] {
        let copy = format!(
            "CREATE TEMP TABLE copy AS SELECT * FROM kept WHERE position = {last}; \
             UPDATE copy SET position = {slipped}, stream_id = gen_random_uuid(), request_id = NULL; \
             INSERT INTO events TABLE copy; DROP TABLE copy"
        );
        kept.change(&copy).await;
        assert_eq!(kept.broken().await, Some(last + 1), "slipped in at {slipped}");
        kept.restore().await;
    }
}

#[tokio::test]
async fn a_tail_that_was_cut_off_is_found_by_what_was_posted_from_it() {
    let mut kept = Kept::new().await;
    let last = kept.events;
    for left in [last - 1, 1, 0] {
        kept.change(&format!("DELETE FROM events WHERE position > {left}")).await;
        let report = audit::verify(&kept.database.pool, kept.book, |_| {}).await.unwrap();
        let broken = report.broken.expect("the tail is gone");
        assert_eq!((report.verified, broken.position), (left, left + 1));
        assert!(broken.reason.contains(&format!("has taken in {last} events")), "{}", broken.reason);
        let books = audit::books(&kept.database.pool).await.unwrap();
        assert!(books.contains(&kept.book), "the book is still among those to verify");
        kept.restore().await;
    }
}

#[tokio::test]
async fn a_hundred_thousand_events_verify() {
    const APPENDS: i64 = 100;
    const EVENTS: i64 = 1_000;
    let database = Database::fresh().await;
    let (log, book) = (database.log().await, database.installation.home_book);
    let appends = (0..APPENDS).map(|number| {
        let mut one = append(&log, book, vec![to_stream(stream(), 0, &[])]);
        one.streams[0].events = (0..EVENTS).map(|event| marked(&format!("{number}/{event}"))).collect();
        log.append(one)
    });
    in_time(join_all(appends)).await.into_iter().for_each(|appended| assert!(appended.is_ok(), "{appended:?}"));
    let mut heard = vec![];
    let report = in_time(audit::verify(&database.pool, book, |verified| heard.push(verified))).await.unwrap();
    assert_eq!((report.verified, report.broken), (APPENDS * EVENTS, None));
    assert!(heard.is_sorted() && heard.last() == Some(&report.verified), "progress is told: {heard:?}");
    let mut db = superuser(&database).await;
    db.execute("UPDATE events SET actor_id = 'somebody' WHERE position = 73456").await.unwrap();
    let report = in_time(audit::verify(&database.pool, book, |_| {})).await.unwrap();
    assert_eq!(report.broken.map(|broken| broken.position), Some(73_456));
}
