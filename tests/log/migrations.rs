//! A database of an earlier schema is brought up to date, or refused as it is.

use std::borrow::Cow;

use commands::database;
use daybook_tests::Database;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Executor, PgConnection, Row};

use crate::fixture::number;

/// The last schema with a row for the head of each book.
const WITH_HEADS: i64 = 10;

/// Such a database with 3 events, and a head that says so much.
async fn with_head(position: i64) -> (PgConnectOptions, PgConnection) {
    let options = Database::empty().await;
    let mut db = options.connect().await.unwrap();
    let mut migrator = daybook_migrations::migrator();
    let earlier = migrator.iter().filter(|migration| migration.version <= WITH_HEADS).cloned().collect();
    migrator = Migrator { migrations: Cow::Owned(earlier), ..migrator };
    migrator.run(&mut db).await.unwrap();
    let fill = format!(
        "INSERT INTO events (book_id, position, stream_id, sequence, event_id, event_type, event_version, occurred_at, \
           recorded_at, actor_id, payload, metadata, salt, commitment, hash) \
         SELECT '01900000-0000-7000-8000-000000000001', n, '01900000-0000-7000-8000-000000000002', n, \
           gen_random_uuid(), 'made.up', 1, now(), now(), 'a test', '{{}}', '{{}}', '\\x07', '\\x08', \
           decode(repeat('0' || n, 32), 'hex') FROM generate_series(1, 3) n; \
         INSERT INTO book_heads VALUES \
           ('01900000-0000-7000-8000-000000000001', {position}, decode(repeat('03', 32), 'hex'), now()), \
           ('01900000-0000-7000-8000-000000000003', 0, decode(repeat('00', 32), 'hex'), 'epoch')"
    );
    db.execute(fill.as_str()).await.unwrap();
    (options, db)
}

#[tokio::test]
async fn the_heads_of_an_earlier_schema_are_the_last_events() {
    let (options, mut db) = with_head(3).await;
    database::migrate(&options).await.unwrap();
    let rows = sqlx::query("SELECT position, hash FROM book_heads").fetch_all(&mut db).await.unwrap();
    let heads: Vec<(i64, Vec<u8>)> = rows.into_iter().map(|row| (row.get("position"), row.get("hash"))).collect();
    assert_eq!(heads, [(3, vec![3; 32])]);
}

#[tokio::test]
async fn a_log_that_does_not_end_where_its_head_says_is_left_as_it_is() {
    for position in [2, 4] {
        let (options, mut db) = with_head(position).await;
        let refused = database::migrate(&options).await.unwrap_err().to_string();
        let wanted = format!("is at position 3, and its head says {position}");
        assert!(refused.contains(&wanted), "{refused}");
        assert_eq!(number(&mut db, "SELECT position FROM book_heads WHERE position > 0").await, position);
        assert_eq!(number(&mut db, "SELECT count(*) FROM events").await, 3);
    }
}
