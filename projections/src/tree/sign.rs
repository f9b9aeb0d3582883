//! Signs the tree of a book as it is, unless anything that is known contradicts it: the log's head, the newest
//! checkpoint in the database, and the newest one that this data folder signed.

use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use domain::BookId;
use domain::chain::Hash;
use domain::proof::{Checkpoint, CheckpointKey, VerifierKey, origin, root_of_tiles};
use sqlx::postgres::PgPool;
use sqlx::{Acquire, PgConnection};
use tempfile::NamedTempFile;

use super::store::{self, Reach, SignedCheckpoint};
use super::{TreeError, prove};
use crate::header::hash_in;

/// The folder of the newest checkpoints beside the key.
pub const KEPT_FOLDER: &str = "checkpoints";

/// A key, and the newest checkpoint of each book that was signed with it, in a folder outside the database. Whoever
/// rewrites the database with its checkpoints, but not this folder, is found out.
pub struct Signer {
    key: CheckpointKey,
    folder: PathBuf,
}

impl Signer {
    /// A signer that keeps its newest checkpoints in a folder, which need not be there yet.
    pub fn new(key: CheckpointKey, folder: PathBuf) -> Self {
        Self { key, folder }
    }

    /// The key.
    pub fn key(&self) -> &CheckpointKey {
        &self.key
    }

    /// The public key under a book's name.
    pub fn verifier(&self, book_id: BookId) -> VerifierKey {
        self.key.verifier(&origin(book_id)).expect("a key of one's own, under the name of a book")
    }

    /// Where the newest checkpoint of a book is kept.
    pub fn kept_file(&self, book_id: BookId) -> PathBuf {
        self.folder.join(format!("{}.checkpoint", book_id.uuid()))
    }

    /// The newest checkpoint of a book that was signed here.
    pub fn kept(&self, book_id: BookId) -> std::io::Result<Option<String>> {
        match std::fs::read_to_string(self.kept_file(book_id)) {
            Ok(note) => Ok(Some(note)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps a checkpoint in place of the one before. A loss of power leaves one of the two.
    fn keep(&self, book_id: BookId, note: &str) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        let mut fresh = NamedTempFile::new_in(&self.folder)?;
        fresh.write_all(note.as_bytes())?;
        fresh.as_file().sync_all()?;
        fresh.persist(self.kept_file(book_id))?;
        std::fs::File::open(&self.folder)?.sync_all()
    }
}

/// Signs the tree of a book; answers its newest checkpoint, which is an older one where the tree has not grown.
pub(super) async fn sign(
    pool: &PgPool,
    signer: &Signer,
    book_id: BookId,
) -> Result<Option<SignedCheckpoint>, TreeError> {
    let mut db = pool.acquire().await?;
    let mut tx = db.begin().await?;
    store::take(&mut tx, book_id, true).await?;
    let reach = store::reach(&mut tx, book_id).await?;
    if reach.size == 0 {
        return Ok(None);
    }
    let before = store::latest(&mut tx, book_id).await?;
    let tree = Tree { book_id, reach };
    tree.agrees_with_log(&mut tx).await?;
    if let Some(before) = &before {
        tree.continues(&mut tx, before.size, &before.root, "the newest checkpoint in the database").await?;
        if before.size == reach.size && Checkpoint::open(&before.note, &signer.verifier(book_id)).is_ok() {
            return Ok(Some(before.clone()));
        }
    }
    if let Some(note) = signer.kept(book_id)? {
        let kept = Checkpoint::open(&note, &signer.verifier(book_id));
        let kept =
            kept.map_err(|error| tree.contradiction(&format!("{}: {error}", signer.kept_file(book_id).display())))?;
        let size = i64::try_from(kept.size).unwrap_or(i64::MAX);
        tree.continues(&mut tx, size, &kept.root, "the newest checkpoint in the data folder").await?;
    }
    let root = store::edge(&mut tx, book_id, reach.size).await?.root();
    let checkpoint = Checkpoint { origin: origin(book_id), size: reach.size.unsigned_abs(), root };
    let note = checkpoint.sign(&signer.key)?;
    // Before the commit: what was given to somebody must be known here ever after. The log itself is durable.
    signer.keep(book_id, &note)?;
    if let Some(before) = before.filter(|before| before.size == reach.size) {
        // Another data folder's key was faster. One signature per size is stored; ours holds all the same.
        return Ok(Some(SignedCheckpoint { note, ..before }));
    }
    let signed = store::write_checkpoint(&mut tx, book_id, reach.size, &root, &note).await?;
    tx.commit().await?;
    Ok(Some(signed))
}

/// A tree that asks to be signed.
struct Tree {
    book_id: BookId,
    reach: Reach,
}

impl Tree {
    /// The log has the event that the tree ends with, at or below its head.
    async fn agrees_with_log(&self, db: &mut PgConnection) -> Result<(), TreeError> {
        let (head, head_hash) = crate::feed::head(db, self.book_id).await?;
        let row = sqlx::query("SELECT hash FROM events WHERE book_id = $1 AND position = $2")
            .bind(self.book_id.uuid())
            .bind(self.reach.size)
            .fetch_optional(db)
            .await?;
        let last = row.as_ref().map(|row| hash_in(row, "hash")).transpose()?;
        if head < self.reach.size || last.is_none() {
            return Err(self.contradiction("the log is shorter than its tree"));
        }
        if last != Some(self.reach.hash) || (head == self.reach.size && head_hash[..] != self.reach.hash[..]) {
            return Err(self.contradiction("the log's last event is not the one that the tree ends with"));
        }
        Ok(())
    }

    /// The tree begins with what was signed before.
    async fn continues(&self, db: &mut PgConnection, size: i64, root: &Hash, what: &str) -> Result<(), TreeError> {
        if size > self.reach.size {
            return Err(self.contradiction(&format!("{what} covers {size} events")));
        }
        let size = size.unsigned_abs();
        let tiles = prove::tiles_of(db, self.book_id, |node| domain::proof::root(size, node).map(|_| ())).await?;
        if root_of_tiles(size, &tiles).map_err(TreeError::Tile)? != *root {
            return Err(self.contradiction(&format!("{what} has another root for the first {size} events")));
        }
        Ok(())
    }

    fn contradiction(&self, reason: &str) -> TreeError {
        TreeError::Contradiction { book_id: self.book_id, size: self.reach.size, reason: reason.to_owned() }
    }
}
