//! Checkpoints: how many leaves the tree of a book has and what their root is, signed.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::key::{CheckpointKey, KeyError, VerifierKey};
use super::note::{self, NoteError, SignedNote};
use crate::BookId;
use crate::chain::Hash;

/// What the first line of a book's checkpoint begins with.
const ORIGIN: &str = "daybook/";

/// Why a checkpoint is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The note around it.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Its text has another form.
    #[error("this is not a checkpoint: an origin, a size and a root, one line each")]
    Form,
    /// It is of another log than the key.
    #[error("the checkpoint is of another book than the key")]
    Origin,
    /// It is not the one that was kept elsewhere.
    #[error("the checkpoint is not the one that was kept: a consistency proof says whether one goes on from the other")]
    Other,
}

/// What a tree is at a size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// How many leaves it has.
    pub size: u64,
    /// Their root.
    pub root: Hash,
}

/// The name of a book in checkpoints and keys.
pub fn origin(book_id: BookId) -> String {
    format!("{ORIGIN}{}", book_id.uuid())
}

/// The book that an origin names.
pub fn book_of(name: &str) -> Option<BookId> {
    let book_id = BookId::new(uuid::Uuid::try_parse(name.strip_prefix(ORIGIN)?).ok()?);
    // A UUID can be written in several ways; a book has one name.
    (origin(book_id) == name).then_some(book_id)
}

impl Checkpoint {
    /// The signed note.
    pub fn sign(&self, key: &CheckpointKey) -> Result<String, KeyError> {
        let text = format!("{}\n{}\n{}\n", self.origin, self.size, BASE64_STANDARD.encode(self.root));
        note::sign(&text, &self.origin, key)
    }

    /// Reads a note that this key signed.
    pub fn open(note: &str, key: &VerifierKey) -> Result<Self, CheckpointError> {
        let checkpoint = Self::parse(SignedNote::parse(note)?.verify(key)?)?;
        if checkpoint.origin == key.name() { Ok(checkpoint) } else { Err(CheckpointError::Origin) }
    }

    /// Reads a note without asking who signed it.
    pub fn unverified(note: &str) -> Result<Self, CheckpointError> {
        Self::parse(SignedNote::parse(note)?.unverified_text())
    }

    fn parse(text: &str) -> Result<Self, CheckpointError> {
        let lines: Vec<&str> = text.strip_suffix('\n').ok_or(CheckpointError::Form)?.split('\n').collect();
        let [origin, size, root] = lines[..] else { return Err(CheckpointError::Form) };
        let root = BASE64_STANDARD.decode(root).ok().and_then(|root| Hash::try_from(root).ok());
        match (origin.is_empty(), number(size), root) {
            (false, Some(size), Some(root)) => Ok(Self { origin: origin.to_owned(), size, root }),
            _ => Err(CheckpointError::Form),
        }
    }
}

/// A number in its only spelling: no sign, no leading zero.
pub(super) fn number(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}
