//! Takes the next range of a book into its tree: leaves, tiles and size move in one short transaction.

use domain::BookId;
use domain::chain::{self, Hash};
use domain::proof::{Edge, FinishedTile, entry_hash};
use futures::TryStreamExt;
use sqlx::postgres::{PgPool, PgRow};
use sqlx::{Acquire, Row};

use super::TreeError;
use super::store::{self, Reach};
use crate::header::{self, hash_in};

/// How many events are taken in at once; each range is a transaction and a snapshot of its own, well under a second.
const RANGE: i64 = 25_000;

/// What to do while another process extends the same tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Leave the tree to it.
    IfFree,
    /// Wait for the turn.
    Wait,
}

/// What came of an attempt to take in a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// There may be more.
    More,
    /// The tree has reached the head.
    Done,
    /// Another process is at it.
    Taken,
}

/// Takes in the next range of a book.
pub(super) async fn next_range(pool: &PgPool, book_id: BookId, turn: Turn) -> Result<Step, TreeError> {
    let mut db = pool.acquire().await?;
    let mut tx = db.begin().await?;
    if !store::take(&mut tx, book_id, turn == Turn::Wait).await? {
        return Ok(Step::Taken);
    }
    let from = store::reach(&mut tx, book_id).await?;
    let edge = store::edge(&mut tx, book_id, from.size).await?;
    let mut growth = Growth { book_id, reach: from, edge, finished: vec![], entry: vec![] };
    let sql = format!(
        "SELECT {}, commitment, hash FROM events WHERE book_id = $1 AND position > $2 AND position <= $3 \
         ORDER BY position",
        header::COLUMNS
    );
    let mut rows = sqlx::query(&sql).bind(book_id.uuid()).bind(from.size).bind(from.size + RANGE).fetch(&mut *tx);
    while let Some(row) = rows.try_next().await? {
        growth.take(&row)?;
    }
    drop(rows);
    let to = growth.reach;
    if to.size > from.size {
        store::write_tiles(&mut tx, book_id, &growth.finished, &growth.edge).await?;
        if !store::move_on(&mut tx, book_id, from.size, to).await? {
            return Err(growth.contradiction("somebody else moved it"));
        }
        tx.commit().await?;
    }
    Ok(if to.size - from.size == RANGE { Step::More } else { Step::Done })
}

/// A tree that grows.
struct Growth {
    book_id: BookId,
    reach: Reach,
    edge: Edge,
    finished: Vec<FinishedTile>,
    /// The header and commitment of one event; kept, so that not every event asks for memory.
    entry: Vec<u8>,
}

impl Growth {
    /// Takes the next event, if it follows on the one before by position and by hash.
    fn take(&mut self, row: &PgRow) -> Result<(), TreeError> {
        let header = header::header(self.book_id, row)?;
        if header.position != self.reach.size + 1 {
            return Err(self.contradiction("the next event is missing"));
        }
        let commitment: Hash = hash_in(row, "commitment")?;
        self.entry.clear();
        header.write(&mut self.entry);
        self.entry.extend_from_slice(&commitment);
        let hash = chain::entry_hash(&self.reach.hash, &self.entry);
        if hash[..] != *row.try_get::<&[u8], _>("hash")? {
            return Err(self.contradiction("the hash of the next event does not follow"));
        }
        self.edge.push(entry_hash(&self.entry), &mut self.finished);
        self.reach = Reach { size: header.position, hash };
        Ok(())
    }

    fn contradiction(&self, reason: &str) -> TreeError {
        TreeError::Contradiction { book_id: self.book_id, size: self.reach.size, reason: reason.to_owned() }
    }
}
