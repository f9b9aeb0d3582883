//! Arguments from a model, parsed once at the door. It never lets an unknown or mistyped field through.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Refusal;
use crate::files::WorkspacePath;

/// Code of every refusal that is about the arguments' shape.
pub(super) const BAD_ARGUMENTS: &str = "BAD_ARGUMENTS";
/// What the workspace is called inside; models write it in front of paths.
const INSIDE: &str = "/workspace/";

/// Parses the arguments of a tool; the refusal names the field.
pub(super) fn parse<T: DeserializeOwned>(arguments: &Value) -> Result<T, Refusal> {
    serde_path_to_error::deserialize(arguments).map_err(|error| {
        let field = error.path().to_string();
        let reason = error.into_inner();
        let message = match field.as_str() {
            "." | "?" => format!("The arguments do not fit the schema: {reason}."),
            field => format!("The argument `{field}` does not fit the schema: {reason}."),
        };
        Refusal::new(BAD_ARGUMENTS, message)
    })
}

/// A path as a model writes it: relative, or absolute below the folder where it sees its workspace.
pub(super) fn path(text: &str) -> Result<WorkspacePath, Refusal> {
    Ok(WorkspacePath::parse(text.strip_prefix(INSIDE).unwrap_or(text))?)
}

/// A folder as a model writes it; `None` is the workspace itself.
pub(super) fn folder(text: Option<&str>) -> Result<Option<WorkspacePath>, Refusal> {
    match text {
        None | Some("" | "." | "./" | "/workspace" | "/workspace/") => Ok(None),
        Some(text) => path(text).map(Some),
    }
}
