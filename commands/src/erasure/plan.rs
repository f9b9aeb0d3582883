//! What a session consists of: its streams, the events that would lose their content, the blobs that they name.

use std::collections::{BTreeMap, BTreeSet};

use domain::{BookId, Event, SessionId, Sha256, erasure};
use serde::Serialize;
use sqlx::Row;
use sqlx::postgres::PgPool;
use uuid::Uuid;

use super::finish::shared_blobs;
use crate::error::CommandError;

/// How many events are looked at in one statement.
const PAGE: i64 = 5_000;

/// What a session consists of.
#[derive(Default)]
pub(super) struct Plan {
    /// Its streams but the account's, which belongs to the book.
    pub streams: Vec<StreamPlan>,
    /// The events that are to lose their content; they rise.
    pub positions: Vec<i64>,
    pub payload_bytes: u64,
    /// What their payloads name, in the store or not.
    pub blobs: BTreeSet<[u8; 32]>,
}

/// A stream of the session as it was seen.
pub(super) struct StreamPlan {
    pub stream_id: Uuid,
    /// Its newest event.
    pub sequence: i64,
    /// The type of any of its events: it says whose stream it is.
    pub event_type: String,
}

/// What erasing a session removes, and what stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionErasure {
    /// The session.
    pub session_id: SessionId,
    /// How many events lose their content.
    pub events: u64,
    /// How many bytes their payloads have.
    pub payload_bytes: u64,
    /// How many blobs go.
    pub blobs: u64,
    /// How many bytes those have.
    pub blob_bytes: u64,
    /// Blobs that stay, because other events name them.
    pub shared_blobs: Vec<SharedBlob>,
}

/// A blob that stays, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SharedBlob {
    /// Its name.
    pub sha256: Sha256,
    /// Its size.
    pub bytes: u64,
    /// An event outside the session that names it.
    pub position: i64,
}

impl Plan {
    /// Looks at every event of a session.
    pub async fn of(pool: &PgPool, book_id: BookId, session_id: SessionId) -> Result<Self, CommandError> {
        let (mut plan, mut streams, mut after) = (Self::default(), BTreeMap::new(), 0);
        loop {
            let rows = sqlx::query(
                "SELECT position, stream_id, sequence, event_type, event_version, payload IS NOT NULL AS present, \
                   coalesce(octet_length(payload::text), 0)::bigint AS bytes, \
                   ARRAY(SELECT named_blobs(payload::text)) AS blobs \
                 FROM events WHERE book_id = $1 AND session_id = $2 AND position > $3 ORDER BY position LIMIT $4",
            )
            .bind(book_id.uuid())
            .bind(session_id.uuid())
            .bind(after)
            .bind(PAGE)
            .fetch_all(pool)
            .await?;
            for row in &rows {
                let event_type: &str = row.get("event_type");
                after = row.get("position");
                if !Event::is_known(event_type) {
                    let (name, version) = (event_type.to_owned(), row.get("event_version"));
                    return Err(domain::DecodeError::Unknown { name, version }.into());
                }
                if domain::account::AccountEvent::stores(event_type) {
                    continue;
                }
                let (stream_id, sequence): (Uuid, i64) = (row.get("stream_id"), row.get("sequence"));
                streams.insert(stream_id, (sequence, event_type.to_owned()));
                if !erasure::survives(event_type) && row.get("present") {
                    plan.positions.push(after);
                    plan.payload_bytes += row.get::<i64, _>("bytes").unsigned_abs();
                    plan.blobs.extend(row.get::<Vec<Vec<u8>>, _>("blobs").iter().filter_map(|b| name_of(b)));
                }
            }
            if i64::try_from(rows.len()).is_ok_and(|read| read < PAGE) {
                let streams = streams.into_iter();
                plan.streams = streams
                    .map(|(stream_id, (sequence, event_type))| StreamPlan { stream_id, sequence, event_type })
                    .collect();
                return Ok(plan);
            }
        }
    }

    /// The newest event of a stream; 0 where it has none.
    pub fn sequence_of(&self, stream_id: Uuid) -> i64 {
        self.streams.iter().find(|stream| stream.stream_id == stream_id).map_or(0, |stream| stream.sequence)
    }

    /// Which of its blobs go, and which stay.
    pub async fn look_at_blobs(
        self,
        pool: &PgPool,
        book_id: BookId,
        session_id: SessionId,
    ) -> sqlx::Result<SessionErasure> {
        let put = sqlx::query("SELECT sha256 FROM put_blobs WHERE book_id = $1 AND session_id = $2")
            .bind(book_id.uuid())
            .bind(session_id.uuid())
            .fetch_all(pool)
            .await?;
        let mut names: Vec<Vec<u8>> = self.blobs.iter().map(|name| name.to_vec()).collect();
        names.extend(put.iter().map(|row| row.get("sha256")));
        let stored = sqlx::query(
            "SELECT sha256, octet_length(content)::bigint AS bytes FROM blobs WHERE book_id = $1 AND sha256 = ANY ($2) \
             ORDER BY sha256",
        )
        .bind(book_id.uuid())
        .bind(&names)
        .fetch_all(pool)
        .await?;
        let shared = shared_blobs(pool, book_id, Some(session_id), &names).await?;
        let mut erasure = SessionErasure {
            session_id,
            events: self.positions.len() as u64,
            payload_bytes: self.payload_bytes,
            blobs: 0,
            blob_bytes: 0,
            shared_blobs: vec![],
        };
        for row in stored {
            let bytes = row.get::<i64, _>("bytes").unsigned_abs();
            match name_of(row.get("sha256")).and_then(|name| shared.get(&name).map(|position| (name, *position))) {
                Some((name, position)) => {
                    erasure.shared_blobs.push(SharedBlob { sha256: Sha256(name), bytes, position });
                }
                None => {
                    erasure.blobs += 1;
                    erasure.blob_bytes += bytes;
                }
            }
        }
        Ok(erasure)
    }
}

/// A blob's name, if it has the length of one.
pub(super) fn name_of(bytes: &[u8]) -> Option<[u8; 32]> {
    bytes.try_into().ok()
}
