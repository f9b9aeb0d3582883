//! What file operations refuse, each with a stable code and one sentence that says what is allowed.

use std::io;

/// Why a file operation was refused. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Absolute, or with `..`, or resolved to something outside.
    #[error("The path must be relative and stay inside the workspace, without `..`.")]
    PathOutsideWorkspace,
    /// A null byte in the path.
    #[error("The path must not contain a null byte.")]
    PathHasNullByte,
    /// No path at all.
    #[error("The path must name a file inside the workspace; it is empty.")]
    PathEmpty,
    /// Too long as a whole or in one part.
    #[error("The path may have at most 4096 bytes, and 255 in each part.")]
    PathTooLong,
    /// A symbolic link somewhere in the path.
    #[error("Symbolic links are not followed; name the file itself.")]
    SymlinkRefused,
    /// More bytes than a read, write or edit may have.
    #[error("The limit is {limit} bytes and this has {bytes}; work in smaller parts.")]
    FileTooLarge {
        /// Bytes there were.
        bytes: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// Nothing at that path.
    #[error("There is no file at this path; list the files to see what there is.")]
    FileNotFound,
    /// The exact text is not in the file.
    #[error("The old text does not occur in the file; it must match exactly, with its spaces and line ends.")]
    EditNotFound,
    /// The exact text is in the file more than once.
    #[error("The old text occurs {count} times; it must occur exactly once, so include more of what surrounds it.")]
    EditAmbiguous {
        /// How often it occurs.
        count: usize,
    },
    /// Empty old text.
    #[error("The old text must not be empty; to create a file, write it.")]
    EditEmpty,
    /// Not UTF-8.
    #[error("The file is not UTF-8 text; read it as base64.")]
    NotText,
    /// A folder where a file must be.
    #[error("The path is a directory; name a file in it.")]
    IsDirectory,
    /// A file where a folder must be.
    #[error("A part of the path is a file, not a directory.")]
    NotADirectory,
    /// A pipe, socket or device.
    #[error("Only ordinary files can be read and written.")]
    NotAFile,
    /// Another process holds a lock on the file.
    #[error("The file is locked by another process; try again when it is done.")]
    FileLocked,
    /// A glob that cannot be parsed.
    #[error("The glob is malformed: {0}")]
    BadGlob(String),
    /// Part of a file was asked for that ends before it begins.
    #[error("The range must begin before it ends and inside the file.")]
    BadRange,
    /// The system refused.
    #[error("The file system refused: {0}")]
    Io(io::Error),
}

impl FileError {
    /// The stable code, for callers that must tell refusals apart.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::PathOutsideWorkspace => "PATH_OUTSIDE_WORKSPACE",
            Self::PathHasNullByte => "PATH_HAS_NULL_BYTE",
            Self::PathEmpty => "PATH_EMPTY",
            Self::PathTooLong => "PATH_TOO_LONG",
            Self::SymlinkRefused => "SYMLINK_REFUSED",
            Self::FileTooLarge { .. } => "FILE_TOO_LARGE",
            Self::FileNotFound => "FILE_NOT_FOUND",
            Self::EditNotFound => "EDIT_NOT_FOUND",
            Self::EditAmbiguous { .. } => "EDIT_AMBIGUOUS",
            Self::EditEmpty => "EDIT_EMPTY",
            Self::NotText => "NOT_TEXT",
            Self::IsDirectory => "IS_DIRECTORY",
            Self::NotADirectory => "NOT_A_DIRECTORY",
            Self::NotAFile => "NOT_A_FILE",
            Self::FileLocked => "FILE_LOCKED",
            Self::BadGlob(_) => "BAD_GLOB",
            Self::BadRange => "BAD_RANGE",
            Self::Io(_) => "FILE_IO",
        }
    }
}

impl From<rustix::io::Errno> for FileError {
    fn from(errno: rustix::io::Errno) -> Self {
        use rustix::io::Errno;
        match errno {
            Errno::NOENT => Self::FileNotFound,
            Errno::LOOP => Self::SymlinkRefused,
            Errno::XDEV => Self::PathOutsideWorkspace,
            Errno::ISDIR => Self::IsDirectory,
            Errno::NOTDIR => Self::NotADirectory,
            Errno::NAMETOOLONG => Self::PathTooLong,
            // A pipe without a reader or a socket, opened for writing.
            Errno::NXIO => Self::NotAFile,
            other => Self::Io(other.into()),
        }
    }
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(code) => rustix::io::Errno::from_raw_os_error(code).into(),
            None => Self::Io(error),
        }
    }
}
