//! Why a run refuses.

use super::Phase;
use crate::id::{ApprovalId, RunId, ToolCallId};

/// Why a run refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunRefusal {
    /// There is no such run.
    #[error("there is no such run")]
    Unknown,
    /// The id belongs to another run.
    #[error("this run id is taken")]
    Taken,
    /// The run is over.
    #[error("this run is over")]
    Ended,
    /// The run is not over, or ended well.
    #[error("only a run that failed can be tried again")]
    NotFailed,
    /// A record of what happened elsewhere; nothing of it is worked on here.
    #[error("this run is a record of what happened elsewhere: start a new session to go on")]
    Imported,
    /// The attempt is over or belongs to another worker.
    #[error("this attempt at the step is over")]
    StepOver,
    /// There is no such call.
    #[error("there is no call {0} in this run")]
    UnknownCall(ToolCallId),
    /// The call is not at the point where this could happen to it.
    #[error("{0} is over or not yet approved")]
    CallOver(ToolCallId),
    /// There is no such question.
    #[error("there is no {0} in this run")]
    UnknownApproval(ApprovalId),
    /// The question has been answered the other way.
    #[error("{approval_id} has been {decided} already: a decision stands")]
    AlreadyDecided {
        /// The question.
        approval_id: ApprovalId,
        /// `granted` or `denied`.
        decided: &'static str,
    },
    /// The question is void because the run ended.
    #[error("{0} is no longer open")]
    ApprovalClosed(ApprovalId),
    /// Its content is gone for good.
    #[error("the content of this run was erased with its session")]
    Erased,
    /// Its session is to be erased, and it still works or waits.
    #[error("{0} has not ended: cancel it before its session is erased")]
    StillOpen(RunId),
    /// A phase that cannot follow.
    #[error("a run cannot go from {from:?} to {to:?}")]
    Phase {
        /// From.
        from: Phase,
        /// To.
        to: Phase,
    },
    /// More calls than one step may ask for.
    #[error("a step may ask for at most 32 tools")]
    TooManyCalls,
}
