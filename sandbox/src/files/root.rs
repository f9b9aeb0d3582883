//! Opening beneath a root. It never resolves a link, and never blocks on opening.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags, Stat, openat2};
use rustix::io::Errno;

use super::error::FileError;

/// How often an open is repeated when the kernel saw a rename race and could not tell.
const RACE_TRIES: u32 = 16;
/// Mode of folders that a write makes.
const FOLDER_MODE: u32 = 0o755;

/// Opens the workspace folder itself. It is the host's own choice, so its parents may hold links.
pub(super) fn open_root(root: &Path) -> Result<OwnedFd, FileError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    Ok(rustix::fs::open(root, flags, Mode::empty())?)
}

/// Opens `path` beneath `folder`, for reading unless the flags say otherwise.
pub(super) fn open_beneath<P: rustix::path::Arg + Copy>(
    folder: impl AsFd,
    path: P,
    flags: OFlags,
) -> Result<OwnedFd, FileError> {
    // NO_SYMLINKS refuses a last link too, and says so; NOFOLLOW would call it "not a directory".
    let flags = flags | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let mut result = Err(Errno::AGAIN);
    for _ in 0..RACE_TRIES {
        result = openat2(&folder, path, flags, Mode::empty(), resolve);
        if !matches!(result, Err(Errno::AGAIN | Errno::INTR)) {
            break;
        }
    }
    Ok(result?)
}

/// Opens the folder that holds the last part of a path.
pub(super) fn open_folder(root: &OwnedFd, folder: Option<&str>) -> Result<OwnedFd, FileError> {
    open_beneath(root, folder.unwrap_or("."), OFlags::RDONLY | OFlags::DIRECTORY)
}

/// As [`open_folder`], making the folders that are missing and giving them to the workspace's owner.
pub(super) fn make_folder(root: &OwnedFd, folder: Option<&str>) -> Result<OwnedFd, FileError> {
    let mut current = open_folder(root, None)?;
    let owner = Owner::of(root)?;
    for part in folder.into_iter().flat_map(|folder| folder.split('/')) {
        match rustix::fs::mkdirat(&current, part, Mode::from_raw_mode(FOLDER_MODE)) {
            Ok(()) => {
                let made = open_folder(&current, Some(part))?;
                owner.give(&made)?;
                current = made;
            }
            Err(Errno::EXIST) => current = open_folder(&current, Some(part))?,
            Err(other) => return Err(other.into()),
        }
    }
    Ok(current)
}

/// The workspace's owner, whom new files are given to when the host is root.
pub(super) struct Owner {
    uid: rustix::fs::Uid,
    gid: rustix::fs::Gid,
}

impl Owner {
    pub(super) fn of(root: &OwnedFd) -> Result<Self, FileError> {
        let stat = rustix::fs::fstat(root)?;
        Ok(Self { uid: rustix::fs::Uid::from_raw(stat.st_uid), gid: rustix::fs::Gid::from_raw(stat.st_gid) })
    }

    pub(super) fn give(&self, file: &OwnedFd) -> Result<(), FileError> {
        if rustix::process::geteuid().is_root() {
            rustix::fs::fchown(file, Some(self.uid), Some(self.gid))?;
        }
        Ok(())
    }
}

/// Refuses everything but an ordinary file.
pub(super) fn require_file(stat: &Stat) -> Result<(), FileError> {
    use rustix::fs::FileType;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(()),
        FileType::Directory => Err(FileError::IsDirectory),
        FileType::Symlink => Err(FileError::SymlinkRefused),
        _ => Err(FileError::NotAFile),
    }
}
