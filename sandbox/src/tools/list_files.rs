//! `list_files`: what the workspace holds. It never looks behind a link.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::host_side::look;
use super::{Done, Refusal, ToolContext, ToolSpec, arguments};
use crate::Sink;
use crate::files;

pub(super) const SPEC: ToolSpec = ToolSpec {
    name: "list_files",
    description: "Lists files of the workspace with their sizes. A glob such as `src/**/*.py` narrows the list.",
    schema: r#"{"type":"object","properties":{"glob":{"type":"string","description":"`*` stays within a folder, `**` crosses folders."}},"additionalProperties":false}"#,
    timeout: Duration::from_secs(10),
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    glob: Option<String>,
}

pub(super) async fn call(
    context: &ToolContext<'_>,
    arguments: &Value,
    sink: Sink<'_>,
    cancel: &CancellationToken,
) -> Result<Done, Refusal> {
    let Arguments { glob } = arguments::parse(arguments)?;
    let root = context.spec.workspace.clone();
    look(SPEC.timeout, sink, cancel, move |_| {
        let listing = files::list(&root, glob.as_deref())?;
        let mut text: String = listing.entries.iter().map(line).collect();
        if listing.entries.is_empty() {
            text.push_str("No files match.\n");
        }
        if listing.truncated {
            text.push_str("[… there is more; narrow the list with a glob …]\n");
        }
        Ok(text.into_bytes())
    })
    .await
}

fn line(entry: &files::Listed) -> String {
    match (entry.folder, entry.symlink) {
        (true, _) => format!("{}/\n", entry.path),
        (_, true) => format!("{} (symbolic link)\n", entry.path),
        _ => format!("{} ({} bytes)\n", entry.path, entry.bytes),
    }
}
