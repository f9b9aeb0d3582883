//! Takes in a recorded run of another agent: a session, its files, its run and its bill, in one append.

use domain::account::{AccountCommand, ImportedUsage};
use domain::run::{ImportedRun, RunCommand};
use domain::session::{MessageReceived, SessionCommand, SessionStarted};
use domain::workspace::{WorkspaceCommand, WorkspaceCreated, WorkspaceEvent};
use domain::{Aggregate, Event, RequestId, SessionId, Sha256, Viewer};

use crate::commands::{Commands, Done, Drafting, account_stream, to_stream};
use crate::error::CommandError;
use crate::log::Request;
use crate::session::by;

/// Everything that a record says.
#[derive(Debug, Clone)]
pub struct ImportedSession {
    /// The file's hash: the same file is taken in once.
    pub sha256: Sha256,
    /// How the session began.
    pub session: SessionStarted,
    /// What the person wrote.
    pub message: MessageReceived,
    /// What the agent did.
    pub run: ImportedRun,
    /// What became of which file, where the record proves it.
    pub changes: Vec<WorkspaceEvent>,
    /// What it cost, as far as the record says.
    pub usage: Option<ImportedUsage>,
}

/// What came of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imported {
    /// The session that holds it.
    pub session_id: SessionId,
    /// Whether this file had been taken in before; then nothing was written now.
    pub before: bool,
    /// How many events hold it.
    pub events: usize,
}

impl Commands {
    /// Whether a file with this hash was taken in before.
    pub async fn has_imported(&self, viewer: &Viewer, sha256: Sha256) -> Result<bool, CommandError> {
        Ok(self.log().answered(viewer.book_id, request_of(sha256)).await?.is_some())
    }

    /// Takes in a recorded run. The same file again changes nothing and answers the session that holds it.
    pub async fn import(&self, viewer: &Viewer, record: ImportedSession) -> Result<Done<Imported>, CommandError> {
        let book_id = viewer.book_id;
        let request = request_of(record.sha256);
        let session_id = record.session.session_id;
        let workspace_id = record.session.workspace_id;
        let run_id = record.run.request.run_id;
        let draft = || -> Drafting<'_> {
            Box::pin(async {
                let session = self.inner.sessions.load(book_id, session_id.uuid()).await?;
                let workspace = self.inner.workspaces.load(book_id, workspace_id.uuid()).await?;
                let run = self.run(book_id, run_id).await?;
                let mut state = (*session.state).clone();
                let mut session_events = state.decide(&SessionCommand::Start(record.session.clone()))?;
                session_events.iter().for_each(|event| state.evolve(event));
                session_events.extend(state.decide(&SessionCommand::ReceiveMessage(record.message.clone()))?);
                let mut files = (*workspace.state).clone();
                let created = WorkspaceCreated { workspace_id, session_id };
                let mut file_events = files.decide(&WorkspaceCommand::Create(created))?;
                file_events.iter().for_each(|event| files.evolve(event));
                file_events.extend(files.decide(&WorkspaceCommand::RecordChanges(record.changes.clone()))?);
                let mut streams = vec![
                    to_stream(session_id.uuid(), &session, Some(session_id), session_events),
                    to_stream(
                        run_id.uuid(),
                        &run,
                        Some(session_id),
                        run.state.decide(&RunCommand::Import(record.run.clone()))?,
                    ),
                    to_stream(workspace_id.uuid(), &workspace, Some(session_id), file_events),
                ];
                if let Some(usage) = record.usage.clone() {
                    let account = self.account(book_id).await?;
                    let events = account.state.decide(&AccountCommand::Import(usage))?;
                    streams.push(to_stream(account_stream(book_id), &account, Some(session_id), events));
                }
                Ok(streams)
            })
        };
        let done = self.carry_out(book_id, request, by(viewer, session_id.uuid()), draft).await?;
        let held_by = done.answer.iter().find_map(|event| match event {
            Event::Session(domain::session::SessionEvent::SessionStarted(started)) => Some(started.session_id),
            _ => None,
        });
        let held_by = held_by.unwrap_or(session_id);
        let answer = Imported { session_id: held_by, before: held_by != session_id, events: done.answer.len() };
        Ok(Done { position: done.position, answer })
    }
}

/// The request is the file: its id is made of the file's hash (a UUID of version 8, RFC 9562).
fn request_of(file: Sha256) -> Request {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&file.0[..16]);
    let id = RequestId::new(uuid::Builder::from_custom_bytes(bytes).into_uuid());
    Request { id, hash: file.0 }
}
