//! cqrs-es 0.5 and postgres-es 0.5 as they come: the repository's stream of all events, replayed into a GenericQuery over
//! the PostgresViewRepository. The view is as small as a row of the session list.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::{GenericQuery, QueryReplay};
use cqrs_es::{Aggregate, DomainEvent, EventEnvelope, View};
use postgres_es::{PostgresEventRepository, PostgresViewRepository};
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Executor, PgConnection};

use super::generate::BOOK;

/// Replays so many events of the log; answers events per second.
pub async fn run(db: &mut PgConnection, connect: &PgConnectOptions, events: i64) -> anyhow::Result<f64> {
    db.execute("TRUNCATE postgres_es_events; DROP TABLE IF EXISTS stock_view").await?;
    db.execute(
        "CREATE TABLE stock_view (view_id text PRIMARY KEY, version bigint CHECK (version >= 0) NOT NULL, payload json NOT NULL)",
    )
    .await?;
    sqlx::query(
        "INSERT INTO postgres_es_events SELECT 'stream', stream_id::text, sequence, event_type, '1', \
         json_build_object('Stored', payload), '{}' FROM events WHERE book_id = $1 AND position <= $2",
    )
    .bind(BOOK)
    .bind(events)
    .execute(&mut *db)
    .await?;
    let pool = PgPoolOptions::new().max_connections(16).connect_with(connect.clone()).await?;
    let repository = PostgresEventRepository::new(pool.clone()).with_tables("postgres_es_events", "no_snapshots");
    let views = PostgresViewRepository::<Row, Stream>::new("stock_view", pool.clone());
    let mut query = GenericQuery::new(Arc::new(views));
    query.use_error_handler(Box::new(|error| panic!("the stock replay failed: {error}")));
    let replay = QueryReplay::new(repository, query);
    let begun = Instant::now();
    replay.replay_all().await?;
    let seconds = begun.elapsed().as_secs_f64();
    let seen: i64 =
        sqlx::query_scalar("SELECT sum((payload ->> 'events')::bigint)::bigint FROM stock_view").fetch_one(db).await?;
    anyhow::ensure!(seen == events, "the stock replay saw {seen} of {events} events");
    pool.close().await;
    Ok(events as f64 / seconds)
}

/// One row per stream: of a session its newest state.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Row {
    title: String,
    events: i64,
    newest: String,
}

impl View<Stream> for Row {
    fn update(&mut self, event: &EventEnvelope<Stream>) {
        let Stored::Stored(payload) = &event.payload;
        self.events += 1;
        if let Some(title) = payload.get("title").and_then(|title| title.as_str()) {
            self.title = title.to_owned();
        }
        self.newest = payload.get("run_id").map(ToString::to_string).unwrap_or_default();
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Stream;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Stored {
    Stored(HashMap<String, serde_json::Value>),
}

impl DomainEvent for Stored {
    fn event_type(&self) -> String {
        "stored".to_owned()
    }

    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

impl Aggregate for Stream {
    const TYPE: &'static str = "stream";
    type Command = ();
    type Event = Stored;
    type Error = std::convert::Infallible;
    type Services = ();

    async fn handle(&mut self, (): (), (): &(), _: &EventSink<Self>) -> Result<(), Self::Error> {
        Ok(())
    }

    fn apply(&mut self, _: Stored) {}
}
