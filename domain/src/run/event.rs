//! What happens in a run.

use serde::{Deserialize, Serialize};

use super::phase::{Phase, Purpose};
use super::policy::ApprovalPolicy;
use crate::Timestamp;
use crate::content::Content;
use crate::event::events;
use crate::id::{ApprovalId, LlmCallId, MessageId, RunId, SessionId, ToolCallId, WorkerId, WorkspaceId};
use crate::money::NanoUsd;

/// Declares payload structs: every field is stored under its own name, unknown fields are refused.
macro_rules! payloads {
    ($($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$fdoc])* pub $field: $type,)*
        }
    )*};
}

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Mode {
    /// Plan, act, test, fix until green or the limit.
    Build,
}

/// What set a run off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// A message of a person.
    Message,
    /// A failed run is tried again.
    Retry,
    /// A record of another agent.
    Import,
}

/// A kind of failure; the vocabulary is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The provider refused the credentials.
    Unauthorized,
    /// The provider does not know the model.
    NotFound,
    /// The provider asks to slow down.
    RateLimited,
    /// The conversation is longer than the model can read.
    ContextTooLong,
    /// The provider did not accept the request.
    InvalidRequest,
    /// The provider failed.
    Server,
    /// The provider cannot be reached.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// The provider's answer cannot be understood.
    Protocol,
    /// A limit of the run was reached.
    LimitReached,
    /// The tests are still red and the agent gave up.
    TestsFailed,
    /// Daybook itself failed.
    Internal,
    /// A record of another system says that it failed.
    Imported,
}

/// What the person can do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum UserAction {
    /// Nothing.
    None,
    /// Try again.
    Retry,
    /// Change the settings.
    Settings,
}

/// How a tool call that did not succeed ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CallFailure {
    /// The tool refused or failed.
    Failed,
    /// Its time ran out.
    TimedOut,
    /// Its run was cancelled.
    Cancelled,
}

/// How far an approval reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// This call.
    Once,
    /// This call, and later calls of the same tool in this run.
    Run,
}

/// How a decision reached Daybook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// The browser.
    Web,
    /// The command line.
    Cli,
    /// GraphQL, by a program.
    Api,
}

/// Who let a tool call go ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ApprovedBy {
    /// The run's policy does not ask for such calls.
    Policy,
    /// A person said yes to this call.
    Person,
    /// A person said yes to such calls for the whole run.
    Grant,
    /// A record of another system; nobody was asked here.
    Record,
}

/// Where a plan's step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PlanStatus {
    /// Not begun.
    Pending,
    /// Begun.
    InProgress,
    /// Finished.
    Done,
}

