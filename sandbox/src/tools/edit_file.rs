//! `edit_file`: replaces one exact piece of text. It never changes a file in which the text is not unique.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::host_side::change;
use super::{Done, Refusal, ToolContext, ToolSpec, arguments};
use crate::Sink;
use crate::files;

pub(super) const SPEC: ToolSpec = ToolSpec {
    name: "edit_file",
    description: "Replaces one piece of text in a file. The old text must match exactly and occur exactly once.",
    schema: r#"{"type":"object","properties":{"path":{"type":"string","description":"Path from the workspace."},"old_text":{"type":"string","description":"Exact text to replace, with its spaces and line ends."},"new_text":{"type":"string","description":"Text to put in its place."}},"required":["path","old_text","new_text"],"additionalProperties":false}"#,
    timeout: Duration::from_secs(5),
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    path: String,
    old_text: String,
    new_text: String,
}

pub(super) async fn call(
    context: &ToolContext<'_>,
    arguments: &Value,
    sink: Sink<'_>,
    cancel: &CancellationToken,
) -> Result<Done, Refusal> {
    let Arguments { path, old_text, new_text } = arguments::parse(arguments)?;
    let path = arguments::path(&path)?;
    let root = context.spec.workspace.clone();
    change(sink, cancel, move || {
        let written = files::edit(&root, &path, &old_text, &new_text)?;
        Ok(format!("Edited {path}; it has {} bytes now.", written.bytes))
    })
    .await
}
