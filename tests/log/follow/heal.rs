//! Between processes: an append is heard of at once, and what broke heals without a loss.

use std::time::{Duration, Instant};

use daybook_tests::Database;
use sqlx::{Executor, PgConnection};

use super::{Reading, Story};
use crate::fixture::{in_time, number, superuser};

const APPENDS: u32 = 40;
/// A follower that only looks once a second would need half of a second for each append.
const WITHOUT_LISTENING: Duration = Duration::from_millis(500).saturating_mul(APPENDS);
/// How often everything is cut off while appends go on.
const CUTS: usize = 10;

#[tokio::test]
async fn what_one_process_appends_another_one_hears_of() {
    let database = Database::fresh().await;
    let (log, follower, book) = (database.log().await, database.follower().await, database.installation.home_book);
    listens(&mut superuser(&database).await).await;
    let mut story = Story::new();
    story.write(&log, book, 1).await;
    let mut reading = Reading::caught_up(&follower, book, story.session_id).await;
    let begun = Instant::now();
    for _ in 0..APPENDS {
        let last = story.write(&log, book, 1).await.last;
        reading.until(last).await;
    }
    assert!(begun.elapsed() < WITHOUT_LISTENING / 2, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_listener_that_was_cut_off_listens_again_and_nothing_is_missed() {
    let database = Database::fresh().await;
    let (log, follower, book) = (database.log().await, database.follower().await, database.installation.home_book);
    let mut db = superuser(&database).await;
    let mut story = Story::new();
    story.write(&log, book, 1).await;
    let mut reading = Reading::caught_up(&follower, book, story.session_id).await;
    for _ in 0..CUTS {
        listens(&mut db).await;
        let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                   WHERE datname = current_database() AND query LIKE 'LISTEN%'";
        assert!(number(&mut db, cut).await > 0);
        let last = story.write(&log, book, 2).await.last;
        reading.until(last).await;
    }
    listens(&mut db).await;
    let begun = Instant::now();
    for _ in 0..APPENDS {
        let last = story.write(&log, book, 1).await.last;
        reading.until(last).await;
    }
    assert!(begun.elapsed() < WITHOUT_LISTENING / 2, "{:?}", begun.elapsed());
    assert_eq!(reading.positions(), (1..=reading.subscriber.at()).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_outlives_every_connection() {
    let database = Database::fresh().await;
    let (log, follower, book) = (database.log().await, database.follower().await, database.installation.home_book);
    let mut db = superuser(&database).await;
    let mut story = Story::new();
    story.write(&log, book, 1).await;
    let mut reading = Reading::caught_up(&follower, book, story.session_id).await;
    for _ in 0..CUTS {
        story.write(&log, book, 3).await;
        let everybody = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                         WHERE datname = current_database() AND pid <> pg_backend_pid()";
        db.execute(everybody).await.unwrap();
        let last = story.write(&log, book, 3).await.last;
        reading.until(last).await;
    }
    assert_eq!(reading.positions(), (1..=reading.subscriber.at()).collect::<Vec<_>>());
    assert_eq!(reading.fell_behind, 0);
}

/// Waits until somebody listens.
async fn listens(db: &mut PgConnection) {
    let listening = "SELECT count(*) FROM pg_stat_activity \
                     WHERE datname = current_database() AND query LIKE 'LISTEN%' AND state = 'idle'";
    let waiting = async { while number(db, listening).await == 0 {} };
    in_time(waiting).await;
}
