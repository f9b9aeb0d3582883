//! `bash`: a shell command in the sandbox. A non-zero exit is the command's answer, never the tool's failure.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::host_side::{run, status};
use super::{Done, Refusal, ToolContext, ToolSpec, arguments};
use crate::Sink;
use crate::engine::{End, Exec};

pub(super) const SPEC: ToolSpec = ToolSpec {
    name: "bash",
    description: "Runs a shell command in the workspace. There is no network. Returns both output streams and the exit code.",
    schema: r#"{"type":"object","properties":{"command":{"type":"string","description":"The command, as one would type it."},"working_dir":{"type":"string","description":"Folder below the workspace; the workspace itself by default."}},"required":["command"],"additionalProperties":false}"#,
    timeout: Duration::from_secs(60),
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    command: String,
    working_dir: Option<String>,
}

pub(super) async fn call(
    context: &ToolContext<'_>,
    arguments: &Value,
    sink: Sink<'_>,
    cancel: &CancellationToken,
) -> Result<Done, Refusal> {
    let Arguments { command, working_dir } = arguments::parse(arguments)?;
    let exec = Exec {
        argv: vec!["/bin/bash".to_owned(), "-c".to_owned(), command],
        cwd: arguments::folder(working_dir.as_deref())?.map(|folder| folder.to_string()),
        timeout: SPEC.timeout,
        ..Exec::default()
    };
    let ran = run(context, exec, sink, cancel).await?;
    let seen = seen(&ran.output, ran.finished.end, ran.finished.exit_code);
    Ok(Done {
        status: status(&ran.finished),
        exit_code: ran.finished.exit_code,
        full_output: ran.output,
        seen: Some(seen),
        tests: None,
    })
}

/// The output, and below it how the command ended when that is not plain success.
fn seen(output: &[u8], end: End, exit_code: Option<i32>) -> String {
    let text = super::bounded(&String::from_utf8_lossy(output));
    let note = match (end, exit_code) {
        (End::Exited, Some(0)) => return text,
        (End::Exited, Some(code)) => format!("[exit code {code}]"),
        (End::Exited, None) => "[killed]".to_owned(),
        (End::TimedOut, _) => "[killed: it ran out of time]".to_owned(),
        (End::Cancelled, _) => "[killed: cancelled]".to_owned(),
        (End::OutOfMemory, _) => "[killed: out of memory]".to_owned(),
        (End::OutputLimit, _) => "[killed: too much output]".to_owned(),
        (End::DiskLimit, _) => "[killed: the workspace is full]".to_owned(),
    };
    let separator = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    format!("{text}{separator}{note}")
}
