//! What the log says of erasures: which events were to lose their content, and what is left of a session in read tables.

use domain::erasure::Named;
use domain::session::SessionEvent;
use domain::{BookId, Event};
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use crate::feed::Partition;
use crate::projection;

/// What a book says was erased, up to a position.
pub async fn named(db: &mut PgConnection, book_id: BookId, to: i64) -> sqlx::Result<Named> {
    read_named(db, book_id, to, None).await
}

/// What a book says by now was erased of some sessions.
pub(crate) async fn named_of(db: &mut PgConnection, book_id: BookId, sessions: &[Uuid]) -> sqlx::Result<Named> {
    read_named(db, book_id, i64::MAX, Some(sessions)).await
}

async fn read_named(db: &mut PgConnection, book_id: BookId, to: i64, sessions: Option<&[Uuid]>) -> sqlx::Result<Named> {
    let rows = sqlx::query(
        "SELECT position, session_id, event_type, event_version, payload::text AS payload FROM events \
         WHERE book_id = $1 AND event_type = 'content.erased' AND position <= $2 AND payload IS NOT NULL \
           AND session_id IS NOT NULL AND ($3::uuid[] IS NULL OR session_id = ANY ($3)) ORDER BY position",
    )
    .bind(book_id.uuid())
    .bind(to)
    .bind(sessions)
    .fetch_all(db)
    .await?;
    let mut named = Named::default();
    for row in rows {
        // One that cannot be read names nothing; the chain says what is wrong with it.
        let event = Event::decode(row.get("event_type"), row.get("event_version"), row.get("payload"));
        if let Ok(Event::Session(SessionEvent::ContentErased(erased))) = event {
            named.add(row.get("session_id"), row.get("position"), erased.positions);
        }
    }
    Ok(named)
}

/// How many rows each read model has of a partition.
pub async fn rows(db: &mut PgConnection, partition: Partition) -> sqlx::Result<Vec<(&'static str, i64)>> {
    let mut rows = vec![];
    for projection in projection::all() {
        let name = projection.name();
        let sql = format!("SELECT count(*) AS n FROM serving.{name} WHERE book_id = $1 AND partition_id = $2");
        let row = sqlx::query(&sql).bind(partition.book_id.uuid()).bind(partition.id).fetch_one(&mut *db).await?;
        rows.push((name, row.get("n")));
    }
    Ok(rows)
}
