//! What can be asked of a session.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use commands::{Done, MessageSend, SessionErase, SessionStart, Started};
use domain::Viewer;
use domain::session::Origin;
use domain::text::{MessageText, Reason, TITLE_MAX_CHARS};

use super::Session;
use crate::State;
use crate::cursor::cursor;
use crate::error::{ErrorCode, Refused, command, not_shown, refuse, text, wait};
use crate::ids::{parse, request};
use crate::run::{ApprovalPolicy, PATIENCE, Run};
use crate::viewer::writer;

/// Commands on sessions.
#[derive(Default)]
pub struct SessionMutation;

/// Begin a session with a first message.
#[derive(InputObject)]
struct SessionStartInput {
    /// `request:` and a UUIDv7 of the client's; the same again gets the first answer.
    request_id: ID,
    /// 1 to 100,000 characters.
    text: String,
    /// At most 200 characters; the message's first line if absent.
    title: Option<String>,
    approval_policy: Option<ApprovalPolicy>,
    /// Whether the demo of a first visit asks.
    #[graphql(default = false)]
    demo: bool,
}

/// Write to a session.
#[derive(InputObject)]
struct MessageSendInput {
    /// `request:` and a UUIDv7 of the client's; the same again gets the first answer.
    request_id: ID,
    session_id: ID,
    /// 1 to 100,000 characters.
    text: String,
}

/// Erase the content of a session.
#[derive(InputObject)]
struct SessionEraseInput {
    /// `request:` and a UUIDv7 of the client's; the same again gets the first answer.
    request_id: ID,
    id: ID,
    /// Why, in 1 to 2,000 characters. It stays in the log, so it should say nothing that is to be erased.
    reason: String,
}

/// The content of the session is gone.
#[derive(SimpleObject)]
struct SessionErasePayload {
    session: Session,
    /// How many events lost their content; 0 where they had lost it before.
    erased_events: i64,
    position: String,
}

/// The session has begun.
#[derive(SimpleObject)]
struct SessionStartPayload {
    session: Session,
    run: Run,
    position: String,
}

/// The message has reached a run.
#[derive(SimpleObject)]
struct MessageSendPayload {
    session: Session,
    run: Run,
    position: String,
}

#[Object]
impl SessionMutation {
    /// Begins a session, its workspace and its first run.
    async fn session_start(&self, ctx: &Context<'_>, input: SessionStartInput) -> Refused<SessionStartPayload> {
        let (viewer, state) = (writer(ctx)?, ctx.data_unchecked::<State>());
        let title = input.title.filter(|title| !title.trim().is_empty());
        if title.as_ref().is_some_and(|title| title.chars().count() > TITLE_MAX_CHARS || title.contains('\0')) {
            return Err(refuse(ErrorCode::BadInput, "title: at most 200 characters, without null bytes"));
        }
        let start = SessionStart {
            text: MessageText::parse("text", input.text).map_err(text)?,
            title,
            approval_policy: input.approval_policy.map(Into::into).unwrap_or_default(),
            origin: if input.demo { Origin::Demo } else { Origin::Web },
            model: state.model(),
        };
        let done = state.commands.session_start(viewer, request(&input.request_id)?, start).await.map_err(command)?;
        let (session, run, position) = shown(ctx, viewer, done).await?;
        Ok(SessionStartPayload { session, run, position })
    }

    /// Writes to a session: the message reaches the run that works, or begins a new one.
    async fn message_send(&self, ctx: &Context<'_>, input: MessageSendInput) -> Refused<MessageSendPayload> {
        let (viewer, state) = (writer(ctx)?, ctx.data_unchecked::<State>());
        let send = MessageSend {
            session_id: parse("sessionId", &input.session_id)?,
            text: MessageText::parse("text", input.text).map_err(text)?,
            model: state.model(),
        };
        let done = state.commands.message_send(viewer, request(&input.request_id)?, send).await.map_err(command)?;
        let (session, run, position) = shown(ctx, viewer, done).await?;
        Ok(MessageSendPayload { session, run, position })
    }

    /// Erases the content of a session for good: messages, runs and files. Its costs stay, and so does the fact that it
    /// was there. Its owner may, and an administrator.
    async fn session_erase(&self, ctx: &Context<'_>, input: SessionEraseInput) -> Refused<SessionErasePayload> {
        let (viewer, state) = (writer(ctx)?, ctx.data_unchecked::<State>());
        let session_id = parse("id", &input.id)?;
        let reason = Reason::required("reason", input.reason).map_err(text)?;
        let erase = SessionErase { session_id, reason };
        let done = state.commands.session_erase(viewer, request(&input.request_id)?, erase).await.map_err(command)?;
        state.runner.wait_for(viewer.book_id, done.position, PATIENCE).await.map_err(wait)?;
        let session = Session::load(ctx, viewer.book_id, session_id).await?.ok_or_else(|| not_shown("session"))?;
        let erased_events = done.answer.map_or(0, |erased| erased.positions.iter().map(|range| range.count()).sum());
        Ok(SessionErasePayload { session, erased_events, position: cursor(ctx, done.position) })
    }
}

/// Session and run after a command, once the read models show them: the client reads what it wrote.
async fn shown(ctx: &Context<'_>, viewer: &Viewer, done: Done<Started>) -> Refused<(Session, Run, String)> {
    let state = ctx.data_unchecked::<State>();
    state.runner.wait_for(viewer.book_id, done.position, PATIENCE).await.map_err(wait)?;
    let session = Session::load(ctx, viewer.book_id, done.answer.session_id).await?;
    let run = Run::load(ctx, viewer.book_id, done.answer.run_id).await?;
    Ok((session.ok_or_else(|| not_shown("session"))?, run.ok_or_else(|| not_shown("run"))?, cursor(ctx, done.position)))
}
