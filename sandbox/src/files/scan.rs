//! What a workspace holds at one moment, by content, and what changed between two moments. It never trusts
//! a modification time alone, which the agent can set: the change time and the inode must agree too.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{FileType, OFlags, Stat};
use sha2::{Digest, Sha256};

use super::error::FileError;
use super::root::open_beneath;
use super::walk::{Entry, walk};

/// Bytes read at once when hashing.
const CHUNK_BYTES: usize = 128 * 1024;
/// Times are stamped from a clock that stands still between ticks, so a file changed this shortly before
/// the last scan is hashed again, in nanoseconds.
const TICK_NS: i128 = 20_000_000;

/// SHA-256 of a file's bytes, or of a link's target.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash(pub [u8; 32]);

/// What a scanned path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// An ordinary file.
    File,
    /// A symbolic link; its hash is that of its target's text.
    Symlink,
}

/// One file at the moment of a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileState {
    /// File or link.
    pub kind: FileKind,
    /// Hash of the content.
    pub sha256: ContentHash,
    /// Bytes of the content.
    pub bytes: u64,
    /// Whether its owner may execute it.
    pub executable: bool,
    stamp: Stamp,
}

/// Everything a workspace held at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scan {
    /// Files and links by their path from the workspace.
    pub files: BTreeMap<String, FileState>,
    /// Whether there was more than a bound allowed.
    pub truncated: bool,
    /// Names that are not UTF-8, and files that could not be read.
    pub skipped: usize,
    taken_ns: i128,
}

/// How a file changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// It was not there before.
    Created,
    /// Its content, kind or executability changed.
    Modified,
    /// It is not there now.
    Deleted,
}

/// One file that differs between two scans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Path from the workspace.
    pub path: String,
    /// How it changed.
    pub kind: ChangeKind,
    /// Hash before, unless created.
    pub before: Option<ContentHash>,
    /// Hash after, unless deleted.
    pub after: Option<ContentHash>,
    /// Bytes after; 0 when deleted.
    pub bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified_ns: i128,
    changed_ns: i128,
    inode: u64,
}

/// Scans a workspace, hashing again only what may have changed since `previous`.
#[expect(clippy::disallowed_methods, reason = "compared with the file system's own times, never recorded")]
pub fn scan(root: &Path, previous: Option<&Scan>) -> Result<Scan, FileError> {
    let taken_ns = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos().cast_signed());
    let mut scan = Scan { taken_ns, ..Scan::default() };
    let walked = walk(root, &mut |entry| {
        match FileType::from_raw_mode(entry.stat.st_mode) {
            FileType::RegularFile | FileType::Symlink => match state(entry, previous) {
                Ok(state) => drop(scan.files.insert(entry.path.to_owned(), state)),
                // It went away while we looked; then it is simply not there.
                Err(FileError::FileNotFound) => (),
                Err(_) => scan.skipped += 1,
            },
            _ => (),
        }
        ControlFlow::Continue(())
    })?;
    scan.truncated = walked.truncated;
    scan.skipped += walked.skipped;
    Ok(scan)
}

/// What differs between two scans, in the order of paths.
#[must_use]
pub fn changes(before: &Scan, after: &Scan) -> Vec<Change> {
    let gone = before.files.iter().filter(|(path, _)| !after.files.contains_key(*path)).map(|(path, state)| Change {
        path: path.clone(),
        kind: ChangeKind::Deleted,
        before: Some(state.sha256),
        after: None,
        bytes: 0,
    });
    let here = after.files.iter().filter_map(|(path, state)| {
        let earlier = before.files.get(path);
        if earlier.is_some_and(|earlier| earlier.same_content(state)) {
            return None;
        }
        Some(Change {
            path: path.clone(),
            kind: if earlier.is_some() { ChangeKind::Modified } else { ChangeKind::Created },
            before: earlier.map(|earlier| earlier.sha256),
            after: Some(state.sha256),
            bytes: state.bytes,
        })
    });
    let mut all: Vec<Change> = gone.chain(here).collect();
    all.sort_by(|left, right| left.path.cmp(&right.path));
    all
}

impl Scan {
    /// Bytes of all files together.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.values().map(|state| state.bytes).sum()
    }
}

impl ContentHash {
    /// The hash of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

impl FileState {
    fn same_content(&self, other: &Self) -> bool {
        (self.kind, self.sha256, self.executable) == (other.kind, other.sha256, other.executable)
    }
}

impl Stamp {
    fn of(stat: &Stat) -> Self {
        let join = |seconds: i128, nanoseconds: i128| seconds * 1_000_000_000 + nanoseconds;
        Self {
            modified_ns: join(stat.st_mtime.into(), stat.st_mtime_nsec.into()),
            changed_ns: join(stat.st_ctime.into(), stat.st_ctime_nsec.into()),
            inode: stat.st_ino,
        }
    }
}

fn state(entry: &Entry<'_>, previous: Option<&Scan>) -> Result<FileState, FileError> {
    let (stamp, bytes) = (Stamp::of(entry.stat), entry.stat.st_size.cast_unsigned());
    let kind = match FileType::from_raw_mode(entry.stat.st_mode) {
        FileType::Symlink => FileKind::Symlink,
        _ => FileKind::File,
    };
    let executable = kind == FileKind::File && entry.stat.st_mode & 0o100 != 0;
    let known = previous.and_then(|scan| {
        let known = scan.files.get(entry.path)?;
        let settled = stamp.changed_ns + TICK_NS < scan.taken_ns;
        (settled && known.stamp == stamp && known.bytes == bytes && known.kind == kind).then_some(known.sha256)
    });
    let (sha256, bytes) = match (known, kind) {
        (Some(known), _) => (known, bytes),
        (None, FileKind::File) => hash_file(entry)?,
        (None, FileKind::Symlink) => {
            let target = rustix::fs::readlinkat(entry.folder, entry.name, Vec::new())?;
            (ContentHash::of(target.as_bytes()), target.as_bytes().len() as u64)
        }
    };
    Ok(FileState { kind, sha256, bytes, executable, stamp })
}

/// Hashes as many bytes as the file had when it was met, so that one growing without end is no trap.
fn hash_file(entry: &Entry<'_>) -> Result<(ContentHash, u64), FileError> {
    let file = open_beneath(entry.folder, entry.name, OFlags::RDONLY)?;
    super::root::require_file(&rustix::fs::fstat(&file)?)?;
    let mut file = File::from(file).take(entry.stat.st_size.cast_unsigned());
    let (mut hasher, mut chunk, mut bytes) = (Sha256::new(), vec![0; CHUNK_BYTES], 0);
    loop {
        match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => {
                hasher.update(&chunk[..read]);
                bytes += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
            Err(error) => return Err(error.into()),
        }
    }
    Ok((ContentHash(hasher.finalize().into()), bytes))
}
