//! What is asked of a model: the words, the tools, and for the scripted model the state of the run.
//!
//! Never knows which provider will answer, and never holds a credential.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One question to a model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelRequest {
    /// The model's name as its server knows it. Empty means: the one the provider is set up with.
    pub model: String,
    /// The conversation, oldest first.
    pub messages: Vec<Message>,
    /// What the model may call. Empty means: words only.
    pub tools: Vec<ToolSpec>,
    /// Most tokens the answer may have, reasoning included.
    pub max_output_tokens: u32,
    /// The state of the run. Providers that speak to a server never send it.
    pub situation: Situation,
}

/// One entry of the conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Instructions that stand above the conversation.
    System(String),
    /// What a person said.
    User(String),
    /// What the model said, and what it asked to be done.
    Assistant { text: String, calls: Vec<ToolCall> },
    /// What came of one call.
    Tool { call_id: String, content: String },
}

/// A tool call as the model wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// Unique within one conversation; pairs the call with its `Message::Tool`.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// JSON text exactly as the model wrote it: it need not parse.
    pub arguments: String,
}

/// A tool as the model is told of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolSpec {
    /// The name the model calls it by.
    pub name: String,
    /// What it does, in a sentence or two, for the model.
    pub description: String,
    /// JSON Schema of its arguments.
    pub schema: Value,
}

/// What the scripted model matches on: the run's state, not the words sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Situation {
    /// Where the run stands.
    pub phase: Phase,
    /// What the run was asked to do.
    pub task: String,
    /// The newest message of the person.
    pub last_user_message: String,
    /// Whether the run has a plan.
    pub has_plan: bool,
    /// The model turn that is asked for, from 1.
    pub step_no: u32,
    /// The calls of this run that are settled, oldest first.
    pub calls: Vec<CallSummary>,
    /// What the newest test run said.
    pub tests: Tests,
    /// Paths in the workspace, relative to its root.
    pub files: Vec<String>,
    /// Messages of the person in this run.
    pub user_messages: u32,
}

/// Where a run stands when a model is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// No plan is agreed yet.
    #[default]
    Planning,
    /// The plan is being carried out.
    Executing,
    /// The tests are run.
    Testing,
    /// Failing tests are being repaired.
    Fixing,
}

/// One settled tool call of the run.
#[derive(Debug, Clone, PartialEq)]
pub struct CallSummary {
    /// The tool's name.
    pub tool: String,
    /// Its arguments; `null` where the model's text did not parse.
    pub arguments: Value,
    /// What came of it.
    pub outcome: CallOutcome,
    /// The exit status of the command, where there was one.
    pub exit_code: Option<i32>,
    /// The model turn that asked for it, from 1.
    pub step_no: u32,
    /// The beginning of its output.
    pub output_head: String,
}

/// What came of a tool call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CallOutcome {
    /// It did what was asked.
    Succeeded,
    /// It ran, or was refused by the tool, and did not do what was asked.
    Failed,
    /// It was ended because its time was over.
    TimedOut,
    /// A person ended it.
    Cancelled,
    /// A person did not let it begin.
    Declined {
        /// What the person wrote, if anything.
        reason: Option<String>,
    },
    /// The server stopped while it ran, and nobody knows how far it came.
    Orphaned,
}

/// What the newest test run said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Tests {
    /// No test has run.
    #[default]
    NotRun,
    /// Some tests fail.
    Red { failed: u32 },
    /// All tests pass.
    Green { passed: u32 },
}
