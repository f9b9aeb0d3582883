//! A run as the API shows it.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::dataloader::{DataLoader, Loader};
use async_graphql::{Context, Enum, ID, Object, SimpleObject};
use domain::{BookId, RunId};
use projections::as_of::Past;
use projections::run::{self, Row, Status};
use projections::{Reader, feed, tool_call, usage};

use crate::State;
use crate::as_of::{self, AsOf};
use crate::error::{Refused, read};
use crate::ids::{id, parse};
use crate::tool_call::ToolCall;
use crate::usage::Usage;
use crate::viewer::viewer;

/// Runs.
#[derive(Default)]
pub struct RunQuery;

#[Object]
impl RunQuery {
    /// One run.
    async fn run(
        &self,
        ctx: &Context<'_>,
        id: ID,
        #[graphql(desc = "The run, and all that belongs to it, as it was then; null where it was not there yet.")]
        as_of: Option<AsOf>,
    ) -> Refused<Option<Run>> {
        let (book_id, run_id) = (viewer(ctx)?.book_id, parse("id", &id)?);
        match as_of {
            None => Run::load(ctx, book_id, run_id).await,
            Some(as_of) => Run::load_as_of(ctx, book_id, run_id, as_of).await,
        }
    }
}

/// Where a run is in its work.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "domain::run::Phase")]
pub enum Phase {
    Idle,
    Planning,
    Executing,
    Testing,
    Fixing,
    Done,
    Error,
}

/// Whether a run works.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
enum RunStatus {
    /// Requested, not begun.
    Queued,
    /// At work.
    Active,
    /// Waiting for a person.
    Waiting,
    /// Over; `outcome` says how.
    Ended,
}

/// How a run ended.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "domain::run::Outcome")]
pub enum Outcome {
    Succeeded,
    Failed,
    Cancelled,
}

/// Where a step of a plan stands.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "domain::run::PlanStatus")]
pub enum PlanStatus {
    Pending,
    InProgress,
    Done,
}

/// Which tool calls ask first.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "domain::run::ApprovalPolicy")]
pub enum ApprovalPolicy {
    /// Whatever changes anything asks.
    Careful,
    /// Shell commands ask unless they only read.
    Standard,
    /// Nothing asks.
    Trusted,
}

/// A step of a plan.
#[derive(SimpleObject)]
struct PlanItem {
    text: String,
    status: PlanStatus,
}

/// The bounds of a run.
#[derive(SimpleObject)]
struct RunLimits {
    max_steps: u32,
    max_cost_usd: String,
    max_wall_ms: u64,
    max_fix_attempts: u32,
}

/// A failure, in a closed vocabulary and in words.
#[derive(SimpleObject)]
struct RunError {
    kind: String,
    retryable: bool,
    /// `none`, `retry` or `settings`.
    user_action: String,
    message: String,
}

/// One run of an agent.
pub struct Run {
    /// The book that holds it.
    pub book_id: BookId,
    /// The run.
    pub run_id: RunId,
    /// What is known of it.
    pub row: Row,
    /// Its session as it was, where the past was asked for.
    pub past: Option<Arc<Past>>,
}

#[Object]
impl Run {
    async fn id(&self) -> ID {
        id(self.run_id)
    }

    async fn session_id(&self) -> ID {
        id(self.row.session_id)
    }

    /// What it is to do; a preview where it is very long.
    async fn task(&self) -> &str {
        &self.row.task.text
    }

    /// `provider/name`.
    async fn model(&self) -> &str {
        &self.row.model
    }

    async fn phase(&self) -> Phase {
        self.row.phase.into()
    }

    async fn status(&self) -> RunStatus {
        match self.row.status {
            Status::Queued => RunStatus::Queued,
            Status::Active => RunStatus::Active,
            Status::Waiting => RunStatus::Waiting,
            Status::Succeeded | Status::Failed | Status::Cancelled => RunStatus::Ended,
        }
    }

    async fn outcome(&self) -> Option<Outcome> {
        self.row.status.outcome().map(Into::into)
    }

    /// What it waits for, in words; null unless it waits.
    async fn waiting_for(&self) -> Option<&str> {
        self.row.waiting_for.as_deref()
    }

    /// Model turns so far.
    async fn steps(&self) -> i64 {
        self.row.steps
    }

    async fn plan(&self) -> Vec<PlanItem> {
        self.row.plan.iter().map(|item| PlanItem { text: item.text.clone(), status: item.status.into() }).collect()
    }

    /// Of the newest test run; null where none ran.
    async fn tests_passed(&self) -> Option<i64> {
        self.row.tests_passed
    }

    /// Of the newest test run; null where none ran.
    async fn tests_failed(&self) -> Option<i64> {
        self.row.tests_failed
    }

    async fn fix_attempts(&self) -> i64 {
        self.row.fix_attempts
    }

