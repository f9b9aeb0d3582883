//! Tool calls with their approvals: one row per call.

use domain::run::{CallFailure, RunEvent, Scope, Via};
use domain::{BookId, Content, Event, RunId, SessionId, Timestamp, ToolCallId};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgConnection, Row as _};

use crate::column::{Column, Type, Value, column};
use crate::feed::Recorded;
use crate::projection::Projection;
use crate::view::select;

/// Tool calls.
pub enum ToolCalls {}

/// Where a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
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

/// A question about a call, and its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    /// Why it was asked.
    pub reason: String,
    /// What could be answered besides no.
    pub offered_scopes: Vec<Scope>,
    /// When.
    pub asked_at: Timestamp,
    /// `granted` or `denied`; absent while it waits.
    pub decision: Option<String>,
    /// How far a yes reaches.
    pub scope: Option<Scope>,
    /// Who answered.
    pub decided_by: Option<String>,
    /// How.
    pub via: Option<Via>,
    /// Why it was denied.
    pub denial_reason: Option<String>,
    /// How long the run waited, in milliseconds.
    pub waited_ms: Option<u64>,
}

/// A call.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its run.
    pub run_id: RunId,
    /// Its session.
    pub session_id: Option<SessionId>,
    /// Which step asked.
    pub step_no: i64,
    /// Its place among the step's calls, from 0.
    pub call_index: i64,
    /// The tool.
    pub tool: String,
    /// Its arguments as the model wrote them.
    pub arguments: Content,
    /// Where it stands.
    pub status: Status,
    /// The exit status.
    pub exit_code: Option<i64>,
    /// What it printed.
    pub output: Option<Content>,
    /// Why it did not succeed.
    pub error: Option<String>,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<i64>,
    /// When the model asked for it.
    pub requested_at: Timestamp,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// The question about it.
    pub approval: Option<Approval>,
}

impl Projection for ToolCalls {
    const NAME: &'static str = "tool_calls";
    const VERSION: i32 = 2;
    const COLUMNS: &'static [Column] = &[
        column("tool_call_id", Type::Uuid),
        column("run_id", Type::Uuid),
        column("session_id", Type::Uuid),
        column("step_no", Type::Int),
        column("call_index", Type::Int),
        column("tool", Type::Text),
        column("arguments", Type::Json),
        column("status", Type::Json),
        column("exit_code", Type::Int),
        column("output", Type::Json),
        column("error", Type::Text),
        column("duration_ms", Type::Int),
        column("requested_at", Type::Time),
        column("started_at", Type::Time),
        column("ended_at", Type::Time),
        column("approval", Type::Json),
    ];
    const KEY: usize = 1;
    const EXTRA: &'static [&'static str] = &["CREATE INDEX ON {table} (book_id, run_id, step_no, call_index)"];

    type Key = ToolCallId;
    type Row = Row;

    fn concerns(event_type: &str) -> bool {
        RunEvent::stores(event_type)
    }

    fn keys(event: &Recorded) -> Vec<ToolCallId> {
        event.event().and_then(call_of).into_iter().collect()
    }

    fn fold(row: &mut Option<Row>, _: &ToolCallId, recorded: &Recorded) {
        let Some(Event::Run(event)) = recorded.event() else { return };
        if let RunEvent::ToolCallRequested(requested) = event {
            *row = Some(Row {
                run_id: RunId::new(recorded.stream_id),
                session_id: recorded.session_id,
                step_no: i64::from(requested.step_no),
                call_index: i64::from(requested.index),
                tool: requested.tool.clone(),
                arguments: requested.arguments.clone(),
                status: Status::Requested,
                exit_code: None,
                output: None,
                error: None,
                duration_ms: None,
                requested_at: recorded.occurred_at,
                started_at: None,
                ended_at: None,
                approval: None,
            });
        } else if let Some(row) = row {
            row.take_in(event, recorded.occurred_at);
        }
    }

    fn key_values(key: &ToolCallId) -> Vec<Value> {
        vec![key.uuid().into()]
    }

    fn row_values(row: &Row) -> Vec<Value> {
        vec![
            row.run_id.uuid().into(),
            row.session_id.map(SessionId::uuid).into(),
            row.step_no.into(),
            row.call_index.into(),
            (&row.tool).into(),
            Value::json(&row.arguments),
            Value::json(&row.status),
            row.exit_code.into(),
            Value::Json(row.output.as_ref().map(|o| serde_json::to_string(o).expect("it is plain data"))),
            (&row.error).into(),
            row.duration_ms.into(),
            row.requested_at.into(),
            row.started_at.into(),
            row.ended_at.into(),
            Value::Json(row.approval.as_ref().map(|a| serde_json::to_string(a).expect("it is plain data"))),
        ]
    }

    fn read_key(row: &PgRow) -> ToolCallId {
        ToolCallId::new(row.get("tool_call_id"))
    }

    fn read_row(row: &PgRow) -> Row {
        Row {
            run_id: RunId::new(row.get("run_id")),
            session_id: row.get::<Option<_>, _>("session_id").map(SessionId::new),
            step_no: row.get("step_no"),
            call_index: row.get("call_index"),
            tool: row.get("tool"),
            arguments: row.get::<Json<_>, _>("arguments").0,
            status: row.get::<Json<_>, _>("status").0,
            exit_code: row.get("exit_code"),
            output: row.get::<Option<Json<_>>, _>("output").map(|json| json.0),
            error: row.get("error"),
            duration_ms: row.get("duration_ms"),
            requested_at: row.get("requested_at"),
            started_at: row.get("started_at"),
            ended_at: row.get("ended_at"),
            approval: row.get::<Option<Json<_>>, _>("approval").map(|json| json.0),
        }
    }
}

