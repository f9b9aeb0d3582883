//! The past: at every position, what is shown of it is what a projection held that had been fed up to there.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Debug;

use chrono::TimeDelta;
use commands::Commands;
use commands::ids::new_id;
use commands::log::StreamAppend;
use daybook_tests::Database;
use domain::quarantine::QuarantineSkipped;
use domain::{BookId, SessionId};
use projections::as_of::{self, AsOfError, EVENTS_MAX, Moment, Past};
use projections::feed::Partition;
use projections::file::Files;
use projections::ledger::{self, Filter, Ledger};
use projections::run::Runs;
use projections::session::Sessions;
use projections::timeline::Timeline;
use projections::tool_call::ToolCalls;
use projections::usage::{self, Usage};
use projections::work::Work;
use projections::{Projection, Recorded};
use sqlx::{Executor, PgConnection};

use crate::fixture::{
    Foreign, Random, all_events, append, developer, in_time, marked, number, record, stream, superuser, write_foreign,
};

/// Sessions that are imported and written to in turns, with what was erased, what cannot be read, and what is skipped.
async fn generate(database: &Database, commands: &Commands, book: BookId, random: &mut Random) {
    let viewer = developer(book);
    let mut sessions: Vec<SessionId> = vec![];
    for round in 0..16 {
        if round < 2 || random.once_in(3) {
            let import = record(&viewer, round);
            sessions.push(import.session.session_id);
            commands.import(&viewer, import).await.unwrap();
        }
        let session_id = Some(sessions[random.below(sessions.len())].uuid());
        let one = StreamAppend { stream_id: stream(), expected: 0, session_id, events: vec![marked("said")] };
        commands.log().append(append(commands.log(), book, vec![one])).await.unwrap();
        if round == 6 || round == 9 {
            let (event_type, money) = if round == 6 { ("message.received", false) } else { ("usage.charged", true) };
            let event = Foreign { stream_id: stream(), session_id, event_type, event_version: 7, payload: "{}" };
            let position = write_foreign(database, book, event).await;
            let names = if money { vec!["usage", "ledger", "sessions"] } else { vec!["sessions"] };
            for projection in names {
                let order = QuarantineSkipped { projection: projection.into(), position, reason: "a test".into() };
                commands.quarantine_skip(&viewer, new_id(), order, true).await.unwrap();
            }
        }
    }
}

/// What serves of a partition now.
async fn serving<P: Projection>(db: &mut PgConnection, partition: Partition) -> BTreeMap<P::Key, P::Row> {
    let sql = format!("SELECT * FROM serving.{} WHERE book_id = $1 AND partition_id = $2", P::NAME);
    let rows = sqlx::query(&sql).bind(partition.book_id.uuid()).bind(partition.id).fetch_all(db).await.unwrap();
    rows.iter().map(|row| (P::read_key(row), P::read_row(row))).collect()
}

/// The rows of a partition in one projection: as a text, so that all projections are held in one list.
async fn past<P: Projection>(db: &mut PgConnection, partition: Partition, position: i64) -> String {
    shown(&as_of::rows::<P>(db, partition, position).await.unwrap())
}

fn shown(rows: &impl Debug) -> String {
    format!("{rows:?}")
}

macro_rules! each_projection {
    ($function:ident, $($argument:expr),*) => {
        [
            $function::<Sessions>($($argument),*).await,
            $function::<Runs>($($argument),*).await,
            $function::<ToolCalls>($($argument),*).await,
            $function::<Timeline>($($argument),*).await,
            $function::<Files>($($argument),*).await,
            $function::<Usage>($($argument),*).await,
            $function::<Ledger>($($argument),*).await,
            $function::<Work>($($argument),*).await,
        ]
    };
}

async fn now<P: Projection>(db: &mut PgConnection, partition: Partition) -> String {
    shown(&serving::<P>(db, partition).await)
}

