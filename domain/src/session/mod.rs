//! A session: a conversation of a person with agents about one workspace.

mod event;
pub use event::*;

use serde::{Deserialize, Serialize};

use crate::aggregate::Aggregate;
use crate::id::{MessageId, RunId};

/// What can be asked of a session.
#[derive(Debug, Clone)]
pub enum SessionCommand {
    /// Begin it.
    Start(SessionStarted),
    /// Take in a message of a person.
    ReceiveMessage(MessageReceived),
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
}

impl Aggregate for Session {
    type Command = SessionCommand;
    type Event = SessionEvent;
    type Error = SessionError;

    fn decide(&self, command: &SessionCommand) -> Result<Vec<SessionEvent>, SessionError> {
        match (command, &self.started) {
            (SessionCommand::Start(wanted), None) => Ok(vec![wanted.clone().into()]),
            (SessionCommand::Start(wanted), Some(known)) if wanted == known => Ok(vec![]),
            (SessionCommand::Start(_), Some(_)) => Err(SessionError::Taken),
            (SessionCommand::ReceiveMessage(_), None) => Err(SessionError::Unknown),
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
        }
    }
}

#[cfg(test)]
mod tests;
