//! The first line of an export: what it is of, how much, and under which checkpoint.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::fault::Fault;
use super::frontier::Frontier;
use crate::chain::{GENESIS, Hash};
use crate::proof::{Checkpoint, ConsistencyProof, VerifierKey, from_hex, origin, to_hex};
use crate::{BookId, SessionId};

/// What every export begins with. The digest follows: 64 hexadecimal digits, the SHA-256 of every byte after them.
pub const MANIFEST_PREFIX: &str = r#"{"format":"daybook-export","version":1,"sha256":""#;
/// What a file of any version of the format begins with.
const ANY_VERSION: &str = r#"{"format":"daybook-export","version":"#;
/// The name of the format.
const FORMAT: &str = "daybook-export";
/// The version of the format.
const VERSION: u64 = 1;
/// The length of a digest in hexadecimal digits.
const DIGEST_DIGITS: usize = 64;

/// What an export is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The events of one session.
    Session,
    /// All events of a book in a range of positions.
    Book,
}

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub(super) format: String,
    pub(super) version: u64,
    pub(super) sha256: String,
    /// What it is of.
    pub kind: Kind,
    /// The book.
    pub book_id: Uuid,
    /// The session, in the export of one.
    pub session_id: Option<Uuid>,
    /// The first position that could be in it.
    pub from: i64,
    /// The last position that could be in it.
    pub to: i64,
    /// How many events are in it.
    pub events: u64,
    /// How many of them have no payload any more.
    pub erased: u64,
    /// How many blobs are in it.
    pub blobs: u64,
    /// How many blobs are named that were never kept.
    pub absent: u64,
    /// In a book, the hash of the event before the first one.
    pub(super) previous: Option<String>,
    /// In a book, the complete subtrees of the events before the first one, the largest first.
    pub(super) frontier: Option<Vec<String>>,
    /// In a book, the hashes that prove its last event's tree to be the beginning of the checkpoint's.
    pub(super) consistency: Option<Vec<String>>,
    /// The checkpoint: a signed note.
    pub checkpoint: String,
    /// The key that verifies the checkpoint. Whoever wrote the file chose it; compare it with the one you know.
    pub key: String,
    /// The release that wrote the file.
    pub daybook: String,
    /// The SHA-256 of this line between the digest and this member, so that damage to it is not taken for damage to
    /// the lines that it speaks of.
    pub(super) line_sha256: String,
}

/// How the line ends before its own digest is in it.
const BLANK_END: &str = r#","line_sha256":""}"#;

/// What ties the events of a book to its checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ties {
    /// The hash of the event before the first one.
    pub previous: Hash,
    /// The tree of the events before the first one.
    pub before: Frontier,
    /// That the tree of its last event is the beginning of the checkpoint's.
    pub consistency: Vec<Hash>,
}

impl Manifest {
    /// The manifest of a session's events up to a position.
    pub fn session(book_id: BookId, session_id: SessionId, to: i64) -> Self {
        Self { session_id: Some(session_id.uuid()), ..Self::blank(Kind::Session, book_id, (1, to)) }
    }

    /// The manifest of a range of a book, and what ties it to its checkpoint.
    pub fn book(book_id: BookId, range: (i64, i64), ties: &Ties) -> Self {
        let texts = |hashes: &[Hash]| Some(hashes.iter().map(|hash| to_hex(hash)).collect());
        Self {
            previous: Some(to_hex(&ties.previous)),
            frontier: texts(ties.before.subtrees()),
            consistency: texts(&ties.consistency),
            ..Self::blank(Kind::Book, book_id, range)
        }
    }

