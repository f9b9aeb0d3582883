//! What happens to a session.

use serde::{Deserialize, Serialize};

use crate::content::{Content, Sha256};
use crate::erasure::PositionRange;
use crate::event::events;
use crate::id::{MessageId, RunId, SessionId, UserId, WorkspaceId};
use crate::run::ApprovalPolicy;

/// Where a session comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A person in the browser.
    Web,
    /// A person at the command line.
    Cli,
    /// The demo of a first visit.
    Demo,
    /// A record of another agent's run.
    Import,
}

/// The file that an imported session was read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ImportSource {
    /// The format, such as `swe-agent`.
    pub format: String,
    /// The file's name without its folder.
    pub file_name: String,
    /// The hash of the file's bytes.
    pub sha256: Sha256,
    /// The file's size.
    pub bytes: u64,
}

/// A session began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SessionStarted {
    /// The session.
    pub session_id: SessionId,
    /// What lists call it.
    pub title: String,
    /// Whose it is.
    pub owner_user_id: UserId,
    /// Its files.
    pub workspace_id: WorkspaceId,
    /// Where it comes from.
    pub origin: Origin,
    /// The model of its runs, `provider/name`; absent where a record does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Which tool calls ask first.
    pub approval_policy: ApprovalPolicy,
    /// The file, where `origin` is an import.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import_source: Option<ImportSource>,
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// It began a run.
    Now,
    /// It reached a run that was working; the next step reads it.
    Steer,
    /// It stands in an imported record.
    Record,
}

/// A person wrote something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MessageReceived {
    /// The message.
    pub message_id: MessageId,
    /// What it says.
    pub content: Content,
    /// What becomes of it.
    pub delivery: Delivery,
    /// The run that it began or reached.
    pub run_id: RunId,
}

/// What stays known of a session whose content was erased.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct KeptFacts {
    /// Where it came from.
    pub origin: Origin,
    /// Whose it was.
    pub owner_user_id: UserId,
    /// Where its files were.
    pub workspace_id: WorkspaceId,
}

/// The content of a session was erased: its messages, its runs, its files.
///
/// It names no blob, because the name of a blob is the hash of its content, which somebody could guess.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ContentErased {
    /// The session.
    pub session_id: SessionId,
    /// The events whose payload and salt are gone.
    pub positions: Vec<PositionRange>,
    /// How many bytes their payloads had.
    pub payload_bytes: u64,
    /// How many blobs they named; those that no other event names are gone too.
    pub blobs: u64,
    /// Why.
    pub reason: String,
    /// Who asked for it.
    pub requested_by: UserId,
    /// What stays known.
    pub kept: KeptFacts,
}

events! {
    /// What happens to a session.
    SessionEvent in Session {
        SessionStarted = "session.started" v 1,
        MessageReceived = "message.received" v 1,
        ContentErased = "content.erased" v 1,
    }
}
