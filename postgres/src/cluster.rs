//! A share in the cluster, as the rest of the program sees it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{ClusterError, OrCannot};
use crate::layout::Layout;
use crate::os::{self, Hold};
use crate::probe::{self, Answer, DATABASE};
use crate::start::{Started, Starter};
use crate::watch::Watcher;

/// This very image, also when the file it came from has been replaced or removed since.
const OWN_IMAGE: &str = "/proc/self/exe";
/// How often a newcomer asks; a session costs the server about two milliseconds.
const POLL: Duration = Duration::from_millis(20);
/// From the start of the guard to the first sign of the server.
const START_LIMIT: Duration = Duration::from_secs(60);
/// With everything that may take long: creating on a slow disk, replaying gigabytes of log after a crash.
const PATIENT_LIMIT: Duration = Duration::from_secs(15 * 60);
/// The guard's own limits for stopping end before this.
const USERS_LIMIT: Duration = Duration::from_secs(90);
/// A stop shorter than this is not worth a word.
const SILENCE: Duration = Duration::from_millis(500);

/// A share in the private PostgreSQL of a data directory. The server runs for as long as anybody has one.
#[derive(Debug)]
pub struct Cluster {
    folder: PathBuf,
    // Dropped in this order: a watcher must not outlive our claim to a server.
    _watcher: Watcher,
    _users: File,
}

impl Cluster {
    /// Joins the cluster of this data directory, and starts or creates it when needed. Blocks until the server
    /// answers. The program's `main` must call [`guard_main`](crate::guard_main) when its first argument is
    /// [`GUARD_COMMAND`](crate::GUARD_COMMAND).
    pub fn join(data: &Path, progress: impl Fn(&str)) -> Result<Cluster, ClusterError> {
        Cluster::join_through(Path::new(OWN_IMAGE), data, progress)
    }

    /// As [`join`](Cluster::join), for a program whose own `main` is not ours, such as a test: `program` is run as the guard.
    pub fn join_through(program: &Path, data: &Path, progress: impl Fn(&str)) -> Result<Cluster, ClusterError> {
        let layout = Layout::open(data)?;
        let users = hold_users_lock(&layout, &progress)?;
        let starter = Starter::new(layout, program);
        let (folder, started) = wait_until_ready(&starter, &progress)?;
        Ok(Cluster { folder, _watcher: Watcher::start(starter, started.map(|started| started.guard)), _users: users })
    }

    /// The connection URL.
    pub fn url(&self) -> String {
        let mut host = String::new();
        for byte in self.folder.as_os_str().as_encoded_bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => host.push(char::from(*byte)),
                _ => host.push_str(&format!("%{byte:02X}")),
            }
        }
        format!("postgres://{DATABASE}@localhost/{DATABASE}?host={host}")
    }

    /// Lets go. The server stops when nobody else uses it. Dropping does the same.
    pub fn leave(self) {}
}

/// Declares this process a user. Waits while a guard is stopping the server.
fn hold_users_lock(layout: &Layout, progress: &dyn Fn(&str)) -> Result<File, ClusterError> {
    let path = layout.users();
    let users = layout.open_lock(&path)?;
    let begun = Instant::now();
    let mut told = false;
    while !os::try_lock(&users, Hold::Shared).or_cannot("lock", &path)? {
        if begun.elapsed() > USERS_LIMIT {
            return Err(too_slow(layout, USERS_LIMIT));
        }
        if begun.elapsed() > SILENCE && !told {
            progress("Waiting for PostgreSQL to stop before it starts again…");
            told = true;
        }
        thread::park_timeout(POLL);
    }
    Ok(users)
}

/// Asks until the server answers, and starts it when nobody else does.
fn wait_until_ready(starter: &Starter, progress: &dyn Fn(&str)) -> Result<(PathBuf, Option<Started>), ClusterError> {
    let layout = starter.layout();
    let begun = Instant::now();
    let mut last_sign = begun;
    let mut started = None;
    let mut told = false;
    loop {
        refuse_failed_guard(layout, started.as_mut())?;
        if let Some(guard) = starter.try_start(progress)? {
            // We have its lock, so the one before has ended, or is about to.
            let mut before = started.replace(guard);
            if let Some(before) = &mut before {
                before.guard.wait().or_cannot("wait for", &layout.guard())?;
            }
            refuse_failed_guard(layout, before.as_mut())?;
            last_sign = Instant::now();
        }
        if let Some(folder) = starter.folder() {
            match probe::ask(&folder) {
                Answer::Ready => return Ok((folder, started)),
                Answer::NotYet => last_sign = Instant::now(),
                Answer::Nothing => {}
            }
        }
        if layout.unfinished().exists() {
            last_sign = Instant::now();
        }
        if last_sign.elapsed() > START_LIMIT || begun.elapsed() > PATIENT_LIMIT {
            return Err(too_slow(layout, begun.elapsed()));
        }
        if begun.elapsed() > START_LIMIT && !told {
            progress("PostgreSQL is still recovering from an unclean stop; this may take minutes…");
            told = true;
        }
        thread::park_timeout(POLL);
    }
}

/// A guard that gave up has said why. One that was killed is replaced in the next round.
fn refuse_failed_guard(layout: &Layout, started: Option<&mut Started>) -> Result<(), ClusterError> {
    let Some(started) = started else {
        return Ok(());
    };
    let status = started.guard.try_wait().or_cannot("wait for", &layout.guard())?;
    match status.and_then(|status| status.code()) {
        None | Some(0) => Ok(()),
        Some(_) => Err(ClusterError::NotStarted { log: layout.log(), tail: layout.log_tail(started.log_start) }),
    }
}

fn too_slow(layout: &Layout, waited: Duration) -> ClusterError {
    ClusterError::TooSlow { seconds: waited.as_secs(), log: layout.log() }
}
