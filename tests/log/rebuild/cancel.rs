//! Giving up: whenever it is asked for it is heard, once per request, and nobody is kept waiting for it.

use std::time::Duration;

use projections::rebuild::Phase;

use super::*;
use crate::fixture::{another_book, number};

/// Far longer than posting takes, and shorter than the watchdog.
const SOON: Duration = Duration::from_secs(60);
/// The lock of `projections` that whoever posts shares.
const POSTING_LOCK: i64 = 0x6461_7962_6f6f_6b02;

/// One session, and a build of `sessions` that follows the log and differs from what serves.
async fn with_one_that_differs() -> (Database, Commands, Runner) {
    let database = Database::fresh().await;
    let commands = database.commands().await;
    start(&commands, &developer(database.installation.home_book)).await;
    let runner = database.runner().await;
    in_time(runner.catch_up()).await.unwrap();
    leave_one_that_differs(&database, &rebuilder(&runner, SMALL).0, "sessions", "title = 'forged'").await;
    (database, commands, runner)
}

async fn states(database: &Database) -> Vec<String> {
    builds(database, "sessions").await.into_iter().map(|(.., state)| state).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cancels_while_builds_are_compared_is_heard() {
    let (database, _, runner) = with_one_that_differs().await;
    let (first, mut heard) = rebuilder(&runner, SMALL);
    let (other, _others) = rebuilder(&database.runner().await, SMALL);
    // Whoever holds the book's lock keeps the comparison waiting.
    let mut db = superuser(&database).await;
    let lock = format!("hashtextextended('{}', 0)", database.installation.home_book.uuid());
    db.execute(format!("SELECT pg_advisory_lock({lock})").as_str()).await.unwrap();
    let work = tokio::spawn(async move { first.rebuild(&["sessions"], Options::default()).await });
    in_time(async {
        let comparing = |report: &Report| matches!(report, Report::Progress(now) if now.phase == Phase::Comparing);
        while !comparing(&heard.recv().await.unwrap()) {}
    })
    .await;
    assert!(in_time(other.cancel("sessions", Options::default())).await.unwrap());
    db.execute(format!("SELECT pg_advisory_unlock({lock})").as_str()).await.unwrap();
    let results = in_time(work).await.unwrap().unwrap();
    assert!(matches!(results[0].1, Err(RebuildError::Cancelled)), "{results:?}");
    assert_eq!(states(&database).await, ["serving", "cancelled"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_request_gives_up_nothing_that_was_begun_since() {
    let (database, _, runner) = with_one_that_differs().await;
    let (rebuilder, mut heard) = rebuilder(&runner, SMALL);
    let by = |name: &str| Options { request_id: Some(new_id()), asked_by: Some(name.into()), ..Options::default() };
    let asked = by("ada");
    assert!(in_time(rebuilder.cancel("sessions", asked.clone())).await.unwrap());
    assert_eq!(states(&database).await, ["serving", "cancelled"]);
    let results = in_time(rebuilder.rebuild(&["sessions"], Options::default())).await.unwrap();
    assert!(matches!(results[0].1, Err(RebuildError::Differs { .. })), "{results:?}");
    assert!(in_time(rebuilder.cancel("sessions", asked)).await.unwrap(), "it has its first answer");
    assert_eq!(states(&database).await, ["serving", "cancelled", "following"]);
    assert!(in_time(rebuilder.cancel("sessions", by("bob"))).await.unwrap());
    assert_eq!(states(&database).await, ["serving", "cancelled", "cancelled"]);
    assert!(!in_time(rebuilder.cancel("sessions", by("ada"))).await.unwrap(), "there is nothing any more");
    let mut asked = vec![];
    while let Ok(report) = heard.try_recv() {
        if let Report::Cancelled { build, asked_by } = report {
            asked.push((build.build, asked_by.unwrap()));
        }
    }
    assert_eq!(asked, [(2, "ada".to_owned()), (3, "bob".to_owned())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_to_post_while_a_build_waits_for_its_end() {
    let (database, commands, runner) = with_one_that_differs().await;
    let (rebuilder, _heard) = rebuilder(&runner, SMALL);
    // Somebody compares a large book.
    let (mut db, mut comparing) = (superuser(&database).await, superuser(&database).await);
    let hold = format!("BEGIN; SELECT pg_advisory_xact_lock_shared({POSTING_LOCK})");
    comparing.execute(hold.as_str()).await.unwrap();
    let cancelling = tokio::spawn(async move { rebuilder.cancel("sessions", Options::default()).await });
    let waits = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
                 WHERE d.datname = current_database() AND l.locktype = 'advisory' AND NOT l.granted";
    in_time(async { while number(&mut db, waits).await == 0 {} }).await;
    let other = another_book();
    start(&commands, &developer(other)).await;
    let posted = tokio::time::timeout(SOON, runner.catch_up()).await;
    posted.expect("another book is posted meanwhile").unwrap();
    let there = format!("SELECT count(*) FROM serving.sessions WHERE book_id = '{}'", other.uuid());
    assert_eq!(number(&mut db, &there).await, 1);
    assert_eq!(states(&database).await, ["serving", "following"], "it is still compared");
    comparing.execute("COMMIT").await.unwrap();
    assert!(in_time(cancelling).await.unwrap().unwrap());
    assert_eq!(states(&database).await, ["serving", "cancelled"]);
}
