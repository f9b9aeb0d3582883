//! The connection breaks while batches are under way: nothing acknowledged is lost, and nothing is written twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use commands::ids::{new_id, request};
use commands::log::{Append, Appended, Log};
use daybook_tests::Database;
use domain::BookId;
use sqlx::{Executor, PgConnection};
use tokio::sync::watch;

use crate::fixture::{all_events, another_book, append, assert_dense, in_time, marker, stream, superuser, to_stream};

const WRITERS: usize = 16;
const APPENDS: usize = 150;
/// How many acknowledgements come between two interruptions.
const BETWEEN: usize = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_or_doubled_when_connections_break() {
    let database = Database::fresh().await;
    let book = database.installation.home_book;
    let logs = [database.log().await, database.log().await];
    let acknowledged = Arc::new(watch::Sender::new(0));
    let breaker = tokio::spawn(interrupt(superuser(&database).await, acknowledged.subscribe()));
    let writers: Vec<_> = (0..WRITERS)
        .map(|name| tokio::spawn(write(logs[name % 2].clone(), book, name, acknowledged.clone())))
        .collect();
    let mut told = BTreeMap::new();
    for writer in writers {
        told.extend(in_time(writer).await.expect("the writer holds"));
    }
    let interruptions = in_time(breaker).await.expect("the connection that interrupts is never interrupted");
    println!("{interruptions} connections were ended");
    assert!(interruptions >= WRITERS * APPENDS / BETWEEN, "connections were ended all the time");

    let events = all_events(&database, book).await;
    assert_dense(&events);
    assert_eq!(events.len(), 2 * WRITERS * APPENDS);
    let mut written: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for event in &events {
        written.entry(marker(event).to_owned()).or_default().push(event.position);
    }
    let told: BTreeMap<_, _> =
        told.into_iter().map(|(marker, at): (_, Appended)| (marker, vec![at.first, at.last])).collect();
    assert_eq!(written, told);
    let report = projections::audit::verify(&database.pool, book, |_| {}).await.unwrap();
    assert_eq!((report.verified, report.broken), (events.len() as i64, None));
}

/// Appends to a stream of its own, one after the other, each under a request of its own.
async fn write(
    log: Log,
    book: BookId,
    name: usize,
    acknowledged: Arc<watch::Sender<usize>>,
) -> Vec<(String, Appended)> {
    let own = stream();
    let mut told = vec![];
    for round in 0..APPENDS {
        let marker = format!("{name}/{round}");
        let expected = 2 * i64::try_from(round).expect("it is small");
        let one = append(&log, book, vec![to_stream(own, expected, &[&marker, &marker])]);
        let one = Append { request: Some(request(new_id(), &marker)), ..one };
        let appended = log.append(one.clone()).await.unwrap_or_else(|error| panic!("{marker}: {error}"));
        if round % 10 == 0 {
            assert_eq!(log.append(one).await, Ok(appended), "{marker} asked again");
        }
        told.push((marker, appended));
        acknowledged.send_modify(|count| *count += 1);
    }
    told
}

/// Ends every other connection to this database, again and again; answers how many it ended.
async fn interrupt(mut db: PgConnection, mut acknowledged: watch::Receiver<usize>) -> usize {
    let mut ended = 0;
    for due in (BETWEEN..WRITERS * APPENDS).step_by(BETWEEN) {
        acknowledged.wait_for(|count| *count >= due).await.expect("the writers write");
        let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                      WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let done = db.execute(others).await.expect("the database answers");
        ended += usize::try_from(done.rows_affected()).expect("they are few");
    }
    ended
}

#[tokio::test]
async fn a_database_that_comes_back_without_its_newest_events_is_gone_on_with_from_what_it_has() {
    let database = Database::fresh().await;
    let (log, books) = (database.log().await, [database.installation.home_book, another_book()]);
    let streams = [stream(), stream()];
    for (book, own) in books.into_iter().zip(streams) {
        in_time(log.append(append(&log, book, vec![to_stream(own, 0, &["1", "2", "3"])]))).await.unwrap();
    }
    // As when a standby takes over that did not have them yet, or an older backup is restored.
    let mut db = superuser(&database).await;
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    db.execute(cut).await.unwrap();
    db.execute("DELETE FROM events WHERE position > 1").await.unwrap();
    // The first finds the connection broken, the second a new one; neither may go on from what it knew.
    for (book, own) in books.into_iter().zip(streams) {
        for (position, next) in [(2, to_stream(stream(), 0, &["new"])), (3, to_stream(own, 1, &["2"]))] {
            let appended = in_time(log.append(append(&log, book, vec![next]))).await;
            assert_eq!(appended.map(|appended| appended.last), Ok(position));
        }
        let report = projections::audit::verify(&database.pool, book, |_| {}).await.unwrap();
        assert_eq!((report.verified, report.broken), (3, None));
    }
}
