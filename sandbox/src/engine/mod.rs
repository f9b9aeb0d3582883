//! The `process` engine: uid drop, cgroup, resource limits, a keeper that leaves nothing behind, bubblewrap
//! and two seccomp filters.
//!
//! It never runs a command before a probe has held, never falls back to a weaker launcher, and never
//! gives the sandbox a network.

mod bubblewrap;
mod cgroup;
mod error;
mod janitor;
#[expect(unsafe_code, reason = "it is a fork without an exec")]
mod keeper;
mod limits;
mod run;
mod seccomp;
#[expect(unsafe_code, reason = "what happens between fork and exec has no safe form")]
mod spawn;
mod watch;
mod workspace;

#[cfg(test)]
pub(crate) mod tests;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::Sink;
use crate::probe::{ProbeReport, Verdict};

pub use error::EngineError;
pub use limits::{Enforcement, LimitReport, Limits};
pub use workspace::{FIRST_UID, LAST_UID, prepare_workspace, uid_for};

/// Where the interpreter of the probe, and of most test runners, is inside the sandbox.
pub const PYTHON: &str = "/usr/bin/python3";

/// Runs commands in sandboxes of this machine. Cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct ProcessEngine {
    bwrap: PathBuf,
    cgroups: cgroup::Cgroups,
    root: bool,
    filters: seccomp::Filters,
    standing: AtomicU8,
    #[cfg(test)]
    pub(crate) weakness: Option<Weakness>,
}

/// One sandbox: its folder on the host, its limits, and the host uid it runs as.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Absolute folder on the host, seen inside as `/workspace`; see [`prepare_workspace`].
    pub workspace: PathBuf,
    /// What the sandbox may use.
    pub limits: Limits,
    /// Host uid to drop to, from [`uid_for`]. Required when running as root, ignored otherwise.
    pub uid: Option<u32>,
}

/// One command to run in a sandbox.
#[derive(Debug, Clone, Default)]
pub struct Exec {
    /// Program and arguments; no shell is added.
    pub argv: Vec<String>,
    /// Bytes for standard input; `None` gives an empty one.
    pub stdin: Option<Vec<u8>>,
    /// Folder below the workspace to start in.
    pub cwd: Option<String>,
    /// Variables besides `PATH`, `HOME` and `LANG`. Nothing of the host's environment is passed on.
    pub env: Vec<(String, String)>,
    /// Wall time of this command; the sandbox's own wall limit applies when it is shorter or this is zero.
    pub timeout: Duration,
}

/// Which of a command's two output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Why a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// By itself, with whatever exit code.
    Exited,
    /// Killed at its wall time.
    TimedOut,
    /// Killed because the caller cancelled.
    Cancelled,
    /// Killed by the kernel or the watcher at its memory limit.
    OutOfMemory,
    /// Killed when it had written more than its output limit.
    OutputLimit,
    /// Killed when the workspace had grown past its disk limit.
    DiskLimit,
}

/// What a command left behind.
#[derive(Debug, Clone)]
pub struct Finished {
    /// Exit code; 128 + signal when a signal ended it; `None` when it was killed from outside.
    pub exit_code: Option<i32>,
    /// The signal that ended it, read from the exit code as shells do.
    pub signal: Option<i32>,
    /// Why it ended.
    pub end: End,
    /// From the request to the last byte of output.
    pub duration: Duration,
    /// What it wrote to standard output, at most the output limit.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error, at most the output limit together with `stdout`.
    pub stderr: Vec<u8>,
    /// Bytes read from both streams, including what was dropped.
    pub output_bytes: u64,
    /// Whether output was dropped at the limit.
    pub truncated: bool,
}

/// What the probe has said of this engine so far. Stored as a byte, so that reading needs no lock.
#[repr(u8)]
enum Standing {
    Unproven = 0,
    Proven = 1,
    Refused = 2,
}

