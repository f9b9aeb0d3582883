//! Runs: one row per run, as its header and pipeline show it.

use domain::run::{Limits, Outcome, Phase, PlanItem, RunError, RunEvent};
use domain::{BookId, Content, Event, RunId, SessionId, Timestamp};
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgConnection, Row as _};

use crate::column::{Column, Type, Value, column};
use crate::feed::Recorded;
use crate::projection::Projection;
use crate::view::select;

/// Runs.
pub enum Runs {}

/// Whether a run works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Requested, not begun.
    Queued,
    /// At work.
    Active,
    /// Waiting for a person.
    Waiting,
    /// Over, well.
    Succeeded,
    /// Over, badly.
    Failed,
    /// Over, because a person said so.
    Cancelled,
}

impl Status {
    /// How it ended, if it has.
    pub fn outcome(self) -> Option<Outcome> {
        match self {
            Self::Succeeded => Some(Outcome::Succeeded),
            Self::Failed => Some(Outcome::Failed),
            Self::Cancelled => Some(Outcome::Cancelled),
            Self::Queued | Self::Active | Self::Waiting => None,
        }
    }
}

/// A run.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its session.
    pub session_id: SessionId,
    /// What it is to do.
    pub task: Content,
    /// `provider/name`.
    pub model: String,
    /// Where it is.
    pub phase: Phase,
    /// Whether it works.
    pub status: Status,
    /// What it waits for, in words.
    pub waiting_for: Option<String>,
    /// Model turns so far.
    pub steps: i64,
    /// The plan.
    pub plan: Vec<PlanItem>,
    /// Green tests of the newest test run.
    pub tests_passed: Option<i64>,
    /// Red tests of the newest test run.
    pub tests_failed: Option<i64>,
    /// How often red tests were to be fixed.
    pub fix_attempts: i64,
    /// Its bounds.
    pub limits: Limits,
    /// How it failed.
    pub error: Option<RunError>,
    /// What the agent said at the end.
    pub summary: Option<String>,
    /// When it was requested.
    pub requested_at: Timestamp,
    /// When its first step began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

impl Projection for Runs {
    const NAME: &'static str = "runs";
    const VERSION: i32 = 2;
    const COLUMNS: &'static [Column] = &[
        column("run_id", Type::Uuid),
        column("session_id", Type::Uuid),
        column("task", Type::Json),
        column("model", Type::Text),
        column("phase", Type::Json),
        column("status", Type::Json),
        column("waiting_for", Type::Text),
        column("steps", Type::Int),
        column("plan", Type::Json),
        column("tests_passed", Type::Int),
        column("tests_failed", Type::Int),
        column("fix_attempts", Type::Int),
        column("limits", Type::Json),
        column("error", Type::Json),
        column("summary", Type::Text),
        column("requested_at", Type::Time),
        column("started_at", Type::Time),
        column("ended_at", Type::Time),
    ];
    const KEY: usize = 1;

    type Key = RunId;
    type Row = Row;

    fn concerns(event_type: &str) -> bool {
        RunEvent::stores(event_type)
    }

    fn keys(event: &Recorded) -> Vec<RunId> {
        match event.event() {
            Some(Event::Run(_)) => vec![RunId::new(event.stream_id)],
            _ => vec![],
        }
    }

    fn fold(row: &mut Option<Row>, _: &RunId, recorded: &Recorded) {
        let Some(Event::Run(event)) = recorded.event() else { return };
        if let RunEvent::RunRequested(requested) = event {
            *row = Some(Row {
                session_id: requested.session_id,
                task: requested.task.clone(),
                model: requested.model.clone(),
                phase: Phase::Idle,
                status: Status::Queued,
                waiting_for: None,
                steps: 0,
                plan: vec![],
                tests_passed: None,
                tests_failed: None,
                fix_attempts: 0,
                limits: requested.limits.clone(),
                error: None,
                summary: None,
                requested_at: requested.requested_at,
                started_at: None,
                ended_at: None,
            });
        } else if let Some(row) = row {
            row.take_in(event, recorded.occurred_at);
        }
    }

    fn key_values(key: &RunId) -> Vec<Value> {
        vec![key.uuid().into()]
    }

    fn row_values(row: &Row) -> Vec<Value> {
        vec![
            row.session_id.uuid().into(),
            Value::json(&row.task),
            (&row.model).into(),
            Value::json(&row.phase),
            Value::json(&row.status),
            (&row.waiting_for).into(),
            row.steps.into(),
            Value::json(&row.plan),
            row.tests_passed.into(),
            row.tests_failed.into(),
            row.fix_attempts.into(),
            Value::json(&row.limits),
            Value::Json(row.error.as_ref().map(|e| serde_json::to_string(e).expect("it is plain data"))),
            (&row.summary).into(),
            row.requested_at.into(),
            row.started_at.into(),
            row.ended_at.into(),
        ]
    }

    fn read_key(row: &PgRow) -> RunId {
        RunId::new(row.get("run_id"))
    }

    fn read_row(row: &PgRow) -> Row {
        Row {
            session_id: SessionId::new(row.get("session_id")),
            task: row.get::<Json<_>, _>("task").0,
            model: row.get("model"),
            phase: row.get::<Json<_>, _>("phase").0,
            status: row.get::<Json<_>, _>("status").0,
            waiting_for: row.get("waiting_for"),
            steps: row.get("steps"),
            plan: row.get::<Json<_>, _>("plan").0,
            tests_passed: row.get("tests_passed"),
            tests_failed: row.get("tests_failed"),
            fix_attempts: row.get("fix_attempts"),
            limits: row.get::<Json<_>, _>("limits").0,
            error: row.get::<Option<Json<_>>, _>("error").map(|json| json.0),
            summary: row.get("summary"),
            requested_at: row.get("requested_at"),
            started_at: row.get("started_at"),
            ended_at: row.get("ended_at"),
        }
    }
}

