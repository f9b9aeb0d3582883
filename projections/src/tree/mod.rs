//! The Merkle tree of each book, kept in tiles after the append, its signed checkpoints, and proofs from both.
//!
//! One follower at a time extends a tree, whatever processes there are: it holds a lock of the database within each of
//! its short transactions and nothing in between, so the next one goes on at once when a process dies. It looks once a
//! second and is not woken by appends: a tree matters at its checkpoints, and writing its right edge anew for every
//! batch would cost the appends more than it gives. Whoever wants a proof now extends the tree first.

mod extend;
mod prove;
mod sign;
mod store;
mod verify;

pub use prove::{consistency, inclusions, subtrees};
pub use sign::{KEPT_FOLDER, Signer};
pub use store::{SignedCheckpoint, latest, read_leaf};
pub(crate) use verify::Check;
pub use verify::{Expected, Protection};

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::BookId;
use domain::proof::{CheckpointKey, KeyError, TileId};
use sqlx::Row;
use sqlx::postgres::{PgPool, PgRow};

use extend::{Step, Turn};

/// How often the follower looks whether a book has grown.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How old the newest checkpoint of a book that has grown may become, in seconds.
const SIGN_EVERY_SECONDS: f64 = 300.0;
/// How many events may come after the newest checkpoint before the next one.
const SIGN_EVERY_EVENTS: i64 = 10_000;

/// Why a tree could not be extended, signed, or asked for a proof.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// The log is not the one that the tree was made of.
    #[error("the tree of {book_id} stops at {size}: {reason}; `daybook audit verify` says more")]
    Contradiction { book_id: BookId, size: i64, reason: String },
    /// A tile that a proof needs is not there.
    #[error("tile {} of level {} is missing or too short; `daybook audit verify` says more", .0.index, .0.level)]
    Tile(TileId),
    /// A book's name cannot be signed under.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The last checkpoint could not be kept outside the database.
    #[error("the checkpoint could not be kept in the data folder: {0}")]
    Keep(#[from] std::io::Error),
    /// Nothing can be signed or proven of it.
    #[error("{0} has no events yet")]
    Empty(BookId),
}

/// Extends the trees of all books and signs them. Cheap to clone.
#[derive(Clone)]
pub struct Follower {
    pool: PgPool,
    signer: Arc<Signer>,
    /// What is wrong with which book, so that it is said once and not at every look.
    told: Arc<Mutex<HashMap<BookId, String>>>,
}

impl Follower {
    /// A follower that signs with this key.
    pub fn new(pool: PgPool, signer: Signer) -> Self {
        Self { pool, signer: Arc::new(signer), told: Arc::default() }
    }

    /// The key that it signs with.
    pub fn key(&self) -> &CheckpointKey {
        self.signer.key()
    }

    /// The signer.
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// Runs until the process ends.
    pub async fn run(self) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            if let Err(error) = self.look().await {
                tracing::warn!(%error, "the trees of the log could not be looked at; trying again");
            }
        }
    }

    /// Extends what has grown, and signs what is due. A book that is in another process's hands is left to it.
    pub async fn look(&self) -> Result<(), TreeError> {
        for book in self.grown().await?.iter().filter(|book| book.behind || book.due) {
            // A book with a fault does not keep the others waiting.
            let fault = self.follow(book.book_id, book.due).await.err().map(|error| error.to_string());
            self.tell(book.book_id, fault);
        }
        Ok(())
    }

    fn tell(&self, book_id: BookId, fault: Option<String>) {
        let mut told = self.told.lock().expect("no holder panics");
        match fault {
            Some(fault) if told.get(&book_id) == Some(&fault) => {}
            Some(fault) => {
                tracing::error!(%fault, "the tree of a book is not extended or signed");
                told.insert(book_id, fault);
            }
            None => drop(told.remove(&book_id)),
        }
    }

    async fn follow(&self, book_id: BookId, due: bool) -> Result<(), TreeError> {
        loop {
            match extend::next_range(&self.pool, book_id, Turn::IfFree).await? {
                Step::More => {}
                // Whoever is at it signs as well.
                Step::Taken => return Ok(()),
                Step::Done => break,
            }
        }
        if due {
            sign::sign(&self.pool, &self.signer, book_id).await?;
        }
        Ok(())
    }

    /// Brings a book's tree up to its head and signs it, unless the newest checkpoint says the same already.
    pub async fn sign_now(&self, book_id: BookId) -> Result<SignedCheckpoint, TreeError> {
        while extend::next_range(&self.pool, book_id, Turn::Wait).await? == Step::More {}
        sign::sign(&self.pool, &self.signer, book_id).await?.ok_or(TreeError::Empty(book_id))
    }

    /// Signs every book that has grown since its newest checkpoint.
    pub async fn sign_all(&self) -> Result<(), TreeError> {
        for book in self.grown().await? {
            self.sign_now(book.book_id).await?;
        }
        Ok(())
    }

    /// The books with events above their newest checkpoint, whether their tree is behind, and whether the next
    /// checkpoint is due. A first one always is.
    async fn grown(&self) -> sqlx::Result<Vec<Grown>> {
        let rows = sqlx::query(
            "SELECT h.book_id, h.position > coalesce(t.size, 0) AS behind, \
               c.size IS NULL OR h.position - c.size >= $1 OR extract(epoch FROM now() - c.signed_at) >= $2 AS due \
             FROM book_heads h LEFT JOIN trees t ON t.book_id = h.book_id \
             LEFT JOIN LATERAL (SELECT size, signed_at FROM signed_checkpoints s \
               WHERE s.book_id = h.book_id ORDER BY size DESC LIMIT 1) c ON true \
             WHERE h.position > coalesce(c.size, 0) ORDER BY h.book_id",
        )
        .bind(SIGN_EVERY_EVENTS)
        .bind(SIGN_EVERY_SECONDS)
        .fetch_all(&self.pool)
        .await?;
        let grown = |row: PgRow| Grown {
            book_id: BookId::new(row.get("book_id")),
            behind: row.get("behind"),
            due: row.get("due"),
        };
        Ok(rows.into_iter().map(grown).collect())
    }
}

/// A book with events above its newest checkpoint.
struct Grown {
    book_id: BookId,
    behind: bool,
    due: bool,
}
