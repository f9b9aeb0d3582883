//! A build that does not get on: where an event is to blame it comes to nothing, and where the database is, it waits.

use std::collections::BTreeSet;

use super::*;
use crate::fixture::{append, marked, number, stream, to_stream};

fn accepting() -> Options {
    Options { accept_difference: true, ..Options::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_that_stopped_is_not_put_in_the_place_of_one_that_has_come_further() {
    let database = Database::fresh().await;
    let (commands, viewer) = (database.commands().await, developer(database.installation.home_book));
    commands.import(&viewer, record(&viewer, 1)).await.unwrap();
    let runner = database.runner().await;
    in_time(runner.catch_up()).await.unwrap();
    let (rebuilder, _heard) = rebuilder(&runner, Limits::default());
    leave_one_that_differs(&database, &rebuilder, "ledger", "model = 'forged'").await;
    // The new build refuses the next charge, and what serves takes it in.
    let mut db = superuser(&database).await;
    let (schema, head) = (newest(&database, "ledger").await, commands.head(viewer.book_id).await.unwrap());
    let refuse = format!("ALTER TABLE {schema}.ledger ADD CONSTRAINT refused CHECK (position <= {head})");
    db.execute(refuse.as_str()).await.unwrap();
    commands.import(&viewer, record(&viewer, 2)).await.unwrap();
    in_time(runner.catch_up()).await.unwrap();
    let charges = "SELECT count(DISTINCT llm_call_id) FROM serving.ledger";
    assert_eq!(number(&mut db, charges).await, 2);
    let results = in_time(rebuilder.rebuild(&["ledger"], accepting())).await.unwrap();
    assert!(matches!(results[0].1, Err(RebuildError::Stopped { .. })), "{results:?}");
    assert_eq!(number(&mut db, charges).await, 2, "no reader is taken back");
    let states: Vec<_> = builds(&database, "ledger").await.into_iter().map(|(.., state)| state).collect();
    assert_eq!(states, ["serving", "failed"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loaded_build_outlives_an_error_that_no_event_is_to_blame_for() {
    let database = Database::fresh().await;
    let (commands, viewer) = (database.commands().await, developer(database.installation.home_book));
    commands.import(&viewer, record(&viewer, 1)).await.unwrap();
    let runner = database.runner().await;
    in_time(runner.catch_up()).await.unwrap();
    let (rebuilder, _heard) = rebuilder(&runner, Limits::default());
    leave_one_that_differs(&database, &rebuilder, "sessions", "title = 'forged'").await;
    // Its table is away, while a session and more than one page of the log are to be taken in.
    let (mut db, schema) = (superuser(&database).await, newest(&database, "sessions").await);
    db.execute(format!("ALTER TABLE {schema}.sessions RENAME TO away").as_str()).await.unwrap();
    commands.import(&viewer, record(&viewer, 2)).await.unwrap();
    for _ in 0..2 {
        let mut many = append(commands.log(), viewer.book_id, vec![to_stream(stream(), 0, &[])]);
        many.streams[0].events = (0..4_000).map(|_| marked("x")).collect();
        in_time(commands.log().append(many)).await.unwrap();
    }
    let work = tokio::spawn({
        let rebuilder = rebuilder.clone();
        async move { rebuilder.rebuild(&["sessions"], accepting()).await }
    });
    let failed = "SELECT failed_at::text FROM checkpoints WHERE failed_at IS NOT NULL";
    let mut failures = BTreeSet::new();
    in_time(async {
        // A look tries as often as there are pages: two. Once it has failed for the third time, it has got over a look.
        while failures.len() < 3 {
            assert!(!work.is_finished(), "it was given up");
            let rows = sqlx::query(failed).fetch_all(&mut db).await.unwrap();
            failures.extend(rows.iter().map(|row| row.get::<String, _>(0)));
        }
    })
    .await;
    db.execute(format!("ALTER TABLE {schema}.away RENAME TO sessions").as_str()).await.unwrap();
    let results = in_time(work).await.unwrap().unwrap();
    assert!(results[0].1.is_ok(), "{results:?}");
    let states: Vec<_> = builds(&database, "sessions").await.into_iter().map(|(.., state)| state).collect();
    assert_eq!(states, ["retired", "serving"]);
    assert_equal(&database).await;
}
