//! Readers see one build or the other, whole, while rebuilds and switches go on under traffic.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use projections::{Reader, session, timeline};
use tokio::task::JoinHandle;

use super::*;
use crate::fixture::{another_book, number};

const SEED: u64 = 5;
/// How often everything is rebuilt while readers look.
const REBUILDS: usize = 4;

/// Polls one book until told to stop; answers how often it looked.
fn poll(reader: Reader, book: BookId, stop: Arc<AtomicBool>, looks: Arc<AtomicU64>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut before = (0, 0);
        while !stop.load(Ordering::Relaxed) {
            let mut db = reader.book(book).await.unwrap();
            // One statement over two read models that are switched together, prepared once per connection.
            let row = sqlx::query(
                "SELECT (SELECT count(*) FROM serving.timeline WHERE book_id = $1) AS lines, \
                   (SELECT coalesce(max(position), 0) FROM serving.timeline WHERE book_id = $1) AS position, \
                   (SELECT count(*) FROM events WHERE book_id = $1 AND session_id IS NOT NULL AND position <= \
                      (SELECT coalesce(max(position), 0) FROM serving.timeline WHERE book_id = $1)) AS events, \
                   (SELECT coalesce(max(position), 0) FROM serving.sessions WHERE book_id = $1) AS sessions",
            )
            .bind(book.uuid())
            .fetch_one(&mut *db)
            .await
            .unwrap();
            let (lines, position): (i64, i64) = (row.get("lines"), row.get("position"));
            assert_eq!(lines, row.get::<i64, _>("events"), "a line for each event up to position {position}");
            assert_eq!(position, row.get::<i64, _>("sessions"), "both read models stand at one position");
            assert!(lines >= before.0 && position >= before.1, "{before:?} and then {lines} at {position}");
            before = (lines, position);
            // The product's own queries, in the pool's own prepared statements.
            let sessions = session::list(&mut db, book, None, None, 5).await.unwrap();
            assert!(!sessions.is_empty(), "no reader ever sees an empty table");
            let lines = timeline::list(&mut db, book, sessions[0].0, 0, 10).await.unwrap();
            assert!(!lines.is_empty());
            looks.fetch_add(1, Ordering::Relaxed);
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_never_see_an_empty_or_half_table_nor_an_error_nor_an_earlier_position() {
    let database = Database::fresh().await;
    let commands = database.commands().await;
    let books = [database.installation.home_book, another_book()];
    let mut random = Random::seeded(SEED);
    fill(&commands, &books, 60, &mut random).await;
    let runner = database.runner().await;
    in_time(runner.catch_up()).await.unwrap();
    let running = tokio::spawn(runner.clone().run());
    let (stop, looks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let reader = database.reader().await;
    let readers: Vec<_> = books.map(|book| poll(reader.clone(), book, stop.clone(), looks.clone())).into();
    let (rebuilder, mut heard) = rebuilder(&runner, SMALL);
    // Something is written with every step that a rebuild reports, so that there is traffic in each of its phases. A
    // writer without such a pace outgrows, on a slow machine, a rebuild that cuts the log as small as this one.
    let writing = tokio::spawn({
        let (commands, mut random) = (commands.clone(), random.fork());
        async move {
            while heard.recv().await.is_some() {
                fill(&commands, &books, 1, &mut random).await;
            }
        }
    });
    for _ in 0..REBUILDS {
        let before = looks.load(Ordering::Relaxed);
        rebuild(&rebuilder, &names()).await;
        in_time(rebuilder.undo("timeline", Options::default())).await.unwrap();
        in_time(rebuilder.undo("sessions", Options::default())).await.unwrap();
        assert!(looks.load(Ordering::Relaxed) > before, "readers looked meanwhile");
    }
    drop(rebuilder);
    in_time(writing).await.unwrap();
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        in_time(reader).await.unwrap();
    }
    running.abort();
    let _ = running.await;
    in_time(runner.catch_up()).await.unwrap();
    assert_equal(&database).await;
    let retired = "SELECT count(*) FROM builds WHERE state = 'retired'";
    assert_eq!(number(&mut superuser(&database).await, retired).await, names().len() as i64);
}
