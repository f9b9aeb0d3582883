//! The lines after the manifest: events, and the blobs that they refer to.

use serde::{Deserialize, Serialize};

use super::fault::Fault;
use crate::chain::Hash;
use crate::content::Sha256;
use crate::proof::{Leaf, from_hex, to_hex};

/// What every line begins with; its number follows.
const LINE: &[u8] = br#"{"line":"#;
/// What follows on the number in the line of an event.
const EVENT: &[u8] = br#","event":"#;

/// An event: its columns, and what proves it. In a book that is its hash, in a session its inclusion proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventLine {
    /// Which line of the file this is; the manifest is the first.
    pub line: u64,
    /// Header, commitment, salt and payload.
    pub event: Leaf,
    /// Its hash in the chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// The hashes beside the way to the checkpoint's root, the leaf's neighbour first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Vec<String>>,
}

/// A piece of a blob, or the word that it was never kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlobLine {
    /// Which line of the file this is; the manifest is the first.
    pub line: u64,
    /// Its name.
    pub blob: Sha256,
    /// The size of the whole blob; absent where the blob is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Where this piece begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// The piece, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

/// A line after the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// An event.
    Event(Box<EventLine>),
    /// A blob.
    Blob(BlobLine),
}

impl EventLine {
    /// An event of a book.
    pub fn chained(line: u64, event: Leaf, hash: &Hash) -> Self {
        Self { line, event, hash: Some(to_hex(hash)), proof: None }
    }

    /// An event of a session.
    pub fn proven(line: u64, event: Leaf, path: &[Hash]) -> Self {
        Self { line, event, hash: None, proof: Some(path.iter().map(|hash| to_hex(hash)).collect()) }
    }

    /// The line, without its end.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a line holds nothing that JSON cannot")
    }

    /// The chain's hash.
    pub fn hash(&self) -> Result<Hash, Fault> {
        match (&self.hash, &self.proof) {
            (Some(hash), None) => Ok(from_hex(hash)?),
            _ => Err(Fault::Evidence),
        }
    }

    /// The inclusion proof's hashes.
    pub fn path(&self) -> Result<Vec<Hash>, Fault> {
        match (&self.hash, &self.proof) {
            (None, Some(path)) => path.iter().map(|hash| Ok(from_hex(hash)?)).collect(),
            _ => Err(Fault::Evidence),
        }
    }
}

impl Line {
    /// Which line it says that it is.
    pub fn number(&self) -> u64 {
        match self {
            Self::Event(event) => event.line,
            Self::Blob(blob) => blob.line,
        }
    }

    /// Reads a line without its end. Any other spelling than Daybook's is refused, so that every byte counts.
    pub fn parse(line: &[u8]) -> Result<Self, Fault> {
        let spelled = |json: &str, read: Self| if json.as_bytes() == line { Ok(read) } else { Err(Fault::Form) };
        let number = line.strip_prefix(LINE).ok_or(Fault::Form)?;
        let digits = number.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if number[digits..].starts_with(EVENT) {
            let event: EventLine = serde_json::from_slice(line).map_err(|_| Fault::Form)?;
            spelled(&event.to_json(), Self::Event(Box::new(event)))
        } else {
            let blob: BlobLine = serde_json::from_slice(line).map_err(|_| Fault::Form)?;
            spelled(&blob.to_json(), Self::Blob(blob))
        }
    }
}

impl BlobLine {
    /// The line, without its end.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a line holds nothing that JSON cannot")
    }
}
