//! Recomputes the hash chain and the tree of a book from the database and names the first position that does not hold.

use std::collections::HashMap;

use domain::BookId;
use domain::chain::{self, GENESIS, Hash};
use domain::erasure::Named;
use domain::proof::entry_hash;
use sqlx::postgres::{PgPool, PgRow};
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use crate::erasure;
use crate::header::{self, hash_in};
use crate::tree::{Check, Expected, Protection};

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
    /// What its checkpoints are worth.
    #[serde(flatten)]
    pub protection: Protection,
}

impl Report {
    /// Whether nothing at all was found.
    pub fn holds(&self) -> bool {
        self.broken.is_none() && self.protection.faults.is_empty()
    }
}

/// Where and why a book does not hold.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Broken {
    /// The position.
    pub position: i64,
    /// What is wrong there.
    pub reason: String,
}

/// The books there are: those with events, and those whose events are gone though something was made of them.
pub async fn books(pool: &PgPool) -> sqlx::Result<Vec<BookId>> {
    let rows = sqlx::query(
        "SELECT book_id FROM book_heads UNION SELECT book_id FROM checkpoints UNION SELECT book_id FROM trees \
         ORDER BY book_id",
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| BookId::new(row.get("book_id"))).collect())
}

/// Verifies a book up to its head as it is now; `progress` hears how many events have been verified.
pub async fn verify(pool: &PgPool, book_id: BookId, progress: impl FnMut(i64)) -> sqlx::Result<Report> {
    verify_against(pool, book_id, &Expected::default(), progress).await
}

/// The same, and compares with keys and checkpoints that were kept elsewhere.
pub async fn verify_against(
    pool: &PgPool,
    book_id: BookId,
    expected: &Expected,
    progress: impl FnMut(i64),
) -> sqlx::Result<Report> {
    let mut db = pool.acquire().await?;
    let check = Check::open(&mut db, book_id, expected).await?;
    let mut state = State {
        book_id,
        position: 0,
        hash: GENESIS,
        sequences: HashMap::new(),
        entry: vec![],
        check,
        named: Named::default(),
        erased: 0,
        unfinished: 0,
    };
    let broken = walk(&mut db, &mut state, progress).await?;
    let verified = broken.as_ref().map_or(state.position, |(position, _)| position - 1);
    let broken = broken.map(|(position, reason)| Broken { position, reason });
    let State { erased, unfinished, check, .. } = state;
    Ok(Report { book_id, verified, erased, unfinished, broken, protection: check.protection })
}

/// Goes through a book; answers the first position that does not hold, and why.
async fn walk(
    db: &mut PgConnection,
    state: &mut State,
    mut progress: impl FnMut(i64),
) -> sqlx::Result<Option<(i64, String)>> {
    let (head, _) = crate::feed::head(db, state.book_id).await?;
    state.named = erasure::named(db, state.book_id, head).await?;
    while state.position < head {
        let rows = range(db, state.book_id, state.position, head).await?;
        let fault = match rows.is_empty() {
            true => Some("the event is missing".to_owned()),
            false => rows.iter().find_map(|row| state.take(row).err()),
        };
        // What the tree says of events before a fault in the chain comes first.
        let compared = state.check.compare(db).await?;
        if let Some(fault) = compared.err().or(fault.map(|reason| (state.position + 1, reason))) {
            return Ok(Some(fault));
        }
        progress(state.position);
    }
    if let Err(fault) = state.check.finish(db).await? {
        return Ok(Some(fault));
    }
    if let Some(fault) = posted_beyond(db, state.book_id).await? {
        return Ok(Some(fault));
    }
    let outside = "SELECT count(*) AS n FROM events WHERE book_id = $1 AND position < 1";
    let outside: i64 = sqlx::query(outside).bind(state.book_id.uuid()).fetch_one(&mut *db).await?.get("n");
    Ok((outside > 0).then(|| (state.position + 1, "there are events outside the chain".into())))
}

/// A read model that took in events which are not in the log any more. It has what is appended within milliseconds,
/// where the tree has it within a second. One statement, so that both are seen as of one moment.
async fn posted_beyond(db: &mut PgConnection, book_id: BookId) -> sqlx::Result<Option<(i64, String)>> {
    let row = sqlx::query(
        "SELECT c.position AS posted, b.projection, h.position AS head FROM checkpoints c \
         JOIN builds b USING (schema_name) CROSS JOIN LATERAL \
           (SELECT coalesce(max(position), 0) AS position FROM events WHERE book_id = $1) h \
         WHERE c.book_id = $1 AND c.position > h.position ORDER BY c.position DESC LIMIT 1",
    )
    .bind(book_id.uuid())
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| {
        let (posted, projection): (i64, &str) = (row.get("posted"), row.get("projection"));
        let reason = format!("the log was cut off: the read model `{projection}` has taken in {posted} events");
        (row.get::<i64, _>("head") + 1, reason)
    }))
}

async fn range(db: &mut PgConnection, book_id: BookId, after: i64, head: i64) -> sqlx::Result<Vec<PgRow>> {
    let sql = format!(
        "SELECT {}, payload::text AS payload, salt, commitment, hash FROM events \
         WHERE book_id = $1 AND position > $2 AND position <= $3 ORDER BY position LIMIT $4",
        header::COLUMNS
    );
    sqlx::query(&sql).bind(book_id.uuid()).bind(after).bind(head).bind(RANGE).fetch_all(db).await
}

/// How far the chain has been followed.
struct State {
    book_id: BookId,
    position: i64,
    hash: Hash,
    sequences: HashMap<Uuid, i64>,
    /// The header and commitment of one event; kept, so that not every event asks for memory.
    entry: Vec<u8>,
    check: Check,
    /// What the book says was erased. It says so in events, which this chain covers too.
    named: Named,
    erased: i64,
    unfinished: i64,
}

impl State {
    /// Takes the next event, or says what is wrong with it.
    fn take(&mut self, row: &PgRow) -> Result<(), String> {
        let header = header::header(self.book_id, row).map_err(|error| error.to_string())?;
        if header.position != self.position + 1 {
            return Err("the event is missing".into());
        }
        let last = self.sequences.get(&header.stream_id).copied().unwrap_or(0);
        if header.sequence != last + 1 {
            return Err(format!("sequence {} of its stream follows on {last}", header.sequence));
        }
        let stored: Hash = bytes(row, "commitment")?;
        let (payload, salt): (Option<&str>, Option<&[u8]>) = (row.get("payload"), row.get("salt"));
        let named = self.named.contains(header.session_id, header.position);
        match (payload, salt) {
            (Some(payload), Some(salt)) if chain::commitment(salt, payload.as_bytes()) == stored => {}
            (Some(_), Some(_)) => return Err("the payload is not the one that was written".into()),
            (None, None) if named => self.erased += 1,
            _ => return Err("the payload is gone and no event says that it was erased".into()),
        }
        self.unfinished += i64::from(named && payload.is_some());
        self.entry.clear();
        header.write(&mut self.entry);
        self.entry.extend_from_slice(&stored);
        let hash = chain::entry_hash(&self.hash, &self.entry);
        if hash != bytes(row, "hash")? {
            return Err("the event is not the one that was written: its hash does not follow".into());
        }
        self.sequences.insert(header.stream_id, header.sequence);
        (self.position, self.hash) = (header.position, hash);
        self.check.take(entry_hash(&self.entry), &hash);
        Ok(())
    }
}

fn bytes(row: &PgRow, column: &str) -> Result<Hash, String> {
    hash_in(row, column).map_err(|error| error.to_string())
}
