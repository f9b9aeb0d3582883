//! Writing and deleting. A file is replaced whole, by a temporary file beside it and a rename, so that
//! nobody ever sees half of it. It never writes through a link and never replaces anything but a file.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, FlockOperation, Mode as FileMode, OFlags, Stat};
use rustix::io::Errno;

use super::error::FileError;
use super::root::{Owner, make_folder, open_beneath, open_folder, open_root, require_file};
use super::{READ_BYTES, WRITE_BYTES, WorkspacePath, read_beneath};

/// Mode of files that a write makes.
const NEW_FILE_MODE: u32 = 0o644;
/// Bits kept of the replaced file's mode; never set-uid, set-gid or sticky.
const KEPT_MODE: u32 = 0o777;
/// How often another name is tried for the temporary file.
const NAME_TRIES: u32 = 16;

static NEXT: AtomicU64 = AtomicU64::new(0);

/// How a write treats what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Replace it.
    Write,
    /// Add to its end.
    Append,
}

/// What a write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Whether there was no file before.
    pub created: bool,
    /// Bytes the file has now.
    pub bytes: u64,
}

/// Writes a file, making its folders. At most [`WRITE_BYTES`] bytes; keeps the file's mode.
pub fn write(root: &Path, path: &WorkspacePath, bytes: &[u8], mode: Mode) -> Result<Written, FileError> {
    if bytes.len() > WRITE_BYTES {
        return Err(FileError::FileTooLarge { bytes: bytes.len() as u64, limit: WRITE_BYTES as u64 });
    }
    let root = open_root(root)?;
    let (folder, name) = path.split();
    let folder = make_folder(&root, folder)?;
    let existing = Existing::open(&folder, name)?;
    let whole = match (mode, &existing) {
        (Mode::Append, Some(_)) => {
            let mut whole = read_beneath(&folder, name, READ_BYTES)?;
            whole.extend_from_slice(bytes);
            whole
        }
        _ => bytes.to_vec(),
    };
    replace(&root, &folder, name, &whole, existing.as_ref())
}

/// Deletes a file or a link itself; never a folder, never what a link points to.
pub fn delete(root: &Path, path: &WorkspacePath) -> Result<(), FileError> {
    let root = open_root(root)?;
    let (folder, name) = path.split();
    let folder = open_folder(&root, folder)?;
    match rustix::fs::unlinkat(&folder, name, AtFlags::empty()) {
        // Linux says EISDIR; POSIX says EPERM.
        Err(Errno::ISDIR | Errno::PERM) => Err(FileError::IsDirectory),
        other => Ok(other?),
    }
}

/// The file that is about to be replaced, open and locked.
pub(super) struct Existing {
    _locked: OwnedFd,
    mode: u32,
}

impl Existing {
    /// Opens and locks the file, if there is one. A lock that another process holds is honoured.
    pub(super) fn open(folder: &OwnedFd, name: &str) -> Result<Option<Self>, FileError> {
        let stat: Stat = match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(None),
            other => other?,
        };
        require_file(&stat)?;
        let file = open_beneath(folder, name, OFlags::RDONLY)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => return Err(FileError::FileLocked),
            other => other?,
        }
        Ok(Some(Self { _locked: file, mode: stat.st_mode & KEPT_MODE }))
    }
}

/// Puts `bytes` in the file's place.
pub(super) fn replace(
    root: &OwnedFd,
    folder: &OwnedFd,
    name: &str,
    bytes: &[u8],
    existing: Option<&Existing>,
) -> Result<Written, FileError> {
    let (temporary, file) = temporary(folder)?;
    let fill = || -> Result<(), FileError> {
        let mode = existing.map_or(NEW_FILE_MODE, |existing| existing.mode);
        Owner::of(root)?.give(&file)?;
        rustix::fs::fchmod(&file, FileMode::from_raw_mode(mode))?;
        File::from(file).write_all(bytes)?;
        Ok(rustix::fs::renameat(folder, &temporary, folder, name)?)
    };
    fill().inspect_err(|_| {
        // The write has failed already; a temporary file that stays is the smaller harm.
        let _ = rustix::fs::unlinkat(folder, &temporary, AtFlags::empty());
    })?;
    Ok(Written { created: existing.is_none(), bytes: bytes.len() as u64 })
}

fn temporary(folder: &OwnedFd) -> Result<(String, OwnedFd), FileError> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut last = Errno::EXIST;
    for _ in 0..NAME_TRIES {
        let name = format!(".daybook-{}-{}.tmp", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        match rustix::fs::openat(folder, &name, flags, FileMode::from_raw_mode(0o600)) {
            Ok(file) => return Ok((name, file)),
            Err(errno) => last = errno,
        }
        if last != Errno::EXIST {
            break;
        }
    }
    Err(last.into())
}
