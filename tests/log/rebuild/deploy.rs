//! A new version of a projection: the old build serves until the new one is ready, also while processes of both releases
//! run at once.

use std::collections::BTreeSet;

use domain::session::SessionEvent;
use domain::{Event, SessionId};
use projections::column::{Column, Type, Value, column};
use projections::{Projection, Recorded, applier, status};
use sqlx::Executor;
use sqlx::postgres::PgRow;

use super::*;
use crate::fixture::number;

const SEED: u64 = 12;

/// The title of each session, as one release shows it.
enum First {}

/// The same in capitals and with its length, as a later release does.
enum Second {}

fn title(event: &Recorded) -> Option<&str> {
    match event.event() {
        Some(Event::Session(SessionEvent::SessionStarted(started))) => Some(&started.title),
        _ => None,
    }
}

fn of_session(event: &Recorded) -> Vec<SessionId> {
    title(event).and(event.session_id).into_iter().collect()
}

impl Projection for First {
    const NAME: &'static str = "titles";
    const VERSION: i32 = 1;
    const COLUMNS: &'static [Column] =
        &[column("session_id", Type::Uuid), column("title", Type::Text), column("old", Type::Int)];
    const KEY: usize = 1;
    type Key = SessionId;
    type Row = String;

    fn concerns(event_type: &str) -> bool {
        SessionEvent::stores(event_type)
    }
    fn keys(event: &Recorded) -> Vec<SessionId> {
        of_session(event)
    }
    fn fold(row: &mut Option<String>, _: &SessionId, event: &Recorded) {
        *row = title(event).map(str::to_owned);
    }
    fn key_values(key: &SessionId) -> Vec<Value> {
        vec![key.uuid().into()]
    }
    fn row_values(row: &String) -> Vec<Value> {
        vec![row.into(), 7.into()]
    }
    fn read_key(row: &PgRow) -> SessionId {
        SessionId::new(row.get("session_id"))
    }
    fn read_row(row: &PgRow) -> String {
        row.get("title")
    }
}

impl Projection for Second {
    const NAME: &'static str = "titles";
    const VERSION: i32 = 2;
    const COLUMNS: &'static [Column] =
        &[column("session_id", Type::Uuid), column("title", Type::Text), column("letters", Type::Int)];
    const KEY: usize = 1;
    type Key = SessionId;
    type Row = String;

    fn concerns(event_type: &str) -> bool {
        SessionEvent::stores(event_type)
    }
    fn keys(event: &Recorded) -> Vec<SessionId> {
        of_session(event)
    }
    fn fold(row: &mut Option<String>, _: &SessionId, event: &Recorded) {
        *row = title(event).map(str::to_uppercase);
    }
    fn key_values(key: &SessionId) -> Vec<Value> {
        vec![key.uuid().into()]
    }
    fn row_values(row: &String) -> Vec<Value> {
        vec![row.into(), i64::try_from(row.len()).unwrap().into()]
    }
    fn read_key(row: &PgRow) -> SessionId {
        SessionId::new(row.get("session_id"))
    }
    fn read_row(row: &PgRow) -> String {
        row.get("title")
    }
}

async fn release<P: Projection>(database: &Database) -> Runner {
    Runner::open_with(database.pool.clone(), vec![applier::<P>()]).await.unwrap()
}

