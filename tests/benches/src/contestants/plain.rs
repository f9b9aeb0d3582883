//! One prepared INSERT per event on the writer's own connection, each committed by itself.

use domain::Event;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};
use uuid::Uuid;

use super::{ACTOR, event, new_uuid, now};

/// The database numbers the events.
pub const ALONE: &str = "
INSERT INTO plain_events (stream_id, sequence, session_id, event_id, event_type, event_version, occurred_at, actor_id,
    correlation_id, causation_id, payload, metadata)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, NULL, $10::text::json, $11::text::json)";
/// A row numbers them, without gaps and in the order of commits.
pub const WITH_HEAD: &str = "
WITH head AS (UPDATE plain_head SET position = position + 1 RETURNING position)
INSERT INTO plain_events (position, stream_id, sequence, session_id, event_id, event_type, event_version, occurred_at,
    actor_id, correlation_id, causation_id, payload, metadata) OVERRIDING SYSTEM VALUE
SELECT position, $1, $2, $3, $4, $5, $6, $7, $8, $9, NULL, $10::text::json, $11::text::json FROM head";

pub struct Writer {
    insert: &'static str,
    db: PgConnection,
    stream_id: Uuid,
    session_id: Uuid,
    sequence: i64,
    event: Event,
}

impl Writer {
    pub async fn connect(connect: &PgConnectOptions, insert: &'static str) -> anyhow::Result<Self> {
        let db = connect.connect().await?;
        Ok(Self { insert, db, stream_id: new_uuid(), session_id: new_uuid(), sequence: 0, event: event()? })
    }

    pub async fn append(&mut self) -> anyhow::Result<usize> {
        self.sequence += 1;
        let stored = self.event.stored_type();
        sqlx::query(self.insert)
            .bind(self.stream_id)
            .bind(self.sequence)
            .bind(self.session_id)
            .bind(new_uuid())
            .bind(stored.name)
            .bind(stored.version)
            .bind(now())
            .bind(ACTOR)
            .bind(self.stream_id)
            .bind(self.event.payload())
            .bind("{}")
            .execute(&mut self.db)
            .await?;
        Ok(1)
    }
}
