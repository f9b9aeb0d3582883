//! `write_file`: replaces or extends a file of the workspace. It never leaves half a file.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::host_side::change;
use super::{Done, Refusal, ToolContext, ToolSpec, arguments};
use crate::Sink;
use crate::files;

pub(super) const SPEC: ToolSpec = ToolSpec {
    name: "write_file",
    description: "Writes a text file of the workspace, making its folders. Mode `write` replaces it, `append` adds to its end. At most 512 KiB.",
    schema: r#"{"type":"object","properties":{"path":{"type":"string","description":"Path from the workspace."},"content":{"type":"string"},"mode":{"type":"string","enum":["write","append"],"description":"write by default."}},"required":["path","content"],"additionalProperties":false}"#,
    timeout: Duration::from_secs(5),
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    path: String,
    content: String,
    #[serde(default)]
    mode: Mode,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Write,
    Append,
}

pub(super) async fn call(
    context: &ToolContext<'_>,
    arguments: &Value,
    sink: Sink<'_>,
    cancel: &CancellationToken,
) -> Result<Done, Refusal> {
    let Arguments { path, content, mode } = arguments::parse(arguments)?;
    let path = arguments::path(&path)?;
    let root = context.spec.workspace.clone();
    change(sink, cancel, move || {
        let mode = match mode {
            Mode::Write => files::Mode::Write,
            Mode::Append => files::Mode::Append,
        };
        let written = files::write(&root, &path, content.as_bytes(), mode)?;
        let verb = if written.created { "Created" } else { "Wrote" };
        Ok(format!("{verb} {path}; it has {} bytes now.", written.bytes))
    })
    .await
}
