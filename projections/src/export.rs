//! Writes a session or a range of a book as an export: read page by page, each a short snapshot of its own, under the
//! reader's rights. Needs memory for one page, and for the names of the blobs.

use std::collections::{BTreeSet, HashSet};
use std::io::Write;

use domain::chain::{GENESIS, Header};
use domain::erasure::Named;
use domain::export::{EventLine, Frontier, MAX_LINE_BYTES, Manifest, Reference, Ties, blob_lines, references};
use domain::proof::{Leaf, VerifierKey};
use domain::{BookId, SessionId, Sha256};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use crate::Reader;
use crate::erasure;
use crate::header::{self, hash_in};
use crate::tree::{self, SignedCheckpoint, TreeError};

/// How many events are read at once.
const PAGE: i64 = 1_000;
/// How many positions a snapshot may span at most: a session's events lie far apart.
const RANGE: i64 = 100_000;

/// What to export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Everything of one session that the checkpoint covers.
    Session(SessionId),
    /// A range of positions, both included.
    Book {
        /// From.
        from: i64,
        /// To.
        to: i64,
    },
}

/// Under which checkpoint an export stands, and who wrote it.
#[derive(Debug, Clone, Copy)]
pub struct Seal<'a> {
    /// The checkpoint.
    pub checkpoint: &'a SignedCheckpoint,
    /// The key that verifies it.
    pub key: &'a VerifierKey,
    /// The release that writes the file.
    pub release: &'a str,
}

/// Why an export could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// No proof can be had.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// It cannot be written.
    #[error("it cannot be written: {0}")]
    Write(#[from] std::io::Error),
    /// There is nothing to export.
    #[error("there is no {0}, or nothing of it is covered by a checkpoint yet")]
    NoSession(SessionId),
    /// The range is not in the book.
    #[error("positions {from} to {to} are not in the book: the checkpoint covers 1 to {covered}")]
    Range { from: i64, to: i64, covered: i64 },
    /// The log has a hole.
    #[error("position {0} is missing: `daybook audit verify` says more")]
    Gap(i64),
    /// A blob is gone that nobody erased.
    #[error("{sha256}, to which position {position} refers, is missing")]
    Blob { position: i64, sha256: Sha256 },
    /// An event that no line can hold.
    #[error("the event at position {0} is longer than a line of an export may be")]
    TooLong(i64),
}

/// Writes every line after the manifest to `body`; answers the manifest, which knows how many there are.
pub async fn export(
    reader: &Reader,
    book_id: BookId,
    scope: Scope,
    seal: Seal<'_>,
    body: &mut (impl Write + Send),
) -> Result<Manifest, ExportError> {
    let size = seal.checkpoint.size;
    let mut db = reader.book(book_id).await?;
    let mut manifest = match scope {
        Scope::Session(session_id) => Manifest::session(book_id, session_id, size),
        Scope::Book { from, to } => book(&mut db, book_id, (from, to), size).await?,
    };
    drop(db);
    (manifest.checkpoint, manifest.key) = (seal.checkpoint.note.clone(), seal.key.to_string());
    manifest.daybook = seal.release.to_owned();
    let (from, to) = (manifest.from, manifest.to);
    let mut lines = Lines { book_id, manifest, line: 1, known: HashSet::new(), body };
    let mut after = from - 1;
    while after < to {
        let mut db = reader.book(book_id).await?;
        let until = to.min(after + RANGE);
        let rows = page(&mut db, book_id, scope, after, until).await?;
        let full = i64::try_from(rows.len()).is_ok_and(|read| read == PAGE);
        // Asked after the page was read: what was erased before that is among it, whether or not its bytes are gone.
        let named = erased_in(&mut db, book_id, &rows).await?;
        if let (Scope::Session(_), false) = (scope, rows.is_empty()) {
            let positions: Vec<i64> = rows.iter().map(|row| row.get("position")).collect();
            let proofs = tree::inclusions(&mut db, book_id, &positions, size).await?;
            for (row, proof) in rows.iter().zip(proofs) {
                lines.event(&mut db, row, &named, |line, leaf| EventLine::proven(line, leaf, &proof.path)).await?;
            }
        } else {
            for (row, position) in rows.iter().zip(after + 1..) {
                if row.get::<i64, _>("position") != position {
                    return Err(ExportError::Gap(position));
                }
                let hash = hash_in(row, "hash")?;
                lines.event(&mut db, row, &named, |line, leaf| EventLine::chained(line, leaf, &hash)).await?;
            }
        }
        after = match rows.last() {
            Some(last) if full => last.get("position"),
            _ => until,
        };
    }
    let manifest = lines.manifest;
    let whole = u64::try_from(to - from + 1).expect("a range is not negative");
    match scope {
        Scope::Session(session_id) if manifest.events == 0 => Err(ExportError::NoSession(session_id)),
        Scope::Book { .. } if manifest.events < whole => {
            Err(ExportError::Gap(from + i64::try_from(manifest.events).expect("as many as positions")))
        }
        _ => Ok(manifest),
    }
}