impl Row {
    fn take_in(&mut self, event: &RunEvent, at: Timestamp) {
        match event {
            RunEvent::RunPhaseChanged(e) => self.phase = e.to,
            RunEvent::StepStarted(e) => {
                self.steps = i64::from(e.step_no);
                self.status = Status::Active;
                self.started_at.get_or_insert(at);
            }
            RunEvent::PlanProposed(domain::run::PlanProposed { items, .. })
            | RunEvent::PlanRevised(domain::run::PlanRevised { items, .. }) => self.plan.clone_from(items),
            RunEvent::ApprovalRequested(e) => {
                self.status = Status::Waiting;
                self.waiting_for = Some(format!("an approval: {}", e.reason));
            }
            RunEvent::ApprovalGranted(_) | RunEvent::ApprovalDenied(_) => {
                self.status = Status::Active;
                self.waiting_for = None;
            }
            RunEvent::TestsRan(e) => {
                self.tests_passed = Some(i64::from(e.passed));
                self.tests_failed = Some(i64::from(e.failed));
            }
            RunEvent::FixAttempted(e) => self.fix_attempts = i64::from(e.attempt),
            RunEvent::RunCompleted(e) => {
                self.summary = Some(e.summary.clone());
                self.end(Status::Succeeded, at);
            }
            RunEvent::RunFailed(e) => {
                self.error = Some(e.error.clone());
                self.end(Status::Failed, at);
            }
            RunEvent::RunCancelled(_) => self.end(Status::Cancelled, at),
            RunEvent::RunRetried(_) => {
                self.status = Status::Queued;
                self.error = None;
                self.ended_at = None;
            }
            _ => {}
        }
    }

    fn end(&mut self, status: Status, at: Timestamp) {
        self.status = status;
        self.waiting_for = None;
        self.ended_at = Some(at);
    }
}

/// One run.
pub async fn get(db: &mut PgConnection, book_id: BookId, id: RunId) -> sqlx::Result<Option<(RunId, Row)>> {
    let row = sqlx::query(&select::<Runs>("WHERE book_id = $1 AND run_id = $2"))
        .bind(book_id.uuid())
        .bind(id.uuid())
        .fetch_optional(db)
        .await?;
    Ok(row.map(|row| (Runs::read_key(&row), Runs::read_row(&row))))
}

/// The runs of a session, oldest first.
pub async fn of_session(db: &mut PgConnection, book_id: BookId, id: SessionId) -> sqlx::Result<Vec<(RunId, Row)>> {
    let rows = sqlx::query(&select::<Runs>("WHERE book_id = $1 AND partition_id = $2 ORDER BY run_id LIMIT 1000"))
        .bind(book_id.uuid())
        .bind(id.uuid())
        .fetch_all(db)
        .await?;
    Ok(rows.iter().map(|row| (Runs::read_key(row), Runs::read_row(row))).collect())
}

/// Several runs.
pub async fn get_many(db: &mut PgConnection, book_id: BookId, ids: &[RunId]) -> sqlx::Result<Vec<(RunId, Row)>> {
    let ids: Vec<uuid::Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let rows = sqlx::query(&select::<Runs>("WHERE book_id = $1 AND run_id = ANY ($2)"))
        .bind(book_id.uuid())
        .bind(ids)
        .fetch_all(db)
        .await?;
    Ok(rows.iter().map(|row| (Runs::read_key(row), Runs::read_row(row))).collect())
}
