//! The timeline: one line per event of a session, in words.

use domain::account::AccountEvent;
use domain::content::head;
use domain::run::{CallFailure, RunEvent};
use domain::session::{Delivery, SessionEvent};
use domain::workspace::{FileCreated, FileDeleted, FileModified, WorkspaceEvent};
use domain::{BookId, Event, SessionId, Timestamp};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use crate::column::{Column, Type, Value, column};
use crate::feed::Recorded;
use crate::projection::Projection;
use crate::tool_call::call_of;
use crate::view::select;

/// The longest detail, in bytes.
const DETAIL_MAX: usize = 300;

/// The timeline.
pub enum Timeline {}

/// A line of the timeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The session.
    pub session_id: SessionId,
    /// The run, where the event belongs to one.
    pub run_id: Option<Uuid>,
    /// `noun.verb_past`.
    pub event_type: String,
    /// What happened, in a few words.
    pub title: String,
    /// More of it, in one line.
    pub detail: String,
    /// Who did it.
    pub actor_id: String,
    /// The call that it is about.
    pub tool_call_id: Option<Uuid>,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// When it was written down.
    pub recorded_at: Timestamp,
}

impl Projection for Timeline {
    const NAME: &'static str = "timeline";
    const VERSION: i32 = 2;
    const COLUMNS: &'static [Column] = &[
        column("position", Type::Int),
        column("session_id", Type::Uuid),
        column("run_id", Type::Uuid),
        column("event_type", Type::Text),
        column("title", Type::Text),
        column("detail", Type::Text),
        column("actor_id", Type::Text),
        column("tool_call_id", Type::Uuid),
        column("occurred_at", Type::Time),
        column("recorded_at", Type::Time),
    ];
    const KEY: usize = 1;
    const INSERT_ONLY: bool = true;

    type Key = i64;
    type Row = Row;

    fn concerns(_: &str) -> bool {
        true
    }

    fn keys(event: &Recorded) -> Vec<i64> {
        event.session_id.map(|_| event.position).into_iter().collect()
    }

    fn fold(row: &mut Option<Row>, _: &i64, event: &Recorded) {
        let Some(session_id) = event.session_id else { return };
        let (title, detail) = match event.event() {
            Some(event) => words(event),
            // What kind of thing happened stands in the header, which stays.
            None => ("Content erased".to_owned(), event.event_type.clone()),
        };
        let detail = one_line(&detail);
        *row = Some(Row {
            session_id,
            run_id: RunEvent::stores(&event.event_type).then_some(event.stream_id),
            event_type: event.event_type.clone(),
            title,
            detail: head(&detail, DETAIL_MAX).to_owned(),
            actor_id: event.actor_id.clone(),
            tool_call_id: event.event().and_then(call_of).map(|id| id.uuid()),
            occurred_at: event.occurred_at,
            recorded_at: event.recorded_at,
        });
    }

    fn key_values(key: &i64) -> Vec<Value> {
        vec![(*key).into()]
    }

    fn row_values(row: &Row) -> Vec<Value> {
        vec![
            row.session_id.uuid().into(),
            row.run_id.into(),
            (&row.event_type).into(),
            (&row.title).into(),
            (&row.detail).into(),
            (&row.actor_id).into(),
            row.tool_call_id.into(),
            row.occurred_at.into(),
            row.recorded_at.into(),
        ]
    }

    fn read_key(row: &PgRow) -> i64 {
        row.get("position")
    }

    fn read_row(row: &PgRow) -> Row {
        Row {
            session_id: SessionId::new(row.get("session_id")),
            run_id: row.get("run_id"),
            event_type: row.get("event_type"),
            title: row.get("title"),
            detail: row.get("detail"),
            actor_id: row.get("actor_id"),
            tool_call_id: row.get("tool_call_id"),
            occurred_at: row.get("occurred_at"),
            recorded_at: row.get("recorded_at"),
        }
    }
}

/// As much of a text as a detail can show, in one line.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() >= DETAIL_MAX {
            break;
        }
    }
    line
}

/// An event in words: a title and one line of detail.
fn words(event: &Event) -> (String, String) {
    let (title, detail) = match event {
        Event::Session(SessionEvent::SessionStarted(e)) => ("Session started", e.title.clone()),
        Event::Session(SessionEvent::MessageReceived(e)) => match e.delivery {
            Delivery::Steer => ("Message while working", e.content.text.clone()),
            Delivery::Now | Delivery::Record => ("Message", e.content.text.clone()),
        },
        Event::Session(SessionEvent::ContentErased(e)) => ("Content erased", e.reason.clone()),
        Event::Workspace(event) => workspace_words(event),
        Event::Account(event) => account_words(event),
        Event::Run(event) => run_words(event),
        Event::Model(_) => ("Price changed", String::new()),
        Event::User(_) => ("User registered", String::new()),
        Event::Sandbox(_) => ("Sandbox probed", String::new()),
        Event::CheckpointKey(_) => ("Checkpoint key created", String::new()),
        Event::Quarantine(_) => ("Quarantine", String::new()),
        Event::Rebuild(_) => ("Rebuild", String::new()),
    };
    (title.to_owned(), detail)
}

fn workspace_words(event: &WorkspaceEvent) -> (&'static str, String) {
    match event {
        WorkspaceEvent::WorkspaceCreated(_) => ("Workspace created", String::new()),
        WorkspaceEvent::WorkspaceErased(_) => ("Workspace erased", String::new()),
        WorkspaceEvent::FileCreated(FileCreated(c)) => ("File created", format!("{} +{}", c.path, c.lines_added)),
        WorkspaceEvent::FileModified(FileModified(c)) => {
            ("File changed", format!("{} +{} -{}", c.path, c.lines_added, c.lines_removed))
        }
        WorkspaceEvent::FileDeleted(FileDeleted(c)) => ("File deleted", c.path.clone()),
    }
}

