//! Snapshots make a load short and change nothing else, whatever is wrong with them.

use commands::ids::new_id;
use commands::snapshot::{self, EVERY, Place, Snapshots};
use commands::stream::Loader;
use daybook_tests::Database;
use domain::account::Account;
use domain::aggregate::fold;
use domain::run::Run;
use domain::session::Session;
use domain::workspace::Workspace;
use domain::{Aggregate, BookId, Event};
use sqlx::{Executor, PgConnection, Row};
use uuid::Uuid;

use crate::fixture::{Random, append, in_time, number, superuser};

/// Every stored type, with every field set.
const FIXTURES: &str = include_str!("../../domain/fixtures/events.jsonl");
/// How many events one append of these tests has.
const AT_ONCE: usize = 500;

/// The fixtures that are events of an aggregate. Folding never refuses, so any order of them is a log.
fn events_of<A: Aggregate>() -> Vec<A::Event> {
    let decode = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let (name, version) = (line["type"].as_str().unwrap(), line["version"].as_i64().unwrap());
        Event::decode(name, i16::try_from(version).unwrap(), &line["payload"].to_string()).unwrap()
    };
    FIXTURES.lines().map(decode).filter_map(|event| A::Event::try_from(event).ok()).collect()
}

/// A stream of random events, and all of them.
struct Stream<A: Aggregate> {
    book: BookId,
    id: Uuid,
    events: Vec<A::Event>,
}

impl<A: Aggregate + PartialEq + std::fmt::Debug> Stream<A> {
    async fn new(database: &Database, random: &mut Random, length: usize) -> Self {
        let (log, pool) = (database.log().await, events_of::<A>());
        let events: Vec<A::Event> = (0..length).map(|_| pool[random.below(pool.len())].clone()).collect();
        let stream = Self { book: database.installation.home_book, id: new_id::<()>().uuid(), events };
        let mut expected = 0;
        for chunk in stream.events.chunks(AT_ONCE) {
            let events = chunk.iter().cloned().map(Into::into).collect();
            let to = commands::log::StreamAppend { stream_id: stream.id, expected, session_id: None, events };
            log.append(append(&log, stream.book, vec![to])).await.unwrap();
            expected += i64::try_from(chunk.len()).unwrap();
        }
        stream
    }

    fn place(&self, sequence: usize) -> Place {
        Place { book_id: self.book, stream_id: self.id, sequence: i64::try_from(sequence).unwrap() }
    }

    /// The state after so many events, as it is written down.
    fn state(&self, sequence: usize) -> Vec<u8> {
        serde_json::to_vec(&fold::<A>(&self.events[..sequence])).unwrap()
    }

    /// A load by a process that knows nothing yet equals the full fold. What it writes down itself is written then.
    async fn loads(&self, database: &Database) {
        let snapshots = Snapshots::start(database.pool.clone());
        let loader = Loader::<A>::new(database.pool.clone(), snapshots.clone());
        let loaded = loader.load(self.book, self.id).await.unwrap();
        assert_eq!(loaded.sequence, i64::try_from(self.events.len()).unwrap());
        assert_eq!(*loaded.state, fold(&self.events));
        snapshots.settled().await;
    }
}

/// The sequence of the only snapshot; 0 where there is none.
async fn snapshot_at(db: &mut PgConnection) -> i64 {
    number(db, "SELECT coalesce(max(sequence), 0) FROM snapshots").await
}

async fn random_logs_and_places<A: Aggregate + PartialEq + std::fmt::Debug>(seed: u64) {
    let database = Database::fresh().await;
    let mut db = superuser(&database).await;
    let mut random = Random::seeded(seed);
    for _ in 0..8 {
        let length = 1 + random.below(700);
        let stream = Stream::<A>::new(&database, &mut random, length).await;
        stream.loads(&database).await;
        for _ in 0..6 {
            db.execute("TRUNCATE snapshots").await.unwrap();
            let sequence = 1 + random.below(length);
            snapshot::write(&database.pool, stream.place(sequence), &stream.state(sequence)).await.unwrap();
            assert_eq!(snapshot_at(&mut db).await, i64::try_from(sequence).unwrap());
            stream.loads(&database).await;
        }
        db.execute("TRUNCATE snapshots").await.unwrap();
    }
}

#[tokio::test]
async fn a_load_with_a_snapshot_anywhere_equals_the_full_fold() {
    in_time(async {
        random_logs_and_places::<Run>(11).await;
        random_logs_and_places::<Account>(12).await;
        random_logs_and_places::<Workspace>(13).await;
        random_logs_and_places::<Session>(14).await;
    })
    .await;
}

