//! What the engine refuses, each in one sentence that says what to do. It never wraps an error to rename it.

use std::io;
use std::path::PathBuf;

/// Why a command was not run. A command that ran and failed is not an error; see [`super::Finished`].
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// No `bwrap` in the search path.
    #[error("The sandbox needs bubblewrap; install it with `apt-get install bubblewrap`.")]
    BubblewrapMissing,
    /// No probe has run yet.
    #[error("The sandbox has not proven itself yet; run the probe first.")]
    Unproven,
    /// The probe found an escape that succeeded.
    #[error("The sandbox refuses to run because its probe found an escape; see the probe's report.")]
    ProbeRefused,
    /// Running as root without a uid to drop to.
    #[error("Running as root needs an unprivileged uid between {first} and {last} for the sandbox.", first = super::FIRST_UID, last = super::LAST_UID)]
    UidMissing,
    /// The workspace is not an absolute folder that the sandbox's uid can reach.
    #[error("The workspace {0} must be an absolute path to a folder whose parents the sandbox's user may enter.")]
    WorkspaceUnreachable(PathBuf),
    /// The working folder leaves the workspace.
    #[error("The working directory must be a relative path inside the workspace without `..`.")]
    BadWorkingDirectory,
    /// A null byte, a bad name or an empty command.
    #[error("A command needs a program, and no argument or variable may hold a null byte or a malformed name.")]
    BadCommand,
    /// bubblewrap ended before the command began; its own words follow.
    #[error("The command could not be started: {0}")]
    Launch(String),
    /// This processor is not one the filters are written for.
    #[error("The sandbox's system call filters support x86_64 and aarch64 only.")]
    UnsupportedProcessor,
    /// The system refused something the launcher needs.
    #[error("The sandbox could not be set up: {0}")]
    Io(#[from] io::Error),
}
