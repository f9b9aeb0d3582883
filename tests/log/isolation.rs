//! Row-level security: a reader sees its own book and nothing else, and nobody changes an event.

use commands::{Commands, SessionStart};
use daybook_tests::Database;
use domain::BookId;
use domain::proof::{CheckpointKey, SEED_BYTES};
use domain::session::Origin;
use domain::text::MessageText;
use projections::tree::{Follower, Signer};
use sqlx::{Executor, PgConnection, Row};

use crate::fixture::{another_book, developer, in_time, number, record, superuser};

/// What PostgreSQL answers to those who may not.
const PERMISSION_DENIED: &str = "42501";

/// Two books with something in every table that a reader may read.
async fn two_books() -> (Database, [BookId; 2]) {
    let database = Database::fresh().await;
    let commands = database.commands().await;
    let books = [database.installation.home_book, another_book()];
    for book in books {
        fill(&commands, book).await;
    }
    in_time(database.runner().await.catch_up()).await.unwrap();
    let kept = tempfile::tempdir().unwrap();
    let signer = Signer::new(CheckpointKey::from_seed(&[1; SEED_BYTES]), kept.path().to_owned());
    in_time(Follower::new(database.pool.clone(), signer).sign_all()).await.unwrap();
    let mut db = superuser(&database).await;
    for book in books {
        let wait = "INSERT INTO quarantine (schema_name, book_id, partition_id, position, event_type, error, stops, seen, tried_by) \
                    SELECT schema_name, $1, $1, 1, 'session.started', 'it waits', false, 0, '{}' FROM builds LIMIT 1";
        sqlx::query(wait).bind(book.uuid()).execute(&mut db).await.unwrap();
    }
    (database, books)
}

/// A session whose message is too long for an event, and a record.
async fn fill(commands: &Commands, book: BookId) {
    let viewer = developer(book);
    let input = SessionStart {
        text: MessageText::parse("text", "ä".repeat(50_000)).unwrap(),
        title: None,
        approval_policy: Default::default(),
        origin: Origin::Web,
        model: "scripted/test".into(),
    };
    commands.session_start(&viewer, commands::ids::new_id(), input).await.unwrap();
    commands.import(&viewer, record(&viewer, 1)).await.unwrap();
}

/// Every relation that has a book and that a reader may read: tables of the log, builds and the views that serve.
async fn relations(db: &mut PgConnection) -> Vec<String> {
    let rows = sqlx::query(
        "SELECT format('%I.%I', c.relnamespace::regnamespace::text, c.relname) AS name \
         FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'book_id' \
         WHERE c.relkind IN ('r', 'v') AND has_table_privilege('daybook_reader', c.oid, 'SELECT') ORDER BY name",
    )
    .fetch_all(db)
    .await
    .unwrap();
    rows.into_iter().map(|row| row.get("name")).collect()
}

/// The books whose rows a connection sees in a relation.
async fn visible(db: &mut PgConnection, relation: &str, condition: &str) -> Vec<BookId> {
    let sql = format!("SELECT DISTINCT book_id FROM {relation} WHERE {condition} ORDER BY book_id");
    let rows = sqlx::query(&sql).fetch_all(db).await.unwrap_or_else(|error| panic!("{relation}: {error}"));
    rows.into_iter().map(|row| BookId::new(row.get("book_id"))).collect()
}

/// A connection that works as a role.
async fn connected_as(database: &Database, role: &str) -> PgConnection {
    let mut db = superuser(database).await;
    db.execute(format!("SET ROLE {role}").as_str()).await.unwrap();
    db
}

#[tokio::test]
async fn a_reader_sees_its_own_book_and_no_other_even_by_name() {
    let (database, [ours, theirs]) = two_books().await;
    let mut all = superuser(&database).await;
    let relations = relations(&mut all).await;
    let log = ["public.events", "public.blobs", "public.book_heads", "public.checkpoints", "serving.timeline"];
    let proofs = ["public.trees", "public.tiles", "public.signed_checkpoints"];
    for wanted in log.into_iter().chain(proofs) {
        assert!(relations.iter().any(|relation| relation == wanted), "{wanted} is among {relations:?}");
    }
    let serving = number(&mut all, "SELECT count(*) FROM pg_views WHERE schemaname = 'serving'").await;
    assert_eq!(serving, relations.iter().filter(|relation| relation.starts_with("serving.")).count() as i64);
    let reader = database.reader().await;
    for relation in &relations {
        let there = visible(&mut all, relation, "true").await;
        assert!(there.contains(&ours) && there.contains(&theirs), "{relation} holds rows of both books");
        // One after the other on pooled connections: a book that was set before must not stay.
        for (own, other) in [(ours, theirs), (theirs, ours)] {
            let mut db = reader.book(own).await.unwrap();
            assert_eq!(visible(&mut db, relation, "true").await, [own], "{relation}");
            let by_name = format!("book_id = '{}'", other.uuid());
            assert_eq!(visible(&mut db, relation, &by_name).await, [], "{relation} by name");
        }
    }
}

#[tokio::test]
async fn a_reader_without_a_book_sees_nothing() {
    let (database, _) = two_books().await;
    let relations = relations(&mut superuser(&database).await).await;
    let mut db = connected_as(&database, "daybook_reader").await;
    for set in ["SELECT 1", "SELECT set_config('daybook.book', '', false)"] {
        db.execute(set).await.unwrap();
        for relation in &relations {
            assert_eq!(visible(&mut db, relation, "true").await, [], "{relation} after {set}");
        }
    }
}

#[tokio::test]
async fn nobody_changes_or_removes_an_event() {
    let (database, _) = two_books().await;
    let changes = [
        "UPDATE events SET actor_id = 'me'",
        "UPDATE events SET payload = NULL, salt = NULL WHERE position = 1",
        "DELETE FROM events",
        "TRUNCATE events",
        "ALTER TABLE events DISABLE ROW LEVEL SECURITY",
        "DROP TABLE events",
    ];
    let reads_only = [
        "INSERT INTO events SELECT * FROM events",
        "DELETE FROM checkpoints",
        "INSERT INTO blobs SELECT * FROM blobs",
        "DELETE FROM serving.ledger",
        "INSERT INTO signed_checkpoints SELECT * FROM signed_checkpoints",
        "UPDATE tiles SET index = 0",
        "SELECT * FROM secrets",
        "SELECT * FROM workers",
    ];
    let roles = [("daybook_writer", &changes[..]), ("daybook_reader", &changes[..]), ("daybook_reader", &reads_only)];
    for (role, changes) in roles {
        let mut db = connected_as(&database, role).await;
        for change in changes {
            let error = db.execute(*change).await.expect_err(change);
            let code = error.as_database_error().and_then(|error| error.code().map(|code| code.into_owned()));
            assert_eq!(code.as_deref(), Some(PERMISSION_DENIED), "{role}: {change}: {error}");
        }
    }
}