payloads! {
    /// The bounds of a run.
    Limits {
        /// Model turns.
        max_steps: u32,
        /// Cost of model calls.
        max_cost_nanousd: NanoUsd,
        /// Time from request to end, in milliseconds.
        max_wall_ms: u64,
        /// How often red tests may be fixed.
        max_fix_attempts: u32,
    }
    /// A step of a plan.
    PlanItem {
        /// What is to be done.
        text: String,
        /// Where it stands.
        status: PlanStatus,
    }
    /// A failure, in words for the person and in a closed vocabulary for programs.
    RunError {
        /// What kind.
        kind: ErrorKind,
        /// Whether trying again may help.
        retryable: bool,
        /// What the person can do.
        user_action: UserAction,
        /// One sentence.
        message: String,
    }
    /// Somebody asked for a run.
    RunRequested {
        /// The run.
        run_id: RunId,
        /// Its session.
        session_id: SessionId,
        /// Its files.
        workspace_id: WorkspaceId,
        /// What it is for.
        mode: Mode,
        /// What set it off.
        trigger: Trigger,
        /// The message that it answers.
        message_id: MessageId,
        /// What that message says.
        task: Content,
        /// `provider/name`, or `unknown` for a record that does not say.
        model: String,
        /// Which tool calls ask first.
        approval_policy: ApprovalPolicy,
        /// Its bounds.
        limits: Limits,
        /// When.
        requested_at: Timestamp,
    }
    /// A further message reached the run while it worked.
    RunSteered {
        /// The message.
        message_id: MessageId,
        /// What it says.
        content: Content,
    }
    /// The run moved on.
    RunPhaseChanged {
        /// From.
        from: Phase,
        /// To.
        to: Phase,
        /// Why.
        reason: String,
    }
    /// A turn of the model is wanted.
    StepRequested {
        /// 1 and up within the run.
        step_no: u32,
        /// 1 and up within the step.
        attempt: u32,
        /// What for.
        purpose: Purpose,
        /// Not to be begun earlier, after a failure that passes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        not_before: Option<Timestamp>,
    }
    /// A worker took the turn.
    StepStarted {
        /// Which step.
        step_no: u32,
        /// Which attempt.
        attempt: u32,
        /// Who.
        worker_id: WorkerId,
        /// The call that is made; also names the reservation.
        llm_call_id: LlmCallId,
        /// `provider/name`.
        model: String,
    }
    /// The model thought.
    ThinkingCompleted {
        /// Which step.
        step_no: u32,
        /// What it thought.
        content: Content,
        /// For how long, in milliseconds.
        duration_ms: u64,
    }
    /// The model said something.
    AssistantMessageCompleted {
        /// The message.
        message_id: MessageId,
        /// Which step.
        step_no: u32,
        /// What it said.
        content: Content,
        /// When which part came: pairs of milliseconds since the first frame and bytes so far.
        cadence: Vec<(u32, u32)>,
    }
    /// The model laid out a plan.
    PlanProposed {
        /// Which step.
        step_no: u32,
        /// The steps of the plan, in order.
        items: Vec<PlanItem>,
    }
    /// The model changed its plan, or moved on in it.
    PlanRevised {
        /// Which step.
        step_no: u32,
        /// The steps of the plan, in order.
        items: Vec<PlanItem>,
    }
    /// The turn is over.
    StepCompleted {
        /// Which step.
        step_no: u32,
        /// Which attempt.
        attempt: u32,
        /// The call that was made.
        llm_call_id: LlmCallId,
        /// Why the model stopped.
        finish_reason: String,
        /// What it cost.
        cost_nanousd: NanoUsd,
    }
    /// The turn failed.
    StepFailed {
        /// Which step.
        step_no: u32,
        /// Which attempt.
        attempt: u32,
        /// The call that was made.
        llm_call_id: LlmCallId,
        /// How.
        error: RunError,
        /// What it cost all the same.
        cost_nanousd: NanoUsd,
    }
    /// The turn was cut off: its worker is gone or its run was cancelled.
    StepInterrupted {
        /// Which step.
        step_no: u32,
        /// Which attempt.
        attempt: u32,
        /// The call that was made.
        llm_call_id: LlmCallId,
        /// Why.
        reason: String,
        /// What it is estimated to have cost.
        cost_nanousd: NanoUsd,
    }
    /// The model asked for a tool.
    ToolCallRequested {
        /// The call.
        tool_call_id: ToolCallId,
        /// Which step asked.
        step_no: u32,
        /// Its place among the step's calls, from 0.
        index: u32,
        /// The id that the provider gave it; not always unique.
        provider_call_id: String,
        /// The tool.
        tool: String,
        /// Its arguments as the model wrote them.
        arguments: Content,
    }
    /// A person is asked.
    ApprovalRequested {
        /// The question.
        approval_id: ApprovalId,
        /// The call it is about.
        tool_call_id: ToolCallId,
        /// Why it is asked.
        reason: String,
        /// What can be answered besides no.
        offered_scopes: Vec<Scope>,
        /// When.
        asked_at: Timestamp,
    }
    /// A person said yes.
    ApprovalGranted {
        /// The question.
        approval_id: ApprovalId,
        /// The call it is about.
        tool_call_id: ToolCallId,
        /// How far it reaches.
        scope: Scope,
        /// Who.
        decided_by: String,
        /// How.
        via: Via,
        /// How long the run waited, in milliseconds.
        waited_ms: u64,
    }
    /// A person said no.
    ApprovalDenied {
        /// The question.
        approval_id: ApprovalId,
        /// The call it is about.
        tool_call_id: ToolCallId,
        /// Who.
        decided_by: String,
        /// How.
        via: Via,
        /// Why; the model is told.
        reason: String,
        /// How long the run waited, in milliseconds.
        waited_ms: u64,
    }
    /// The call may go ahead.
    ToolCallApproved {
        /// The call.
        tool_call_id: ToolCallId,
        /// By whom.
        by: ApprovedBy,
    }
    /// The call will not be made.
    ToolCallDeclined {
        /// The call.
        tool_call_id: ToolCallId,
        /// Why; the model is told.
        reason: String,
    }
    /// A worker took the call.
    ToolCallStarted {
        /// The call.
        tool_call_id: ToolCallId,
        /// Who.
        worker_id: WorkerId,
        /// How long it may take, in milliseconds.
        timeout_ms: u64,
    }
    /// The tool did what it was asked.
    ToolCallSucceeded {
        /// The call.
        tool_call_id: ToolCallId,
        /// The exit status, where there is one; a command may well succeed in failing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit_code: Option<i32>,
        /// How long it took, in milliseconds; absent where a record does not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        duration_ms: Option<u64>,
        /// What the model is shown.
        output: Content,
    }
    /// The tool did not.
    ToolCallFailed {
        /// The call.
        tool_call_id: ToolCallId,
        /// How it ended.
        failure: CallFailure,
        /// A stable code.
        code: String,
        /// One sentence; the model is told.
        message: String,
        /// How long it took, in milliseconds; absent where a record does not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        duration_ms: Option<u64>,
        /// What it had printed.
        output: Content,
    }
    /// The call was in flight when its worker died. It is not run again; the model is told.
    ToolCallOrphaned {
        /// The call.
        tool_call_id: ToolCallId,
        /// Why.
        reason: String,
    }
    /// Tests ran.
    TestsRan {
        /// The call that ran them.
        tool_call_id: ToolCallId,
        /// The framework.
        framework: String,
        /// The command line.
        command: String,
        /// Green ones.
        passed: u32,
        /// Red ones, errors included.
        failed: u32,
        /// Skipped ones.
        skipped: u32,
        /// How long they took, in milliseconds.
        duration_ms: u64,
    }
    /// There was nothing to test.
    TestsSkipped {
        /// Why.
        reason: String,
    }
    /// Red tests are to be fixed.
    FixAttempted {
        /// 1 and up.
        attempt: u32,
        /// How many tests are red.
        failed: u32,
    }
    /// The run ended well.
    RunCompleted {
        /// What the agent said at the end, in short.
        summary: String,
        /// Model turns.
        steps: u32,
        /// From request to end, in milliseconds; absent where a record does not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        duration_ms: Option<u64>,
        /// What its model calls cost.
        cost_nanousd: NanoUsd,
    }
    /// The run failed.
    RunFailed {
        /// How.
        error: RunError,
        /// Where it was.
        phase: Phase,
    }
    /// A person stopped the run.
    RunCancelled {
        /// Who.
        cancelled_by: String,
        /// Why.
        reason: String,
    }
    /// A failed run is tried again.
    RunRetried {
        /// Who asked.
        requested_by: String,
    }
    /// The content of the run was erased with its session's.
    RunErased {
        /// The run.
        run_id: RunId,
    }
}

