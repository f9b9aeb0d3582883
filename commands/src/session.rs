//! Commands on sessions: begin one, write to one.

use domain::run::{Limits, Mode, RunCommand, RunRequested, Trigger};
use domain::session::{Delivery, MessageReceived, Origin, SessionCommand, SessionStarted};
use domain::text::MessageText;
use domain::workspace::{WorkspaceCommand, WorkspaceCreated};
use domain::{Aggregate, Event, RequestId, RunId, SessionId, Viewer};
use serde::Serialize;
use uuid::Uuid;

use crate::commands::{Commands, Done, Drafting, to_stream};
use crate::error::CommandError;
use crate::ids::{derived, request};
use crate::log::Context;
use domain::run::ApprovalPolicy;

/// Begin a session with a first message.
#[derive(Debug, Clone, Serialize)]
pub struct SessionStart {
    /// The message.
    pub text: MessageText,
    /// What lists call the session; the message's first line if absent.
    pub title: Option<String>,
    /// Which tool calls ask first.
    pub approval_policy: ApprovalPolicy,
    /// Where it comes from.
    pub origin: Origin,
    /// The model, `provider/name`.
    pub model: String,
}

/// Write to a session.
#[derive(Debug, Clone, Serialize)]
pub struct MessageSend {
    /// The session.
    pub session_id: SessionId,
    /// The message.
    pub text: MessageText,
    /// The model of a run that it may begin, `provider/name`.
    pub model: String,
}

/// The session and the run that a message reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Started {
    /// The session.
    pub session_id: SessionId,
    /// The run.
    pub run_id: RunId,
}

impl Commands {
    /// Begins a session, its workspace and its first run, all in one append.
    pub async fn session_start(
        &self,
        viewer: &Viewer,
        request_id: RequestId,
        input: SessionStart,
    ) -> Result<Done<Started>, CommandError> {
        let source = request_id.uuid();
        let (session_id, run_id) = (derived(source, "session"), derived(source, "run"));
        let (workspace_id, message_id) = (derived(source, "workspace"), derived(source, "message"));
        let book_id = viewer.book_id;
        let task = self.content(book_id, session_id, input.text.as_str().to_owned()).await?;
        let started = SessionStarted {
            session_id,
            title: input.title.clone().unwrap_or_else(|| input.text.title()),
            owner_user_id: viewer.user_id,
            workspace_id,
            origin: input.origin,
            model: Some(input.model.clone()),
            approval_policy: input.approval_policy,
            import_source: None,
        };
        let message = MessageReceived { message_id, content: task.clone(), delivery: Delivery::Now, run_id };
        let requested = RunRequested {
            run_id,
            session_id,
            workspace_id,
            mode: Mode::Build,
            trigger: Trigger::Message,
            message_id,
            task,
            model: input.model.clone(),
            approval_policy: input.approval_policy,
            limits: Limits::default(),
            requested_at: self.log().now(),
        };
        let draft = || -> Drafting<'_> {
            Box::pin(async {
                let session = self.inner.sessions.load(book_id, session_id.uuid()).await?;
                let workspace = self.inner.workspaces.load(book_id, workspace_id.uuid()).await?;
                let run = self.inner.runs.load(book_id, run_id.uuid()).await?;
                let mut state = (*session.state).clone();
                let mut session_events = state.decide(&SessionCommand::Start(started.clone()))?;
                session_events.iter().for_each(|event| state.evolve(event));
                session_events.extend(state.decide(&SessionCommand::ReceiveMessage(message.clone()))?);
                let created = WorkspaceCreated { workspace_id, session_id };
                Ok(vec![
                    to_stream(session_id.uuid(), &session, Some(session_id), session_events),
                    to_stream(
                        workspace_id.uuid(),
                        &workspace,
                        Some(session_id),
                        workspace.state.decide(&WorkspaceCommand::Create(created))?,
                    ),
                    to_stream(
                        run_id.uuid(),
                        &run,
                        Some(session_id),
                        run.state.decide(&RunCommand::Request(requested.clone()))?,
                    ),
                ])
            })
        };
        let done = self.carry_out(book_id, request(request_id, &input), by(viewer, run_id.uuid()), draft).await?;
        Ok(Done { position: done.position, answer: Started { session_id, run_id } })
    }

    /// Writes to a session: the message reaches the run that works, or begins a new one.
    pub async fn message_send(
        &self,
        viewer: &Viewer,
        request_id: RequestId,
        input: MessageSend,
    ) -> Result<Done<Started>, CommandError> {
        let source = request_id.uuid();
        let (message_id, new_run_id) = (derived(source, "message"), derived(source, "run"));
        let (book_id, session_id) = (viewer.book_id, input.session_id);
        let content = self.content(book_id, session_id, input.text.as_str().to_owned()).await?;
        let requested_at = self.log().now();
        let draft = || -> Drafting<'_> {
            Box::pin(async {
                let session = self.inner.sessions.load(book_id, session_id.uuid()).await?;
                let known = session.state.begun()?;
                let open = match session.state.last_run {
                    Some(run_id) => {
                        let run = self.inner.runs.load(book_id, run_id.uuid()).await?;
                        run.state.state().is_some_and(|state| state.outcome().is_none()).then_some(run_id)
                    }
                    None => None,
                };
                let run_id = open.unwrap_or(new_run_id);
                let run = self.inner.runs.load(book_id, run_id.uuid()).await?;
                let delivery = if open.is_some() { Delivery::Steer } else { Delivery::Now };
                let message = MessageReceived { message_id, content: content.clone(), delivery, run_id };
                let command = match open {
                    Some(_) => RunCommand::Steer { message_id, content: content.clone() },
                    None => RunCommand::Request(RunRequested {
                        run_id,
                        session_id,
                        workspace_id: known.workspace_id,
                        mode: Mode::Build,
                        trigger: Trigger::Message,
                        message_id,
                        task: content.clone(),
                        model: input.model.clone(),
                        approval_policy: known.approval_policy,
                        limits: Limits::default(),
                        requested_at,
                    }),
                };
                let events = session.state.decide(&SessionCommand::ReceiveMessage(message))?;
                Ok(vec![
                    to_stream(session_id.uuid(), &session, Some(session_id), events),
                    to_stream(run_id.uuid(), &run, Some(session_id), run.state.decide(&command)?),
                ])
            })
        };
        let done = self.carry_out(book_id, request(request_id, &input), by(viewer, session_id.uuid()), draft).await?;
        let run_id = done.answer.iter().find_map(|event| match event {
            Event::Session(domain::session::SessionEvent::MessageReceived(message)) => Some(message.run_id),
            _ => None,
        });
        let answer = Started { session_id, run_id: run_id.unwrap_or(new_run_id) };
        Ok(Done { position: done.position, answer })
    }
}

/// A person acts.
pub(crate) fn by(viewer: &Viewer, correlation_id: Uuid) -> Context {
    Context { actor_id: viewer.actor(), correlation_id: Some(correlation_id), causation_id: None }
}
