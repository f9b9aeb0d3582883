//! A rebuild has no side effect: nobody is woken, nothing is told live, and nothing is written to the log.

use std::time::Duration;

use sqlx::postgres::PgListener;
use sqlx::{Connection, Executor, PgConnection};

use super::*;
use crate::fixture::{all_events, number};

/// Long enough for whatever a rebuild set off to arrive.
const QUIET: Duration = Duration::from_millis(300);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_wakes_nobody_tells_nobody_and_writes_nothing_to_the_log() {
    let database = Database::fresh().await;
    let (commands, book) = (database.commands().await, database.installation.home_book);
    let viewer = developer(book);
    // Open work, which a worker would take if anything called it, and a record with everything else.
    let started = start(&commands, &viewer).await;
    commands.import(&viewer, record(&viewer, 1)).await.unwrap();
    let runner = database.runner().await;
    in_time(runner.catch_up()).await.unwrap();
    let mut listener = PgListener::connect_with(&database.pool).await.unwrap();
    listener.listen_all(["daybook_log", "daybook", "ev"]).await.unwrap();
    let (_, mut live) = commands.bus().listen(started.session_id);
    let mut tips = commands.log().tips();
    let before = (all_events(&database, book).await, state(&database).await);
    let (rebuilder, _heard) = rebuilder(&runner, SMALL);
    rebuild(&rebuilder, &names()).await;
    in_time(rebuilder.undo("work", Options::default())).await.unwrap();
    assert_equal(&database).await;
    assert_eq!((all_events(&database, book).await, state(&database).await), before, "nothing else has changed");
    assert!(live.try_recv().is_err(), "nothing was told live");
    assert!(tips.try_recv().is_err(), "the log did not grow");
    let woken = tokio::time::timeout(QUIET, listener.recv()).await;
    assert!(woken.is_err(), "somebody was woken: {woken:?}");
    // The listener does hear, and the work is still there to be taken.
    let mut db = PgConnection::connect_with(&database.options).await.unwrap();
    db.execute("SELECT pg_notify('daybook_log', 'x')").await.unwrap();
    in_time(listener.recv()).await.unwrap();
    assert_eq!(number(&mut db, "SELECT count(*) FROM serving.work WHERE worker_id IS NULL").await, 1);
}

/// What every table holds besides those that are derived, as text.
async fn state(database: &Database) -> String {
    let mut db = superuser(database).await;
    let mut state = String::new();
    for table in ["blobs", "secrets", "workers", "installation"] {
        let sql = format!("SELECT coalesce(string_agg(md5(t::text), ' ' ORDER BY t::text), '') FROM {table} t");
        state += &sqlx::query(&sql).fetch_one(&mut db).await.unwrap().get::<String, _>(0);
        state += "\n";
    }
    state
}
