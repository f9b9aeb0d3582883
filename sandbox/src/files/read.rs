//! Reading a file, whole or in part. It never reads more than its limit.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::OFlags;

use super::error::FileError;
use super::root::{open_beneath, open_root, require_file};
use super::{READ_BYTES, WorkspacePath};

/// Part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// First byte, from 0.
    pub offset: u64,
    /// Bytes at most.
    pub length: u64,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// The bytes of the range, or of the whole file.
    pub bytes: Vec<u8>,
    /// Bytes of the whole file.
    pub file_bytes: u64,
}

/// Reads a file, or the part of it that the range names; at most [`READ_BYTES`] bytes.
pub fn read(root: &Path, path: &WorkspacePath, range: Option<Range>) -> Result<Content, FileError> {
    let root = open_root(root)?;
    read_at(&root, path.as_str(), range, READ_BYTES)
}

/// Reads a whole file of at most `limit` bytes by one name in an open folder.
pub(crate) fn read_beneath(folder: impl AsFd, name: &str, limit: u64) -> Result<Vec<u8>, FileError> {
    read_at(folder, name, None, limit).map(|content| content.bytes)
}

fn read_at(folder: impl AsFd, path: &str, range: Option<Range>, limit: u64) -> Result<Content, FileError> {
    let (mut file, file_bytes) = open_file(folder, path)?;
    let range = range.unwrap_or(Range { offset: 0, length: file_bytes });
    if range.offset > file_bytes {
        return Err(FileError::BadRange);
    }
    let length = range.length.min(file_bytes - range.offset);
    if length > limit {
        return Err(FileError::FileTooLarge { bytes: length, limit });
    }
    file.seek(SeekFrom::Start(range.offset))?;
    let mut bytes = Vec::new();
    // The file may grow while it is read; what was asked for is still the bound.
    file.take(length).read_to_end(&mut bytes)?;
    Ok(Content { bytes, file_bytes })
}

fn open_file(folder: impl AsFd, path: &str) -> Result<(File, u64), FileError> {
    let file: OwnedFd = open_beneath(folder, path, OFlags::RDONLY)?;
    let stat = rustix::fs::fstat(&file)?;
    require_file(&stat)?;
    Ok((File::from(file), stat.st_size.cast_unsigned()))
}