events! {
    /// What happens in a run.
    RunEvent in Run {
        RunRequested = "run.requested" v 1,
        RunSteered = "run.steered" v 1,
        RunPhaseChanged = "run.phase_changed" v 1,
        StepRequested = "step.requested" v 1,
        StepStarted = "step.started" v 1,
        ThinkingCompleted = "thinking.completed" v 1,
        AssistantMessageCompleted = "assistant_message.completed" v 1,
        PlanProposed = "plan.proposed" v 1,
        PlanRevised = "plan.revised" v 1,
        StepCompleted = "step.completed" v 1,
        StepFailed = "step.failed" v 1,
        StepInterrupted = "step.interrupted" v 1,
        ToolCallRequested = "tool_call.requested" v 1,
        ApprovalRequested = "approval.requested" v 1,
        ApprovalGranted = "approval.granted" v 1,
        ApprovalDenied = "approval.denied" v 1,
        ToolCallApproved = "tool_call.approved" v 1,
        ToolCallDeclined = "tool_call.declined" v 1,
        ToolCallStarted = "tool_call.started" v 1,
        ToolCallSucceeded = "tool_call.succeeded" v 1,
        ToolCallFailed = "tool_call.failed" v 1,
        ToolCallOrphaned = "tool_call.orphaned" v 1,
        TestsRan = "tests.ran" v 1,
        TestsSkipped = "tests.skipped" v 1,
        FixAttempted = "fix.attempted" v 1,
        RunCompleted = "run.completed" v 1,
        RunFailed = "run.failed" v 1,
        RunCancelled = "run.cancelled" v 1,
        RunRetried = "run.retried" v 1,
        RunErased = "run.erased" v 1,
    }
}
