//! What the sequencer knows of each book without asking: its head, recent stream heads, recent requests.
//!
//! It may be trusted as long as the connection lives that it was filled over, and the position after its head is free:
//! that is what an append finds out. A new connection may lead to a database that lost its newest events, restored from
//! a backup or failed over to, so the cache begins anew with it.

use std::num::NonZeroUsize;

use domain::chain::{self, GENESIS, Hash, SALT_BYTES};
use domain::{BookId, RequestId, Timestamp};
use lru::LruCache;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::{Appended, Job};

const STREAMS: NonZeroUsize = NonZeroUsize::new(100_000).expect("not zero");
const REQUESTS: NonZeroUsize = NonZeroUsize::new(10_000).expect("not zero");
/// How many events of others are looked through to keep the cache; beyond that it begins anew.
const CATCH_UP: i64 = 10_000;

/// The newest event of a book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub position: i64,
    pub hash: Hash,
    pub recorded_at: Timestamp,
}

/// A request that was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub asked: Asked,
    pub appended: Appended,
}

/// What a request asked, as far as it can still be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// This: it was carried out by this process.
    Input(Hash),
    /// Whatever has this hash with the salt of the request's first event.
    Keyed { salt: [u8; SALT_BYTES], hash: Hash },
    /// Nobody can tell any more: the event was erased. The positions are all that is left to answer.
    Erased,
}

impl Known {
    /// Whether the request asked this.
    pub fn is(&self, input: &Hash) -> bool {
        match &self.asked {
            Asked::Input(asked) => asked == input,
            // Releases before the key wrote the input's own hash.
            Asked::Keyed { salt, hash } => chain::request_hash(salt, input) == *hash || input == hash,
            Asked::Erased => true,
        }
    }
}

/// What is known of one book.
pub(super) struct BookCache {
    pub head: Head,
    pub streams: LruCache<Uuid, i64>,
    pub requests: LruCache<RequestId, Known>,
}

impl BookCache {
    pub fn new(head: Head) -> Self {
        Self { head, streams: LruCache::new(STREAMS), requests: LruCache::new(REQUESTS) }
    }

    /// Moves to a newer head that another process wrote, and takes in which streams it touched. Requests are looked up.
    pub async fn refresh(&mut self, db: &mut PgConnection, book_id: BookId, head: Head) -> sqlx::Result<()> {
        if head == self.head {
            return Ok(());
        }
        // A process that was away for long knows little that is still true.
        let grown = head.position - self.head.position;
        if !(1..=CATCH_UP).contains(&grown) {
            *self = Self::new(head);
            return Ok(());
        }
        let moved = sqlx::query(
            "SELECT stream_id, max(sequence) AS sequence FROM events \
             WHERE book_id = $1 AND position > $2 AND position <= $3 GROUP BY stream_id",
        )
        .bind(book_id.uuid())
        .bind(self.head.position)
        .bind(head.position)
        .fetch_all(db)
        .await?;
        for row in moved {
            self.streams.put(row.get("stream_id"), row.get("sequence"));
        }
        self.head = head;
        Ok(())
    }

    /// Looks up requests that are not cached: another process, or this one before it forgot, may have answered them.
    pub async fn recall(&mut self, db: &mut PgConnection, book_id: BookId, jobs: &[Job]) -> sqlx::Result<()> {
        let requests = jobs.iter().filter(|job| job.append.book_id == book_id).filter_map(|job| job.append.request);
        let unknown: Vec<_> = requests.map(|request| request.id).filter(|id| !self.requests.contains(id)).collect();
        if !unknown.is_empty() {
            for (id, known) in look_up_requests(db, book_id, &unknown).await? {
                self.requests.put(id, known);
            }
        }
        Ok(())
    }
}

/// Reads the head of a book; a book without events is at position 0. Where the caller is in a transaction, the book is
/// locked first: nobody else appends to it until that ends.
pub(super) async fn read_head(db: &mut PgConnection, book_id: BookId, lock: bool) -> sqlx::Result<Head> {
    if lock {
        // A statement of its own: the one that reads the head sees what whoever held the lock before has written.
        let lock = "SELECT pg_advisory_xact_lock(append_lock($1))";
        sqlx::query(lock).bind(book_id.uuid()).execute(&mut *db).await?;
    }
    let last = "SELECT position, hash, recorded_at FROM events WHERE book_id = $1 ORDER BY position DESC LIMIT 1";
    match sqlx::query(last).bind(book_id.uuid()).fetch_optional(db).await? {
        Some(row) => Ok(Head {
            position: row.get("position"),
            hash: hash_of(&row, "hash")?,
            recorded_at: row.get("recorded_at"),
        }),
        None => Ok(Head { position: 0, hash: GENESIS, recorded_at: Timestamp::UNIX_EPOCH }),
    }
}

/// The newest sequences of streams; a stream without events is absent.
pub(super) async fn look_up_streams(
    db: &mut PgConnection,
    book_id: BookId,
    streams: &[Uuid],
) -> sqlx::Result<Vec<(Uuid, i64)>> {
    let rows = sqlx::query(
        "SELECT s.stream_id, e.sequence FROM unnest($2::uuid[]) AS s (stream_id) \
         CROSS JOIN LATERAL (SELECT sequence FROM events WHERE book_id = $1 AND stream_id = s.stream_id \
                             ORDER BY sequence DESC LIMIT 1) AS e",
    )
    .bind(book_id.uuid())
    .bind(streams)
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.get("stream_id"), row.get("sequence"))).collect())
}

/// What became of a request.
pub(super) async fn look_up_request(
    db: &mut PgConnection,
    book_id: BookId,
    request_id: RequestId,
) -> sqlx::Result<Option<Known>> {
    let found = look_up_requests(db, book_id, &[request_id]).await?;
    Ok(found.into_iter().next().map(|(_, known)| known))
}

/// What became of requests. How many events one wrote stands in the metadata of the first.
async fn look_up_requests(
    db: &mut PgConnection,
    book_id: BookId,
    requests: &[RequestId],
) -> sqlx::Result<Vec<(RequestId, Known)>> {
    let rows = sqlx::query(
        "SELECT request_id, position, request_hash, salt, (metadata->>'events')::bigint AS events FROM events \
         WHERE book_id = $1 AND request_id = ANY ($2)",
    )
    .bind(book_id.uuid())
    .bind(requests.iter().map(|id| id.uuid()).collect::<Vec<_>>())
    .fetch_all(db)
    .await?;
    let known = rows.into_iter().map(|row| {
        let first: i64 = row.get("position");
        let events: Option<i64> = row.get("events");
        let appended = Appended { first, last: first + events.unwrap_or(1) - 1, repeated: true };
        let asked = match row.try_get::<Option<&[u8]>, _>("salt")? {
            Some(salt) => {
                let salt = salt.try_into().map_err(|_| sqlx::Error::Decode("a salt is not 16 bytes long".into()))?;
                Asked::Keyed { salt, hash: hash_of(&row, "request_hash")? }
            }
            None => Asked::Erased,
        };
        Ok((RequestId::new(row.get("request_id")), Known { asked, appended }))
    });
    known.collect()
}

fn hash_of(row: &sqlx::postgres::PgRow, column: &str) -> sqlx::Result<Hash> {
    let bytes: &[u8] = row.try_get(column)?;
    bytes.try_into().map_err(|_| sqlx::Error::Decode(format!("{column} is not 32 bytes long").into()))
}