fn account_words(event: &AccountEvent) -> (&'static str, String) {
    match event {
        AccountEvent::SpendReserved(e) => ("Spend reserved", format!("{} USD for {}", e.est_nanousd, e.model)),
        AccountEvent::UsageMetered(e) => {
            let count = |n: Option<u64>| n.map_or_else(|| "not reported".to_owned(), |n| n.to_string());
            (
                "Usage metered",
                format!("input {}, output {}", count(e.tokens.input_tokens), count(e.tokens.output_tokens)),
            )
        }
        AccountEvent::UsageCharged(e) => ("Usage charged", format!("{} USD ({:?})", e.cost_nanousd, e.origin)),
        AccountEvent::ReservationSettled(e) => ("Reservation settled", format!("{} USD", e.actual_nanousd)),
        AccountEvent::ReservationReleased(e) => ("Reservation released", e.reason.clone()),
    }
}

fn run_words(event: &RunEvent) -> (&'static str, String) {
    match event {
        RunEvent::RunRequested(e) => ("Run requested", e.task.text.clone()),
        RunEvent::RunSteered(e) => ("Run steered", e.content.text.clone()),
        RunEvent::RunPhaseChanged(e) => ("Phase changed", format!("{:?} → {:?}: {}", e.from, e.to, e.reason)),
        RunEvent::StepRequested(e) => ("Step requested", format!("step {}, attempt {}", e.step_no, e.attempt)),
        RunEvent::StepStarted(e) => ("Step started", format!("step {}, {}", e.step_no, e.model)),
        RunEvent::ThinkingCompleted(e) => ("Thinking", e.content.text.clone()),
        RunEvent::AssistantMessageCompleted(e) => ("Agent message", e.content.text.clone()),
        RunEvent::PlanProposed(e) => ("Plan proposed", format!("{} steps", e.items.len())),
        RunEvent::PlanRevised(e) => ("Plan revised", format!("{} steps", e.items.len())),
        RunEvent::StepCompleted(e) => ("Step completed", format!("step {}, {}", e.step_no, e.finish_reason)),
        RunEvent::StepFailed(e) => ("Step failed", e.error.message.clone()),
        RunEvent::StepInterrupted(e) => ("Step interrupted", e.reason.clone()),
        RunEvent::TestsRan(e) => {
            ("Tests ran", format!("{} passed, {} failed, {} skipped", e.passed, e.failed, e.skipped))
        }
        RunEvent::TestsSkipped(e) => ("Tests skipped", e.reason.clone()),
        RunEvent::FixAttempted(e) => ("Fixing", format!("attempt {}, {} tests are red", e.attempt, e.failed)),
        RunEvent::RunCompleted(e) => ("Run completed", e.summary.clone()),
        RunEvent::RunFailed(e) => ("Run failed", e.error.message.clone()),
        RunEvent::RunCancelled(e) => ("Run cancelled", e.reason.clone()),
        RunEvent::RunRetried(_) => ("Run tried again", String::new()),
        RunEvent::RunErased(_) => ("Run erased", String::new()),
        _ => call_words(event),
    }
}

fn call_words(event: &RunEvent) -> (&'static str, String) {
    match event {
        RunEvent::ToolCallRequested(e) => ("Tool requested", format!("{} {}", e.tool, e.arguments.text)),
        RunEvent::ApprovalRequested(e) => ("Approval requested", e.reason.clone()),
        RunEvent::ApprovalGranted(e) => ("Approval granted", format!("{:?}, after {} ms", e.scope, e.waited_ms)),
        RunEvent::ApprovalDenied(e) => ("Approval denied", e.reason.clone()),
        RunEvent::ToolCallApproved(e) => ("Tool approved", format!("by {:?}", e.by).to_lowercase()),
        RunEvent::ToolCallDeclined(e) => ("Tool declined", e.reason.clone()),
        RunEvent::ToolCallStarted(_) => ("Tool started", String::new()),
        RunEvent::ToolCallSucceeded(e) => {
            let code = e.exit_code.map_or_else(String::new, |code| format!("exit status {code}: "));
            ("Tool succeeded", format!("{code}{}", e.output.text))
        }
        RunEvent::ToolCallFailed(e) => {
            let title = match e.failure {
                CallFailure::Failed => "Tool failed",
                CallFailure::TimedOut => "Tool timed out",
                CallFailure::Cancelled => "Tool cancelled",
            };
            (title, e.message.clone())
        }
        RunEvent::ToolCallOrphaned(e) => ("Tool orphaned", e.reason.clone()),
        _ => ("Event", String::new()),
    }
}

/// Lines of a session after a position, oldest first.
pub async fn list(
    db: &mut PgConnection,
    book_id: BookId,
    session_id: SessionId,
    after: i64,
    limit: i64,
) -> sqlx::Result<Vec<(i64, Row)>> {
    let rows = sqlx::query(&select::<Timeline>(
        "WHERE book_id = $1 AND partition_id = $2 AND position > $3 ORDER BY position LIMIT $4",
    ))
    .bind(book_id.uuid())
    .bind(session_id.uuid())
    .bind(after)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows.iter().map(|row| (Timeline::read_key(row), Timeline::read_row(row))).collect())
}
