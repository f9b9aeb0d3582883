//! The runner: read models are what the log says, each row once, and whoever waits for them is told the truth.

use std::time::Duration;

use commands::ids::new_id;
use commands::{Commands, SessionStart};
use daybook_tests::Database;
use domain::BookId;
use domain::session::Origin;
use domain::text::MessageText;
use futures::future::join_all;
use projections::check::{Comparison, check};
use projections::{Runner, WaitError};
use sqlx::{Executor, Row};

use crate::fixture::{another_book, append, developer, in_time, marked, number, record, stream, superuser, to_stream};

/// Long enough for whatever is done within a second, and short enough to fail before the watchdog.
const SOON: Duration = Duration::from_secs(300);

/// Begins a session; answers the position at which it stands in the book.
async fn start(commands: &Commands, book: BookId, text: &str) -> i64 {
    let input = SessionStart {
        text: MessageText::parse("text", text).unwrap(),
        title: None,
        approval_policy: Default::default(),
        origin: Origin::Web,
        model: "scripted/test".into(),
    };
    commands.session_start(&developer(book), new_id(), input).await.unwrap().position
}

/// The comparisons that are not equal, by projection.
fn unequal(comparisons: &[Comparison]) -> Vec<&str> {
    comparisons.iter().filter(|one| !one.equal).map(|one| one.projection.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_runners_at_once_post_each_event_once() {
    let database = Database::fresh().await;
    let commands = database.commands().await;
    let books = [database.installation.home_book, another_book(), another_book()];
    let runners = [database.runner().await, database.runner().await];
    let running: Vec<_> = runners.iter().map(|runner| tokio::spawn(runner.clone().run())).collect();
    for round in 0..20 {
        let work = books.iter().flat_map(|book| (0..3).map(|_| start(&commands, *book, "go")));
        in_time(join_all(work)).await;
        let viewer = developer(books[round % 3]);
        commands.import(&viewer, record(&viewer, u8::try_from(round).unwrap())).await.unwrap();
    }
    for book in books {
        let head = commands.head(book).await.unwrap();
        for runner in &runners {
            runner.wait_for(book, head, SOON).await.unwrap();
        }
    }
    running.iter().for_each(|task| task.abort());
    let comparisons = in_time(check(&database.pool, |_| {})).await.unwrap();
    assert_eq!(comparisons.len(), books.len() * projections::all().len());
    assert_eq!(unequal(&comparisons), [""; 0]);
    assert!(comparisons.iter().any(|one| one.projection == "ledger" && one.serving_rows > 0));
    let mut db = superuser(&database).await;
    let lines = number(&mut db, "SELECT count(*) FROM serving.timeline").await;
    assert_eq!(lines, number(&mut db, "SELECT count(*) FROM events WHERE session_id IS NOT NULL").await);
    assert_eq!(number(&mut db, "SELECT count(*) FROM serving.sessions").await, 20 * 9 + 20);
    assert_eq!(number(&mut db, "SELECT sum(amount_nanousd)::bigint FROM serving.ledger").await, 0);
    assert_eq!(number(&mut db, "SELECT count(*) FROM builds WHERE state <> 'serving'").await, 0, "no scratch is left");
}

#[tokio::test]
async fn waiting_ends_once_the_read_models_are_there_and_not_before() {
    let database = Database::fresh().await;
    let (commands, book) = (database.commands().await, database.installation.home_book);
    let runner = database.runner().await;
    let position = start(&commands, book, "go").await;
    let too_early = runner.wait_for(book, position, Duration::from_millis(20)).await;
    assert!(matches!(too_early, Err(WaitError::TimedOut(at)) if at == position));
    let running = tokio::spawn(runner.clone().run());
    runner.wait_for(book, position, SOON).await.unwrap();
    assert_eq!(number(&mut superuser(&database).await, "SELECT count(*) FROM serving.sessions").await, 1);
    let beyond = runner.wait_for(book, position + 1, Duration::from_millis(20)).await;
    assert!(beyond.is_err(), "nothing is there at {}", position + 1);
    running.abort();
}

#[tokio::test]
async fn waiting_ends_where_another_process_posted() {
    let database = Database::fresh().await;
    let (commands, book) = (database.commands().await, database.installation.home_book);
    let position = start(&commands, book, "go").await;
    in_time(database.runner().await.catch_up()).await.unwrap();
    // This one began when everything was posted already.
    let late = database.runner().await;
    let running = tokio::spawn(late.clone().run());
    late.wait_for(book, position, SOON).await.unwrap();
    running.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_books_than_connections_are_caught_up_at_once() {
    let database = Database::fresh().await;
    let log = database.log().await;
    let appends = (0..40).map(|_| log.append(append(&log, another_book(), vec![to_stream(stream(), 0, &["a"])])));
    in_time(join_all(appends)).await.into_iter().for_each(|appended| assert!(appended.is_ok(), "{appended:?}"));
    let runner: Runner = database.runner().await;
    tokio::time::timeout(SOON, runner.catch_up()).await.expect("books do not wait for each other").unwrap();
    let behind = "SELECT count(*) FROM book_heads h LEFT JOIN checkpoints c USING (book_id) \
                  WHERE c.position IS DISTINCT FROM h.position";
    assert_eq!(number(&mut superuser(&database).await, behind).await, 0);
}

#[tokio::test]
async fn many_pages_are_posted_in_one_go() {
    let database = Database::fresh().await;
    let (log, book) = (database.log().await, database.installation.home_book);
    for size in [4_999, 1, 5_000, 5_001] {
        let mut one = append(&log, book, vec![to_stream(stream(), 0, &[])]);
        one.streams[0].session_id = Some(stream());
        one.streams[0].events = (0..size).map(|_| marked("x")).collect();
        in_time(log.append(one)).await.unwrap();
    }
    in_time(database.runner().await.catch_up()).await.unwrap();
    assert_eq!(number(&mut superuser(&database).await, "SELECT count(*) FROM serving.timeline").await, 15_001);
    assert_eq!(unequal(&in_time(check(&database.pool, |_| {})).await.unwrap()), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_book_with_a_long_way_to_go_keeps_no_other_waiting() {
    let database = Database::fresh().await;
    let (commands, runner) = (database.commands().await, database.runner().await);
    let (long, short) = (database.installation.home_book, another_book());
    for _ in 0..10 {
        let mut one = append(commands.log(), long, vec![to_stream(stream(), 0, &[])]);
        one.streams[0].events = (0..5_000).map(|_| marked("x")).collect();
        in_time(commands.log().append(one)).await.unwrap();
    }
    // The long book gets to its ninth page, and no further while this is held.
    let mut db = superuser(&database).await;
    let hold = format!(
        "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
           IF NEW.book_id = '{}' AND NEW.position > 40000 THEN PERFORM pg_advisory_xact_lock(77); END IF; \
           RETURN NEW; END $$; \
         CREATE TRIGGER hold BEFORE INSERT OR UPDATE ON checkpoints FOR EACH ROW EXECUTE FUNCTION hold(); \
         SELECT pg_advisory_lock(77)",
        long.uuid()
    );
    db.execute(hold.as_str()).await.unwrap();
    let running = tokio::spawn(runner.clone().run());
    let begun = format!("SELECT count(*) FROM checkpoints WHERE book_id = '{}'", long.uuid());
    in_time(async { while number(&mut db, &begun).await == 0 {} }).await;
    let position = start(&commands, short, "go").await;
    runner.wait_for(short, position, Duration::from_secs(60)).await.expect("the short book is looked at meanwhile");
    db.execute("SELECT pg_advisory_unlock(77)").await.unwrap();
    runner.wait_for(long, 50_000, SOON).await.expect("the long book is read to its end");
    running.abort();
}

#[tokio::test]
async fn a_row_that_was_tampered_with_is_found_in_every_projection() {
    let database = Database::fresh().await;
    let (commands, book) = (database.commands().await, database.installation.home_book);
    let viewer = developer(book);
    start(&commands, book, "go").await;
    commands.import(&viewer, record(&viewer, 1)).await.unwrap();
    in_time(database.runner().await.catch_up()).await.unwrap();
    assert_eq!(unequal(&check(&database.pool, |_| {}).await.unwrap()), [""; 0]);
    let mut db = superuser(&database).await;
    let builds = sqlx::query("SELECT projection, schema_name FROM builds ORDER BY projection");
    for build in builds.fetch_all(&mut db).await.unwrap() {
        let (projection, schema): (String, String) = (build.get("projection"), build.get("schema_name"));
        let table = format!("{schema}.{projection}");
        db.execute(format!("CREATE TABLE kept AS TABLE {table}").as_str()).await.unwrap();
        let some = format!("WHERE ctid = (SELECT min(ctid) FROM {table})");
        for tampering in [
            format!("DELETE FROM {table} {some}"),
            format!("UPDATE {table} SET {} {some}", last_column(&mut db, &schema).await),
        ] {
            assert_eq!(db.execute(tampering.as_str()).await.unwrap().rows_affected(), 1, "{tampering}");
            assert_eq!(unequal(&check(&database.pool, |_| {}).await.unwrap()), [&projection], "{tampering}");
            db.execute(format!("TRUNCATE {table}; INSERT INTO {table} TABLE kept").as_str()).await.unwrap();
        }
        db.execute("DROP TABLE kept").await.unwrap();
    }
    assert_eq!(unequal(&check(&database.pool, |_| {}).await.unwrap()), [""; 0]);
}

/// An assignment that changes the last column of a build's table.
async fn last_column(db: &mut sqlx::PgConnection, schema: &str) -> String {
    let column = sqlx::query(
        "SELECT column_name::text AS name, data_type::text AS type FROM information_schema.columns \
         WHERE table_schema = $1 ORDER BY ordinal_position DESC LIMIT 1",
    )
    .bind(schema)
    .fetch_one(db)
    .await
    .unwrap();
    let name: String = column.get("name");
    let other = match column.get::<String, _>("type").as_str() {
        "uuid" => "gen_random_uuid()".into(),
        "text" => format!("coalesce({name}, '') || '_'"),
        "bigint" => format!("coalesce({name}, 0) + 1"),
        "boolean" => format!("NOT coalesce({name}, false)"),
        "timestamp with time zone" => format!("coalesce({name}, 'epoch') + interval '1 microsecond'"),
        "jsonb" => "'\"other\"'".into(),
        other => panic!("no other value for a column of type {other}"),
    };
    format!("{name} = {other}")
}

#[tokio::test]
async fn the_ledger_refuses_a_charge_that_does_not_balance() {
    let database = Database::fresh().await;
    let (commands, book) = (database.commands().await, database.installation.home_book);
    let viewer = developer(book);
    commands.import(&viewer, record(&viewer, 1)).await.unwrap();
    in_time(database.runner().await.catch_up()).await.unwrap();
    let mut db = superuser(&database).await;
    let build = sqlx::query("SELECT schema_name FROM builds WHERE projection = 'ledger'");
    let table = format!("{}.ledger", build.fetch_one(&mut db).await.unwrap().get::<String, _>("schema_name"));
    let lines = number(&mut db, "SELECT count(*) FROM serving.ledger").await;
    assert!(lines >= 2);
    let columns = "partition_id, account, origin, session_id, run_id, llm_call_id, model, price_id, posted_at";
    let copy = |amount: &str, condition: &str| {
        format!(
            "INSERT INTO {table} (book_id, position, line, amount_nanousd, {columns}) \
             SELECT book_id, position + 1000, line, {amount}, {columns} FROM {table} WHERE {condition}"
        )
    };
    for unbalanced in [copy("amount_nanousd + 1", "true"), copy("amount_nanousd", "line = 0")] {
        let error = db.execute(unbalanced.as_str()).await.unwrap_err();
        assert!(error.to_string().contains("does not sum to zero"), "{error}");
    }
    assert_eq!(number(&mut db, "SELECT count(*) FROM serving.ledger").await, lines);
    db.execute(copy("amount_nanousd", "true").as_str()).await.unwrap();
    assert_eq!(number(&mut db, "SELECT count(*) FROM serving.ledger").await, 2 * lines);
}

#[tokio::test]
async fn a_projection_that_fails_does_not_hold_up_the_others_and_is_tried_again() {
    let database = Database::fresh().await;
    let (commands, book) = (database.commands().await, database.installation.home_book);
    let runner = database.runner().await;
    let mut db = superuser(&database).await;
    let build = sqlx::query("SELECT schema_name FROM builds WHERE projection = 'timeline'");
    let schema: String = build.fetch_one(&mut db).await.unwrap().get("schema_name");
    // No event is to blame for a table that is not there.
    db.execute(format!("ALTER TABLE {schema}.timeline RENAME TO away").as_str()).await.unwrap();
    start(&commands, book, "first").await;
    // More than one page of the log lies between the failure and what comes later.
    let mut many = append(commands.log(), book, vec![to_stream(stream(), 0, &[])]);
    many.streams[0].events = (0..12_000).map(|_| marked("x")).collect();
    in_time(commands.log().append(many)).await.unwrap();
    in_time(runner.catch_up()).await.unwrap();
    let last = start(&commands, book, "second").await;
    in_time(runner.catch_up()).await.unwrap();
    assert_eq!(number(&mut db, "SELECT count(*) FROM serving.sessions").await, 2);
    assert_eq!(number(&mut db, "SELECT count(*) FROM quarantine").await, 0);
    let failed =
        "SELECT count(*) FROM checkpoints WHERE position = 0 AND error LIKE '%away%' OR error LIKE '%timeline%'";
    assert_eq!(number(&mut db, failed).await, 1, "the failure is on record");
    runner.wait_for(book, last, SOON).await.expect("nobody waits for what failed");
    db.execute(format!("ALTER TABLE {schema}.away RENAME TO timeline").as_str()).await.unwrap();
    in_time(runner.catch_up()).await.unwrap();
    assert_eq!(number(&mut db, "SELECT count(*) FROM serving.timeline").await, 10);
    assert_eq!(unequal(&check(&database.pool, |_| {}).await.unwrap()), [""; 0]);
}

#[tokio::test]
async fn a_null_byte_that_a_model_wrote_stops_no_read_model() {
    let database = Database::fresh().await;
    let (commands, book) = (database.commands().await, database.installation.home_book);
    let viewer = developer(book);
    let mut held = record(&viewer, 1);
    let call = held.run.steps[0].call.as_mut().unwrap();
    (call.tool, call.provider_call_id) = ("ba\0sh".into(), r"1\u0000".into());
    call.arguments = domain::Content::inline("{\0}");
    held.session.title = "a\0b".into();
    // Money stops at what it cannot take in, so here above all.
    held.usage.as_mut().unwrap().model = Some("a\0b/c\0d".into());
    commands.import(&viewer, held).await.unwrap();
    in_time(database.runner().await.catch_up()).await.unwrap();
    let mut db = superuser(&database).await;
    let behind = "SELECT count(*) FROM checkpoints c JOIN book_heads h USING (book_id) WHERE c.position < h.position";
    assert_eq!(number(&mut db, behind).await, 0, "nothing is left behind");
    assert_eq!(number(&mut db, "SELECT count(*) FROM quarantine").await, 0);
    assert_eq!(number(&mut db, "SELECT count(*) FROM checkpoints").await, projections::all().len() as i64);
    assert_eq!(unequal(&check(&database.pool, |_| {}).await.unwrap()), [""; 0]);
    assert!(projections::audit::verify(&database.pool, book, |_| {}).await.unwrap().broken.is_none());
}
