//! What can be asked of a run. Ids and times are made by the caller.

use super::{CallFailure, ErrorKind, ImportedRun, PlanItem, RunErased, RunError, RunRequested, Scope, UserAction, Via};
use crate::Timestamp;
use crate::content::Content;
use crate::id::{ApprovalId, LlmCallId, MessageId, ToolCallId, WorkerId};
use crate::money::NanoUsd;

/// What can be asked of a run.
#[derive(Debug, Clone)]
pub enum RunCommand {
    /// Begin it.
    Request(RunRequested),
    /// Give it a further message.
    Steer {
        /// The message.
        message_id: MessageId,
        /// What it says.
        content: Content,
    },
    /// A worker takes the open step.
    StartStep(StartStep),
    /// The worker's step is over.
    CompleteStep(CompleteStep),
    /// The worker's step failed.
    FailStep(FailStep),
    /// The worker of a step is gone.
    InterruptStep {
        /// Which one.
        step: StepRef,
        /// Why.
        reason: String,
        /// What it is estimated to have cost.
        cost_nanousd: NanoUsd,
    },
    /// A person answers a question.
    DecideApproval(DecideApproval),
    /// A worker takes an approved call.
    StartCall {
        /// The call.
        tool_call_id: ToolCallId,
        /// Who.
        worker_id: WorkerId,
        /// How long it may take, in milliseconds.
        timeout_ms: u64,
    },
    /// The worker's call is over.
    FinishCall(FinishCall),
    /// The worker of a call is gone.
    OrphanCall {
        /// The call.
        tool_call_id: ToolCallId,
        /// Why.
        reason: String,
        /// When.
        at: Timestamp,
    },
    /// A person stops the run.
    Cancel {
        /// Who.
        cancelled_by: String,
        /// Why.
        reason: String,
        /// What the model call that is under way is estimated to cost.
        cost_nanousd: NanoUsd,
    },
    /// A record of elsewhere ends before its run did.
    EndRecord {
        /// Who took it in.
        ended_by: String,
        /// Why.
        reason: String,
    },
    /// A person has a failed run tried again.
    Retry {
        /// Who.
        requested_by: String,
    },
    /// Its session is erased.
    Erase(RunErased),
    /// Write down a run that happened elsewhere.
    Import(ImportedRun),
}

/// Names one attempt at one step by one worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepRef {
    /// Which step.
    pub step_no: u32,
    /// Which attempt.
    pub attempt: u32,
    /// Who does it.
    pub worker_id: WorkerId,
}

/// A worker takes the open step.
#[derive(Debug, Clone)]
pub struct StartStep {
    /// Which attempt at which step, by whom.
    pub step: StepRef,
    /// The call that will be made.
    pub llm_call_id: LlmCallId,
    /// `provider/name`.
    pub model: String,
    /// The most that the call can cost.
    pub est_nanousd: NanoUsd,
    /// When.
    pub at: Timestamp,
}

/// The model did not answer.
#[derive(Debug, Clone)]
pub struct FailStep {
    /// Which attempt at which step, by whom.
    pub step: StepRef,
    /// How.
    pub error: RunError,
    /// What it cost all the same.
    pub cost_nanousd: NanoUsd,
    /// When.
    pub at: Timestamp,
    /// How long to wait before another attempt, if there is one.
    pub retry_after_ms: u64,
}

/// What the model answered.
#[derive(Debug, Clone)]
pub struct CompleteStep {
    /// Which attempt at which step, by whom.
    pub step: StepRef,
    /// What it thought, and for how many milliseconds.
    pub thinking: Option<(Content, u64)>,
    /// What it said.
    pub text: Option<SaidText>,
    /// The plan it laid out.
    pub plan: Option<Vec<PlanItem>>,
    /// The tools it asked for, in order.
    pub calls: Vec<RequestedCall>,
    /// Why it stopped.
    pub finish_reason: String,
    /// What the call cost.
    pub cost_nanousd: NanoUsd,
    /// When.
    pub at: Timestamp,
}

/// What the model said.
#[derive(Debug, Clone)]
pub struct SaidText {
    /// The message.
    pub message_id: MessageId,
    /// The text.
    pub content: Content,
    /// Pairs of milliseconds since the first frame and bytes so far.
    pub cadence: Vec<(u32, u32)>,
}

/// A tool that the model asked for.
#[derive(Debug, Clone)]
pub struct RequestedCall {
    /// The call.
    pub tool_call_id: ToolCallId,
    /// The id that the provider gave it.
    pub provider_call_id: String,
    /// The tool.
    pub tool: String,
    /// Its arguments as the model wrote them.
    pub arguments: Content,
}

/// A person answers a question.
#[derive(Debug, Clone)]
pub struct DecideApproval {
    /// The question.
    pub approval_id: ApprovalId,
    /// Yes, and how far; or no, and why.
    pub decision: Decision,
    /// Who.
    pub decided_by: String,
    /// How.
    pub via: Via,
    /// When.
    pub at: Timestamp,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Decision {
    /// Yes.
    Grant(Scope),
    /// No, and why.
    Deny(String),
}

/// What came of a call.
#[derive(Debug, Clone)]
pub struct FinishCall {
    /// The call.
    pub tool_call_id: ToolCallId,
    /// Who made it.
    pub worker_id: WorkerId,
    /// What came of it.
    pub result: CallResult,
    /// What it printed.
    pub output: Content,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The tests it ran.
    pub tests: Option<TestReport>,
    /// When.
    pub at: Timestamp,
}

/// Whether a tool did what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallResult {
    /// It did.
    Succeeded {
        /// The exit status, where there is one.
        exit_code: Option<i32>,
    },
    /// It did not.
    Failed {
        /// How it ended.
        failure: CallFailure,
        /// A stable code.
        code: String,
        /// One sentence.
        message: String,
    },
}

/// What a run of tests found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestReport {
    /// The framework.
    pub framework: String,
    /// The command line.
    pub command: String,
    /// Green ones.
    pub passed: u32,
    /// Red ones, errors included.
    pub failed: u32,
    /// Skipped ones.
    pub skipped: u32,
    /// How long they took, in milliseconds.
    pub duration_ms: u64,
}

impl RunError {
    /// A bound of the run was reached.
    pub fn limit(message: impl Into<String>) -> Self {
        Self {
            kind: ErrorKind::LimitReached,
            retryable: false,
            user_action: UserAction::Settings,
            message: message.into(),
        }
    }
}
