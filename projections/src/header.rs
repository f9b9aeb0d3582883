//! The header of an event from its row, as the chain and the tree hash it.

use domain::chain::{Hash, Header};
use domain::{BookId, EventId, RequestId};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

/// The columns of a header, in its order; they come first in a query, and the caller's own after them.
pub(crate) const COLUMNS: &str = "position, stream_id, sequence, session_id, event_id, event_type, event_version, \
    occurred_at, recorded_at, actor_id, correlation_id, causation_id, request_id, request_hash, \
    metadata::text AS metadata";

/// The header in a row of a book. By number, not by name: a verification reads millions.
pub(crate) fn header(book_id: BookId, row: &PgRow) -> sqlx::Result<Header<'_>> {
    let request_hash: Option<&[u8]> = row.try_get(13)?;
    let request_hash = request_hash.map(|hash| hash.try_into().map_err(|_| damaged("request_hash")));
    Ok(Header {
        book_id,
        position: row.try_get(0)?,
        stream_id: row.try_get(1)?,
        sequence: row.try_get(2)?,
        session_id: row.try_get(3)?,
        event_id: EventId::new(row.try_get(4)?),
        event_type: row.try_get(5)?,
        event_version: row.try_get(6)?,
        occurred_at: row.try_get(7)?,
        recorded_at: row.try_get(8)?,
        actor_id: row.try_get(9)?,
        correlation_id: row.try_get(10)?,
        causation_id: row.try_get(11)?,
        request_id: row.try_get::<Option<Uuid>, _>(12)?.map(RequestId::new),
        request_hash: request_hash.transpose()?,
        metadata: row.try_get(14)?,
    })
}

/// A column of 32 bytes.
pub(crate) fn hash_in(row: &PgRow, column: &str) -> sqlx::Result<Hash> {
    let bytes: &[u8] = row.try_get(column)?;
    bytes.try_into().map_err(|_| damaged(column))
}

fn damaged(column: &str) -> sqlx::Error {
    sqlx::Error::Decode(format!("the {column} is not 32 bytes long").into())
}
