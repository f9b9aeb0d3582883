//! Erasure of a session's content.
//!
//! One append says what is erased: `content.erased` on the session, and a mark on each of its runs and on its workspace,
//! each with the sequence at which it was looked at. So nothing can slip in between the look and the append, and every
//! stream refuses whatever comes later. From that append on the content counts as gone; payloads, salts and blobs are
//! removed after it, in bounded steps, by whichever process gets to it.

mod finish;
mod plan;
mod watch;

use domain::erasure::PositionRange;
use domain::run::{RunCommand, RunErased, RunEvent};
use domain::session::{ContentErased, EraseSession, SessionCommand, SessionEvent};
use domain::text::Reason;
use domain::workspace::{WorkspaceCommand, WorkspaceErased, WorkspaceEvent};
use domain::{Aggregate, Event, RequestId, RunId, SessionId, Viewer, WorkspaceId};
use serde::Serialize;

use crate::commands::{Commands, Done, Drafting};
use crate::error::CommandError;
use crate::ids::request;
use crate::log::StreamAppend;
use crate::session::by;
use plan::{Plan, StreamPlan};

pub use plan::SessionErasure;
pub use watch::{Erased, Erasures};

/// Erase the content of a session.
#[derive(Debug, Clone, Serialize)]
pub struct SessionErase {
    /// The session.
    pub session_id: SessionId,
    /// Why; it stays in the log, so it should say nothing that is to be erased.
    pub reason: Reason,
}

impl Commands {
    /// Erases the content of a session: its messages, runs and files. Its costs stay. Answers what was erased, or
    /// nothing where that had been done before.
    pub async fn session_erase(
        &self,
        viewer: &Viewer,
        request_id: RequestId,
        input: SessionErase,
    ) -> Result<Done<Option<ContentErased>>, CommandError> {
        let (book_id, session_id) = (viewer.book_id, input.session_id);
        let draft = || -> Drafting<'_> {
            Box::pin(async {
                let plan = Plan::of(self.log().pool(), book_id, session_id).await?;
                self.draft_erasure(viewer, &input, &plan).await
            })
        };
        let context = by(viewer, session_id.uuid());
        let done = self.carry_out(book_id, request(request_id, &input), context, draft).await?;
        self.finish_erasure(book_id, session_id).await?;
        let answer = done.answer.into_iter().find_map(|event| match event {
            Event::Session(SessionEvent::ContentErased(erased)) => Some(erased),
            _ => None,
        });
        Ok(Done { position: done.position, answer })
    }

    /// What erasing a session would remove, and what would stay.
    pub async fn session_erasure(
        &self,
        viewer: &Viewer,
        session_id: SessionId,
    ) -> Result<SessionErasure, CommandError> {
        let plan = Plan::of(self.log().pool(), viewer.book_id, session_id).await?;
        let input = SessionErase { session_id, reason: Reason::default() };
        // Whatever would refuse the command refuses its rehearsal too.
        self.draft_erasure(viewer, &input, &plan).await?;
        Ok(plan.look_at_blobs(self.log().pool(), viewer.book_id, session_id).await?)
    }

    /// Decides for every stream of the session, each as the plan saw it.
    async fn draft_erasure(
        &self,
        viewer: &Viewer,
        input: &SessionErase,
        plan: &Plan,
    ) -> Result<Vec<StreamAppend>, CommandError> {
        let (book_id, session_id) = (viewer.book_id, input.session_id);
        let session = self.inner.sessions.load(book_id, session_id.uuid()).await?;
        let erase = EraseSession {
            session_id,
            positions: PositionRange::cover(plan.positions.iter().copied()),
            payload_bytes: plan.payload_bytes,
            blobs: plan.blobs.len() as u64,
            reason: input.reason.as_str().to_owned(),
            requested_by: viewer.user_id,
            role: viewer.role,
        };
        let decided = session.state.decide(&SessionCommand::Erase(erase))?;
        if decided.is_empty() {
            return Ok(vec![]);
        }
        let mut streams = vec![];
        for StreamPlan { stream_id, sequence, event_type } in &plan.streams {
            let events: Vec<Event> = if RunEvent::stores(event_type) {
                let run_id = RunId::new(*stream_id);
                let run = self.run(book_id, run_id).await?;
                all(run.state.decide(&RunCommand::Erase(RunErased { run_id }))?)
            } else if WorkspaceEvent::stores(event_type) {
                let workspace_id = WorkspaceId::new(*stream_id);
                let workspace = self.workspace(book_id, workspace_id).await?;
                all(workspace.state.decide(&WorkspaceCommand::Erase(WorkspaceErased { workspace_id }))?)
            } else {
                // The session itself goes last: its event says that all is decided.
                continue;
            };
            let session_id = Some(session_id.uuid());
            streams.push(StreamAppend { stream_id: *stream_id, expected: *sequence, session_id, events });
        }
        let expected = plan.sequence_of(session_id.uuid());
        let (stream_id, session_id) = (session_id.uuid(), Some(session_id.uuid()));
        streams.push(StreamAppend { stream_id, expected, session_id, events: all(decided) });
        Ok(streams)
    }
}

fn all<E: Into<Event>>(events: Vec<E>) -> Vec<Event> {
    events.into_iter().map(Into::into).collect()
}
