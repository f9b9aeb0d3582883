//! Which event may stand in which stream of a session.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::RecordingError;
use crate::account::AccountEvent;
use crate::event::Event;
use crate::run::RunEvent;
use crate::session::SessionEvent;
use crate::workspace::WorkspaceEvent;
use crate::{BookId, SessionId};

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
    streams: BTreeMap<Uuid, Noun>,
}

impl Places {
    /// A session of this book.
    pub fn new(book_id: BookId, session_id: SessionId) -> Self {
        Self { account: book_id.uuid(), session_id, streams: BTreeMap::new() }
    }

    /// Whether the session itself was begun.
    pub fn begun(&self) -> bool {
        self.streams.get(&self.session_id.uuid()) == Some(&Noun::Session)
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
            (Some((noun, id, session_id)), None) if sequence == 1 => {
                if id != stream_id || session_id != self.session_id {
                    return Err(misplaced());
                }
                self.streams.insert(stream_id, noun);
            }
            (None, Some(noun)) if noun_of(event) == Some(*noun) => {}
            (_, None) if sequence > 1 => return Err(RecordingError::Unbegun),
            _ => return Err(misplaced()),
        }
        Ok(Stream::Own(stream_id))
    }
}

/// What begins with an event, its id, and the session that it belongs to.
fn beginning(event: &Event) -> Option<(Noun, Uuid, SessionId)> {
    match event {
        Event::Session(SessionEvent::SessionStarted(e)) => Some((Noun::Session, e.session_id.uuid(), e.session_id)),
        Event::Run(RunEvent::RunRequested(e)) => Some((Noun::Run, e.run_id.uuid(), e.session_id)),
        Event::Workspace(WorkspaceEvent::WorkspaceCreated(e)) => {
            Some((Noun::Workspace, e.workspace_id.uuid(), e.session_id))
        }
        _ => None,
    }
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
