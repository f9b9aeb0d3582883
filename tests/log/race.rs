//! Many writers through two processes on one book: order, density, refusals and retries hold under load.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use commands::ids::{new_id, request};
use commands::log::{Append, AppendError, Appended, Log};
use daybook_tests::Database;
use domain::BookId;
use projections::Recorded;
use sqlx::Row;
use tokio::sync::watch;
use uuid::Uuid;

use crate::fixture::{Random, all_events, append, assert_dense, in_time, marker, stream, to_stream};

const WRITERS: usize = 32;
const APPENDS: usize = 100;
const STREAMS: usize = 1_000;
/// How often a writer decides anew before it counts as refused for good.
const ATTEMPTS: usize = 32;
const SEED: u64 = 20_260_728;

/// What all writers share.
struct Field {
    database: Database,
    logs: [Log; 2],
    book: BookId,
    streams: Vec<Uuid>,
    acknowledged: watch::Sender<usize>,
}

/// What one writer was told: by the marker of each attempt.
#[derive(Default)]
struct Told {
    appended: BTreeMap<String, (usize, Appended)>,
    refused: BTreeSet<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_through_two_processes_keep_one_dense_order() {
    let database = Database::fresh().await;
    let field = Arc::new(Field {
        logs: [database.log().await, database.log().await],
        book: database.installation.home_book,
        streams: (0..STREAMS).map(|_| stream()).collect(),
        acknowledged: watch::Sender::new(0),
        database,
    });
    let mut random = Random::seeded(SEED);
    let follower = tokio::spawn(follow(field.clone(), WRITERS * APPENDS / 3));
    let writers: Vec<_> = (0..WRITERS).map(|name| tokio::spawn(write(field.clone(), name, random.fork()))).collect();
    let mut told = Told::default();
    for writer in writers {
        let one = in_time(writer).await.expect("the writer holds");
        told.appended.extend(one.appended);
        told.refused.extend(one.refused);
    }
    let (start, seen) = in_time(follower).await.expect("the follower holds");

    let events = all_events(&field.database, field.book).await;
    assert_dense(&events);
    assert_eq!(seen, (start + 1..=events.len() as i64).collect::<Vec<_>>(), "the follower saw each position once");
    assert_told(&told, &events);
    println!("{} events, {} appends refused", events.len(), told.refused.len());
    assert!(told.refused.len() > APPENDS, "conflicts were tried");
}

/// What was acknowledged is there, once and where the answer said; what was refused is not.
fn assert_told(told: &Told, events: &[Recorded]) {
    let mut written: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for event in events {
        written.entry(marker(event)).or_default().push(event.position);
    }
    assert_eq!(told.appended.len(), WRITERS * APPENDS);
    for (marker, (size, appended)) in &told.appended {
        let expected: Vec<_> = (appended.first..=appended.last).collect();
        assert_eq!(expected.len(), *size, "{marker} has all its events");
        assert_eq!(written.remove(marker.as_str()), Some(expected), "{marker} stands where its answer said");
    }
    assert!(written.is_empty(), "nothing is there that nobody was told of: {written:?}");
    assert!(told.refused.iter().all(|marker| !told.appended.contains_key(marker)));
}

/// Writes; now and then on purpose with a stale decision, and now and then asks again.
async fn write(field: Arc<Field>, name: usize, mut random: Random) -> Told {
    let mut told = Told::default();
    let mut newest = 0;
    for round in 0..APPENDS {
        let label = format!("{name}/{round}");
        if random.once_in(5) {
            stale(&field, &label, &mut random, &mut told).await;
        }
        let (asked, answer) = insist(&field, &label, &mut random, &mut told).await;
        assert!(answer.first > newest, "what is appended later stands later");
        newest = answer.last;
        field.acknowledged.send_modify(|count| *count += 1);
        if random.once_in(4) {
            let log = &field.logs[random.below(2)];
            assert_eq!(log.append(asked.clone()).await, Ok(answer), "{label} asked again");
        }
        if random.once_in(8) {
            let log = &field.logs[random.below(2)];
            let id = asked.request.expect("every append here has a request").id;
            let other = Append { request: Some(request(id, &"something else")), ..asked };
            assert_eq!(log.append(other).await, Err(AppendError::RequestReused), "{label} with other input");
        }
    }
    told
}

/// Appends to one or two streams, and decides anew when somebody else was faster, as a command does.
async fn insist(field: &Field, label: &str, random: &mut Random, told: &mut Told) -> (Append, Appended) {
    let log = &field.logs[random.below(2)];
    let request = request(new_id(), &label);
    let first = random.below(STREAMS);
    let second = (first + 1 + random.below(STREAMS - 1)) % STREAMS;
    let chosen = if random.once_in(4) { vec![first, second] } else { vec![first] };
    let events = 1 + random.below(3);
    for attempt in 0..ATTEMPTS {
        let marker = format!("{label}/{attempt}");
        let mut streams = vec![];
        for index in &chosen {
            let id = field.streams[*index];
            streams.push(to_stream(id, sequence(field, id).await, &vec![marker.as_str(); events]));
        }
        let asked = Append { request: Some(request), ..append(log, field.book, streams) };
        match log.append(asked.clone()).await {
            Ok(answer) => {
                told.appended.insert(marker, (events * chosen.len(), answer));
                return (asked, answer);
            }
            Err(AppendError::Conflict(_)) => {
                told.refused.insert(marker);
            }
            Err(error) => panic!("{marker}: {error}"),
        }
    }
    panic!("{label}: {ATTEMPTS} fresh decisions in a row were refused");
}

/// A decision on what a stream was, or never will be, is refused.
async fn stale(field: &Field, label: &str, random: &mut Random, told: &mut Told) {
    let log = &field.logs[random.below(2)];
    let id = field.streams[random.below(STREAMS)];
    let now = sequence(field, id).await;
    let expected = if now > 0 && random.once_in(2) { now - 1 } else { now + 1_000 };
    let marker = format!("{label}/stale");
    let late = append(log, field.book, vec![to_stream(id, expected, &[&marker])]);
    assert_eq!(log.append(late).await, Err(AppendError::Conflict(id)), "{marker}: {expected} where {now} is");
    told.refused.insert(marker);
}

/// The sequence of the newest event of a stream.
async fn sequence(field: &Field, stream_id: Uuid) -> i64 {
    sqlx::query("SELECT coalesce(max(sequence), 0) FROM events WHERE book_id = $1 AND stream_id = $2")
        .bind(field.book.uuid())
        .bind(stream_id)
        .fetch_one(&field.database.pool)
        .await
        .expect("the database answers")
        .get(0)
}

/// Follows from where the log is after so many acknowledgements; answers where that was, and the positions it saw.
async fn follow(field: Arc<Field>, after: usize) -> (i64, Vec<i64>) {
    let mut acknowledged = field.acknowledged.subscribe();
    acknowledged.wait_for(|count| *count >= after).await.expect("the writers write");
    let mut db = field.database.pool.acquire().await.expect("the database answers");
    let (start, _) = projections::feed::head(&mut db, field.book).await.expect("the book has a head");
    let (mut at, mut seen) = (start, vec![]);
    loop {
        let over = *acknowledged.borrow() == WRITERS * APPENDS;
        let page = projections::feed::page(&mut db, field.book, at, 100).await.expect("the log can be read");
        seen.extend(page.iter().map(|event| event.position));
        match page.last() {
            Some(last) => at = last.position,
            None if over => return (start, seen),
            None => {}
        }
    }
}
