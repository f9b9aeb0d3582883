//! Runs the file tools' blocking work off the runtime, and commands in the sandbox. What changes files is
//! never abandoned once begun, so that its outcome is always known.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use super::{Done, Refusal, Status, ToolContext};
use crate::Sink;
use crate::engine::{End, EngineError, Exec, Finished, Stream};

/// Tells work that looks at many files that nobody waits for it any more.
#[derive(Clone, Default)]
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(super) fn asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

struct StopOnDrop(Stop);

/// Does work that only looks; it may be abandoned.
pub(super) async fn look(
    timeout: Duration,
    sink: Sink<'_>,
    cancel: &CancellationToken,
    work: impl FnOnce(&Stop) -> Result<Vec<u8>, Refusal> + Send + 'static,
) -> Result<Done, Refusal> {
    let stop = Stop::default();
    let _stop_on_return = StopOnDrop(stop.clone());
    let result = tokio::select! {
        () = cancel.cancelled() => return Ok(ended(Status::Cancelled)),
        () = tokio::time::sleep(timeout) => return Ok(ended(Status::TimedOut)),
        result = spawn_blocking(move || work(&stop)) => result,
    };
    let output = result.map_err(|_| crashed())??;
    sink(Stream::Stdout, output.clone());
    Ok(Done::succeeded(output))
}

/// Does work that changes a file. A call cancelled before it begins does nothing; one that has begun ends.
pub(super) async fn change(
    sink: Sink<'_>,
    cancel: &CancellationToken,
    work: impl FnOnce() -> Result<String, Refusal> + Send + 'static,
) -> Result<Done, Refusal> {
    if cancel.is_cancelled() {
        return Ok(ended(Status::Cancelled));
    }
    let output = spawn_blocking(work).await.map_err(|_| crashed())??.into_bytes();
    sink(Stream::Stdout, output.clone());
    Ok(Done::succeeded(output))
}

/// A command's end, with both streams in the order in which they came.
pub(super) struct Ran {
    pub(super) finished: Finished,
    pub(super) output: Vec<u8>,
}

/// Runs a command in the sandbox.
pub(super) async fn run(
    context: &ToolContext<'_>,
    exec: Exec,
    sink: Sink<'_>,
    cancel: &CancellationToken,
) -> Result<Ran, Refusal> {
    let missing = "This workspace has no sandbox to run commands in; ask the operator to make one available.";
    let engine = context.engine.ok_or_else(|| Refusal::new("NO_SANDBOX", missing))?;
    let mut output = Vec::new();
    let mut both = |stream, bytes: Vec<u8>| {
        output.extend_from_slice(&bytes);
        sink(stream, bytes);
    };
    match engine.exec(context.spec, exec, &mut both, cancel).await {
        Ok(finished) => Ok(Ran { finished, output }),
        Err(error) => Err(Refusal::new(code(&error), error.to_string())),
    }
}

/// The status that follows from how a command ended.
pub(super) fn status(finished: &Finished) -> Status {
    let failed = |code, message: &str| Status::Failed { code, message: message.to_owned() };
    match finished.end {
        End::Exited => Status::Succeeded,
        End::TimedOut => Status::TimedOut,
        End::Cancelled => Status::Cancelled,
        End::OutOfMemory => failed("OUT_OF_MEMORY", "The command used more memory than the sandbox has."),
        End::OutputLimit => failed("OUTPUT_LIMIT", "The command wrote more output than the sandbox allows."),
        End::DiskLimit => failed("DISK_LIMIT", "The workspace holds more than it may; delete something."),
    }
}

fn code(error: &EngineError) -> &'static str {
    match error {
        EngineError::Launch(_) => "COMMAND_NOT_STARTED",
        EngineError::BadCommand | EngineError::BadWorkingDirectory => super::arguments::BAD_ARGUMENTS,
        EngineError::Unproven | EngineError::ProbeRefused => "SANDBOX_REFUSED",
        EngineError::BubblewrapMissing
        | EngineError::UidMissing
        | EngineError::WorkspaceUnreachable(_)
        | EngineError::UnsupportedProcessor
        | EngineError::Io(_) => "SANDBOX_BROKEN",
    }
}

fn ended(status: Status) -> Done {
    Done { status, ..Done::succeeded(vec![]) }
}

fn crashed() -> Refusal {
    Refusal::new("TOOL_CRASHED", "The tool itself failed; this is a fault of Daybook.")
}
