//! `run_tests`: runs a project's tests in the sandbox and counts them. It never calls a run without tests a
//! success, and never fetches a framework that is not there.

mod command;
mod detect;
mod parse;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::host_side::{run, status};
use super::{Done, Refusal, Status, ToolContext, ToolSpec, arguments};
use crate::Sink;
use crate::engine::{End, PYTHON};
use crate::files::{self, FileError, WorkspacePath};

/// Failures that a report names.
const FAILURES: usize = 50;
/// Bytes kept of one failure's message.
const MESSAGE_BYTES: usize = 2_000;

pub(super) const SPEC: ToolSpec = ToolSpec {
    name: "run_tests",
    description: "Runs the tests of the workspace and returns how many passed, failed and were skipped, with the failures' messages.",
    schema: r#"{"type":"object","properties":{"framework":{"type":"string","enum":["auto","unittest","pytest","jest","vitest","mocha","cargo"],"description":"auto by default: found from the project's files."},"path":{"type":"string","description":"Folder or test file from the workspace."},"filter":{"type":"string","description":"Run only tests whose names match."}},"additionalProperties":false}"#,
    timeout: Duration::from_secs(300),
};

/// A test framework.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Framework {
    /// Python's own.
    Unittest,
    /// pytest.
    Pytest,
    /// Jest, through npx.
    Jest,
    /// Vitest, through npx.
    Vitest,
    /// Mocha, through npx.
    Mocha,
    /// Rust's own.
    Cargo,
}

/// What a test run gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestReport {
    /// Name of the framework, such as `unittest`.
    pub framework: &'static str,
    /// The command as one would type it.
    pub command: String,
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed.
    pub failed: u64,
    /// Tests that were skipped.
    pub skipped: u64,
    /// Tests or files that could not be run.
    pub errors: u64,
    /// The first failures and errors.
    pub failures: Vec<TestFailure>,
    /// Wall time in milliseconds.
    pub duration_ms: u64,
}

/// One test that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestFailure {
    /// The test's name, as its framework writes it.
    pub name: String,
    /// What the framework said, its beginning.
    pub message: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    #[serde(default)]
    framework: Asked,
    path: Option<String>,
    filter: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "lowercase")]
enum Asked {
    #[default]
    Auto,
    Unittest,
    Pytest,
    Jest,
    Vitest,
    Mocha,
    Cargo,
}

/// Where in the workspace tests are to be run.
struct Place {
    path: Option<WorkspacePath>,
    is_folder: bool,
}

pub(super) async fn call(
    context: &ToolContext<'_>,
    arguments: &Value,
    sink: Sink<'_>,
    cancel: &CancellationToken,
) -> Result<Done, Refusal> {
    let Arguments { framework, path, filter } = arguments::parse(arguments)?;
    if filter.as_deref().is_some_and(|filter| filter.starts_with('-') || filter.contains('\0')) {
        let message = "The argument `filter` must not begin with `-` nor hold a null byte.";
        return Err(Refusal::new(arguments::BAD_ARGUMENTS, message));
    }
    let path = arguments::folder(path.as_deref())?;
    let root = context.spec.workspace.clone();
    let located = tokio::task::spawn_blocking(move || locate(&root, path, &framework)).await;
    let (framework, place) =
        located.map_err(|_| Refusal::new("TOOL_CRASHED", "The tests could not be looked for."))??;
    require_interpreter(framework)?;
    let exec = command::exec(framework, &place, filter.as_deref())?;
    let command = exec.argv.join(" ");
    let ran = run(context, exec, sink, cancel).await.map_err(|refusal| match refusal.code {
        "COMMAND_NOT_STARTED" => missing(framework),
        _ => refusal,
    })?;
    let text = parse::plain(&String::from_utf8_lossy(&ran.output));
    if ran.finished.end == End::Exited && parse::says_missing(framework, &text) {
        return Err(missing(framework));
    }
    let mut report = parse::report(framework, &text);
    report.command = command;
    report.duration_ms = u64::try_from(ran.finished.duration.as_millis()).unwrap_or(u64::MAX);
    let status = match status(&ran.finished) {
        Status::Succeeded if report.total() == 0 => none_ran(ran.finished.exit_code, &text),
        other => other,
    };
    let tests = Some(report);
    Ok(Done { status, exit_code: ran.finished.exit_code, full_output: ran.output, seen: None, tests })
}

impl Framework {
    /// Stable name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unittest => "unittest",
            Self::Pytest => "pytest",
            Self::Jest => "jest",
            Self::Vitest => "vitest",
            Self::Mocha => "mocha",
            Self::Cargo => "cargo",
        }
    }
}

impl TestReport {
    fn total(&self) -> u64 {
        self.passed + self.failed + self.skipped + self.errors
    }
}

fn locate(root: &Path, path: Option<WorkspacePath>, asked: &Asked) -> Result<(Framework, Place), Refusal> {
    let is_folder = match &path {
        None => true,
        Some(path) => is_folder(root, path)?,
    };
    let place = Place { path, is_folder };
    let framework = match asked {
        Asked::Auto => detect::framework(root, &place)?,
        Asked::Unittest => Framework::Unittest,
        Asked::Pytest => Framework::Pytest,
        Asked::Jest => Framework::Jest,
        Asked::Vitest => Framework::Vitest,
        Asked::Mocha => Framework::Mocha,
        Asked::Cargo => Framework::Cargo,
    };
    Ok((framework, place))
}

fn is_folder(root: &Path, path: &WorkspacePath) -> Result<bool, FileError> {
    match files::read(root, path, Some(files::Range { offset: 0, length: 0 })) {
        Ok(_) => Ok(false),
        Err(FileError::IsDirectory) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Only `/usr` is visible inside, so an interpreter elsewhere, such as in a home folder, does not count.
fn require_interpreter(framework: Framework) -> Result<(), Refusal> {
    let python = matches!(framework, Framework::Unittest | Framework::Pytest);
    if !python || Path::new(PYTHON).exists() {
        return Ok(());
    }
    let message =
        format!("The sandbox sees only /usr and there is no {PYTHON}; install it with `apt-get install python3`.");
    Err(Refusal::new("PYTHON_MISSING", message))
}

fn missing(framework: Framework) -> Refusal {
    let hint = match framework {
        Framework::Unittest => "python3 must be installed under /usr, with `apt-get install python3`",
        Framework::Pytest => "it must be installed for /usr/bin/python3, with `apt-get install python3-pytest`",
        Framework::Jest | Framework::Vitest | Framework::Mocha => {
            "node and npx must be installed under /usr and the framework in the project's node_modules"
        }
        Framework::Cargo => "cargo must be installed under /usr",
    };
    Refusal::new("FRAMEWORK_MISSING", format!("{} is not available in the sandbox: {hint}.", framework.name()))
}

fn none_ran(exit_code: Option<i32>, text: &str) -> Status {
    if exit_code == Some(0) || parse::says_none(text) {
        let message = "No tests were found; check the path, the filter and the names of the test files.";
        return Status::Failed { code: "NO_TESTS_FOUND", message: message.to_owned() };
    }
    let message = "The tests did not run to a summary; the output says why.";
    Status::Failed { code: "TESTS_NOT_RUN", message: message.to_owned() }
}
