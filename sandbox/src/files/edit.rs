//! Replacing one exact piece of text. It never guesses: the text occurs exactly once or nothing changes.

use std::path::Path;

use super::error::FileError;
use super::root::{open_folder, open_root};
use super::write::{Existing, Written, replace};
use super::{READ_BYTES, WRITE_BYTES, WorkspacePath, read_beneath};

/// Replaces `old`, which must occur exactly once, by `new`. At most [`WRITE_BYTES`] bytes of new text.
pub fn edit(root: &Path, path: &WorkspacePath, old: &str, new: &str) -> Result<Written, FileError> {
    if old.is_empty() {
        return Err(FileError::EditEmpty);
    }
    if new.len() > WRITE_BYTES {
        return Err(FileError::FileTooLarge { bytes: new.len() as u64, limit: WRITE_BYTES as u64 });
    }
    let root = open_root(root)?;
    let (folder, name) = path.split();
    let folder = open_folder(&root, folder)?;
    let existing = Existing::open(&folder, name)?.ok_or(FileError::FileNotFound)?;
    let text = String::from_utf8(read_beneath(&folder, name, READ_BYTES)?).map_err(|_| FileError::NotText)?;
    match text.matches(old).count() {
        0 => Err(FileError::EditNotFound),
        1 => replace(&root, &folder, name, text.replacen(old, new, 1).as_bytes(), Some(&existing)),
        count => Err(FileError::EditAmbiguous { count }),
    }
}