/// What was erased of the sessions of a page.
async fn erased_in(db: &mut PgConnection, book_id: BookId, rows: &[PgRow]) -> sqlx::Result<Named> {
    let sessions: BTreeSet<Uuid> = rows.iter().filter_map(|row| row.get("session_id")).collect();
    erasure::named_of(db, book_id, &Vec::from_iter(sessions)).await
}

/// The manifest of a range: what stands before it, and that it is part of the checkpoint's tree.
async fn book(
    db: &mut PgConnection,
    book_id: BookId,
    (from, to): (i64, i64),
    covered: i64,
) -> Result<Manifest, ExportError> {
    if from < 1 || to < from || to > covered {
        return Err(ExportError::Range { from, to, covered });
    }
    let previous = match from {
        1 => GENESIS,
        from => {
            let row = sqlx::query("SELECT hash FROM events WHERE book_id = $1 AND position = $2")
                .bind(book_id.uuid())
                .bind(from - 1)
                .fetch_optional(&mut *db)
                .await?;
            hash_in(&row.ok_or(ExportError::Gap(from - 1))?, "hash")?
        }
    };
    let size = u64::try_from(from - 1).expect("it is not negative");
    let places: Vec<(u32, u64)> = Frontier::places(size).collect();
    let before = Frontier::new(size, tree::subtrees(db, book_id, &places).await?).expect("there is one for each place");
    let consistency = tree::consistency(db, book_id, to, covered).await?.path;
    Ok(Manifest::book(book_id, (from, to), &Ties { previous, before, consistency }))
}

/// The next events above a position, up to another.
async fn page(
    db: &mut PgConnection,
    book_id: BookId,
    scope: Scope,
    after: i64,
    until: i64,
) -> sqlx::Result<Vec<PgRow>> {
    let (session, session_id) = match scope {
        Scope::Session(session_id) => ("AND session_id = $5", Some(session_id.uuid())),
        Scope::Book { .. } => ("AND $5::uuid IS NULL", None),
    };
    let sql = format!(
        "SELECT {}, commitment, hash, salt, payload::text AS payload FROM events \
         WHERE book_id = $1 AND position > $2 AND position <= $3 {session} ORDER BY position LIMIT $4",
        header::COLUMNS
    );
    sqlx::query(&sql).bind(book_id.uuid()).bind(after).bind(until).bind(PAGE).bind(session_id).fetch_all(db).await
}

/// Salt and payload of an event; neither where it counts as erased.
fn content<'r>(
    row: &'r PgRow,
    header: &Header<'_>,
    named: &Named,
) -> sqlx::Result<(Option<&'r [u8]>, Option<&'r str>)> {
    let erased = named.contains(header.session_id, header.position);
    if erased { Ok((None, None)) } else { Ok((row.try_get("salt")?, row.try_get("payload")?)) }
}

/// Lines as they are written.
struct Lines<'w, W> {
    book_id: BookId,
    manifest: Manifest,
    /// The last line that was written.
    line: u64,
    known: HashSet<Sha256>,
    body: &'w mut W,
}

impl<W: Write> Lines<'_, W> {
    /// Writes an event, and before it the blobs that it is the first to refer to, in the order of their names.
    async fn event(
        &mut self,
        db: &mut PgConnection,
        row: &PgRow,
        named: &Named,
        proven: impl FnOnce(u64, Leaf) -> EventLine,
    ) -> Result<(), ExportError> {
        let header = header::header(self.book_id, row)?;
        let (salt, payload) = content(row, &header, named)?;
        for (sha256, reference) in references(payload.unwrap_or_default()) {
            if self.known.insert(sha256) {
                self.blob(db, header.position, sha256, reference).await?;
            }
        }
        let leaf = Leaf::new(&header, &hash_in(row, "commitment")?, salt.zip(payload));
        let line = proven(self.line + 1, leaf).to_json();
        if line.len() >= MAX_LINE_BYTES {
            return Err(ExportError::TooLong(header.position));
        }
        self.manifest.events += 1;
        self.manifest.erased += u64::from(payload.is_none());
        self.write(&line)
    }

    async fn blob(
        &mut self,
        db: &mut PgConnection,
        position: i64,
        sha256: Sha256,
        reference: Reference,
    ) -> Result<(), ExportError> {
        let row = sqlx::query("SELECT content FROM blobs WHERE book_id = $1 AND sha256 = $2")
            .bind(self.book_id.uuid())
            .bind(&sha256.0[..])
            .fetch_optional(db)
            .await?;
        let content: Option<&[u8]> = row.as_ref().map(|row| row.try_get("content")).transpose()?;
        match content {
            Some(_) => self.manifest.blobs += 1,
            None if reference.kept => return Err(ExportError::Blob { position, sha256 }),
            None => self.manifest.absent += 1,
        }
        blob_lines(self.line + 1, sha256, content).try_for_each(|line| self.write(&line.to_json()))
    }

    fn write(&mut self, line: &str) -> Result<(), ExportError> {
        self.line += 1;
        self.body.write_all(line.as_bytes())?;
        Ok(self.body.write_all(b"\n")?)
    }
}
