//! The tools an agent may call, one file each. They never run anything outside the sandbox, and touch files
//! only through [`crate::files`].

mod arguments;
mod bash;
mod bound;
mod edit_file;
mod host_side;
mod list_files;
mod read_file;
mod run_tests;
mod search_files;
mod write_file;

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::Sink;
use crate::engine::{ProcessEngine, Spec};
use crate::files::FileError;

pub use bound::{SEEN_BYTES, bounded};
pub use run_tests::{TestFailure, TestReport};

/// What a model is told of a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToolSpec {
    /// Name it is called by.
    pub name: &'static str,
    /// What it does, for the model.
    pub description: &'static str,
    /// JSON schema of its arguments.
    pub schema: &'static str,
    /// Wall time of one call.
    pub timeout: Duration,
}

/// Where a tool works.
#[derive(Debug, Clone, Copy)]
pub struct ToolContext<'a> {
    /// Runs commands; without one, tools that run something fail and file tools still work.
    pub engine: Option<&'a ProcessEngine>,
    /// The workspace and its limits.
    pub spec: &'a Spec,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// The tool did its work; a command it ran may still have a non-zero exit code.
    Succeeded,
    /// The tool could not do its work.
    Failed {
        /// Stable code.
        code: &'static str,
        /// One sentence that says what is allowed or what to do.
        message: String,
    },
    /// It ran out of wall time.
    TimedOut,
    /// The caller cancelled.
    Cancelled,
}

/// What a call gave.
#[derive(Debug, Clone)]
pub struct ToolOutcome {
    /// How it ended.
    pub status: Status,
    /// Exit code of the command, where there was one that ended.
    pub exit_code: Option<i32>,
    /// What the model sees, at most [`SEEN_BYTES`] bytes and the marker of what was cut.
    pub output: String,
    /// All output there was, within the output limit.
    pub full_output: Vec<u8>,
    /// Counts and failures, from `run_tests`.
    pub tests: Option<TestReport>,
    /// From call to outcome.
    pub duration: Duration,
}

/// Why a tool could not do its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    code: &'static str,
    message: String,
}

/// What a tool leaves for [`call`] to complete.
struct Done {
    status: Status,
    exit_code: Option<i32>,
    full_output: Vec<u8>,
    /// What the model sees, bounded already, when it is not simply the output.
    seen: Option<String>,
    tests: Option<TestReport>,
}

static CATALOGUE: [ToolSpec; 7] = [
    bash::SPEC,
    read_file::SPEC,
    write_file::SPEC,
    edit_file::SPEC,
    list_files::SPEC,
    search_files::SPEC,
    run_tests::SPEC,
];

/// Every tool there is.
#[must_use]
pub fn catalogue() -> &'static [ToolSpec] {
    &CATALOGUE
}

/// Calls a tool by its name. Output goes to the sink as it comes; the outcome comes in every case.
pub async fn call(
    context: &ToolContext<'_>,
    name: &str,
    arguments: &Value,
    sink: Sink<'_>,
    cancel: &CancellationToken,
) -> ToolOutcome {
    let started = Instant::now();
    let result = match name {
        "bash" => bash::call(context, arguments, sink, cancel).await,
        "read_file" => read_file::call(context, arguments, sink, cancel).await,
        "write_file" => write_file::call(context, arguments, sink, cancel).await,
        "edit_file" => edit_file::call(context, arguments, sink, cancel).await,
        "list_files" => list_files::call(context, arguments, sink, cancel).await,
        "search_files" => search_files::call(context, arguments, sink, cancel).await,
        "run_tests" => run_tests::call(context, arguments, sink, cancel).await,
        _ => Err(Refusal::new("UNKNOWN_TOOL", format!("There is no tool named {name}."))),
    };
    let done = result.unwrap_or_else(Done::refused);
    let output = match (done.seen, &done.status) {
        (Some(seen), _) => seen,
        (None, Status::Failed { message, .. }) if done.full_output.is_empty() => message.clone(),
        (None, _) => bounded(&String::from_utf8_lossy(&done.full_output)),
    };
    ToolOutcome {
        status: done.status,
        exit_code: done.exit_code,
        output,
        full_output: done.full_output,
        tests: done.tests,
        duration: started.elapsed(),
    }
}

impl Refusal {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl From<FileError> for Refusal {
    fn from(error: FileError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl Done {
    fn succeeded(output: Vec<u8>) -> Self {
        Self { status: Status::Succeeded, exit_code: None, full_output: output, seen: None, tests: None }
    }

    fn refused(refusal: Refusal) -> Self {
        let status = Status::Failed { code: refusal.code, message: refusal.message };
        Self { status, exit_code: None, full_output: vec![], seen: None, tests: None }
    }
}
