//! Who is compared: Daybook's log, one plain INSERT per event, and postgres-es. Each writes the same event.
//!
//! Every writer has a stream of its own, which is new in each slice, and waits for one append before the next.

mod daybook;
mod plain;
mod postgres_es;

use ::postgres_es::PostgresEventRepository;
use domain::Event;
use sqlx::postgres::PgConnectOptions;
use std::sync::Arc;

pub use daybook::{OldStreams, Opened, Parts};

/// A metered call of a model: one of the most frequent events of the product, and of its usual size.
const EVENT_TYPE: &str = "usage.metered";
const EVENT_VERSION: i16 = 1;
const PAYLOAD: &str = r#"{"llm_call_id":"llm_call:01900000-0000-7000-8000-000000000001","session_id":"session:01900000-0000-7000-8000-000000000002","run_id":"run:01900000-0000-7000-8000-000000000003","model":"provider/m","calls":1,"tokens":{"input_tokens":812,"cache_read_tokens":20480,"cache_write_tokens":640,"output_tokens":388,"reasoning_tokens":0},"usage_source":"provider","ttft_ms":612,"duration_ms":8120}"#;
/// The call's id in it.
const CALL_ID: &str = "01900000-0000-7000-8000-000000000001";
/// Who acts.
pub const ACTOR: &str = "user:01900000-0000-7000-8000-000000000004";

/// The size of the event's payload in bytes.
pub const PAYLOAD_BYTES: usize = PAYLOAD.len();

/// One of those that are compared.
#[derive(Debug, Clone)]
pub enum Contestant {
    /// The log, with everything on: chain, request ids, notification.
    Daybook,
    /// A prepared INSERT of one row per event, each its own transaction, one connection per writer.
    Plain,
    /// The same, its position from a row for the head that it moves on.
    HeadRow,
    /// The event repository of postgres-es, one transaction per append.
    PostgresEs,
    /// The log with some of what belongs to it left out, or with what follows it in the same process.
    Parts(Parts),
    /// The log, each append to another of its old streams.
    Cold(Arc<OldStreams>),
}

/// What the writers of a slice share.
pub enum Shared {
    Daybook(Opened),
    Cold(Box<Self>, Arc<OldStreams>),
    Plain(PgConnectOptions, &'static str),
    PostgresEs(PostgresEventRepository),
}

/// One writer in its loop.
pub enum Writer<'a> {
    Daybook(daybook::Writer<'a>),
    Plain(Box<plain::Writer>),
    PostgresEs(postgres_es::Writer<'a>),
}

impl Contestant {
    /// All of them, Daybook first.
    pub const ALL: [Self; 3] = [Self::Daybook, Self::Plain, Self::PostgresEs];

    /// As the tables call it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Daybook => "Daybook",
            Self::Plain => "plain INSERT",
            Self::HeadRow => "plain INSERT, a row for the head",
            Self::PostgresEs => "postgres-es 0.5",
            Self::Parts(parts) => parts.name,
            Self::Cold(_) => "Daybook, old streams",
        }
    }

    /// Makes what the writers share.
    pub async fn prepare(self, connect: &PgConnectOptions, writers: usize) -> anyhow::Result<Shared> {
        Ok(match self {
            Self::Daybook => daybook::prepare(connect, Parts::default()).await?,
            Self::Parts(parts) => daybook::prepare(connect, parts).await?,
            Self::Cold(old) => Shared::Cold(Box::new(daybook::prepare(connect, Parts::default()).await?), old),
            Self::Plain => Shared::Plain(connect.clone(), plain::ALONE),
            Self::HeadRow => Shared::Plain(connect.clone(), plain::WITH_HEAD),
            Self::PostgresEs => postgres_es::prepare(connect, writers).await?,
        })
    }
}

impl Shared {
    /// A writer with a new stream.
    pub async fn writer(&self, events: usize) -> anyhow::Result<Writer<'_>> {
        Ok(match self {
            Self::Daybook(opened) => Writer::Daybook(daybook::Writer::new(opened, events)?),
            Self::Cold(log, old) => match log.as_ref() {
                Self::Daybook(opened) => Writer::Daybook(daybook::Writer::new(opened, events)?.to(old)),
                _ => anyhow::bail!("old streams are those of a log"),
            },
            Self::Plain(connect, insert) => Writer::Plain(Box::new(plain::Writer::connect(connect, insert).await?)),
            Self::PostgresEs(repository) => Writer::PostgresEs(postgres_es::Writer::new(repository, events)?),
        })
    }
}

impl Writer<'_> {
    /// Writes once, and answers how many events are durable now that were not before.
    pub async fn append(&mut self) -> anyhow::Result<usize> {
        match self {
            Self::Daybook(writer) => writer.append().await,
            Self::Plain(writer) => writer.append().await,
            Self::PostgresEs(writer) => writer.append().await,
        }
    }
}

/// The event that everybody writes, of a call of its own each time.
pub fn event() -> anyhow::Result<Event> {
    let payload = PAYLOAD.replace(CALL_ID, &new_uuid().to_string());
    Ok(Event::decode(EVENT_TYPE, EVENT_VERSION, &payload)?)
}

/// The present moment.
pub fn now() -> domain::Timestamp {
    chrono::Utc::now()
}

/// A new id.
pub fn new_uuid() -> uuid::Uuid {
    uuid::Uuid::now_v7()
}