/// Ways to break the launcher on purpose, so that tests see the probe fail.
#[cfg(test)]
#[derive(Debug, Clone)]
pub(crate) enum Weakness {
    /// Bind this host folder, writable, at its own path.
    BindHost(PathBuf),
    /// Share the host's network namespace.
    ShareNetwork,
    /// Load no seccomp filters.
    NoSeccomp,
    /// Allow many more processes than asked, and use no cgroup.
    LooseLimits,
}

impl ProcessEngine {
    /// Finds bubblewrap and the cgroups of this machine. The engine refuses to run commands until
    /// [`probe_quick`](Self::probe_quick) or [`probe_full`](Self::probe_full) has held.
    pub fn detect() -> Result<Self, EngineError> {
        let bwrap = bubblewrap::find().ok_or(EngineError::BubblewrapMissing)?;
        Ok(Self {
            bwrap,
            cgroups: cgroup::Cgroups::detect(),
            root: rustix::process::geteuid().is_root(),
            filters: seccomp::Filters::build()?,
            standing: AtomicU8::new(Standing::Unproven as u8),
            #[cfg(test)]
            weakness: None,
        })
    }

    /// Each limit, whether it is enforced, watched or absent here, and by what means.
    #[must_use]
    pub fn limits(&self) -> Vec<LimitReport> {
        let means = limits::Means {
            cgroups: self.effective_cgroups(),
            own_uid: self.root,
            limits_inside: spawn::limits_inside(self),
        };
        limits::report(&Limits::default(), &means)
    }

    /// The bubblewrap this engine starts.
    #[must_use]
    pub fn bwrap(&self) -> &Path {
        &self.bwrap
    }

    /// Whether the engine drops to an unprivileged uid, which it does when it runs as root.
    #[must_use]
    pub fn drops_uid(&self) -> bool {
        self.root
    }

    /// Tries the escapes that matter at every start, in under a second, and takes the verdict to heart.
    pub async fn probe_quick(&self) -> ProbeReport {
        let report = crate::probe::quick(self).await;
        self.take_to_heart(&report);
        report
    }

    /// Tries every escape this machine can try, in a few seconds, and takes the verdict to heart.
    pub async fn probe_full(&self) -> ProbeReport {
        let report = crate::probe::full(self).await;
        self.take_to_heart(&report);
        report
    }

    fn take_to_heart(&self, report: &ProbeReport) {
        let standing = match report.verdict() {
            Verdict::Holds => Standing::Proven,
            Verdict::Refused { .. } => Standing::Refused,
        };
        self.standing.store(standing as u8, Ordering::Release);
    }

    /// Runs one command to its end. Dropping the future kills the whole tree.
    pub async fn exec(
        &self,
        spec: &Spec,
        exec: Exec,
        sink: Sink<'_>,
        cancel: &CancellationToken,
    ) -> Result<Finished, EngineError> {
        match self.standing.load(Ordering::Acquire) {
            standing if standing == Standing::Proven as u8 => self.exec_unproven(spec, exec, sink, cancel).await,
            standing if standing == Standing::Refused as u8 => Err(EngineError::ProbeRefused),
            _ => Err(EngineError::Unproven),
        }
    }

    /// As [`exec`](Self::exec), without asking whether the probe held. For the probe alone.
    pub(crate) async fn exec_unproven(
        &self,
        spec: &Spec,
        exec: Exec,
        sink: Sink<'_>,
        cancel: &CancellationToken,
    ) -> Result<Finished, EngineError> {
        run::run(self, spec, exec, sink, cancel).await
    }

    #[cfg(not(test))]
    fn effective_cgroups(&self) -> &cgroup::Cgroups {
        &self.cgroups
    }

    #[cfg(test)]
    fn effective_cgroups(&self) -> &cgroup::Cgroups {
        match self.weakness {
            Some(Weakness::LooseLimits) => &cgroup::NONE,
            _ => &self.cgroups,
        }
    }

    /// An engine that finds no cgroups, as on a machine that delegates none.
    #[cfg(test)]
    pub(crate) fn without_cgroups(mut self) -> Self {
        self.cgroups = cgroup::Cgroups::default();
        self
    }
}
