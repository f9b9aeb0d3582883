//! `search_files`: lines that match a pattern. It never looks behind a link, and its patterns take linear time.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::bound::shortened;
use super::host_side::{Stop, look};
use super::{Done, Refusal, ToolContext, ToolSpec, arguments};
use crate::Sink;
use crate::files;

/// Lines that one search returns.
const MATCHES: usize = 200;
/// Bytes shown of one line.
const LINE_BYTES: usize = 300;
/// Files above this many bytes are not searched.
const FILE_BYTES: u64 = 1024 * 1024;
/// Bytes that a compiled pattern may take.
const PATTERN_BYTES: usize = 1024 * 1024;

pub(super) const SPEC: ToolSpec = ToolSpec {
    name: "search_files",
    description: "Finds lines that match a regular expression, in text files of at most 1 MiB. Returns at most 200 lines.",
    schema: r#"{"type":"object","properties":{"pattern":{"type":"string","description":"Regular expression."},"glob":{"type":"string","description":"Search only files that match, such as `src/**/*.py`."},"ignore_case":{"type":"boolean"}},"required":["pattern"],"additionalProperties":false}"#,
    timeout: Duration::from_secs(10),
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    pattern: String,
    glob: Option<String>,
    #[serde(default)]
    ignore_case: bool,
}

pub(super) async fn call(
    context: &ToolContext<'_>,
    arguments: &Value,
    sink: Sink<'_>,
    cancel: &CancellationToken,
) -> Result<Done, Refusal> {
    let Arguments { pattern, glob, ignore_case } = arguments::parse(arguments)?;
    let pattern = RegexBuilder::new(&pattern).case_insensitive(ignore_case).size_limit(PATTERN_BYTES).build().map_err(
        |error| Refusal::new("BAD_PATTERN", format!("The argument `pattern` is no regular expression: {error}")),
    )?;
    let root = context.spec.workspace.clone();
    look(SPEC.timeout, sink, cancel, move |stop| search(&root, &pattern, glob.as_deref(), stop)).await
}

fn search(root: &Path, pattern: &Regex, glob: Option<&str>, stop: &Stop) -> Result<Vec<u8>, Refusal> {
    let matcher = glob.map(files::matcher).transpose()?;
    let (mut found, mut count) = (String::new(), 0);
    let walked = files::walk(root, &mut |entry| {
        if stop.asked() || count > MATCHES {
            return ControlFlow::Break(());
        }
        if matcher.as_ref().is_none_or(|matcher| matcher.is_match(entry.path)) {
            for (number, line) in matching_lines(entry, pattern) {
                count += 1;
                if count > MATCHES {
                    break;
                }
                found.push_str(&format!("{}:{number}: {line}\n", entry.path));
            }
        }
        ControlFlow::Continue(())
    })?;
    if count == 0 {
        found.push_str("No lines match.\n");
    }
    if count > MATCHES || walked.truncated {
        found.push_str("[… there is more; narrow the search …]\n");
    }
    Ok(found.into_bytes())
}

/// Numbers and texts of the lines that match; none for what is no text file or cannot be read.
fn matching_lines(entry: &files::Entry<'_>, pattern: &Regex) -> Vec<(usize, String)> {
    let Ok(bytes) = files::read_beneath(entry.folder, entry.name, FILE_BYTES) else {
        return vec![];
    };
    if bytes.contains(&0) {
        return vec![];
    }
    let text = String::from_utf8_lossy(&bytes);
    text.lines()
        .enumerate()
        .filter(|(_, line)| pattern.is_match(line))
        .take(MATCHES + 1)
        .map(|(index, line)| (index + 1, shortened(line, LINE_BYTES)))
        .collect()
}
