//! What builds could not take in: which partitions wait, at which event, and why; what a book's people ordered about
//! it. See `docs/quarantine.md`.

mod standing;
mod take_in;

pub(crate) use standing::{Order, RELEASE, Standing};
pub(crate) use take_in::{apart, as_far};

use domain::{BookId, Timestamp};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use crate::feed::{self, Partition, SESSION_ERASED};

/// The longest error that is kept, in bytes.
const ERROR_MAX: usize = 1_000;

/// An event that cannot be taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Culprit {
    pub position: i64,
    pub partition: Partition,
    pub event_type: String,
    pub reason: String,
}

/// An event in quarantine, as it is listed.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Quarantined {
    /// The projection that cannot take it in.
    pub projection: String,
    /// The build of it, by its schema.
    pub build: String,
    /// The book.
    pub book_id: BookId,
    /// Where the event stands.
    pub position: i64,
    /// What waits: the event's session, or its stream where it has none.
    pub partition_id: uuid::Uuid,
    /// The event's stored name.
    pub event_type: String,
    /// The event's stored version.
    pub event_version: i16,
    /// The event's stream.
    pub stream_id: uuid::Uuid,
    /// The event's session.
    pub session_id: Option<domain::SessionId>,
    /// The event's payload, byte for byte; absent where it was erased.
    pub payload: Option<String>,
    /// Why it cannot be taken in.
    pub error: String,
    /// Since when.
    pub since: Timestamp,
    /// Whether the projection waits as a whole in this book, and not only the event's partition.
    pub stops: bool,
}

/// What is in quarantine in a book in builds that serve or are about to, by position and projection.
pub async fn list(
    db: &mut PgConnection,
    book_id: BookId,
    after: Option<(i64, &str)>,
    limit: i64,
) -> sqlx::Result<Vec<Quarantined>> {
    let (position, build) = after.unwrap_or((0, ""));
    let sql = format!(
        "SELECT b.projection, q.*, e.event_version, e.stream_id, e.session_id, e.payload::text AS payload, \
           {SESSION_ERASED} \
         FROM quarantine q JOIN builds b USING (schema_name) JOIN events e USING (book_id, position) \
         WHERE q.book_id = $1 AND (q.position, q.schema_name) > ($2, $3) AND b.state IN ('serving', 'following') \
         ORDER BY q.position, q.schema_name LIMIT $4"
    );
    let rows = sqlx::query(&sql).bind(book_id.uuid()).bind(position).bind(build).bind(limit).fetch_all(db).await?;
    rows.iter().map(quarantined).collect()
}

/// Whether a projection waits at this event of a book.
pub async fn stands(db: &mut PgConnection, book_id: BookId, projection: &str, position: i64) -> sqlx::Result<bool> {
    let row = sqlx::query(
        "SELECT EXISTS (SELECT 1 FROM quarantine q JOIN builds b USING (schema_name) \
         WHERE q.book_id = $1 AND b.projection = $2 AND q.position = $3 \
           AND b.state IN ('serving', 'following')) AS stands",
    )
    .bind(book_id.uuid())
    .bind(projection)
    .bind(position)
    .fetch_one(db)
    .await?;
    Ok(row.get("stands"))
}

/// Where a build stopped as a whole, in whatever book: at which event.
pub(crate) async fn stopped(db: &mut PgConnection, schema: &str) -> sqlx::Result<Option<(BookId, i64)>> {
    let sql = "SELECT book_id, position FROM quarantine WHERE schema_name = $1 AND stops ORDER BY book_id LIMIT 1";
    let row = sqlx::query(sql).bind(schema).fetch_optional(db).await?;
    Ok(row.map(|row| (BookId::new(row.get("book_id")), row.get("position"))))
}

/// Puts a partition into quarantine in a build, or says anew where it stands.
pub(crate) async fn put(
    db: &mut PgConnection,
    schema: &str,
    culprit: &Culprit,
    stops: bool,
    seen: i64,
) -> sqlx::Result<()> {
    let error = domain::content::head(&culprit.reason, ERROR_MAX);
    tracing::error!(
        build = schema, book_id = %culprit.partition.book_id, partition = %culprit.partition.id, stops,
        position = culprit.position, event_type = culprit.event_type, error, "an event cannot be taken in"
    );
    sqlx::query(
        "INSERT INTO quarantine \
           (schema_name, book_id, partition_id, position, event_type, error, stops, seen, tried_by) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, ARRAY[$9::text]) \
         ON CONFLICT (schema_name, book_id, partition_id) DO UPDATE SET position = EXCLUDED.position, \
           event_type = EXCLUDED.event_type, error = EXCLUDED.error, stops = EXCLUDED.stops, \
           seen = greatest(quarantine.seen, EXCLUDED.seen), \
           since = CASE WHEN quarantine.position = EXCLUDED.position THEN quarantine.since ELSE EXCLUDED.since END, \
           tried_by = array_remove(quarantine.tried_by, $9::text) || EXCLUDED.tried_by",
    )
    .bind(schema)
    .bind(culprit.partition.book_id.uuid())
    .bind(culprit.partition.id)
    .bind(culprit.position)
    .bind(&culprit.event_type)
    .bind(error)
    .bind(stops)
    .bind(seen)
    .bind(RELEASE)
    .execute(db)
    .await
    .map(|_| ())
}

/// Takes a partition out of quarantine in a build.
pub(crate) async fn lift(db: &mut PgConnection, schema: &str, partition: Partition) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM quarantine WHERE schema_name = $1 AND book_id = $2 AND partition_id = $3")
        .bind(schema)
        .bind(partition.book_id.uuid())
        .bind(partition.id)
        .execute(db)
        .await
        .map(|_| ())
}

fn quarantined(row: &PgRow) -> sqlx::Result<Quarantined> {
    Ok(Quarantined {
        projection: row.get("projection"),
        build: row.get("schema_name"),
        book_id: BookId::new(row.get("book_id")),
        position: row.get("position"),
        partition_id: row.get("partition_id"),
        event_type: row.get("event_type"),
        event_version: row.get("event_version"),
        stream_id: row.get("stream_id"),
        session_id: row.get::<Option<_>, _>("session_id").map(domain::SessionId::new),
        payload: feed::payload(row)?,
        error: row.get("error"),
        since: row.get("since"),
        stops: row.get("stops"),
    })
}
