//! postgres-es 0.5 as it comes: its event repository, without its snapshot store.

use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::{PersistedEventRepository, SerializedEvent};
use cqrs_es::{Aggregate, DomainEvent};
use postgres_es::PostgresEventRepository;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::{EVENT_TYPE, Shared, event, new_uuid};

/// A connection for each writer, all of them open before the slice begins.
pub async fn prepare(connect: &PgConnectOptions, writers: usize) -> anyhow::Result<Shared> {
    let connections = u32::try_from(writers)?;
    let options = PgPoolOptions::new().min_connections(connections).max_connections(connections);
    let pool = options.connect_with(connect.clone()).await?;
    Ok(Shared::PostgresEs(PostgresEventRepository::new(pool).with_tables("postgres_es_events", "no_snapshots")))
}

pub struct Writer<'a> {
    repository: &'a PostgresEventRepository,
    aggregate_id: String,
    sequence: usize,
    events: usize,
    payload: Value,
}

impl<'a> Writer<'a> {
    pub fn new(repository: &'a PostgresEventRepository, events: usize) -> anyhow::Result<Self> {
        let payload = serde_json::from_str(&event()?.payload())?;
        Ok(Self { repository, aggregate_id: new_uuid().to_string(), sequence: 0, events, payload })
    }

    pub async fn append(&mut self) -> anyhow::Result<usize> {
        let first = self.sequence + 1;
        self.sequence += self.events;
        let events: Vec<_> = (first..=self.sequence).map(|sequence| self.serialized(sequence)).collect();
        self.repository.persist::<Stream>(&events, None).await?;
        Ok(self.events)
    }

    fn serialized(&self, sequence: usize) -> SerializedEvent {
        SerializedEvent {
            aggregate_id: self.aggregate_id.clone(),
            sequence,
            aggregate_type: Stream::TYPE.to_owned(),
            event_type: EVENT_TYPE.to_owned(),
            event_version: "1".to_owned(),
            payload: self.payload.clone(),
            metadata: Value::Object(serde_json::Map::new()),
        }
    }
}

/// The repository asks for the type of an aggregate. Nothing is ever folded into this one.
#[derive(Default, Serialize, Deserialize)]
struct Stream;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Nothing;

impl DomainEvent for Nothing {
    fn event_type(&self) -> String {
        EVENT_TYPE.to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

impl Aggregate for Stream {
    const TYPE: &'static str = "stream";
    type Command = ();
    type Event = Nothing;
    type Error = std::convert::Infallible;
    type Services = ();

    async fn handle(&mut self, (): (), (): &(), _: &EventSink<Self>) -> Result<(), Self::Error> {
        Ok(())
    }

    fn apply(&mut self, _: Nothing) {}
}
