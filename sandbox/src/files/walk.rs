//! Walking a workspace by open folders, never by paths, so that a folder swapped for a link leads nowhere.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::path::Path;

use globset::GlobBuilder;
use rustix::fs::{AtFlags, Dir, FileType, Gid, OFlags, Stat, Uid};

use super::error::FileError;
use super::root::{open_beneath, open_root};
use super::{WALK_DEPTH, WALK_ENTRIES};

/// Entries that measuring usage and changing hands look at: the whole of any workspace within its limit.
const TREE_ENTRIES: usize = 2_000_000;
/// Folders inside one another that they enter. Each holds a descriptor open while it is entered.
const TREE_DEPTH: usize = 256;
/// Bytes of one block, in which `stat` counts whatever the file system's own blocks are.
const BLOCK_BYTES: u64 = 512;
/// Entries that one list returns.
const LISTED: usize = 2_000;

/// One thing met on a walk.
pub(crate) struct Entry<'a> {
    /// Path from the root.
    pub(crate) path: &'a str,
    /// Last part of the path.
    pub(crate) name: &'a str,
    /// The open folder it lies in.
    pub(crate) folder: &'a OwnedFd,
    /// What it is, links not followed.
    pub(crate) stat: &'a Stat,
}

/// What a walk could not look at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Walked {
    /// Things looked at.
    pub(crate) entries: usize,
    /// Whether a bound ended it early.
    pub(crate) truncated: bool,
    /// Names that are not UTF-8, and folders that could not be opened.
    pub(crate) skipped: usize,
}

/// One file, folder or link of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Path from the workspace.
    pub path: String,
    /// Whether it is a folder.
    pub folder: bool,
    /// Whether it is a symbolic link, which nothing here follows.
    pub symlink: bool,
    /// Bytes of a file; 0 for a folder.
    pub bytes: u64,
}

/// What a list found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// In the order of their paths.
    pub entries: Vec<Listed>,
    /// Whether there is more than a bound allowed.
    pub truncated: bool,
}

type Visit<'a> = &'a mut dyn FnMut(&Entry<'_>) -> ControlFlow<()>;

/// Lists a workspace; with a glob such as `**/*.rs`, what matches it. `*` stays within one folder.
pub fn list(root: &Path, glob: Option<&str>) -> Result<Listing, FileError> {
    let matcher = glob.map(matcher).transpose()?;
    let mut listing = Listing::default();
    let walked = walk(root, &mut |entry| {
        let folder = FileType::from_raw_mode(entry.stat.st_mode) == FileType::Directory;
        if matcher.as_ref().is_some_and(|matcher| folder || !matcher.is_match(entry.path)) {
            return ControlFlow::Continue(());
        }
        if listing.entries.len() == LISTED {
            listing.truncated = true;
            return ControlFlow::Break(());
        }
        listing.entries.push(Listed {
            path: entry.path.to_owned(),
            folder,
            symlink: FileType::from_raw_mode(entry.stat.st_mode) == FileType::Symlink,
            bytes: if folder { 0 } else { entry.stat.st_size.cast_unsigned() },
        });
        ControlFlow::Continue(())
    })?;
    listing.truncated |= walked.truncated;
    Ok(listing)
}

/// Parses a glob; `*` does not cross folders, `**` does.
pub(crate) fn matcher(glob: &str) -> Result<globset::GlobMatcher, FileError> {
    let glob = glob.strip_prefix("./").unwrap_or(glob);
    let parsed = GlobBuilder::new(glob).literal_separator(true).build();
    parsed.map(|glob| glob.compile_matcher()).map_err(|error| FileError::BadGlob(error.kind().to_string()))
}

/// Visits everything below the root in the order of names, within the bounds.
pub(crate) fn walk(root: &Path, visit: Visit<'_>) -> Result<Walked, FileError> {
    let root = open_root(root)?;
    let mut walker = Walker { visit, bound: WALK_ENTRIES, depth: WALK_DEPTH, walked: Walked::default() };
    let _ = walker.folder(&root, "", 0);
    Ok(walker.walked)
}

/// Bytes that the workspace occupies on disk; a file with several names counts once. A tree too large or too
/// deep to be measured counts as endless, since hiding in the depth must not be a way past the limit.
pub(crate) fn usage(root: &Path) -> Result<u64, FileError> {
    let root = open_root(root)?;
    let (mut blocks, mut seen) = (0_u64, HashSet::new());
    let mut visit = |entry: &Entry<'_>| {
        if entry.stat.st_nlink == 1 || seen.insert(entry.stat.st_ino) {
            blocks += entry.stat.st_blocks.cast_unsigned();
        }
        ControlFlow::Continue(())
    };
    let mut walker = Walker { visit: &mut visit, bound: TREE_ENTRIES, depth: TREE_DEPTH, walked: Walked::default() };
    let _ = walker.folder(&root, "", 0);
    let measured = !walker.walked.truncated;
    Ok(if measured { blocks * BLOCK_BYTES } else { u64::MAX })
}

