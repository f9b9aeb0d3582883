//! A repository of postgres-es, as it comes, reads our log through a view and folds the same states.

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::pin::Pin;

use commands::stream::Loader;
use commands::{Commands, MessageSend, SessionStart};
use cqrs_es::persist::{PersistedEventRepository, PersistedEventStore, QueryReplay};
use cqrs_es::{DomainEvent, EventEnvelope, EventStore, Query};
use daybook_tests::Database;
use domain::session::Origin;
use domain::text::MessageText;
use domain::{BookId, Event, account, run, session, workspace};
use postgres_es::PostgresEventRepository;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::{Executor, Row};
use uuid::Uuid;

use crate::fixture::{another_book, append, developer, in_time, number, record, stream, superuser, to_stream};

/// An event as a program of that library would declare it: an enum whose variants bear the stored names.
#[derive(Debug, Clone, PartialEq)]
struct Stored(Event);

impl DomainEvent for Stored {
    fn event_type(&self) -> String {
        self.0.stored_type().name.into()
    }

    fn event_version(&self) -> String {
        self.0.stored_type().version.to_string()
    }
}

impl Serialize for Stored {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let payload: serde_json::Value = serde_json::from_str(&self.0.payload()).expect("a payload is JSON");
        [(self.event_type(), payload)].into_iter().collect::<std::collections::BTreeMap<_, _>>().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Stored {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Variant;
        impl<'de> Visitor<'de> for Variant {
            type Value = Stored;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a payload under the name of its type")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Stored, M::Error> {
                let (name, payload): (String, serde_json::Value) =
                    map.next_entry()?.ok_or_else(|| M::Error::custom("there is no type"))?;
                Event::decode(&name, 1, &payload.to_string()).map(Stored).map_err(M::Error::custom)
            }
        }
        deserializer.deserialize_map(Variant)
    }
}

/// What a kind of aggregate is called in that library.
trait Named: domain::Aggregate {
    const NAME: &'static str;
}

impl Named for run::Run {
    const NAME: &'static str = "run";
}
impl Named for session::Session {
    const NAME: &'static str = "session";
}
impl Named for workspace::Workspace {
    const NAME: &'static str = "workspace";
}
impl Named for account::Account {
    const NAME: &'static str = "account";
}

/// One of our aggregates, as that library has them.
#[derive(Default, Serialize, Deserialize)]
#[serde(bound = "")]
struct Stock<A: Named> {
    #[serde(skip)]
    state: A,
}

impl<A: Named> cqrs_es::Aggregate for Stock<A> {
    const TYPE: &'static str = A::NAME;
    type Command = ();
    type Event = Stored;
    type Error = std::fmt::Error;
    type Services = ();

    async fn handle(&mut self, (): (), (): &(), _: &cqrs_es::event_sink::EventSink<Self>) -> Result<(), Self::Error> {
        Ok(())
    }

    fn apply(&mut self, event: Stored) {
        match A::Event::try_from(event.0) {
            Ok(own) => self.state.evolve(&own),
            Err(other) => panic!("{other:?} is in the stream of a {}", A::NAME),
        }
    }
}

/// A pool as an embedder makes one: a reader, for one book.
async fn stock_pool(database: &Database, book: BookId) -> PgPool {
    let options =
        database.options.clone().options([("role", "daybook_reader"), ("daybook.book", &book.uuid().to_string())]);
    PgPoolOptions::new().max_connections(2).connect_with(options).await.expect("the database answers")
}

fn repository(pool: &PgPool) -> PostgresEventRepository {
    PostgresEventRepository::new(pool.clone()).with_tables("postgres_es.events", "postgres_es.snapshots")
}

