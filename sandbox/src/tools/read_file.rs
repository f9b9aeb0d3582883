//! `read_file`: a file of the workspace, as text or base64. It never guesses an encoding.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::host_side::look;
use super::{Done, Refusal, ToolContext, ToolSpec, arguments};
use crate::Sink;
use crate::files::{self, FileError};

pub(super) const SPEC: ToolSpec = ToolSpec {
    name: "read_file",
    description: "Reads a file of the workspace. A range gives some lines of a text only.",
    schema: r#"{"type":"object","properties":{"path":{"type":"string","description":"Path from the workspace."},"encoding":{"type":"string","enum":["utf-8","base64"],"description":"utf-8 by default; base64 for files that are not text."},"range":{"type":"object","description":"Lines from start to end, counted from 1, both included. For utf-8 only.","properties":{"start":{"type":"integer","minimum":1},"end":{"type":"integer","minimum":1}},"required":["start","end"],"additionalProperties":false}},"required":["path"],"additionalProperties":false}"#,
    timeout: Duration::from_secs(5),
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    path: String,
    #[serde(default)]
    encoding: Encoding,
    range: Option<Lines>,
}

#[derive(Deserialize, Default, PartialEq)]
enum Encoding {
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    #[serde(rename = "base64")]
    Base64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lines {
    start: usize,
    end: usize,
}

pub(super) async fn call(
    context: &ToolContext<'_>,
    arguments: &Value,
    sink: Sink<'_>,
    cancel: &CancellationToken,
) -> Result<Done, Refusal> {
    let Arguments { path, encoding, range } = arguments::parse(arguments)?;
    let path = arguments::path(&path)?;
    if encoding == Encoding::Base64 && range.is_some() {
        let message = "The argument `range` counts lines and works with the encoding utf-8 only.";
        return Err(Refusal::new(arguments::BAD_ARGUMENTS, message));
    }
    let root = context.spec.workspace.clone();
    look(SPEC.timeout, sink, cancel, move |_| {
        let bytes = files::read(&root, &path, None)?.bytes;
        if encoding == Encoding::Base64 {
            return Ok(base64(&bytes).into_bytes());
        }
        let text = String::from_utf8(bytes).map_err(|_| FileError::NotText)?;
        match range {
            None => Ok(text.into_bytes()),
            Some(lines) => Ok(lines_of(&text, &lines)?.into_bytes()),
        }
    })
    .await
}

fn lines_of(text: &str, range: &Lines) -> Result<String, FileError> {
    if range.start == 0 || range.end < range.start {
        return Err(FileError::BadRange);
    }
    let count = range.end - range.start + 1;
    let lines: String = text.split_inclusive('\n').skip(range.start - 1).take(count).collect();
    if lines.is_empty() { Err(FileError::BadRange) } else { Ok(lines) }
}

/// Base64 of RFC 4648, with padding.
pub(super) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let joined = [0, 1, 2].iter().fold(0_u32, |sum, &at| sum << 8 | u32::from(chunk.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let digit = ALPHABET[(joined >> (18 - 6 * at)) as usize & 63];
            text.push(if at <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}
