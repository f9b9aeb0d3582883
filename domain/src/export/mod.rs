//! Exports: a session or a book as lines of JSON that can be checked without a database, and taken in elsewhere.
//!
//! Here is what a line holds, how a file is checked, and what an event becomes when it is taken in. docs/export-format.md
//! describes the same bytes for other programs. Never here: a file, a database; lines come in and go out as bytes.

mod blob;
mod erased;
mod fault;
mod frontier;
mod line;
mod manifest;
mod recording;
mod references;
mod verifier;

pub use blob::{Blob, CHUNK_BYTES, blob_lines};
pub use fault::{Fault, FaultyLine};
pub use frontier::Frontier;
pub use line::{BlobLine, EventLine, Line};
pub use manifest::{Kind, MANIFEST_PREFIX, Manifest, Ties, is_export};
pub use recording::{Closing, Recorded, Recording, RecordingError, Stream, TakenIn, llm_call};
pub use references::{Reference, references};
pub use verifier::{Report, Verifier};

/// The longest line, in bytes. A reader needs this much memory for lines and no more.
pub const MAX_LINE_BYTES: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests;
