//! Proofs as files: C2SP tlog-proof for one event, and the body of a C2SP tlog-witness request for consistency.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::checkpoint::{Checkpoint, CheckpointError, number, origin};
use super::consistency::ConsistencyProof;
use super::inclusion::InclusionProof;
use super::key::VerifierKey;
use super::leaf::{Leaf, LeafError};
use super::merkle::ProofError;
use crate::BookId;
use crate::chain::Hash;

/// The first line of a proof that an event is in the log.
pub const PROOF_LINE: &str = "c2sp.org/tlog-proof@v1";
/// What the first line of a consistency proof begins with.
pub const CONSISTENCY_WORD: &str = "old ";
/// A tree of 2^63 leaves is this high; no proof needs more hashes than twice that.
const MOST_HASHES: usize = 126;

/// Why a proof file is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// It is not of the form of its kind.
    #[error("the file is damaged: it does not have the lines of a proof")]
    Form,
    /// Its checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Its event.
    #[error(transparent)]
    Leaf(#[from] LeafError),
    /// The event is not the one at this index, or of another book.
    #[error("the event in the proof is not the one that the proof is about")]
    OtherEvent,
    /// A consistency proof speaks of a checkpoint that it does not hold.
    #[error("the older checkpoint, and no other, is needed to verify this: give it with --checkpoint")]
    OlderCheckpoint,
    /// Its hashes.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

/// That an event is in the log, with everything that is needed to check it but the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofFile {
    /// The leaf's index: the event's position less one.
    pub index: u64,
    /// The hashes beside the way to the root.
    pub path: Vec<Hash>,
    /// The event.
    pub leaf: Leaf,
    /// The signed note of the checkpoint.
    pub note: String,
}

impl ProofFile {
    /// The file's text.
    pub fn to_text(&self) -> String {
        let extra = BASE64_STANDARD.encode(self.leaf.to_json());
        let head = format!("{PROOF_LINE}\nextra {extra}\nindex {}\n", self.index);
        format!("{head}{}\n{}", lines(&self.path), self.note)
    }

    /// Reads a file; nothing of it is to be believed before `verify`.
    pub fn parse(text: &str) -> Result<Self, FileError> {
        let (head, note) = text.split_once("\n\n").ok_or(FileError::Form)?;
        let mut lines = head.split('\n');
        if lines.next() != Some(PROOF_LINE) {
            return Err(FileError::Form);
        }
        let extra = lines.next().and_then(|line| line.strip_prefix("extra ")).ok_or(FileError::Form)?;
        let extra = BASE64_STANDARD.decode(extra).map_err(|_| FileError::Form)?;
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).and_then(number);
        let index = index.ok_or(FileError::Form)?;
        Ok(Self { index, path: hashes(lines)?, leaf: Leaf::from_json(&extra)?, note: note.to_owned() })
    }

    /// Checks signature, leaf and path; answers the checkpoint that it holds against.
    pub fn verify(&self, key: &VerifierKey) -> Result<Checkpoint, FileError> {
        let checkpoint = Checkpoint::open(&self.note, key)?;
        let leaf = self.leaf.hash()?;
        let position = self.index.checked_add(1).and_then(|position| i64::try_from(position).ok());
        if position != Some(self.leaf.position) || origin(BookId::new(self.leaf.book_id)) != checkpoint.origin {
            return Err(FileError::OtherEvent);
        }
        let proof = InclusionProof { index: self.index, size: checkpoint.size, path: self.path.clone() };
        proof.verify(&leaf, &checkpoint.root)?;
        Ok(checkpoint)
    }
}

/// That a newer checkpoint's log begins with an older one's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsistencyFile {
    /// How many leaves the older tree has.
    pub old_size: u64,
    /// The hashes.
    pub path: Vec<Hash>,
    /// The signed note of the newer checkpoint.
    pub note: String,
}

impl ConsistencyFile {
    /// The file's text.
    pub fn to_text(&self) -> String {
        format!("{CONSISTENCY_WORD}{}\n{}\n{}", self.old_size, lines(&self.path), self.note)
    }

    /// Reads a file; nothing of it is to be believed before `verify`.
    pub fn parse(text: &str) -> Result<Self, FileError> {
        let (head, note) = text.split_once("\n\n").ok_or(FileError::Form)?;
        let mut lines = head.split('\n');
        let old_size = lines.next().and_then(|line| line.strip_prefix(CONSISTENCY_WORD)).and_then(number);
        let old_size = old_size.ok_or(FileError::Form)?;
        Ok(Self { old_size, path: hashes(lines)?, note: note.to_owned() })
    }

    /// Checks both signatures and the hashes; answers the newer checkpoint.
    pub fn verify(&self, old_note: &str, key: &VerifierKey) -> Result<Checkpoint, FileError> {
        let (old, new) = (Checkpoint::open(old_note, key)?, Checkpoint::open(&self.note, key)?);
        if old.size != self.old_size {
            return Err(ProofError::OutOfRange.into());
        }
        let proof = ConsistencyProof { old_size: old.size, new_size: new.size, path: self.path.clone() };
        proof.verify(&old.root, &new.root)?;
        Ok(new)
    }
}

fn lines(path: &[Hash]) -> String {
    path.iter().map(|hash| BASE64_STANDARD.encode(hash) + "\n").collect()
}

fn hashes<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Vec<Hash>, FileError> {
    let hash = |line| BASE64_STANDARD.decode(line).ok().and_then(|hash| Hash::try_from(hash).ok());
    let hashes: Vec<Hash> = lines.take(MOST_HASHES + 1).map(hash).collect::<Option<_>>().ok_or(FileError::Form)?;
    if hashes.len() > MOST_HASHES { Err(FileError::Form) } else { Ok(hashes) }
}