impl Row {
    fn take_in(&mut self, event: &RunEvent, at: Timestamp) {
        match event {
            RunEvent::ApprovalRequested(e) => {
                self.status = Status::Asked;
                self.approval = Some(Approval {
                    reason: e.reason.clone(),
                    offered_scopes: e.offered_scopes.clone(),
                    asked_at: e.asked_at,
                    decision: None,
                    scope: None,
                    decided_by: None,
                    via: None,
                    denial_reason: None,
                    waited_ms: None,
                });
            }
            RunEvent::ApprovalGranted(e) => {
                self.decided("granted", &e.decided_by, e.via, e.waited_ms);
                if let Some(approval) = &mut self.approval {
                    approval.scope = Some(e.scope);
                }
            }
            RunEvent::ApprovalDenied(e) => {
                self.decided("denied", &e.decided_by, e.via, e.waited_ms);
                if let Some(approval) = &mut self.approval {
                    approval.denial_reason = Some(e.reason.clone());
                }
            }
            RunEvent::ToolCallApproved(_) => self.status = Status::Approved,
            RunEvent::ToolCallStarted(_) => {
                self.status = Status::Started;
                self.started_at = Some(at);
            }
            RunEvent::ToolCallDeclined(e) => self.settle(Status::Declined, at, Some(&e.reason)),
            RunEvent::ToolCallOrphaned(e) => self.settle(Status::Orphaned, at, Some(&e.reason)),
            RunEvent::ToolCallSucceeded(e) => {
                self.settle(Status::Succeeded, at, None);
                self.exit_code = e.exit_code.map(i64::from);
                self.duration_ms = e.duration_ms.and_then(|ms| i64::try_from(ms).ok());
                self.output = Some(e.output.clone());
            }
            RunEvent::ToolCallFailed(e) => {
                let status = match e.failure {
                    CallFailure::Failed => Status::Failed,
                    CallFailure::TimedOut => Status::TimedOut,
                    CallFailure::Cancelled => Status::Cancelled,
                };
                self.settle(status, at, Some(&e.message));
                self.duration_ms = e.duration_ms.and_then(|ms| i64::try_from(ms).ok());
                self.output = Some(e.output.clone());
            }
            _ => {}
        }
    }

    fn settle(&mut self, status: Status, at: Timestamp, error: Option<&String>) {
        self.status = status;
        self.ended_at = Some(at);
        self.error = error.cloned();
    }

    fn decided(&mut self, decision: &str, by: &str, via: Via, waited_ms: u64) {
        if let Some(approval) = &mut self.approval {
            approval.decision = Some(decision.to_owned());
            approval.decided_by = Some(by.to_owned());
            approval.via = Some(via);
            approval.waited_ms = Some(waited_ms);
        }
    }
}

/// The call that an event is about.
pub(crate) fn call_of(event: &Event) -> Option<ToolCallId> {
    let Event::Run(event) = event else { return None };
    match event {
        RunEvent::ToolCallRequested(e) => Some(e.tool_call_id),
        RunEvent::ApprovalRequested(e) => Some(e.tool_call_id),
        RunEvent::ApprovalGranted(e) => Some(e.tool_call_id),
        RunEvent::ApprovalDenied(e) => Some(e.tool_call_id),
        RunEvent::ToolCallApproved(e) => Some(e.tool_call_id),
        RunEvent::ToolCallDeclined(e) => Some(e.tool_call_id),
        RunEvent::ToolCallStarted(e) => Some(e.tool_call_id),
        RunEvent::ToolCallSucceeded(e) => Some(e.tool_call_id),
        RunEvent::ToolCallFailed(e) => Some(e.tool_call_id),
        RunEvent::ToolCallOrphaned(e) => Some(e.tool_call_id),
        RunEvent::TestsRan(e) => Some(e.tool_call_id),
        _ => None,
    }
}

/// The calls of a run, in the order in which they were asked for.
pub async fn of_run(db: &mut PgConnection, book_id: BookId, id: RunId) -> sqlx::Result<Vec<(ToolCallId, Row)>> {
    let rows =
        sqlx::query(&select::<ToolCalls>("WHERE book_id = $1 AND run_id = $2 ORDER BY step_no, call_index LIMIT 5000"))
            .bind(book_id.uuid())
            .bind(id.uuid())
            .fetch_all(db)
            .await?;
    Ok(rows.iter().map(|row| (ToolCalls::read_key(row), ToolCalls::read_row(row))).collect())
}
