//! A workspace: the files of a session, version by version.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::aggregate::Aggregate;
use crate::content::{Content, Sha256};
use crate::event::events;
use crate::id::{RunId, SessionId, ToolCallId, WorkspaceId};

/// A workspace was made, empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WorkspaceCreated {
    /// The workspace.
    pub workspace_id: WorkspaceId,
    /// The session it belongs to.
    pub session_id: SessionId,
}

/// What is recorded of a change to a file, whatever the kind of change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FileChange {
    /// Relative to the workspace.
    pub path: String,
    /// The content before; absent where there was none or where a record does not prove it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_sha256: Option<Sha256>,
    /// The content after; absent where there is none or where a record does not prove it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_sha256: Option<Sha256>,
    /// The size after, in bytes; absent where it is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Lines that the change added.
    pub lines_added: u32,
    /// Lines that the change removed.
    pub lines_removed: u32,
    /// The change as a unified diff; absent for binary or very large files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<Content>,
    /// The run it happened in.
    pub run_id: RunId,
    /// The call that did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<ToolCallId>,
}

/// A file came to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct FileCreated(pub FileChange);
/// A file changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct FileModified(pub FileChange);
/// A file is gone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct FileDeleted(pub FileChange);

/// The content of every change was erased with its session's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WorkspaceErased {
    /// The workspace.
    pub workspace_id: WorkspaceId,
}

events! {
    /// What happens to a workspace.
    WorkspaceEvent in Workspace {
        WorkspaceCreated = "workspace.created" v 1,
        FileCreated = "file.created" v 1,
        FileModified = "file.modified" v 1,
        FileDeleted = "file.deleted" v 1,
        WorkspaceErased = "workspace.erased" v 1,
    }
}

/// What can be asked of a workspace.
#[derive(Debug, Clone)]
pub enum WorkspaceCommand {
    /// Make it.
    Create(WorkspaceCreated),
    /// Record changes that were found. They are facts already.
    RecordChanges(Vec<WorkspaceEvent>),
    /// Its session is erased.
    Erase(WorkspaceErased),
}

/// Why a workspace refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkspaceError {
    /// There is no such workspace.
    #[error("there is no such workspace")]
    Unknown,
    /// The id belongs to another workspace.
    #[error("this workspace id is taken")]
    Taken,
    /// A change whose path is not relative or climbs out.
    #[error("the path {0:?} leaves the workspace: use a relative path without '..'")]
    PathLeaves(String),
    /// Its content is gone for good.
    #[error("the content of this workspace was erased with its session")]
    Erased,
}

/// What is known of a workspace.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Workspace {
    created: Option<WorkspaceCreated>,
    files: BTreeMap<String, Option<Sha256>>,
    erased: bool,
}

impl Workspace {
    /// The files that exist, with the hash of their content where it is known.
    pub fn files(&self) -> &BTreeMap<String, Option<Sha256>> {
        &self.files
    }
}

impl Aggregate for Workspace {
    type Command = WorkspaceCommand;
    type Event = WorkspaceEvent;
    type Error = WorkspaceError;

    fn decide(&self, command: &WorkspaceCommand) -> Result<Vec<WorkspaceEvent>, WorkspaceError> {
        if self.erased {
            return match command {
                WorkspaceCommand::Erase(_) => Ok(vec![]),
                WorkspaceCommand::Create(_) | WorkspaceCommand::RecordChanges(_) => Err(WorkspaceError::Erased),
            };
        }
        match (command, &self.created) {
            (WorkspaceCommand::Erase(erased), Some(_)) => Ok(vec![erased.clone().into()]),
            (WorkspaceCommand::Create(wanted), None) => Ok(vec![wanted.clone().into()]),
            (WorkspaceCommand::Create(wanted), Some(known)) if wanted == known => Ok(vec![]),
            (WorkspaceCommand::Create(_), Some(_)) => Err(WorkspaceError::Taken),
            (WorkspaceCommand::RecordChanges(_) | WorkspaceCommand::Erase(_), None) => Err(WorkspaceError::Unknown),
            (WorkspaceCommand::RecordChanges(changes), Some(_)) => {
                match changes.iter().filter_map(change).find(|c| leaves(&c.path)) {
                    Some(change) => Err(WorkspaceError::PathLeaves(change.path.clone())),
                    None => Ok(changes.clone()),
                }
            }
        }
    }

    fn evolve(&mut self, event: &WorkspaceEvent) {
        match event {
            WorkspaceEvent::WorkspaceCreated(created) => self.created = Some(created.clone()),
            WorkspaceEvent::FileCreated(FileCreated(c)) | WorkspaceEvent::FileModified(FileModified(c)) => {
                self.files.insert(c.path.clone(), c.after_sha256);
            }
            WorkspaceEvent::FileDeleted(FileDeleted(c)) => {
                self.files.remove(&c.path);
            }
            WorkspaceEvent::WorkspaceErased(_) => *self = Self { erased: true, ..Self::default() },
        }
    }
}

/// The change that an event records, if it records one.
pub fn change(event: &WorkspaceEvent) -> Option<&FileChange> {
    match event {
        WorkspaceEvent::WorkspaceCreated(_) | WorkspaceEvent::WorkspaceErased(_) => None,
        WorkspaceEvent::FileCreated(FileCreated(c))
        | WorkspaceEvent::FileModified(FileModified(c))
        | WorkspaceEvent::FileDeleted(FileDeleted(c)) => Some(c),
    }
}

fn leaves(path: &str) -> bool {
    path.is_empty() || path.starts_with('/') || path.contains('\0') || path.split('/').any(|part| part == "..")
}

#[cfg(test)]
mod tests;