const SMALL_LETTERS: &str = "SELECT count(*) FROM serving.titles WHERE title = 'go' AND old = 7";
const CAPITALS: &str = "SELECT count(*) FROM serving.titles WHERE title = 'GO' AND letters = 2";
const STARTED: &str = "SELECT count(*) FROM events WHERE event_type = 'session.started'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_old_version_serves_until_the_new_one_is_ready_and_old_readers_go_on() {
    let database = Database::fresh().await;
    let (commands, book) = (database.commands().await, database.installation.home_book);
    let viewer = developer(book);
    let old = release::<First>(&database).await;
    for _ in 0..30 {
        start(&commands, &viewer).await;
    }
    in_time(old.catch_up()).await.unwrap();
    // Statements that a process of the old release prepared before it knew of the new one.
    let mut reader = database.pool.acquire().await.unwrap();
    let read = "SELECT session_id, title, old FROM serving.titles WHERE book_id = $1";
    assert_eq!(sqlx::query(read).bind(book.uuid()).fetch_all(&mut *reader).await.unwrap().len(), 30);

    let new = release::<Second>(&database).await;
    let mut db = superuser(&database).await;
    assert_eq!(number(&mut db, SMALL_LETTERS).await, 30, "the old build serves the new release");
    let unknown = "SELECT count(*) FROM serving.titles WHERE letters IS NULL";
    assert_eq!(number(&mut db, unknown).await, 30, "what the old build lacks is null");
    let (rebuilder, mut heard) = rebuilder(&new, SMALL);
    assert_eq!(rebuilder.outdated().await.unwrap(), ["titles"]);
    // Both releases run: each posts to its own version's builds.
    let running = [tokio::spawn(old.clone().run()), tokio::spawn(new.clone().run())];
    let traffic = async {
        for _ in 0..30 {
            start(&commands, &viewer).await;
            assert!(!sqlx::query(read).bind(book.uuid()).fetch_all(&mut *reader).await.unwrap().is_empty());
        }
    };
    tokio::join!(rebuild(&rebuilder, &["titles"]), in_time(traffic));
    assert!(rebuilder.outdated().await.unwrap().is_empty());
    let head = commands.head(book).await.unwrap();
    new.wait_for(book, head, std::time::Duration::from_secs(300)).await.unwrap();
    assert_eq!((number(&mut db, CAPITALS).await, number(&mut db, STARTED).await), (60, 60));
    // The old release's statement still runs, on the new build: what that lacks is null.
    let rows = sqlx::query(read).bind(book.uuid()).fetch_all(&mut *reader).await.unwrap();
    assert!(rows.len() == 60 && rows.iter().all(|row| row.get::<Option<i64>, _>("old").is_none()));
    let compared = std::iter::from_fn(|| heard.try_recv().ok()).find_map(|report| match report {
        Report::Compared(compared) => Some(compared),
        _ => None,
    });
    let compared = compared.expect("it was compared");
    assert_eq!((compared.serving_version, compared.build.version, compared.same_version()), (1, 2, false));
    running.iter().for_each(|task| task.abort());
    let states = builds(&database, "titles").await;
    assert_eq!(states, [(1, 1, "retired".to_owned()), (2, 2, "serving".to_owned())]);
    // This release cannot post to the old version, so it does not pretend that it could go back to it.
    assert!(matches!(
        rebuilder.undo("titles", Options::default()).await,
        Err(projections::rebuild::RebuildError::OtherVersion(_, 1))
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_can_be_seen_whether_somebody_makes_the_next_build() {
    let database = Database::fresh().await;
    let (commands, book) = (database.commands().await, database.installation.home_book);
    start(&commands, &developer(book)).await;
    let (rebuilder, _heard) = rebuilder(&database.runner().await, SMALL);
    let reader = database.reader().await;
    let seen = async || {
        let all = status::list(&mut reader.book(book).await.unwrap()).await.unwrap();
        BTreeSet::from_iter(all.into_iter().filter(|one| one.rebuilding).map(|one| one.projection))
    };
    assert_eq!(seen().await, BTreeSet::new());
    let begun = in_time(rebuilder.begin(&["work"], Options::default())).await.unwrap();
    assert_eq!(seen().await, BTreeSet::from(["work".to_owned()]));
    in_time(begun.finish()).await.unwrap();
    // The lock goes with its owner's connection, which PostgreSQL closes a moment later.
    in_time(async { while !seen().await.is_empty() {} }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_release_that_starts_again_neither_breaks_nor_replaces_the_new_build() {
    let database = Database::fresh().await;
    let commands = database.commands().await;
    fill(&commands, &[database.installation.home_book], 30, &mut Random::seeded(SEED)).await;
    let old = release::<First>(&database).await;
    in_time(old.catch_up()).await.unwrap();
    let new = release::<Second>(&database).await;
    rebuild(&rebuilder(&new, SMALL).0, &["titles"]).await;
    let again = release::<First>(&database).await;
    let (rebuilder, _heard) = rebuilder(&again, SMALL);
    assert!(rebuilder.outdated().await.unwrap().is_empty(), "a later version is not outdated");
    in_time(again.catch_up()).await.unwrap();
    assert_eq!(number(&mut superuser(&database).await, CAPITALS.replace("= 2", ">= 2").as_str()).await, {
        number(&mut superuser(&database).await, "SELECT count(*) FROM serving.titles WHERE title = 'GO'").await
    });
    // Whoever wants the old version back says so.
    rebuild(&rebuilder, &["titles"]).await;
    let mut db = superuser(&database).await;
    let small = number(&mut db, SMALL_LETTERS).await;
    assert!(small > 0 && number(&mut db, CAPITALS).await == 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_that_changes_its_type_replaces_the_view() {
    let database = Database::fresh().await;
    let commands = database.commands().await;
    start(&commands, &developer(database.installation.home_book)).await;
    let old = release::<First>(&database).await;
    in_time(old.catch_up()).await.unwrap();
    let mut db = superuser(&database).await;
    // As if the first version had called a text what the second calls a number.
    let schema: String = sqlx::query("SELECT schema_name FROM builds").fetch_one(&mut db).await.unwrap().get(0);
    db.execute(format!("ALTER TABLE {schema}.titles ADD COLUMN letters text").as_str()).await.unwrap();
    db.execute("CREATE OR REPLACE VIEW serving.titles AS SELECT book_id, partition_id, session_id, title, old, NULL::text AS letters FROM titles_v1_b1.titles").await.unwrap();
    let new = release::<Second>(&database).await;
    rebuild(&rebuilder(&new, SMALL).0, &["titles"]).await;
    assert_eq!(number(&mut db, CAPITALS).await, 1);
}
