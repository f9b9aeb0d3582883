//! A path inside a workspace, parsed once at the door. It never holds `..`, a root, a null byte, or nothing.

use std::fmt;

use super::error::FileError;

/// Bytes of a whole path at most.
pub const PATH_BYTES: usize = 4096;
/// Bytes of one part of a path at most.
pub const PATH_PART_BYTES: usize = 255;

/// A relative path in its plainest form: parts joined by `/`, no `.`, no `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkspacePath(String);

impl WorkspacePath {
    /// Parses what a person or a model wrote. `./a//b/` becomes `a/b`.
    pub fn parse(text: &str) -> Result<Self, FileError> {
        if text.contains('\0') {
            return Err(FileError::PathHasNullByte);
        }
        if text.len() > PATH_BYTES {
            return Err(FileError::PathTooLong);
        }
        if text.starts_with('/') {
            return Err(FileError::PathOutsideWorkspace);
        }
        let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        if parts.contains(&"..") {
            return Err(FileError::PathOutsideWorkspace);
        }
        if parts.iter().any(|part| part.len() > PATH_PART_BYTES) {
            return Err(FileError::PathTooLong);
        }
        if parts.is_empty() {
            return Err(FileError::PathEmpty);
        }
        Ok(Self(parts.join("/")))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folder parts, and the last part.
    pub(super) fn split(&self) -> (Option<&str>, &str) {
        match self.0.rsplit_once('/') {
            Some((folder, name)) => (Some(folder), name),
            None => (None, &self.0),
        }
    }
}

impl fmt::Display for WorkspacePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