/// Sessions of all kinds: begun, written to, stopped, and imported with a file and a bill.
async fn fill(commands: &Commands, book: BookId) {
    let viewer = developer(book);
    let text = |text: &str| MessageText::parse("text", text).unwrap();
    for file in 0..4 {
        let input = SessionStart {
            text: text("make it \"green\" – ü\\n"),
            title: None,
            approval_policy: Default::default(),
            origin: Origin::Web,
            model: "scripted/test".into(),
        };
        let begun = commands.session_start(&viewer, commands::ids::new_id(), input).await.unwrap().answer;
        let input = MessageSend { session_id: begun.session_id, text: text("soon"), model: "scripted/test".into() };
        commands.message_send(&viewer, commands::ids::new_id(), input).await.unwrap();
        if file % 2 == 0 {
            commands.run_cancel(&viewer, commands::ids::new_id(), begun.run_id, "enough").await.unwrap();
        }
        commands.import(&viewer, record(&viewer, file)).await.unwrap();
    }
}

/// Compares every stream of a kind; answers how many there are.
async fn compare<A: Named + std::fmt::Debug>(database: &Database, pool: &PgPool, book: BookId) -> usize {
    let rows = sqlx::query("SELECT DISTINCT aggregate_id FROM postgres_es.events WHERE aggregate_type = $1");
    let rows = rows.bind(A::NAME).fetch_all(pool).await.unwrap();
    let store = PersistedEventStore::<_, Stock<A>>::new_event_store(repository(pool));
    let ours = Loader::<A>::without_snapshots(database.pool.clone());
    for row in &rows {
        let id: String = row.get(0);
        let theirs = store.load_aggregate(&id).await.unwrap();
        let ours = ours.load(book, id.parse().unwrap()).await.unwrap();
        assert_eq!(theirs.current_sequence as i64, ours.sequence, "{} {id}", A::NAME);
        assert_eq!(format!("{:?}", theirs.aggregate.state), format!("{:?}", *ours.state), "{} {id}", A::NAME);
        // The part of a stream after a snapshot is read by another query of theirs.
        let last = repository(pool).get_last_events::<Stock<A>>(&id, theirs.current_sequence - 1).await.unwrap();
        assert_eq!(last.len(), 1);
    }
    rows.len()
}

