//! Tool calls and the approvals about them.

use async_graphql::{Enum, ID, SimpleObject};
use domain::{ApprovalId, ToolCallId};
use projections::tool_call::{self, Row};

use crate::ids::id;

/// Where a call stands.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "tool_call::Status")]
pub enum ToolCallStatus {
    Requested,
    Asked,
    Approved,
    Started,
    Succeeded,
    Failed,
    TimedOut,
    Cancelled,
    Declined,
    Orphaned,
}

/// How far an approval reaches.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "domain::run::Scope")]
pub enum ApprovalScope {
    /// This call.
    Once,
    /// This call, and later calls of the same tool in this run.
    Run,
}

/// A question about a call, and its answer.
#[derive(SimpleObject)]
struct Approval {
    id: ID,
    reason: String,
    offered_scopes: Vec<ApprovalScope>,
    asked_at: domain::Timestamp,
    /// `granted` or `denied`; null while it waits.
    decision: Option<String>,
    scope: Option<ApprovalScope>,
    decided_by: Option<String>,
    via: Option<String>,
    denial_reason: Option<String>,
    /// How long the run waited, in milliseconds.
    waited_ms: Option<u64>,
}

/// A tool that the model asked for.
#[derive(SimpleObject)]
pub struct ToolCall {
    id: ID,
    run_id: ID,
    step_no: i64,
    tool: String,
    /// JSON as the model wrote it.
    arguments: String,
    status: ToolCallStatus,
    exit_code: Option<i64>,
    output: Option<String>,
    error: Option<String>,
    duration_ms: Option<i64>,
    requested_at: domain::Timestamp,
    started_at: Option<domain::Timestamp>,
    ended_at: Option<domain::Timestamp>,
    approval: Option<Approval>,
}

impl ToolCall {
    /// A call as its read model has it.
    pub fn of(call_id: ToolCallId, row: Row) -> Self {
        Self {
            id: id(call_id),
            run_id: id(row.run_id),
            step_no: row.step_no,
            tool: row.tool,
            arguments: row.arguments.text,
            status: row.status.into(),
            exit_code: row.exit_code,
            output: row.output.map(|output| output.text),
            error: row.error,
            duration_ms: row.duration_ms,
            requested_at: row.requested_at,
            started_at: row.started_at,
            ended_at: row.ended_at,
            approval: row.approval.map(|approval| Approval::of(call_id.into(), approval)),
        }
    }
}

impl Approval {
    fn of(approval_id: ApprovalId, approval: tool_call::Approval) -> Self {
        Self {
            id: id(approval_id),
            reason: approval.reason,
            offered_scopes: approval.offered_scopes.into_iter().map(Into::into).collect(),
            asked_at: approval.asked_at,
            decision: approval.decision,
            scope: approval.scope.map(Into::into),
            decided_by: approval.decided_by,
            via: approval.via.map(|via| format!("{via:?}").to_lowercase()),
            denial_reason: approval.denial_reason,
            waited_ms: approval.waited_ms,
        }
    }
}
