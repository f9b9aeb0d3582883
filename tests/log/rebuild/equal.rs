//! A rebuild's rows are those of the live fold.

use commands::ids::new_id;
use projections::rebuild::{Limits, Options, RebuildError, Report};
use sqlx::Executor;

use super::*;
use crate::fixture::{another_book, append, number, stream, to_stream};

const SEED: u64 = 7_771;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_projection_over_many_books_and_small_cuts_equals_what_was_posted_live() {
    let database = Database::fresh().await;
    let (commands, mut random) = (database.commands().await, Random::seeded(SEED));
    let mut books = vec![database.installation.home_book];
    books.extend((0..5).map(|_| another_book()));
    fill(&commands, &books, 120, &mut random).await;
    let runner = database.runner().await;
    in_time(runner.catch_up()).await.unwrap();
    for limits in [SMALL, Limits { shares: 1, range_positions: 1, ..SMALL }, Limits::default()] {
        let (rebuilder, mut heard) = rebuilder(&runner, limits);
        rebuild(&rebuilder, &names()).await;
        assert_equal(&database).await;
        // The rebuild itself compared, and said so.
        let mut compared = 0;
        while let Ok(report) = heard.try_recv() {
            if let Report::Compared(one) = report {
                assert!(one.same_version() && one.different_books() == 0, "{one:?}");
                compared += one.books.len();
            }
        }
        assert_eq!(compared, names().len() * books.len());
        for name in names() {
            let states: Vec<_> = builds(&database, name).await.into_iter().map(|(_, _, state)| state).collect();
            assert_eq!(states, ["retired", "serving"], "{name}: exactly one build is kept");
        }
        fill(&commands, &books, 20, &mut random).await;
        in_time(runner.catch_up()).await.unwrap();
    }
    assert_equal(&database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_log_and_erased_payloads_are_rebuilt_too() {
    let database = Database::fresh().await;
    let (commands, book) = (database.commands().await, database.installation.home_book);
    let runner = database.runner().await;
    let (rebuilder, _heard) = rebuilder(&runner, SMALL);
    rebuild(&rebuilder, &names()).await;
    let viewer = developer(book);
    commands.import(&viewer, record(&viewer, 1)).await.unwrap();
    let erased = "UPDATE events SET payload = NULL, salt = NULL WHERE event_type = 'assistant_message.completed'";
    assert!(superuser(&database).await.execute(erased).await.unwrap().rows_affected() > 0);
    in_time(runner.catch_up()).await.unwrap();
    rebuild(&rebuilder, &names()).await;
    assert_equal(&database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_event_is_noticed_whether_it_concerns_the_projection_or_not() {
    let database = Database::fresh().await;
    let (commands, book) = (database.commands().await, database.installation.home_book);
    let viewer = developer(book);
    commands.import(&viewer, record(&viewer, 1)).await.unwrap();
    let runner = database.runner().await;
    in_time(runner.catch_up()).await.unwrap();
    superuser(&database).await.execute("DELETE FROM events WHERE event_type = 'message.received'").await.unwrap();
    let (rebuilder, _heard) = rebuilder(&runner, Limits::default());
    for (name, result) in in_time(rebuilder.rebuild(&names(), Options::default())).await.unwrap() {
        assert!(
            matches!(result, Err(RebuildError::Incomplete { book_id, .. }) if book_id == book),
            "{name}: {result:?}"
        );
        let last = builds(&database, &name).await.pop().unwrap();
        assert_eq!((last.0, last.2.as_str()), (2, "failed"), "{name}");
    }
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE '%\\_b2'";
    assert_eq!(number(&mut superuser(&database).await, schemas).await, 0, "nothing is left of what failed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_difference_is_shown_and_not_switched_to_unless_accepted() {
    let database = Database::fresh().await;
    let (commands, book) = (database.commands().await, database.installation.home_book);
    start(&commands, &developer(book)).await;
    let runner = database.runner().await;
    in_time(runner.catch_up()).await.unwrap();
    let mut db = superuser(&database).await;
    let schema = "SELECT schema_name FROM builds WHERE projection = 'sessions'";
    let schema: String = sqlx::query(schema).fetch_one(&mut db).await.unwrap().get(0);
    db.execute(format!("UPDATE {schema}.sessions SET title = 'forged'").as_str()).await.unwrap();
    let (rebuilder, mut heard) = rebuilder(&runner, Limits::default());
    let results = in_time(rebuilder.rebuild(&["sessions"], Options::default())).await.unwrap();
    assert!(matches!(results[0].1, Err(RebuildError::Differs { books: 1, .. })), "{results:?}");
    assert_eq!(number(&mut db, "SELECT count(*) FROM serving.sessions WHERE title = 'forged'").await, 1);
    let mut shown = vec![];
    while let Ok(report) = heard.try_recv() {
        if let Report::Compared(compared) = report {
            shown.extend(compared.differences);
        }
    }
    assert_eq!(shown.len(), 1);
    let title = |row: &Option<serde_json::Value>| row.as_ref().unwrap()["title"].clone();
    assert_eq!((title(&shown[0].serving), title(&shown[0].rebuilt)), ("forged".into(), "go".into()));
    let accepting = Options { accept_difference: true, ..Options::default() };
    let results = in_time(rebuilder.rebuild(&["sessions"], accepting)).await.unwrap();
    assert!(results[0].1.is_ok(), "{results:?}");
    assert_eq!(number(&mut db, "SELECT count(*) FROM serving.sessions WHERE title = 'forged'").await, 0);
    assert_equal(&database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreadable_event_fails_money_and_sets_its_session_aside_elsewhere() {
    let database = Database::fresh().await;
    let (commands, book) = (database.commands().await, database.installation.home_book);
    let viewer = developer(book);
    let runner = database.runner().await;
    commands.import(&viewer, record(&viewer, 1)).await.unwrap();
    commands.import(&viewer, record(&viewer, 2)).await.unwrap();
    in_time(runner.catch_up()).await.unwrap();
    let mut db = superuser(&database).await;
    let position = number(&mut db, "SELECT min(position) FROM events WHERE event_type = 'usage.metered'").await;
    let spoil = format!("UPDATE events SET payload = '{{\"no\": 1}}' WHERE position = {position}");
    db.execute(spoil.as_str()).await.unwrap();
    let (rebuilder, _heard) = rebuilder(&runner, SMALL);
    let accepting = Options { accept_difference: true, ..Options::default() };
    let results = in_time(rebuilder.rebuild(&["usage", "sessions"], accepting)).await.unwrap();
    let poison = results[0].1.as_ref().unwrap_err().to_string();
    assert!(poison.contains(&format!("position {position}")), "{poison}");
    assert!(results[1].1.is_ok(), "{results:?}");
    // The other session is whole, this one stands where it stopped, and the build says so.
    let newest = "SELECT count(*) FROM serving.sessions WHERE imported_nanousd = 1234";
    assert_eq!(number(&mut db, newest).await, 1);
    let stands = format!("SELECT count(*) FROM serving.sessions WHERE position = {position} - 1");
    assert_eq!(number(&mut db, &stands).await, 1);
    let said = "SELECT q.position FROM quarantine q JOIN builds b USING (schema_name) WHERE b.projection = 'sessions' \
                AND b.state = 'serving'";
    assert_eq!(number(&mut db, said).await, position);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_the_database_refuses_sets_its_session_aside_as_it_did_live() {
    let database = Database::fresh().await;
    let (commands, book) = (database.commands().await, database.installation.home_book);
    let viewer = developer(book);
    for file in 1..=3 {
        commands.import(&viewer, record(&viewer, file)).await.unwrap();
    }
    let mut db = superuser(&database).await;
    let created = "SELECT min(position) FROM events WHERE event_type = 'file.created'";
    let position = number(&mut db, created).await;
    // A path that Linux allows, and that is too long for an index however it is packed.
    let long = format!(
        "UPDATE events SET payload = jsonb_set(payload::jsonb, '{{path}}', (SELECT to_jsonb(string_agg(encode(sha256(n::text::bytea), 'base64'), '')) \
         FROM generate_series(1, 90) n))::json WHERE position = {position}"
    );
    assert_eq!(db.execute(long.as_str()).await.unwrap().rows_affected(), 1);
    let runner = database.runner().await;
    in_time(runner.catch_up()).await.unwrap();
    let waits = "SELECT max(q.position) * count(*) FROM quarantine q JOIN builds b USING (schema_name) \
                 WHERE b.projection = 'files' AND b.state = 'serving'";
    let files = "SELECT count(*) FROM serving.files";
    assert_eq!((number(&mut db, waits).await, number(&mut db, files).await), (position, 2), "so it is live");
    for limits in [SMALL, Limits::default()] {
        let (rebuilder, _heard) = rebuilder(&runner, limits);
        rebuild(&rebuilder, &["files"]).await;
        assert_eq!((number(&mut db, waits).await, number(&mut db, files).await), (position, 2), "{limits:?}");
    }
    let last = builds(&database, "files").await.pop().unwrap();
    assert_eq!((last.0, last.2.as_str()), (3, "serving"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_request_is_the_same_rebuild_and_an_unknown_name_is_refused() {
    let database = Database::fresh().await;
    let log = database.log().await;
    let book = database.installation.home_book;
    in_time(log.append(append(&log, book, vec![to_stream(stream(), 0, &["a"])]))).await.unwrap();
    let runner = database.runner().await;
    in_time(runner.catch_up()).await.unwrap();
    let (rebuilder, _heard) = rebuilder(&runner, Limits::default());
    let asked = Options { request_id: Some(new_id()), ..Options::default() };
    for _ in 0..2 {
        let results = in_time(rebuilder.rebuild(&["work"], asked.clone())).await.unwrap();
        assert!(results[0].1.is_ok(), "{results:?}");
        assert_eq!(builds(&database, "work").await.len(), 2, "one new build");
    }
    let unknown = rebuilder.rebuild(&["nothing"], Options::default()).await;
    assert!(matches!(unknown, Err(RebuildError::Unknown(name)) if name == "nothing"));
}