/// Each is a way in which a snapshot can be wrong. None of them is believed.
const DAMAGES: [&str; 10] = [
    "UPDATE snapshots SET fingerprint = 'another'",
    "UPDATE snapshots SET sequence = sequence + 1000000",
    "UPDATE snapshots SET sequence = sequence - 1",
    "UPDATE snapshots SET stream_id = gen_random_uuid()",
    "UPDATE snapshots SET state = set_byte(state, length(state) - 2, 0)",
    "UPDATE snapshots SET state = convert_to('{}', 'UTF8')",
    "UPDATE snapshots SET state = ''",
    // A state that can be read, under the digest of another.
    "UPDATE snapshots SET state = convert_to(replace(convert_from(state, 'UTF8'), '1', '2'), 'UTF8')",
    "UPDATE snapshots SET digest = sha256(state)",
    "UPDATE snapshots SET digest = ''",
];

#[tokio::test]
async fn a_wrong_snapshot_is_as_if_it_were_not_there() {
    in_time(async {
        let database = Database::fresh().await;
        let mut db = superuser(&database).await;
        let stream = Stream::<Account>::new(&database, &mut Random::seeded(21), 250).await;
        for damage in DAMAGES {
            db.execute("TRUNCATE snapshots").await.unwrap();
            snapshot::write(&database.pool, stream.place(120), &stream.state(120)).await.unwrap();
            assert_eq!(db.execute(damage).await.unwrap().rows_affected(), 1, "{damage}");
            stream.loads(&database).await;
        }
    })
    .await;
}

/// A snapshot with the right digest over a wrong state would be believed; so this test shows that the tests above would
/// see a state that is believed and wrong.
#[tokio::test]
async fn what_the_digest_vouches_for_is_used() {
    let database = Database::fresh().await;
    let stream = Stream::<Account>::new(&database, &mut Random::seeded(22), 50).await;
    let lie = serde_json::to_vec(&Account::default()).unwrap();
    snapshot::write(&database.pool, stream.place(50), &lie).await.unwrap();
    let loader = Loader::<Account>::new(database.pool.clone(), Snapshots::start(database.pool.clone()));
    assert_eq!(*loader.load(stream.book, stream.id).await.unwrap().state, Account::default());
}

#[tokio::test]
async fn a_stream_is_written_down_when_it_has_grown_by_a_hundred() {
    in_time(async {
        let database = Database::fresh().await;
        let mut db = superuser(&database).await;
        let log = database.log().await;
        let snapshots = Snapshots::start(database.pool.clone());
        let loader = Loader::<Session>::new(database.pool.clone(), snapshots.clone());
        let (book, id, event) = (database.installation.home_book, new_id::<()>().uuid(), &events_of::<Session>()[0]);
        let mut seen = vec![];
        for sequence in 0..2 * EVERY + 10 {
            let event = event.clone().into();
            let to = commands::log::StreamAppend {
                stream_id: id,
                expected: sequence,
                session_id: None,
                events: vec![event],
            };
            log.append(append(&log, book, vec![to])).await.unwrap();
            loader.load(book, id).await.unwrap();
            snapshots.settled().await;
            let at = snapshot_at(&mut db).await;
            if at > 0 && seen.last() != Some(&at) {
                seen.push(at);
            }
        }
        assert_eq!(seen, [EVERY, 2 * EVERY]);
    })
    .await;
}

#[tokio::test]
async fn an_older_state_never_takes_the_place_of_a_newer_one() {
    let database = Database::fresh().await;
    let mut db = superuser(&database).await;
    let stream = Stream::<Workspace>::new(&database, &mut Random::seeded(23), 300).await;
    for sequence in [100, 200, 150, 300, 1] {
        snapshot::write(&database.pool, stream.place(sequence), &stream.state(sequence)).await.unwrap();
    }
    assert_eq!(snapshot_at(&mut db).await, 300);
    // One of other code is of no use to this release, however new it is.
    db.execute("UPDATE snapshots SET fingerprint = 'another'").await.unwrap();
    snapshot::write(&database.pool, stream.place(50), &stream.state(50)).await.unwrap();
    assert_eq!(snapshot_at(&mut db).await, 50);
    let reader = sqlx::query("SELECT has_table_privilege('daybook_reader', 'snapshots', 'SELECT') AS may");
    assert!(!reader.fetch_one(&mut db).await.unwrap().get::<bool, _>("may"), "readers have no use for states");
}
