//! What a record says of a run, in plain texts: not yet ids, not yet events.

use domain::NanoUsd;
use domain::Sha256;

/// A recorded run.
#[derive(Debug, Clone, PartialEq)]
pub struct Trajectory {
    /// The format, such as `swe-agent`.
    pub format: &'static str,
    /// The file's name without its folder.
    pub file_name: String,
    /// The hash of the file's bytes.
    pub sha256: Sha256,
    /// The file's size.
    pub bytes: u64,
    /// What lists call it: the first line of the issue.
    pub title: String,
    /// What the user wrote.
    pub task: String,
    /// `provider/name`, or `unknown/name` where the record does not prove the provider.
    pub model: Option<String>,
    /// What the agent did, in order.
    pub steps: Vec<Step>,
    /// How it ended.
    pub outcome: Outcome,
    /// What the record says of tokens and cost; absent where it says nothing at all.
    pub usage: Option<Totals>,
    /// What became of which file, in order, as far as the record proves it.
    pub changes: Vec<FileEdit>,
    /// What was decided or left out while reading, one sentence each, for the person who imports.
    pub notes: Vec<String>,
}

/// One turn of the model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    /// What the model thought.
    pub thought: Option<String>,
    /// What it said beyond its thought and its call.
    pub text: Option<String>,
    /// The tool it asked for.
    pub call: Option<ToolUse>,
}

/// One call of a tool. Recorded ids repeat, so a call is identified by its step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolUse {
    /// The tool.
    pub tool: String,
    /// Its arguments: JSON, as the model wrote it.
    pub arguments: String,
    /// The id in the record; empty where it has none.
    pub provider_call_id: String,
    /// What came back; absent where the record ends before it.
    pub observation: Option<String>,
    /// How long it took, in milliseconds, where the record says so.
    pub duration_ms: Option<u64>,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Well; the agent's last words.
    Succeeded(String),
    /// Badly, or nobody knows how; why.
    Failed(String),
}

/// Tokens and cost of a whole run. An absent figure was not reported, which is not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Model calls.
    pub calls: u32,
    /// Tokens sent.
    pub input_tokens: Option<u64>,
    /// Tokens received.
    pub output_tokens: Option<u64>,
    /// What they cost.
    pub cost: Option<NanoUsd>,
}

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It came to be.
    Created,
    /// It changed.
    Modified,
    /// It is gone.
    Deleted,
}

/// A proven change to a file. Contents and their hashes are never here: the format shows a file as numbered lines,
/// which leave the end of its last line open, and mostly only a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEdit {
    /// The step whose call did it; absent where only the submitted diff proves it.
    pub step_index: Option<usize>,
    /// Relative to the repository's root.
    pub path: String,
    /// What happened.
    pub kind: ChangeKind,
    /// Lines that came in.
    pub lines_added: u32,
    /// Lines that went.
    pub lines_removed: u32,
    /// The submitted diff of this file, at the last change of its path.
    pub patch: Option<String>,
}
