//! Where everything of one data directory lies.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::{ClusterError, OrCannot};
use crate::os;

/// Root's data directory must be passable for the user that runs PostgreSQL; an ordinary user's need not be.
const ROOT_DATA_MODE: u32 = 0o711;
const USER_DATA_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// The log is set aside at the next start once it is larger.
const LOG_LIMIT_BYTES: u64 = 16 << 20;
/// How much of the log's end an error shows.
const TAIL_LINES: usize = 20;
const TAIL_BYTES: u64 = 16 << 10;

/// The paths of one data directory.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    data: PathBuf,
    name: String,
}

impl Layout {
    /// Creates the data directory when it is missing.
    pub(super) fn open(data: &Path) -> Result<Layout, ClusterError> {
        let mode = if os::user_id() == 0 { ROOT_DATA_MODE } else { USER_DATA_MODE };
        DirBuilder::new().recursive(true).mode(mode).create(data).or_cannot("create", data)?;
        let data = data.canonicalize().or_cannot("find", data)?;
        let metadata = fs::metadata(&data).or_cannot("read", &data)?;
        let mut hash = Fnv::new();
        hash.add(data.as_os_str().as_encoded_bytes());
        // Two containers may use the same path for different disks and share /tmp.
        hash.add(&metadata.dev().to_le_bytes());
        hash.add(&metadata.ino().to_le_bytes());
        let name = format!("daybook-{:016x}", hash.0);
        Ok(Layout { data, name })
    }

    /// The data directory itself, absolute.
    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    /// A name that no other data directory on this machine has.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn cluster(&self) -> PathBuf {
        self.data.join("postgres")
    }

    /// Where the database is while it is being created.
    pub(super) fn unfinished(&self) -> PathBuf {
        self.data.join("postgres.new")
    }

    pub(super) fn guard(&self) -> PathBuf {
        self.data.join("postgres.guard")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.data.join("postgres.log")
    }

    pub(super) fn users(&self) -> PathBuf {
        self.data.join("postgres.users")
    }

    /// Opens a lock file of ours. Each call is a new open file, and thus a holder of its own.
    pub(super) fn open_lock(&self, path: &Path) -> Result<File, ClusterError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE);
        options.open(path).or_cannot("open", path)
    }

    /// Sets a large log aside, in the place of the one before. To be done while no server writes to it.
    pub(super) fn turn_log(&self) -> Result<(), ClusterError> {
        let path = self.log();
        if fs::metadata(&path).is_ok_and(|log| log.len() > LOG_LIMIT_BYTES) {
            fs::rename(&path, path.with_extension("log.1")).or_cannot("rename", &path)?;
        }
        Ok(())
    }

    /// Opens the log for appending.
    pub(super) fn open_log(&self) -> Result<File, ClusterError> {
        let path = self.log();
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(FILE_MODE);
        options.open(&path).or_cannot("open", &path)
    }

    /// The last lines of the log after byte `from`; an unreadable log has none.
    pub(super) fn log_tail(&self, from: u64) -> String {
        let read = || -> std::io::Result<Vec<u8>> {
            let mut file = File::open(self.log())?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(from.min(length).max(length.saturating_sub(TAIL_BYTES))))?;
            let mut bytes = Vec::new();
            file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        last_lines(&String::from_utf8_lossy(&read().unwrap_or_default()))
    }
}

/// The last lines of a program's output.
pub(super) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

/// FNV-1a, 64 bits: the same in every build, unlike the standard library's hasher. It names, it does not protect.
struct Fnv(u64);

impl Fnv {
    fn new() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