    async fn limits(&self) -> RunLimits {
        let limits = &self.row.limits;
        RunLimits {
            max_steps: limits.max_steps,
            max_cost_usd: limits.max_cost_nanousd.to_string(),
            max_wall_ms: limits.max_wall_ms,
            max_fix_attempts: limits.max_fix_attempts,
        }
    }

    async fn error(&self) -> Option<RunError> {
        let error = self.row.error.as_ref()?;
        let word = |value: Result<serde_json::Value, _>| {
            value.ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
        };
        Some(RunError {
            kind: word(serde_json::to_value(error.kind)),
            retryable: error.retryable,
            user_action: word(serde_json::to_value(error.user_action)),
            message: error.message.clone(),
        })
    }

    /// What the agent said at the end.
    async fn summary(&self) -> Option<&str> {
        self.row.summary.as_deref()
    }

    async fn requested_at(&self) -> domain::Timestamp {
        self.row.requested_at
    }

    async fn started_at(&self) -> Option<domain::Timestamp> {
        self.row.started_at
    }

    async fn ended_at(&self) -> Option<domain::Timestamp> {
        self.row.ended_at
    }

    /// In the order in which they were asked for.
    async fn tool_calls(&self, ctx: &Context<'_>) -> Refused<Vec<ToolCall>> {
        if let Some(past) = &self.past {
            let own = past.tool_calls.iter().filter(|(_, row)| row.run_id == self.run_id);
            let mut calls: Vec<_> = own.map(|(id, row)| (*id, row.clone())).collect();
            calls.sort_by_key(|(_, row)| (row.step_no, row.call_index));
            return Ok(calls.into_iter().map(|(id, row)| ToolCall::of(id, row)).collect());
        }
        let mut db = ctx.data_unchecked::<State>().reader.book(self.book_id).await.map_err(read)?;
        let calls = tool_call::of_run(&mut db, self.book_id, self.run_id).await.map_err(read)?;
        Ok(calls.into_iter().map(|(id, row)| ToolCall::of(id, row)).collect())
    }

    async fn usage(&self, ctx: &Context<'_>) -> Refused<Usage> {
        if let Some(past) = &self.past {
            return Ok(usage::sum(past.usage.values().filter(|call| call.run_id == self.run_id)).into());
        }
        let mut db = ctx.data_unchecked::<State>().reader.book(self.book_id).await.map_err(read)?;
        let (session_id, run_id) = (self.row.session_id, Some(self.run_id));
        Ok(usage::totals(&mut db, self.book_id, session_id, run_id).await.map_err(read)?.into())
    }
}

impl Run {
    /// The run with this id, if the book holds it.
    pub async fn load(ctx: &Context<'_>, book_id: BookId, run_id: RunId) -> Refused<Option<Self>> {
        let mut db = ctx.data_unchecked::<State>().reader.book(book_id).await.map_err(read)?;
        let found = run::get(&mut db, book_id, run_id).await.map_err(read)?;
        Ok(found.map(|(run_id, row)| Self { book_id, run_id, row, past: None }))
    }

    async fn load_as_of(ctx: &Context<'_>, book_id: BookId, run_id: RunId, as_of: AsOf) -> Refused<Option<Self>> {
        let position = as_of::position(ctx, book_id, as_of).await?;
        let mut db = ctx.data_unchecked::<State>().reader.book(book_id).await.map_err(read)?;
        let session_id = feed::session_of(&mut db, book_id, run_id.uuid()).await.map_err(read)?;
        drop(db);
        let Some(session_id) = session_id else { return Ok(None) };
        let past = as_of::past(ctx, book_id, session_id, position).await?;
        let row = past.runs.get(&run_id).cloned();
        Ok(row.map(|row| Self { book_id, run_id, row, past: Some(past) }))
    }
}

/// Loads runs, many at once.
pub struct RunLoader {
    reader: Reader,
}

/// A loader of runs.
pub fn loader(reader: Reader) -> DataLoader<RunLoader> {
    DataLoader::new(RunLoader { reader }, tokio::spawn)
}

impl Loader<(BookId, RunId)> for RunLoader {
    type Value = Row;
    type Error = async_graphql::Error;

    async fn load(&self, keys: &[(BookId, RunId)]) -> Result<HashMap<(BookId, RunId), Row>, Self::Error> {
        let mut by_book: HashMap<BookId, Vec<RunId>> = HashMap::new();
        for (book_id, run_id) in keys {
            by_book.entry(*book_id).or_default().push(*run_id);
        }
        let mut found = HashMap::new();
        for (book_id, runs) in by_book {
            let mut db = self.reader.book(book_id).await.map_err(read)?;
            let rows = run::get_many(&mut db, book_id, &runs).await.map_err(read)?;
            found.extend(rows.into_iter().map(|(run_id, row)| ((book_id, run_id), row)));
        }
        Ok(found)
    }
}