/// The partitions of some events, and the sessions among them.
fn partitions(events: &[Recorded]) -> Vec<Partition> {
    let all: HashSet<Partition> = events.iter().map(Recorded::partition).collect();
    all.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_past_is_what_a_projection_held_that_was_fed_up_to_there() {
    let database = Database::fresh().await;
    let (commands, book) = (database.commands().await, database.installation.home_book);
    generate(&database, &commands, book, &mut Random::seeded(20)).await;
    let mut db = superuser(&database).await;
    // Some contents are gone; what is left of them is all that anybody knows.
    db.execute("UPDATE events SET payload = NULL, salt = NULL WHERE position % 17 = 5").await.unwrap();
    let events = all_events(&database, book).await;
    let partitions = partitions(&events);
    assert!(events.len() > 80 && partitions.len() > 4, "{} events", events.len());
    db.execute("CREATE TABLE kept AS TABLE events; TRUNCATE events").await.unwrap();
    let runner = database.runner().await;
    let mut held = vec![];
    in_time(async {
        for position in 1..=events.len() as i64 {
            let next = format!("INSERT INTO events SELECT * FROM kept WHERE position = {position}");
            db.execute(next.as_str()).await.unwrap();
            runner.catch_up().await.unwrap();
            for partition in &partitions {
                let rows = each_projection!(now, &mut db, *partition);
                assert_eq!(rows, each_projection!(past, &mut db, *partition, position), "at {position}");
                held.push((position, *partition, rows));
            }
        }
        // Nor does what came later change it.
        for (position, partition, rows) in &held {
            assert_eq!(*rows, each_projection!(past, &mut db, *partition, *position), "at {position}");
        }
    })
    .await;
    let reached = "SELECT count(*) FROM checkpoints c JOIN book_heads h USING (book_id, position)";
    assert_eq!(number(&mut db, reached).await, projections::all().len() as i64, "money went on as well");
    for session in partitions {
        let (session_id, to) = (SessionId::new(session.id), events.len() as i64);
        let all = Past::read(&mut db, book, session_id, to).await.unwrap();
        assert_eq!(all.runs, serving::<Runs>(&mut db, session).await);
        assert_eq!(all.files, serving::<Files>(&mut db, session).await);
        assert_eq!(all.session, serving::<Sessions>(&mut db, session).await.remove(&session_id));
        let totals = usage::totals(&mut db, book, session_id, None).await.unwrap();
        assert_eq!(usage::sum(all.usage.values()), totals);
    }
    ledger_as_it_was(&mut db, book, &held).await;
}

/// The dated postings of the ledger, cut at a position, are those that the folds gave.
async fn ledger_as_it_was(db: &mut PgConnection, book: BookId, held: &[(i64, Partition, [String; 8])]) {
    let last = held.last().expect("there are events").0;
    for position in 0..=last {
        let filter = Filter { memo: true, until: Some(position), ..Filter::default() };
        let listed = ledger::list(db, book, filter, i64::from(u16::MAX)).await.unwrap();
        let folded: usize =
            held.iter().filter(|one| one.0 == position).map(|one| one.2[6].matches("Row {").count()).sum();
        assert_eq!(listed.len(), folded, "at {position}");
        assert!(listed.iter().all(|((at, _), _)| *at <= position));
    }
}

#[tokio::test]
async fn a_time_is_the_last_event_that_was_written_down_by_then() {
    let database = Database::fresh().await;
    let (commands, book) = (database.commands().await, database.installation.home_book);
    let viewer = developer(book);
    for file in 0..3 {
        commands.import(&viewer, record(&viewer, file)).await.unwrap();
    }
    let events = all_events(&database, book).await;
    let mut db = superuser(&database).await;
    for event in &events {
        for (time, expected) in
            [(event.recorded_at, event.position), (event.recorded_at - TimeDelta::microseconds(1), event.position - 1)]
        {
            let found = as_of::position(&mut db, book, Moment::Time(time)).await.unwrap();
            assert_eq!(found, expected);
        }
    }
    let last = events.last().unwrap();
    let later = Moment::Time(last.recorded_at + TimeDelta::days(1));
    assert_eq!(as_of::position(&mut db, book, later).await.unwrap(), last.position);
    assert_eq!(as_of::position(&mut db, book, Moment::Position(last.position)).await.unwrap(), last.position);
    let beyond = as_of::position(&mut db, book, Moment::Position(last.position + 1)).await.unwrap_err();
    assert!(matches!(beyond, AsOfError::Beyond { position, head } if position == head + 1), "{beyond}");
    // Sessions that had not begun are not listed, and those that had are as they were.
    in_time(database.runner().await.catch_up()).await.unwrap();
    let first_two = events.iter().filter(|event| event.event_type == "session.started").nth(2).unwrap().position - 1;
    let listed = as_of::sessions(&mut db, book, Moment::Position(first_two), 10).await.unwrap();
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().all(|(_, row)| row.position <= first_two) && listed[0].0 > listed[1].0);
    assert_eq!(as_of::sessions(&mut db, book, Moment::Position(0), 10).await.unwrap(), []);
}

#[tokio::test]
async fn a_past_that_is_too_long_to_fold_is_refused() {
    let database = Database::fresh().await;
    let (log, book) = (database.log().await, database.installation.home_book);
    let session = stream();
    let mut last = 0;
    for _ in 0..=EVENTS_MAX / 5_000 {
        let events = (0..5_000).map(|_| marked("x")).collect();
        let one = StreamAppend { stream_id: stream(), expected: 0, session_id: Some(session), events };
        last = in_time(log.append(append(&log, book, vec![one]))).await.unwrap().last;
    }
    let mut db = superuser(&database).await;
    let session_id = SessionId::new(session);
    let long = Past::read(&mut db, book, session_id, last).await.unwrap_err();
    assert!(matches!(long, AsOfError::TooMany), "{long}");
    Past::read(&mut db, book, session_id, EVENTS_MAX as i64).await.unwrap();
}
