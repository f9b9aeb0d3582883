//! Which event may stand in which stream of a session.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::RecordingError;
use crate::account::AccountEvent;
use crate::event::Event;
use crate::run::RunEvent;
use crate::session::SessionEvent;
use crate::workspace::WorkspaceEvent;
use crate::{BookId, SessionId, WorkspaceId};

/// Where an event goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// A stream of the session's own, which keeps its id.
    Own(Uuid),
    /// The account of the book that takes it in.
    Account,
}

/// What a stream of a session's own is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Noun {
    Session,
    Run,
    Workspace,
}

/// The streams of a session so far.
pub(super) struct Places {
    account: Uuid,
    session_id: SessionId,
    /// As the first event that names it says.
    workspace_id: Option<WorkspaceId>,
    streams: BTreeMap<Uuid, Noun>,
}

impl Places {
    /// A session of this book.
    pub fn new(book_id: BookId, session_id: SessionId) -> Self {
        Self { account: book_id.uuid(), session_id, workspace_id: None, streams: BTreeMap::new() }
    }

    /// Whether the session itself was begun.
    pub fn begun(&self) -> bool {
        self.streams.get(&self.session_id.uuid()) == Some(&Noun::Session)
    }

    /// Whether the session's workspace was made. Then it is the session's own here too: no stream begins twice.
    pub fn has_workspace(&self) -> bool {
        self.workspace_id.is_some_and(|id| self.streams.get(&id.uuid()) == Some(&Noun::Workspace))
    }

    /// Where an event goes, if it may stand there: a stream is of one noun, and begins with its own beginning.
    pub fn place(&mut self, stream_id: Uuid, sequence: i64, event: &Event) -> Result<Stream, RecordingError> {
        let misplaced = || RecordingError::Misplaced(event.stored_type().name);
        if stream_id == self.account {
            return if account_session(event) == Some(self.session_id) {
                Ok(Stream::Account)
            } else {
                Err(misplaced())
            };
        }
        match (beginning(event), self.streams.get(&stream_id)) {
            (Some(beginning), None) if sequence == 1 => {
                if beginning.id != stream_id || beginning.session_id != self.session_id {
                    return Err(misplaced());
                }
                if *self.workspace_id.get_or_insert(beginning.workspace_id) != beginning.workspace_id {
                    return Err(RecordingError::Workspace(event.stored_type().name));
                }
                self.streams.insert(stream_id, beginning.noun);
            }
            (None, Some(noun)) if noun_of(event) == Some(*noun) => {}
            (_, None) if sequence > 1 => return Err(RecordingError::Unbegun),
            _ => return Err(misplaced()),
        }
        Ok(Stream::Own(stream_id))
    }
}

/// What an event begins, and whose it is.
struct Beginning {
    noun: Noun,
    id: Uuid,
    session_id: SessionId,
    workspace_id: WorkspaceId,
}

fn beginning(event: &Event) -> Option<Beginning> {
    let (noun, id, session_id, workspace_id) = match event {
        Event::Session(SessionEvent::SessionStarted(e)) => {
            (Noun::Session, e.session_id.uuid(), e.session_id, e.workspace_id)
        }
        Event::Run(RunEvent::RunRequested(e)) => (Noun::Run, e.run_id.uuid(), e.session_id, e.workspace_id),
        Event::Workspace(WorkspaceEvent::WorkspaceCreated(e)) => {
            (Noun::Workspace, e.workspace_id.uuid(), e.session_id, e.workspace_id)
        }
        _ => return None,
    };
    Some(Beginning { noun, id, session_id, workspace_id })
}

fn noun_of(event: &Event) -> Option<Noun> {
    match event {
        Event::Session(_) => Some(Noun::Session),
        Event::Run(_) => Some(Noun::Run),
        Event::Workspace(_) => Some(Noun::Workspace),
        _ => None,
    }
}

fn account_session(event: &Event) -> Option<SessionId> {
    let Event::Account(event) = event else { return None };
    Some(match event {
        AccountEvent::SpendReserved(e) => e.session_id,
        AccountEvent::UsageMetered(e) => e.session_id,
        AccountEvent::UsageCharged(e) => e.session_id,
        AccountEvent::ReservationSettled(e) => e.session_id,
        AccountEvent::ReservationReleased(e) => e.session_id,
    })
}
