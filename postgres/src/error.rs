//! Why there is no database. Each message is for the person at the terminal: what is wrong, and the way out.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// Why a cluster could not be joined.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// No PostgreSQL on this machine, or only old ones.
    #[error(
        "PostgreSQL {oldest} or later is not installed: run `{install}`, or name the folder of its programs in PG_BINDIR"
    )]
    NotInstalled { oldest: u32, install: &'static str },

    /// `PG_BINDIR` is set to a folder that does not serve.
    #[error("PG_BINDIR names {}, which has no `postgres` and `initdb` of version {oldest} or later", folder.display())]
    BadBindir { folder: PathBuf, oldest: u32 },

    /// The database is of another major version than the programs.
    #[error(
        "the database in {} was made by PostgreSQL {made_by}, which is not installed: install it, or name its folder in PG_BINDIR",
        cluster.display()
    )]
    OtherVersion { cluster: PathBuf, made_by: String },

    /// Started as root, and there is nobody else to be.
    #[error(
        "PostgreSQL must not run as root, and /etc/passwd knows neither `postgres` nor `nobody`: create the user `postgres`"
    )]
    NoAccount,

    /// The user that runs PostgreSQL cannot reach its files.
    #[error(
        "the user `{user}`, who runs PostgreSQL, cannot enter {}: choose another --data, for example /var/lib/daybook, or run `chmod o+x {}`",
        folder.display(), folder.display()
    )]
    Closed { user: String, folder: PathBuf },

    /// Something else lies where the database should be.
    #[error("{} is not empty and holds no database: move it away, or choose another --data", folder.display())]
    NotADatabase { folder: PathBuf },

    /// No folder for the socket.
    #[error("no folder for PostgreSQL's socket can be made: {reasons}")]
    NoRuntimeFolder { reasons: String },

    /// `initdb` or the creation of the database failed.
    #[error("the database could not be created:\n{tail}")]
    NotCreated { tail: String },

    /// The server ended while it was starting.
    #[error("PostgreSQL did not start; the end of {}:\n{tail}", log.display())]
    NotStarted { log: PathBuf, tail: String },

    /// The server neither answered nor ended.
    #[error("PostgreSQL did not answer within {seconds} s; see {}", log.display())]
    TooSlow { seconds: u64, log: PathBuf },

    /// The server ended with an error of its own.
    #[error("PostgreSQL ended by itself ({status}); the lines above say why")]
    EndedByItself { status: ExitStatus },

    /// The server keeps ending.
    #[error("PostgreSQL ended {times} times within a minute; giving up")]
    KeepsEnding { times: usize },

    /// Processes of an earlier server do not go away.
    #[error("an earlier PostgreSQL on this data does not end; its processes are {pids:?}")]
    WillNotEnd { pids: Vec<i32> },

    /// The guard's command was called by somebody else.
    #[error("this command is for Daybook itself: it needs the lock of {} as its standard input", guard.display())]
    NotForPeople { guard: PathBuf },

    /// The system refused something.
    #[error("cannot {action} {}: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
}

/// Says which operation on which path failed: `fs::rename(..).or_cannot("rename", path)?`.
pub(super) trait OrCannot<T> {
    fn or_cannot(self, action: &'static str, path: &Path) -> Result<T, ClusterError>;
}

impl<T> OrCannot<T> for io::Result<T> {
    fn or_cannot(self, action: &'static str, path: &Path) -> Result<T, ClusterError> {
        self.map_err(|source| ClusterError::Io { action, path: path.to_path_buf(), source })
    }
}
