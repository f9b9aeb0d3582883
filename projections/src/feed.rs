//! Reads the log by position. A reader needs no heuristic: what is above a position and in order is all there is.

use std::ops::Range;

use domain::session::SessionEvent;
use domain::{BookId, Event, EventId, SessionId, Timestamp, erasure};
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
    /// `noun.verb_past`, as it is stored.
    pub event_type: String,
    /// The stored version, before any upcast.
    pub event_version: i16,
    /// The payload, byte for byte; absent where it was erased.
    pub payload: Option<String>,
    /// What happened.
    pub body: Body,
}

/// What an event says.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "nearly every event can be read, and a box would cost each of them")]
pub enum Body {
    /// This.
    Event(Event),
    /// Nothing any more: its content was erased.
    Erased,
    /// Something that this release cannot read, and why.
    Unreadable(String),
}

/// A part of a book: a session, or a stream outside of any. No row of a read model is folded from two of them, so each
/// can be folded without the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Partition {
    /// The book.
    pub book_id: BookId,
    /// The session, or the stream.
    pub id: Uuid,
}

impl Recorded {
    /// What happened, if it can still be read.
    pub fn event(&self) -> Option<&Event> {
        match &self.body {
            Body::Event(event) => Some(event),
            Body::Erased | Body::Unreadable(_) => None,
        }
    }

    /// Whether it says that the content of its session was erased.
    pub fn erases(&self) -> bool {
        matches!(self.event(), Some(Event::Session(SessionEvent::ContentErased(_))))
    }

    /// The part of the book that it belongs to: its session, or its stream where it has none.
    pub fn partition(&self) -> Partition {
        Partition { book_id: self.book_id, id: self.session_id.map_or(self.stream_id, SessionId::uuid) }
    }
}

/// Why the log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
}

/// `$1` is the book. An erased session is known by its `content.erased`, wherever in the book that stands: its content
/// counts as gone from that event on, also while payloads are still being removed. Whoever reads payloads reads this
/// column with them, and takes them from `payload`.
pub(crate) const SESSION_ERASED: &str = "coalesce(session_id IN \
    (SELECT x.session_id FROM events x WHERE x.book_id = $1 AND x.event_type = 'content.erased'), false) \
    AS session_erased";

const COLUMNS: &str = "book_id, position, stream_id, sequence, session_id, event_id, event_type, event_version, \
    occurred_at, recorded_at, actor_id, payload::text AS payload";

/// The sessions of a book whose content was erased.
pub(crate) async fn erased_sessions(db: &mut PgConnection, book_id: BookId) -> sqlx::Result<Vec<Uuid>> {
    let rows = sqlx::query("SELECT session_id FROM events WHERE book_id = $1 AND event_type = 'content.erased'")
        .bind(book_id.uuid())
        .fetch_all(db)
        .await?;
    Ok(rows.into_iter().filter_map(|row| row.get("session_id")).collect())
}

/// Whether a session of this book was erased after a position. What was read up to there and what is read now differ.
pub async fn erased_after(db: &mut PgConnection, book_id: BookId, position: i64) -> sqlx::Result<bool> {
    let row = sqlx::query(
        "SELECT EXISTS (SELECT 1 FROM events WHERE book_id = $1 AND event_type = 'content.erased' AND position > $2) AS found",
    )
    .bind(book_id.uuid())
    .bind(position)
    .fetch_one(db)
    .await?;
    Ok(row.get("found"))
}

/// The events of a book after a position, one page of them.
pub async fn page(db: &mut PgConnection, book_id: BookId, after: i64, limit: i64) -> Result<Vec<Recorded>, FeedError> {
    let sql = format!(
        "SELECT {COLUMNS}, {SESSION_ERASED} FROM events WHERE book_id = $1 AND position > $2 ORDER BY position LIMIT $3"
    );
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
        "SELECT {COLUMNS}, {SESSION_ERASED} FROM events \
         WHERE book_id = $1 AND session_id = $2 AND position > $3 ORDER BY position LIMIT $4"
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

/// The events of a partition after a position and up to another, one page of them.
pub async fn partition_page(
    db: &mut PgConnection,
    partition: Partition,
    positions: Range<i64>,
) -> Result<Vec<Recorded>, FeedError> {
    // A partition is a session or a stream outside of any; ids are unique, so one of the two finds nothing.
    let sql = format!(
        "(SELECT {COLUMNS}, {SESSION_ERASED} FROM events \
          WHERE book_id = $1 AND session_id = $2 AND position > $3 AND position <= $4 ORDER BY position LIMIT $5) \
         UNION ALL \
         (SELECT {COLUMNS}, {SESSION_ERASED} FROM events WHERE book_id = $1 AND stream_id = $2 AND session_id IS NULL \
          AND position > $3 AND position <= $4 ORDER BY sequence LIMIT $5) ORDER BY position LIMIT $5"
    );
    let rows = sqlx::query(&sql)
        .bind(partition.book_id.uuid())
        .bind(partition.id)
        .bind(positions.start)
        .bind(positions.end)
        .bind(PAGE)
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

/// The session of a stream, if it has events and belongs to one.
pub async fn session_of(db: &mut PgConnection, book_id: BookId, stream_id: Uuid) -> sqlx::Result<Option<SessionId>> {
    let row = sqlx::query("SELECT session_id FROM events WHERE book_id = $1 AND stream_id = $2 AND sequence = 1")
        .bind(book_id.uuid())
        .bind(stream_id)
        .fetch_optional(db)
        .await?;
    Ok(row.and_then(|row| row.get::<Option<Uuid>, _>("session_id")).map(SessionId::new))
}

/// The newest position of a book and its hash; 0 where it has no events.
pub async fn head(db: &mut PgConnection, book_id: BookId) -> sqlx::Result<(i64, Vec<u8>)> {
    let row = sqlx::query("SELECT position, hash FROM events WHERE book_id = $1 ORDER BY position DESC LIMIT 1")
        .bind(book_id.uuid())
        .fetch_optional(db)
        .await?;
    Ok(row.map_or((0, vec![0; 32]), |row| (row.get("position"), row.get("hash"))))
}

/// The payload in a row with `event_type`, `payload` and `session_erased`, if it was not erased.
pub(crate) fn payload(row: &PgRow) -> sqlx::Result<Option<String>> {
    let erased = row.try_get("session_erased")? && !erasure::survives(row.try_get("event_type")?);
    if erased { Ok(None) } else { row.try_get("payload") }
}

fn recorded(row: &PgRow) -> Result<Recorded, FeedError> {
    let event_type: String = row.try_get("event_type")?;
    let payload = payload(row)?;
    let event_version = row.try_get("event_version")?;
    let body = match &payload {
        None => Body::Erased,
        Some(payload) => match Event::decode(&event_type, event_version, payload) {
            Ok(event) => Body::Event(event),
            Err(error) => Body::Unreadable(error.to_string()),
        },
    };
    Ok(Recorded {
        book_id: BookId::new(row.try_get("book_id")?),
        position: row.try_get("position")?,
        stream_id: row.try_get("stream_id")?,
        sequence: row.try_get("sequence")?,
        session_id: row.try_get::<Option<Uuid>, _>("session_id")?.map(SessionId::new),
        event_id: EventId::new(row.try_get("event_id")?),
        occurred_at: row.try_get("occurred_at")?,
        recorded_at: row.try_get("recorded_at")?,
        actor_id: row.try_get("actor_id")?,
        event_type,
        event_version,
        payload,
        body,
    })
}
