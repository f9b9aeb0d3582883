//! Reads the log by position. A reader needs no heuristic: what is above a position and in order is all there is.

use domain::{BookId, DecodeError, Event, EventId, SessionId, Timestamp};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

/// How many events a page has at most.
pub const PAGE: i64 = 5_000;

/// An event as it stands in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// The book.
    pub book_id: BookId,
    /// 1 and up within the book, without gaps.
    pub position: i64,
    /// The stream.
    pub stream_id: Uuid,
    /// 1 and up within the stream, without gaps.
    pub sequence: i64,
    /// The session that it belongs to.
    pub session_id: Option<SessionId>,
    /// The event.
    pub event_id: EventId,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// When it was written down.
    pub recorded_at: Timestamp,
    /// Who did it.
    pub actor_id: String,
    /// The stored version, before any upcast.
    pub event_version: i16,
    /// The payload, byte for byte.
    pub payload: String,
    /// What happened.
    pub event: Event,
}

/// Why the log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// An event cannot be decoded.
    #[error("position {position}: {source}")]
    Decode { position: i64, source: DecodeError },
}

const COLUMNS: &str = "book_id, position, stream_id, sequence, session_id, event_id, event_type, event_version, \
    occurred_at, recorded_at, actor_id, payload::text AS payload";

/// The events of a book after a position, one page of them.
pub async fn page(db: &mut PgConnection, book_id: BookId, after: i64, limit: i64) -> Result<Vec<Recorded>, FeedError> {
    let sql = format!("SELECT {COLUMNS} FROM events WHERE book_id = $1 AND position > $2 ORDER BY position LIMIT $3");
    let rows = sqlx::query(&sql).bind(book_id.uuid()).bind(after).bind(limit.min(PAGE)).fetch_all(db).await?;
    rows.iter().map(recorded).collect()
}

/// The events of a session after a position and up to another, one page of them.
pub async fn session_page(
    db: &mut PgConnection,
    book_id: BookId,
    session_id: SessionId,
    after: i64,
    limit: i64,
) -> Result<Vec<Recorded>, FeedError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM events WHERE book_id = $1 AND session_id = $2 AND position > $3 ORDER BY position LIMIT $4"
    );
    let rows = sqlx::query(&sql)
        .bind(book_id.uuid())
        .bind(session_id.uuid())
        .bind(after)
        .bind(limit.min(PAGE))
        .fetch_all(db)
        .await?;
    rows.iter().map(recorded).collect()
}

/// The position of a session's newest event that is not above `position`, 0 where all are; `None` for no session.
pub async fn session_position(
    db: &mut PgConnection,
    book_id: BookId,
    session_id: SessionId,
    position: i64,
) -> sqlx::Result<Option<i64>> {
    let row = sqlx::query(
        "SELECT coalesce((SELECT max(position) FROM events \
         WHERE book_id = $1 AND session_id = $2 AND position <= $3), 0) AS position \
         WHERE EXISTS (SELECT 1 FROM events WHERE book_id = $1 AND session_id = $2)",
    )
    .bind(book_id.uuid())
    .bind(session_id.uuid())
    .bind(position)
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| row.get("position")))
}

/// The newest position of a book and its hash; 0 where it has no events.
pub async fn head(db: &mut PgConnection, book_id: BookId) -> sqlx::Result<(i64, Vec<u8>)> {
    let row = sqlx::query("SELECT position, hash FROM book_heads WHERE book_id = $1")
        .bind(book_id.uuid())
        .fetch_optional(db)
        .await?;
    Ok(row.map_or((0, vec![0; 32]), |row| (row.get("position"), row.get("hash"))))
}

fn recorded(row: &PgRow) -> Result<Recorded, FeedError> {
    let position = row.try_get("position")?;
    let payload: String = row.try_get("payload")?;
    let event_version = row.try_get("event_version")?;
    let event = Event::decode(row.try_get("event_type")?, event_version, &payload)
        .map_err(|source| FeedError::Decode { position, source })?;
    Ok(Recorded {
        book_id: BookId::new(row.try_get("book_id")?),
        position,
        stream_id: row.try_get("stream_id")?,
        sequence: row.try_get("sequence")?,
        session_id: row.try_get::<Option<Uuid>, _>("session_id")?.map(SessionId::new),
        event_id: EventId::new(row.try_get("event_id")?),
        occurred_at: row.try_get("occurred_at")?,
        recorded_at: row.try_get("recorded_at")?,
        actor_id: row.try_get("actor_id")?,
        event_version,
        payload,
        event,
    })
}
