//! Open work: the one step or call that each run waits for, and who has taken it. Workers look here.

use domain::run::RunEvent;
use domain::{BookId, Event, LlmCallId, RunId, SessionId, Timestamp, ToolCallId, WorkerId};
use sqlx::Row as _;
use sqlx::postgres::{PgPool, PgRow};

use crate::column::{Column, Type, Value, column};
use crate::feed::Recorded;
use crate::projection::Projection;
use crate::view::select;

/// How many items a worker sees at once.
const MOST: i64 = 100;

/// Open work.
pub enum Work {}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A turn of the model.
    Step {
        /// Which step.
        step_no: u32,
        /// Which attempt.
        attempt: u32,
        /// Not to be begun earlier.
        not_before: Option<Timestamp>,
        /// The model call, once it is taken.
        llm_call_id: Option<LlmCallId>,
    },
    /// A call of a tool.
    Call {
        /// Which call.
        tool_call_id: ToolCallId,
    },
}

/// An open item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The session.
    pub session_id: Option<SessionId>,
    /// What is to be done.
    pub item: Item,
    /// Who has taken it.
    pub worker_id: Option<WorkerId>,
}

/// An open item and where it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// The book.
    pub book_id: BookId,
    /// The run.
    pub run_id: RunId,
    /// The item.
    pub row: Row,
}

impl Projection for Work {
    const NAME: &'static str = "work";
    const VERSION: i32 = 2;
    const COLUMNS: &'static [Column] = &[
        column("run_id", Type::Uuid),
        column("session_id", Type::Uuid),
        column("step_no", Type::Int),
        column("attempt", Type::Int),
        column("not_before", Type::Time),
        column("llm_call_id", Type::Uuid),
        column("tool_call_id", Type::Uuid),
        column("worker_id", Type::Uuid),
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
        let open = |item| Some(Row { session_id: recorded.session_id, item, worker_id: None });
        match event {
            RunEvent::StepRequested(e) => {
                let (step_no, attempt, not_before) = (e.step_no, e.attempt, e.not_before);
                *row = open(Item::Step { step_no, attempt, not_before, llm_call_id: None });
            }
            RunEvent::StepStarted(e) => {
                if let Some(Row { item: Item::Step { llm_call_id, .. }, worker_id, .. }) = row {
                    (*llm_call_id, *worker_id) = (Some(e.llm_call_id), Some(e.worker_id));
                }
            }
            RunEvent::ToolCallApproved(e) => *row = open(Item::Call { tool_call_id: e.tool_call_id }),
            RunEvent::ToolCallStarted(e) => {
                if let Some(row) = row {
                    row.worker_id = Some(e.worker_id);
                }
            }
            RunEvent::StepCompleted(_)
            | RunEvent::StepFailed(_)
            | RunEvent::StepInterrupted(_)
            | RunEvent::ToolCallDeclined(_)
            | RunEvent::ToolCallSucceeded(_)
            | RunEvent::ToolCallFailed(_)
            | RunEvent::ToolCallOrphaned(_)
            | RunEvent::RunCompleted(_)
            | RunEvent::RunFailed(_)
            | RunEvent::RunCancelled(_) => *row = None,
            _ => {}
        }
    }

    fn key_values(key: &RunId) -> Vec<Value> {
        vec![key.uuid().into()]
    }

    fn row_values(row: &Row) -> Vec<Value> {
        let (step_no, attempt, not_before, llm_call_id, tool_call_id) = match &row.item {
            Item::Step { step_no, attempt, not_before, llm_call_id } => {
                (Some(i64::from(*step_no)), Some(i64::from(*attempt)), *not_before, *llm_call_id, None)
            }
            Item::Call { tool_call_id } => (None, None, None, None, Some(*tool_call_id)),
        };
        vec![
            row.session_id.map(SessionId::uuid).into(),
            step_no.into(),
            attempt.into(),
            not_before.into(),
            llm_call_id.map(LlmCallId::uuid).into(),
            tool_call_id.map(ToolCallId::uuid).into(),
            row.worker_id.map(WorkerId::uuid).into(),
        ]
    }

    fn read_key(row: &PgRow) -> RunId {
        RunId::new(row.get("run_id"))
    }

    fn read_row(row: &PgRow) -> Row {
        let number = |name: &str| row.get::<Option<i64>, _>(name).and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
        let item = match row.get::<Option<uuid::Uuid>, _>("tool_call_id") {
            Some(id) => Item::Call { tool_call_id: ToolCallId::new(id) },
            None => Item::Step {
                step_no: number("step_no"),
                attempt: number("attempt"),
                not_before: row.get("not_before"),
                llm_call_id: row.get::<Option<_>, _>("llm_call_id").map(LlmCallId::new),
            },
        };
        Row {
            session_id: row.get::<Option<_>, _>("session_id").map(SessionId::new),
            item,
            worker_id: row.get::<Option<_>, _>("worker_id").map(WorkerId::new),
        }
    }
}

/// Open work of every book, oldest run first: taken and not taken.
pub async fn open(pool: &PgPool) -> sqlx::Result<Vec<Open>> {
    let rows = sqlx::query(&select::<Work>("ORDER BY worker_id IS NOT NULL, run_id LIMIT $1"))
        .bind(MOST)
        .fetch_all(pool)
        .await?;
    let open = rows.iter().map(|row| Open {
        book_id: BookId::new(row.get("book_id")),
        run_id: Work::read_key(row),
        row: Work::read_row(row),
    });
    Ok(open.collect())
}
