//! Events as they stand in the log, not decoded: what one release cannot read must not stop who follows.

use std::ops::RangeInclusive;

use domain::{BookId, SessionId, Timestamp};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use crate::feed::{self, SESSION_ERASED};

/// An event as it stands in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Logged {
    /// 1 and up within the book, without gaps.
    pub position: i64,
    /// The stream.
    pub stream_id: Uuid,
    /// 1 and up within the stream, without gaps.
    pub sequence: i64,
    /// The session that it belongs to.
    pub session_id: Option<SessionId>,
    /// `noun.verb_past`.
    pub event_type: String,
    /// The stored version, before any upcast.
    pub event_version: i16,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// When it was written down.
    pub recorded_at: Timestamp,
    /// Who did it.
    pub actor_id: String,
    /// The payload, byte for byte; none where it was erased.
    pub payload: Option<String>,
}

const COLUMNS: &str = "position, stream_id, sequence, session_id, event_type, event_version, occurred_at, recorded_at, \
    actor_id, payload::text AS payload";

/// The events of a book after a position, at most `limit`.
pub(super) async fn page(db: &mut PgConnection, book_id: BookId, after: i64, limit: i64) -> sqlx::Result<Vec<Logged>> {
    let sql = format!(
        "SELECT {COLUMNS}, {SESSION_ERASED} FROM events WHERE book_id = $1 AND position > $2 ORDER BY position LIMIT $3"
    );
    let rows = sqlx::query(&sql).bind(book_id.uuid()).bind(after).bind(limit).fetch_all(db).await?;
    rows.iter().map(logged).collect()
}

/// The events of a session within a range of positions, the first of them, at most `limit`.
pub(super) async fn session_page(
    db: &mut PgConnection,
    (book_id, session_id): (BookId, SessionId),
    range: RangeInclusive<i64>,
    limit: i64,
) -> sqlx::Result<Vec<Logged>> {
    let sql = format!(
        "SELECT {COLUMNS}, {SESSION_ERASED} FROM events \
         WHERE book_id = $1 AND session_id = $2 AND position BETWEEN $3 AND $4 ORDER BY position LIMIT $5"
    );
    let rows = sqlx::query(&sql)
        .bind(book_id.uuid())
        .bind(session_id.uuid())
        .bind(range.start())
        .bind(range.end())
        .bind(limit)
        .fetch_all(db)
        .await?;
    rows.iter().map(logged).collect()
}

fn logged(row: &PgRow) -> sqlx::Result<Logged> {
    Ok(Logged {
        position: row.try_get("position")?,
        stream_id: row.try_get("stream_id")?,
        sequence: row.try_get("sequence")?,
        session_id: row.try_get::<Option<Uuid>, _>("session_id")?.map(SessionId::new),
        event_type: row.try_get("event_type")?,
        event_version: row.try_get("event_version")?,
        occurred_at: row.try_get("occurred_at")?,
        recorded_at: row.try_get("recorded_at")?,
        actor_id: row.try_get("actor_id")?,
        payload: feed::payload(row)?,
    })
}
