//! Recomputes the hash chain of a book from the database and names the first position that does not hold.

use std::collections::HashMap;

use domain::chain::{self, GENESIS, Hash, Header};
use domain::{BookId, EventId, RequestId};
use sqlx::postgres::{PgPool, PgRow};
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use crate::erasure::{self, Named};

/// How many events are read at once: each range is a short snapshot of its own.
const RANGE: i64 = 10_000;

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// The book.
    pub book_id: BookId,
    /// How many events hold, from position 1 on.
    pub verified: i64,
    /// How many of them have lost their content to an erasure that the log tells of.
    pub erased: i64,
    /// How many of them were erased, and still have their content: the erasure is not yet completed.
    pub unfinished: i64,
    /// The first position that does not hold, and why.
    pub broken: Option<Broken>,
}

/// Where and why a book does not hold.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Broken {
    /// The position.
    pub position: i64,
    /// What is wrong there.
    pub reason: String,
}

/// The books there are: those with a head, and those with events though somebody took their head away.
pub async fn books(pool: &PgPool) -> sqlx::Result<Vec<BookId>> {
    let rows = sqlx::query(
        "WITH RECURSIVE next AS ( \
           (SELECT book_id FROM events ORDER BY book_id LIMIT 1) UNION ALL \
           SELECT (SELECT e.book_id FROM events e WHERE e.book_id > next.book_id ORDER BY e.book_id LIMIT 1) \
           FROM next WHERE next.book_id IS NOT NULL) \
         SELECT book_id FROM next WHERE book_id IS NOT NULL UNION SELECT book_id FROM book_heads ORDER BY book_id",
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| BookId::new(row.get("book_id"))).collect())
}

/// Verifies a book up to its head as it is now; `progress` hears how many events have been verified.
pub async fn verify(pool: &PgPool, book_id: BookId, mut progress: impl FnMut(i64)) -> sqlx::Result<Report> {
    let mut db = pool.acquire().await?;
    let (head, head_hash) = crate::feed::head(&mut db, book_id).await?;
    let named = erasure::named(&mut db, book_id, head).await?;
    let mut state = State { position: 0, hash: GENESIS, sequences: HashMap::new(), named, erased: 0, unfinished: 0 };
    while state.position < head {
        let rows = range(&mut db, book_id, state.position, head).await?;
        if rows.is_empty() {
            return Ok(broken(book_id, &state, "the event is missing"));
        }
        for row in &rows {
            if let Err(reason) = state.take(book_id, row) {
                return Ok(broken(book_id, &state, &reason));
            }
        }
        progress(state.position);
    }
    if state.hash[..] != head_hash[..] {
        let reason = "the head's hash is not the hash of the last event";
        state.position -= 1;
        return Ok(broken(book_id, &state, reason));
    }
    let row = sqlx::query(
        "SELECT count(*) AS n FROM events WHERE book_id = $1 AND (position > $2 OR position < 1) \
         AND NOT EXISTS (SELECT 1 FROM book_heads WHERE book_id = $1 AND position <> $2)",
    )
    .bind(book_id.uuid())
    .bind(head)
    .fetch_one(&mut *db)
    .await?;
    if row.get::<i64, _>("n") > 0 {
        return Ok(broken(book_id, &state, "there are events outside the chain"));
    }
    Ok(state.report(book_id, None))
}

fn broken(book_id: BookId, state: &State, reason: &str) -> Report {
    let position = state.position + 1;
    state.report(book_id, Some(Broken { position, reason: reason.to_owned() }))
}

async fn range(db: &mut PgConnection, book_id: BookId, after: i64, head: i64) -> sqlx::Result<Vec<PgRow>> {
    sqlx::query(
        "SELECT position, stream_id, sequence, session_id, event_id, event_type, event_version, occurred_at, \
           recorded_at, actor_id, correlation_id, causation_id, request_id, request_hash, payload::text AS payload, \
           metadata::text AS metadata, salt, commitment, hash \
         FROM events WHERE book_id = $1 AND position > $2 AND position <= $3 ORDER BY position LIMIT $4",
    )
    .bind(book_id.uuid())
    .bind(after)
    .bind(head)
    .bind(RANGE)
    .fetch_all(db)
    .await
}

/// How far the chain has been followed.
struct State {
    position: i64,
    hash: Hash,
    sequences: HashMap<Uuid, i64>,
    /// What the book says was erased. It says so in events, which this chain covers too.
    named: Named,
    erased: i64,
    unfinished: i64,
}

impl State {
    fn report(&self, book_id: BookId, broken: Option<Broken>) -> Report {
        Report { book_id, verified: self.position, erased: self.erased, unfinished: self.unfinished, broken }
    }

    /// Takes the next event, or says what is wrong with it.
    fn take(&mut self, book_id: BookId, row: &PgRow) -> Result<(), String> {
        let header = header(book_id, row).map_err(|error| error.to_string())?;
        if header.position != self.position + 1 {
            return Err("the event is missing".into());
        }
        let last = self.sequences.get(&header.stream_id).copied().unwrap_or(0);
        if header.sequence != last + 1 {
            return Err(format!("sequence {} of its stream follows on {last}", header.sequence));
        }
        let stored: Hash = bytes(row, "commitment")?;
        let (payload, salt): (Option<&str>, Option<&[u8]>) = (row.get("payload"), row.get("salt"));
        let named = self.named.contains(header.position);
        match (payload, salt) {
            (Some(payload), Some(salt)) if chain::commitment(salt, payload.as_bytes()) == stored => {}
            (Some(_), Some(_)) => return Err("the payload is not the one that was written".into()),
            (None, None) if named => self.erased += 1,
            _ => return Err("the payload is gone and no event says that it was erased".into()),
        }
        self.unfinished += i64::from(named && payload.is_some());
        let hash = chain::hash(&self.hash, &header, &stored);
        if hash != bytes(row, "hash")? {
            return Err("the event is not the one that was written: its hash does not follow".into());
        }
        self.sequences.insert(header.stream_id, header.sequence);
        (self.position, self.hash) = (header.position, hash);
        Ok(())
    }
}

fn header(book_id: BookId, row: &PgRow) -> sqlx::Result<Header<'_>> {
    let request_hash: Option<&[u8]> = row.try_get("request_hash")?;
    let request_hash =
        request_hash.map(|hash| hash.try_into().map_err(|_| sqlx::Error::ColumnNotFound("request_hash".into())));
    Ok(Header {
        book_id,
        position: row.try_get("position")?,
        stream_id: row.try_get("stream_id")?,
        sequence: row.try_get("sequence")?,
        session_id: row.try_get("session_id")?,
        event_id: EventId::new(row.try_get("event_id")?),
        event_type: row.try_get("event_type")?,
        event_version: row.try_get("event_version")?,
        occurred_at: row.try_get("occurred_at")?,
        recorded_at: row.try_get("recorded_at")?,
        actor_id: row.try_get("actor_id")?,
        correlation_id: row.try_get("correlation_id")?,
        causation_id: row.try_get("causation_id")?,
        request_id: row.try_get::<Option<Uuid>, _>("request_id")?.map(RequestId::new),
        request_hash: request_hash.transpose()?,
        metadata: row.try_get("metadata")?,
    })
}

fn bytes(row: &PgRow, column: &str) -> Result<Hash, String> {
    let bytes: &[u8] = row.try_get(column).map_err(|error| error.to_string())?;
    bytes.try_into().map_err(|_| format!("the {column} is not 32 bytes long"))
}