    fn blank(kind: Kind, book_id: BookId, (from, to): (i64, i64)) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            sha256: String::new(),
            kind,
            book_id: book_id.uuid(),
            session_id: None,
            from,
            to,
            events: 0,
            erased: 0,
            blobs: 0,
            absent: 0,
            previous: None,
            frontier: None,
            consistency: None,
            checkpoint: String::new(),
            key: String::new(),
            daybook: String::new(),
            line_sha256: String::new(),
        }
    }

    /// The line and its end in the two parts that a writer needs: what stands before the digest, and what stands after
    /// it and is digested together with all lines that follow.
    pub fn around_digest(&self) -> (&'static str, String) {
        let (format, sha256, line_sha256) = (FORMAT.to_owned(), String::new(), String::new());
        let line = serde_json::to_string(&Self { format, version: VERSION, sha256, line_sha256, ..self.clone() });
        let line = line.expect("a manifest holds nothing that JSON cannot");
        let after = line.strip_prefix(MANIFEST_PREFIX).expect("the first members are format, version and digest");
        let covered = after.strip_suffix(BLANK_END).expect("the last member is the line's own digest");
        let own = to_hex(&Sha256::digest(covered));
        (MANIFEST_PREFIX, format!("{covered},\"line_sha256\":\"{own}\"}}\n"))
    }

    /// Reads the first line of a file, without its end. Any other spelling than Daybook's is refused.
    pub fn parse(line: &[u8]) -> Result<Self, Fault> {
        if let Some(rest) = line.strip_prefix(ANY_VERSION.as_bytes())
            && !line.starts_with(MANIFEST_PREFIX.as_bytes())
        {
            let digits: String = rest.iter().take_while(|b| b.is_ascii_digit()).map(|b| char::from(*b)).collect();
            return Err(digits.parse().map_or(Fault::NoManifest, Fault::Version));
        }
        let manifest: Self = serde_json::from_slice(line).map_err(|_| Fault::NoManifest)?;
        let (before, after) = manifest.around_digest();
        let spelled = [before, &manifest.sha256, after.trim_end_matches('\n')].concat();
        if spelled.as_bytes() != line || manifest.sha256.len() != DIGEST_DIGITS {
            return Err(Fault::Manifest(
                "its own digest is another, or it is spelled otherwise than Daybook spells it",
            ));
        }
        manifest.consistent().map_err(Fault::Manifest)?;
        Ok(manifest)
    }

    fn consistent(&self) -> Result<(), &'static str> {
        let ties = [self.previous.is_some(), self.frontier.is_some(), self.consistency.is_some()];
        let book = self.kind == Kind::Book;
        if ties != [book; 3] || self.session_id.is_some() == book {
            return Err("it has members that belong to another kind of export");
        }
        if self.from < 1 || self.to < self.from || (!book && self.from != 1) {
            return Err("its range is none");
        }
        let range = u64::try_from(self.to - self.from + 1).map_err(|_| "its range is none")?;
        if self.events == 0 || self.events > range || (book && self.events != range) || self.erased > self.events {
            return Err("its range has another number of events");
        }
        Ok(())
    }

    /// The digest of every byte of the file that follows it.
    pub fn digest(&self) -> Result<Hash, Fault> {
        from_hex(&self.sha256).map_err(|_| Fault::NoManifest)
    }

    /// How much of the first line stands before what is digested, in bytes.
    pub const fn undigested() -> usize {
        MANIFEST_PREFIX.len() + DIGEST_DIGITS
    }

    /// What ties the events of a book to its checkpoint.
    pub fn ties(&self) -> Result<Ties, Fault> {
        let wrong = Fault::Manifest("its hashes are none, or not as many as its range needs");
        let hashes = |texts: &Option<Vec<String>>| -> Option<Vec<Hash>> {
            texts.iter().flatten().map(|text| from_hex(text).ok()).collect()
        };
        let previous = self.previous.as_deref().and_then(|text| from_hex(text).ok());
        let before = u64::try_from(self.from - 1).ok().and_then(|size| Frontier::new(size, hashes(&self.frontier)?));
        match (previous, before, hashes(&self.consistency)) {
            (Some(previous), Some(before), Some(consistency)) if self.from > 1 || previous == GENESIS => {
                Ok(Ties { previous, before, consistency })
            }
            _ => Err(wrong),
        }
    }

    /// The checkpoint, if this key signed it, or the one that the file itself names.
    pub fn checkpoint(&self, key: Option<&VerifierKey>) -> Result<(Checkpoint, VerifierKey), Fault> {
        let own: VerifierKey = self.key.parse()?;
        let key = key.cloned().unwrap_or(own);
        let checkpoint = Checkpoint::open(&self.checkpoint, &key)?;
        let size = i64::try_from(checkpoint.size).unwrap_or(i64::MAX);
        if checkpoint.origin != origin(BookId::new(self.book_id)) {
            return Err(Fault::Manifest("its checkpoint is of another book"));
        }
        let whole = self.kind == Kind::Session;
        if self.to > size || (whole && self.to != size) {
            return Err(Fault::Manifest("its checkpoint is of another size"));
        }
        Ok((checkpoint, key))
    }

    /// Whether the tree of the last event is the beginning of the checkpoint's.
    pub(super) fn ends(&self, tree: &Frontier, ties: &Ties, checkpoint: &Checkpoint) -> Result<(), Fault> {
        let path = ties.consistency.clone();
        let proof = ConsistencyProof { old_size: tree.size(), new_size: checkpoint.size, path };
        proof.verify(&tree.root(), &checkpoint.root).map_err(Fault::Root)
    }
}

/// Whether a file that begins so is an export, of whatever version.
pub fn is_export(beginning: &[u8]) -> bool {
    beginning.starts_with(ANY_VERSION.as_bytes())
}
