//! What can be wrong with an export, and in which line.

use uuid::Uuid;

use super::MAX_LINE_BYTES;
use crate::content::Sha256;
use crate::proof::{CheckpointError, LeafError, ProofError};

/// The first line of an export that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct FaultyLine {
    /// 1 and up.
    pub line: u64,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// More than [`MAX_LINE_BYTES`].
    #[error("it is longer than {MAX_LINE_BYTES} bytes")]
    TooLong,
    /// No line feed at its end.
    #[error("it is cut off: the file ends within it")]
    CutOff,
    /// No manifest.
    #[error("it is not the manifest of a Daybook export")]
    NoManifest,
    /// A manifest of a later release.
    #[error("the format has version {0}, which this release does not know")]
    Version(u64),
    /// A manifest that contradicts itself.
    #[error("the manifest contradicts itself: {0}")]
    Manifest(&'static str),
    /// The manifest's checkpoint.
    #[error("the checkpoint does not hold: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The manifest's verifier key.
    #[error("the verifier key cannot be read: {0}")]
    Key(#[from] crate::proof::KeyError),
    /// Neither an event nor a blob as Daybook writes them.
    #[error("it is neither an event nor a blob as Daybook writes them")]
    Form,
    /// A line out of turn.
    #[error("it says that it is line {0}")]
    OutOfTurn(u64),
    /// An event of another book or session.
    #[error("the event belongs to another {0} than the manifest says")]
    Elsewhere(&'static str),
    /// An event whose payload is not what was committed to.
    #[error(transparent)]
    Leaf(#[from] LeafError),
    /// A position out of turn.
    #[error("position {got} stands where {expected} should")]
    Position {
        /// The least that could stand there; the only one in a book.
        expected: i64,
        /// What stands there.
        got: i64,
    },
    /// A position above the last one.
    #[error("position {0} is above the last one that the manifest names")]
    Beyond(i64),
    /// A sequence out of turn.
    #[error("sequence {got} of stream {stream_id} stands where {expected} should")]
    Sequence {
        /// The stream.
        stream_id: Uuid,
        /// The least that could stand there.
        expected: i64,
        /// What stands there.
        got: i64,
    },
    /// A broken chain.
    #[error("its hash does not follow on the hash before it")]
    Chain,
    /// No proof, or a hash too many.
    #[error("it does not carry what events of this kind of export carry")]
    Evidence,
    /// A wrong inclusion proof.
    #[error("its inclusion proof does not hold: {0}")]
    Inclusion(ProofError),
    /// The events are not those under the checkpoint.
    #[error("the events are not those that the checkpoint signs: {0}")]
    Root(ProofError),
    /// A blob whose content is another.
    #[error("{0} has another content than its name says")]
    BlobContent(Sha256),
    /// A piece of a blob out of turn.
    #[error("a piece of {0} is missing, doubled or out of turn")]
    BlobPiece(Sha256),
    /// A blob that is not there.
    #[error("{0} is missing from here on: the next event refers to it")]
    BlobMissing(Sha256),
    /// A blob that should not be there.
    #[error("{0} does not belong here: the next event does not refer to it, or it is there already")]
    BlobStray(Sha256),
    /// Fewer lines than the manifest says.
    #[error("the export ends too early: {got} of {expected} {what} are there")]
    Count {
        /// Of what.
        what: &'static str,
        /// How many the manifest says.
        expected: u64,
        /// How many there are.
        got: u64,
    },
    /// More lines than the manifest says.
    #[error("it is one line more than the manifest says")]
    TooMany,
    /// A payload that is gone without a word.
    #[error("the payload of position {0} is gone, and no event of the export says that it was erased")]
    Unexplained(i64),
    /// The digest is not that of the file.
    #[error("the digest in the manifest is not that of the bytes that follow it")]
    Digest,
}

impl Fault {
    /// Whether it is about blobs.
    pub(super) fn is_of_blobs(&self) -> bool {
        matches!(self, Self::BlobContent(_) | Self::BlobPiece(_) | Self::BlobMissing(_) | Self::BlobStray(_))
    }
}
