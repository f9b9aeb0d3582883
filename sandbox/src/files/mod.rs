//! Everything the host does with workspace files. It never follows a symbolic link, never leaves the root,
//! never blocks on a pipe that an agent left in a file's place, and never leaves a file half-written.
//!
//! Every open goes through `openat2` with RESOLVE_BENEATH, NO_SYMLINKS and NO_MAGICLINKS, so that what is
//! checked is what is opened, whatever the agent does meanwhile. All calls block; run them off the runtime.

mod edit;
mod error;
mod patch;
mod path;
mod read;
mod root;
mod scan;
mod walk;
mod write;

#[cfg(test)]
mod tests;

pub use edit::edit;
pub use error::FileError;
pub use patch::{Patch, patch};
pub use path::{PATH_BYTES, PATH_PART_BYTES, WorkspacePath};
pub use read::{Content, Range, read};
pub use scan::{Change, ChangeKind, ContentHash, FileKind, FileState, Scan, changes, scan};
pub use walk::{Listed, Listing, list};
pub use write::{Mode, Written, delete, write};

pub(crate) use read::read_beneath;
pub(crate) use walk::{Entry, give_tree_to, matcher, usage, walk};

/// Bytes that one write or edit may bring: 512 KiB.
pub const WRITE_BYTES: usize = 512 * 1024;
/// Bytes that one read may bring, and that a file may have for append and edit: 8 MiB.
pub const READ_BYTES: u64 = 8 * 1024 * 1024;
/// Entries that a scan or a list looks at.
pub const WALK_ENTRIES: usize = 50_000;
/// Folders inside one another that a scan or a list enters.
pub const WALK_DEPTH: usize = 64;
/// Text above this many bytes gets no diff: 1 MiB.
pub const PATCH_BYTES: usize = 1024 * 1024;
