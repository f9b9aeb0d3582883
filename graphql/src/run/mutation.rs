//! What can be asked of a run.

use std::time::Duration;

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};
use commands::Done;
use domain::run::{DecideApproval, Decision, Via};
use domain::text::Reason;
use domain::{RunId, Viewer};

use super::Run;
use crate::State;
use crate::cursor::cursor;
use crate::error::{Refused, command, not_shown, text, wait};
use crate::ids::{parse, request};
use crate::tool_call::ApprovalScope;
use crate::viewer::writer;

/// How long an answer waits for the read models.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Commands on runs.
#[derive(Default)]
pub struct RunMutation;

/// Yes or no.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
enum ApprovalAnswer {
    /// Yes.
    Grant,
    /// No.
    Deny,
}

/// Answer a question.
#[derive(InputObject)]
struct ApprovalDecideInput {
    /// `request:` and a UUIDv7 of the client's; the same again gets the first answer.
    request_id: ID,
    run_id: ID,
    approval_id: ID,
    answer: ApprovalAnswer,
    /// How far a yes reaches.
    #[graphql(default_with = "ApprovalScope::Once")]
    scope: ApprovalScope,
    /// Why; told to the model with a no. At most 2,000 characters.
    reason: Option<String>,
}

/// Stop a run.
#[derive(InputObject)]
struct RunCancelInput {
    /// `request:` and a UUIDv7 of the client's; the same again gets the first answer.
    request_id: ID,
    run_id: ID,
    /// At most 2,000 characters.
    reason: Option<String>,
}

/// Try a failed run again.
#[derive(InputObject)]
struct RunRetryInput {
    /// `request:` and a UUIDv7 of the client's; the same again gets the first answer.
    request_id: ID,
    run_id: ID,
}

/// The question is answered.
#[derive(SimpleObject)]
struct ApprovalDecidePayload {
    run: Run,
    position: String,
}

/// The run is stopped.
#[derive(SimpleObject)]
struct RunCancelPayload {
    run: Run,
    position: String,
}

/// The run is tried again.
#[derive(SimpleObject)]
struct RunRetryPayload {
    run: Run,
    position: String,
}

#[Object]
impl RunMutation {
    /// Answers the question whether a tool call may go ahead. The same answer twice is already so; the opposite of a
    /// decision that was made is refused.
    async fn approval_decide(&self, ctx: &Context<'_>, input: ApprovalDecideInput) -> Refused<ApprovalDecidePayload> {
        let (viewer, state) = (writer(ctx)?, ctx.data_unchecked::<State>());
        let run_id = parse("runId", &input.run_id)?;
        let reason = Reason::parse("reason", input.reason.unwrap_or_default()).map_err(text)?;
        let decide = DecideApproval {
            approval_id: parse("approvalId", &input.approval_id)?,
            decision: match input.answer {
                ApprovalAnswer::Grant => Decision::Grant(input.scope.into()),
                ApprovalAnswer::Deny => Decision::Deny(reason.as_str().to_owned()),
            },
            decided_by: viewer.actor(),
            via: Via::Web,
            at: state.commands.log().now(),
        };
        let done = state.commands.approval_decide(viewer, request(&input.request_id)?, run_id, decide).await;
        let (run, position) = shown(ctx, viewer, run_id, done.map_err(command)?).await?;
        Ok(ApprovalDecidePayload { run, position })
    }

    /// Stops a run: what is under way is interrupted, and everything that waits is settled.
    async fn run_cancel(&self, ctx: &Context<'_>, input: RunCancelInput) -> Refused<RunCancelPayload> {
        let (viewer, state) = (writer(ctx)?, ctx.data_unchecked::<State>());
        let run_id = parse("runId", &input.run_id)?;
        let reason = Reason::parse("reason", input.reason.unwrap_or_default()).map_err(text)?;
        let request_id = request(&input.request_id)?;
        let done = state.commands.run_cancel(viewer, request_id, run_id, reason.as_str()).await.map_err(command)?;
        let (run, position) = shown(ctx, viewer, run_id, done).await?;
        Ok(RunCancelPayload { run, position })
    }

    /// Has a failed run tried again.
    async fn run_retry(&self, ctx: &Context<'_>, input: RunRetryInput) -> Refused<RunRetryPayload> {
        let (viewer, state) = (writer(ctx)?, ctx.data_unchecked::<State>());
        let run_id = parse("runId", &input.run_id)?;
        let done = state.commands.run_retry(viewer, request(&input.request_id)?, run_id).await.map_err(command)?;
        let (run, position) = shown(ctx, viewer, run_id, done).await?;
        Ok(RunRetryPayload { run, position })
    }
}

/// The run after a command, once the read models show it: the client reads what it wrote.
async fn shown(ctx: &Context<'_>, viewer: &Viewer, run_id: RunId, done: Done) -> Refused<(Run, String)> {
    let state = ctx.data_unchecked::<State>();
    state.runner.wait_for(viewer.book_id, done.position, PATIENCE).await.map_err(wait)?;
    let run = Run::load(ctx, viewer.book_id, run_id).await?.ok_or_else(|| not_shown("run"))?;
    Ok((run, cursor(ctx, done.position)))
}
