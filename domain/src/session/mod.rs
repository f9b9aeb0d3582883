//! A session: a conversation of a person with agents about one workspace.

mod event;
pub use event::*;

use serde::{Deserialize, Serialize};

use crate::aggregate::Aggregate;
use crate::erasure::PositionRange;
use crate::id::{MessageId, RunId, SessionId, UserId};
use crate::viewer::Role;

/// What can be asked of a session.
#[derive(Debug, Clone)]
pub enum SessionCommand {
    /// Begin it.
    Start(SessionStarted),
    /// Take in a message of a person.
    ReceiveMessage(MessageReceived),
    /// Erase its content.
    Erase(EraseSession),
}

/// Somebody wants the content of a session erased.
#[derive(Debug, Clone)]
pub struct EraseSession {
    /// The session.
    pub session_id: SessionId,
    /// The events that are to lose their content.
    pub positions: Vec<PositionRange>,
    /// How many bytes their payloads have.
    pub payload_bytes: u64,
    /// How many blobs they name.
    pub blobs: u64,
    /// Why.
    pub reason: String,
    /// Who asks.
    pub requested_by: UserId,
    /// What that person may do.
    pub role: Role,
}

/// Why a session refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// There is no such session.
    #[error("there is no such session")]
    Unknown,
    /// The id belongs to another session.
    #[error("this session id is taken")]
    Taken,
    /// An imported session is a record; it takes no messages.
    #[error("an imported session is a record of what happened elsewhere: start a new session to go on")]
    Imported,
    /// Its content is gone for good.
    #[error("the content of this session was erased: start a new session")]
    Erased,
    /// Somebody else's.
    #[error("only the owner of a session or an administrator may erase it")]
    NotYours,
}

/// What is known of a session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// How it began; `None` before it did.
    pub started: Option<SessionStarted>,
    /// The newest message.
    pub last_message: Option<MessageId>,
    /// The run that it began or reached.
    pub last_run: Option<RunId>,
    /// Whether its content was erased; then nothing else is known.
    pub erased: bool,
}

impl Session {
    /// How it began, if there is anything to go on with.
    pub fn begun(&self) -> Result<&SessionStarted, SessionError> {
        if self.erased { Err(SessionError::Erased) } else { self.started.as_ref().ok_or(SessionError::Unknown) }
    }
}

impl Aggregate for Session {
    type Command = SessionCommand;
    type Event = SessionEvent;
    type Error = SessionError;

    fn decide(&self, command: &SessionCommand) -> Result<Vec<SessionEvent>, SessionError> {
        if self.erased {
            return match command {
                SessionCommand::Erase(_) => Ok(vec![]),
                SessionCommand::Start(_) | SessionCommand::ReceiveMessage(_) => Err(SessionError::Erased),
            };
        }
        match (command, &self.started) {
            (SessionCommand::Start(wanted), None) => Ok(vec![wanted.clone().into()]),
            (SessionCommand::Start(wanted), Some(known)) if wanted == known => Ok(vec![]),
            (SessionCommand::Start(_), Some(_)) => Err(SessionError::Taken),
            (SessionCommand::ReceiveMessage(_) | SessionCommand::Erase(_), None) => Err(SessionError::Unknown),
            (SessionCommand::Erase(wanted), Some(known)) => erase(wanted, known),
            (SessionCommand::ReceiveMessage(message), Some(_)) if self.last_message == Some(message.message_id) => {
                Ok(vec![])
            }
            (SessionCommand::ReceiveMessage(message), Some(known)) => {
                if known.origin == Origin::Import && message.delivery != Delivery::Record {
                    return Err(SessionError::Imported);
                }
                Ok(vec![message.clone().into()])
            }
        }
    }

    fn evolve(&mut self, event: &SessionEvent) {
        match event {
            SessionEvent::SessionStarted(started) => self.started = Some(started.clone()),
            SessionEvent::MessageReceived(message) => {
                self.last_message = Some(message.message_id);
                self.last_run = Some(message.run_id);
            }
            SessionEvent::ContentErased(_) => *self = Self { erased: true, ..Self::default() },
        }
    }
}

fn erase(wanted: &EraseSession, known: &SessionStarted) -> Result<Vec<SessionEvent>, SessionError> {
    if wanted.role != Role::Admin && wanted.requested_by != known.owner_user_id {
        return Err(SessionError::NotYours);
    }
    let SessionStarted { origin, owner_user_id, workspace_id, .. } = *known;
    let erased = ContentErased {
        session_id: wanted.session_id,
        positions: wanted.positions.clone(),
        payload_bytes: wanted.payload_bytes,
        blobs: wanted.blobs,
        reason: wanted.reason.clone(),
        requested_by: wanted.requested_by,
        kept: KeptFacts { origin, owner_user_id, workspace_id },
    };
    Ok(vec![erased.into()])
}

#[cfg(test)]
mod tests;