/// Gives everything to a uid and the group of the same number. The root changes hands last, so that a root
/// that has the uid already means there is nothing left to do.
pub(crate) fn give_tree_to(root: &Path, uid: u32) -> std::io::Result<()> {
    let folder = open_root(root).map_err(std::io::Error::other)?;
    if rustix::fs::fstat(&folder)?.st_uid == uid {
        return Ok(());
    }
    let (owner, group) = (Uid::from_raw(uid), Gid::from_raw(uid));
    let mut failed = None;
    let mut visit = |entry: &Entry<'_>| {
        let result = rustix::fs::chownat(entry.folder, entry.name, Some(owner), Some(group), AtFlags::SYMLINK_NOFOLLOW);
        match result {
            Ok(()) => ControlFlow::Continue(()),
            Err(errno) => {
                failed = Some(errno);
                ControlFlow::Break(())
            }
        }
    };
    let mut walker = Walker { visit: &mut visit, bound: TREE_ENTRIES, depth: TREE_DEPTH, walked: Walked::default() };
    let _ = walker.folder(&folder, "", 0);
    if walker.walked.truncated {
        return Err(std::io::Error::other("the workspace is too large or too deep"));
    }
    if let Some(errno) = failed {
        return Err(errno.into());
    }
    Ok(rustix::fs::fchown(&folder, Some(owner), Some(group))?)
}

struct Walker<'a> {
    visit: Visit<'a>,
    bound: usize,
    depth: usize,
    walked: Walked,
}

impl Walker<'_> {
    fn folder(&mut self, folder: &OwnedFd, prefix: &str, depth: usize) -> ControlFlow<()> {
        for name in self.names(folder) {
            let Ok(stat) = rustix::fs::statat(folder, &name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            if self.walked.entries == self.bound {
                self.walked.truncated = true;
                return ControlFlow::Break(());
            }
            self.walked.entries += 1;
            let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
            (self.visit)(&Entry { path: &path, name: &name, folder, stat: &stat })?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                self.enter(folder, &name, &path, depth)?;
            }
        }
        ControlFlow::Continue(())
    }

    fn enter(&mut self, folder: &OwnedFd, name: &str, path: &str, depth: usize) -> ControlFlow<()> {
        if depth == self.depth {
            self.walked.truncated = true;
            return ControlFlow::Continue(());
        }
        match open_beneath(folder, name, OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(inner) => self.folder(&inner, path, depth + 1),
            Err(_) => {
                self.walked.skipped += 1;
                ControlFlow::Continue(())
            }
        }
    }

    fn names(&mut self, folder: &OwnedFd) -> Vec<String> {
        let Ok(entries) = Dir::read_from(folder) else {
            self.walked.skipped += 1;
            return vec![];
        };
        let mut names = Vec::new();
        for entry in entries.flatten().take(self.bound + 2) {
            match entry.file_name().to_str() {
                Ok("." | "..") => (),
                Ok(name) => names.push(name.to_owned()),
                Err(_) => self.walked.skipped += 1,
            }
        }
        names.sort_unstable();
        names
    }
}