#[tokio::test]
async fn a_stock_repository_folds_the_same_states() {
    let database = Database::fresh().await;
    let book = database.installation.home_book;
    let commands = database.commands().await;
    in_time(fill(&commands, book)).await;
    let pool = stock_pool(&database, book).await;
    in_time(async {
        assert_eq!(compare::<session::Session>(&database, &pool, book).await, 8);
        assert_eq!(compare::<run::Run>(&database, &pool, book).await, 8);
        assert_eq!(compare::<workspace::Workspace>(&database, &pool, book).await, 8);
        assert_eq!(compare::<account::Account>(&database, &pool, book).await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_stock_replay_sees_every_event_of_its_kind_with_its_metadata() {
    let database = Database::fresh().await;
    let book = database.installation.home_book;
    let commands = database.commands().await;
    in_time(fill(&commands, book)).await;
    let pool = stock_pool(&database, book).await;
    let store = PersistedEventStore::<_, Stock<session::Session>>::new_event_store(repository(&pool));
    let any: String =
        sqlx::query("SELECT aggregate_id FROM postgres_es.events WHERE aggregate_type = 'session' LIMIT 1")
            .fetch_one(&pool)
            .await
            .unwrap()
            .get(0);
    for event in store.load_events(&any).await.unwrap() {
        assert_eq!(event.metadata["book_id"], book.uuid().to_string());
        assert!(event.metadata["position"].parse::<i64>().unwrap() > 0);
        assert!(event.metadata.contains_key("recorded_at") && event.metadata.contains_key("actor_id"));
    }
    let seen = Seen::<Stock<run::Run>>::default();
    let events = seen.events.clone();
    in_time(QueryReplay::new(repository(&pool), seen).replay_all()).await.unwrap();
    let mut db = superuser(&database).await;
    let all = "SELECT count(*) FROM postgres_es.events WHERE aggregate_type = 'run'";
    let stored = number(&mut db, all).await;
    assert_eq!(events.lock().unwrap().len() as i64, stored);
}

/// Counts what a replay dispatches.
struct Seen<A> {
    events: std::sync::Arc<std::sync::Mutex<BTreeSet<(String, usize)>>>,
    of: PhantomData<A>,
}

impl<A> Default for Seen<A> {
    fn default() -> Self {
        Self { events: Default::default(), of: PhantomData }
    }
}

impl<A: cqrs_es::Aggregate> Query<A> for Seen<A> {
    // As `async_trait`, which that library declares it with, would write it.
    fn dispatch<'s, 'i, 'e, 'f>(
        &'s self,
        aggregate_id: &'i str,
        events: &'e [EventEnvelope<A>],
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'f>>
    where
        's: 'f,
        'i: 'f,
        'e: 'f,
    {
        let mut seen = self.events.lock().unwrap();
        for event in events {
            assert!(seen.insert((aggregate_id.to_owned(), event.sequence)), "each event is replayed once");
        }
        Box::pin(std::future::ready(()))
    }
}

#[tokio::test]
async fn a_stock_repository_sees_its_own_book_only() {
    let database = Database::fresh().await;
    let (log, own, other) = (database.log().await, another_book(), another_book());
    let same: Uuid = stream();
    for (book, markers) in [(own, &["a", "b"][..]), (other, &["c", "d", "e"][..])] {
        in_time(log.append(append(&log, book, vec![to_stream(same, 0, markers)]))).await.unwrap();
    }
    for (book, wanted) in [(own, 2), (other, 3), (another_book(), 0)] {
        let pool = stock_pool(&database, book).await;
        let events = repository(&pool).get_events::<Stock<run::Run>>(&same.to_string()).await.unwrap();
        assert_eq!(events.len(), wanted);
    }
    let pool = stock_pool(&database, own).await;
    let written = pool.execute("INSERT INTO postgres_es.events (sequence) VALUES (1)").await;
    assert!(written.is_err(), "nobody writes through the view");
}

#[tokio::test]
async fn every_stored_type_belongs_to_the_aggregate_that_writes_it() {
    let database = Database::fresh().await;
    let mut db = superuser(&database).await;
    let of_several_nouns = [
        (run::Run::NAME, run::RunEvent::STORED),
        (session::Session::NAME, session::SessionEvent::STORED),
        (workspace::Workspace::NAME, workspace::WorkspaceEvent::STORED),
        (account::Account::NAME, account::AccountEvent::STORED),
    ];
    for stored in Event::all_stored() {
        let row = sqlx::query("SELECT postgres_es.aggregate_type($1)").bind(stored.name);
        let found: String = row.fetch_one(&mut db).await.unwrap().get(0);
        let writer = of_several_nouns.iter().find(|(_, own)| own.contains(&stored)).map(|(name, _)| *name);
        // Every other aggregate has one noun, and is called by it.
        let noun = stored.name.split('.').next().unwrap();
        assert_eq!(found, writer.unwrap_or(noun), "{}", stored.name);
    }
}

#[tokio::test]
async fn an_index_for_stock_repositories_is_used_where_somebody_makes_it() {
    let database = Database::fresh().await;
    let book = database.installation.home_book;
    in_time(fill(&database.commands().await, book)).await;
    let mut db = superuser(&database).await;
    db.execute("CREATE INDEX events_aggregate ON events ((stream_id::text), sequence, book_id)").await.unwrap();
    // A reader's rows are held to its book before anything else is asked of them; a writer's are not.
    let mut writer = database.pool.acquire().await.unwrap();
    writer.execute("SET enable_seqscan = off").await.unwrap();
    let plan = "EXPLAIN SELECT payload FROM postgres_es.events \
        WHERE aggregate_type = 'run' AND aggregate_id = 'x' AND sequence > 3 ORDER BY sequence";
    let plan = sqlx::query(plan).fetch_all(&mut *writer).await.unwrap();
    let plan: Vec<String> = plan.iter().map(|row| row.get(0)).collect();
    let plan = plan.join("\n");
    assert!(plan.contains("events_aggregate") && plan.contains("(stream_id)::text = 'x'"), "{plan}");
}
