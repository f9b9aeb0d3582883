//! Commands on runs: what a person decides, what workers take and bring back.
//!
//! A model call and its money move in one append over two streams: nothing is begun that is not reserved, and
//! nothing is over that is not charged.

use domain::account::{AccountCommand, AccountEvent, ChargeOrigin, SpendReserved, Usage};
use domain::run::{
    CompleteStep, DecideApproval, FailStep, FinishCall, Run, RunCommand, RunError, RunEvent, RunRefusal, RunState,
    StartStep, StepRef, Waiting,
};
use domain::workspace::{WorkspaceCommand, WorkspaceEvent};
use domain::{Aggregate, BookId, Event, LlmCallId, NanoUsd, RequestId, RunId, ToolCallId, Viewer, WorkerId};

use crate::commands::{Commands, Done, Drafting, account_stream, to_stream};
use crate::error::CommandError;
use crate::ids::{item_request, request};
use crate::log::{Context, StreamAppend};
use crate::session::by;
use crate::stream::Loaded;

/// A worker wants to take a step.
#[derive(Debug, Clone)]
pub struct StepTicket {
    /// The book.
    pub book_id: BookId,
    /// The run.
    pub run_id: RunId,
    /// Which attempt at which step, by whom.
    pub step: StepRef,
    /// The call it will make.
    pub llm_call_id: LlmCallId,
    /// `provider/name`.
    pub model: String,
    /// Tokens in the request, counted before it is sent.
    pub est_input_tokens: u64,
    /// The most that the answer may have.
    pub max_output_tokens: u64,
}

/// A step that a worker has taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakenStep {
    /// The book.
    pub book_id: BookId,
    /// The run.
    pub run_id: RunId,
    /// Which attempt at which step, by whom.
    pub step: StepRef,
    /// The call that was made.
    pub llm_call_id: LlmCallId,
}

/// What a step's model call is charged.
#[derive(Debug, Clone, PartialEq)]
pub enum StepCost {
    /// What the provider reported.
    Used(Usage),
    /// An estimate from the request: the provider worked, and did not say how much.
    Estimate,
    /// Nothing: the provider did no work.
    Nothing,
}

/// What a step came to.
#[derive(Debug, Clone)]
pub enum StepAnswer {
    /// The model answered; cost is filled in here.
    Completed(Box<CompleteStep>),
    /// It did not.
    Failed {
        /// How.
        error: RunError,
        /// How long to wait before another attempt.
        retry_after_ms: u64,
    },
    /// Its worker is gone.
    Interrupted {
        /// Why.
        reason: String,
    },
}

impl Commands {
    /// A worker takes a step and reserves its money. Answers whether there is a step to do: the run may have ended
    /// at a limit instead.
    pub async fn step_start(&self, ticket: StepTicket) -> Result<Done<bool>, CommandError> {
        let StepTicket { book_id, run_id, llm_call_id, .. } = ticket;
        let prices = self.prices().await?;
        let price = prices.state.price(&ticket.model).cloned();
        let price = price.ok_or_else(|| CommandError::Unpriced(ticket.model.clone()))?;
        let est_nanousd = price.most(ticket.est_input_tokens, ticket.max_output_tokens);
        let est_nanousd = est_nanousd.map_err(domain::account::AccountError::from)?;
        let _turn = self.account_turn(book_id).await;
        let draft = || -> Drafting<'_> {
            Box::pin(async {
                let run = self.run(book_id, run_id).await?;
                let state = known(&run)?;
                let (step, model) = (ticket.step, ticket.model.clone());
                let start = StartStep { step, llm_call_id, model: model.clone(), est_nanousd, at: self.log().now() };
                let events = run.state.decide(&RunCommand::StartStep(start))?;
                if !events.iter().any(|event| matches!(event, RunEvent::StepStarted(_))) {
                    return Ok(vec![self.run_stream(&run, events)?]);
                }
                let account = self.account(book_id).await?;
                let origin = if price.notional { ChargeOrigin::Notional } else { ChargeOrigin::Metered };
                let reserve = AccountCommand::Reserve(SpendReserved {
                    llm_call_id,
                    session_id: state.session_id(),
                    run_id,
                    model,
                    price_id: price.price_id,
                    origin,
                    est_input_tokens: ticket.est_input_tokens,
                    max_output_tokens: ticket.max_output_tokens,
                    est_nanousd,
                });
                let reserved = account.state.decide(&reserve)?;
                Ok(vec![
                    to_stream(account_stream(book_id), &account, Some(state.session_id()), reserved),
                    self.run_stream(&run, events)?,
                ])
            })
        };
        let request = item_request(llm_call_id.uuid(), "start");
        let done = self.carry_out(book_id, request, worker(ticket.step.worker_id, run_id), draft).await?;
        let started = done.answer.iter().any(|event| matches!(event, Event::Run(RunEvent::StepStarted(_))));
        Ok(Done { position: done.position, answer: started })
    }

    /// A step is over: its outcome and its charge in one append.
    pub async fn step_finish(
        &self,
        taken: TakenStep,
        answer: StepAnswer,
        cost: StepCost,
    ) -> Result<Done, CommandError> {
        let TakenStep { book_id, run_id, step, llm_call_id } = taken;
        let _turn = self.account_turn(book_id).await;
        let draft = || -> Drafting<'_> {
            Box::pin(async {
                let run = self.run(book_id, run_id).await?;
                let (charge, cost_nanousd) = self.charge(book_id, &run, llm_call_id, &cost).await?;
                let at = self.log().now();
                let command = match answer.clone() {
                    StepAnswer::Completed(done) => RunCommand::CompleteStep(CompleteStep { cost_nanousd, ..*done }),
                    StepAnswer::Failed { error, retry_after_ms } => {
                        RunCommand::FailStep(FailStep { step, error, cost_nanousd, at, retry_after_ms })
                    }
                    StepAnswer::Interrupted { reason } => RunCommand::InterruptStep { step, reason, cost_nanousd },
                };
                let events = run.state.decide(&command)?;
                Ok(vec![charge, self.run_stream(&run, events)?])
            })
        };
        let label = if matches!(answer, StepAnswer::Interrupted { .. }) { "interrupt" } else { "finish" };
        let request = item_request(llm_call_id.uuid(), label);
        let done = self.carry_out(book_id, request, worker(step.worker_id, run_id), draft).await?;
        Ok(Done { position: done.position, answer: () })
    }

    /// Settles or releases the reservation of a model call; answers what it cost.
    async fn charge(
        &self,
        book_id: BookId,
        run: &Loaded<Run>,
        llm_call_id: LlmCallId,
        cost: &StepCost,
    ) -> Result<(StreamAppend, NanoUsd), CommandError> {
        let account = self.account(book_id).await?;
        let command = match cost {
            StepCost::Nothing => AccountCommand::Release { llm_call_id, reason: "the provider did no work".into() },
            StepCost::Used(_) | StepCost::Estimate => {
                // A reservation that is gone means that this step was settled by somebody else: the step is over.
                let reserved = account.state.reserved(llm_call_id).ok_or(RunRefusal::StepOver)?;
                let prices = self.prices().await?;
                let price = prices.state.version(reserved.price_id).cloned();
                let price = price.ok_or_else(|| CommandError::Unpriced(reserved.model.clone()))?;
                let usage = match cost {
                    StepCost::Used(usage) => Some(usage.clone()),
                    _ => None,
                };
                AccountCommand::Settle { llm_call_id, price, usage }
            }
        };
        let events = account.state.decide(&command)?;
        let cost_nanousd = events.iter().find_map(|event| match event {
            AccountEvent::UsageCharged(charged) => Some(charged.cost_nanousd),
            _ => None,
        });
        let session_id = known(run)?.session_id();
        let stream = to_stream(account_stream(book_id), &account, Some(session_id), events);
        Ok((stream, cost_nanousd.unwrap_or(NanoUsd::ZERO)))
    }

    /// A worker takes a tool call.
    pub async fn tool_call_start(
        &self,
        (book_id, run_id): (BookId, RunId),
        tool_call_id: ToolCallId,
        worker_id: WorkerId,
        timeout_ms: u64,
    ) -> Result<Done, CommandError> {
        let command = RunCommand::StartCall { tool_call_id, worker_id, timeout_ms };
        let request = item_request(tool_call_id.uuid(), &format!("start by {worker_id}"));
        self.decide_run((book_id, run_id), request, worker(worker_id, run_id), command).await
    }

    /// A tool call is over: its outcome and the files it changed in one append.
    pub async fn tool_call_finish(
        &self,
        book_id: BookId,
        run_id: RunId,
        finish: FinishCall,
        changes: Vec<WorkspaceEvent>,
    ) -> Result<Done, CommandError> {
        let draft = || -> Drafting<'_> {
            Box::pin(async {
                let run = self.run(book_id, run_id).await?;
                let state = known(&run)?;
                let workspace_id = state.workspace_id();
                let workspace = self.workspace(book_id, workspace_id).await?;
                let changes = workspace.state.decide(&WorkspaceCommand::RecordChanges(changes.clone()))?;
                let events = run.state.decide(&RunCommand::FinishCall(finish.clone()))?;
                Ok(vec![
                    to_stream(workspace_id.uuid(), &workspace, Some(state.session_id()), changes),
                    self.run_stream(&run, events)?,
                ])
            })
        };
        let request = item_request(finish.tool_call_id.uuid(), "finish");
        let done = self.carry_out(book_id, request, worker(finish.worker_id, run_id), draft).await?;
        Ok(Done { position: done.position, answer: () })
    }

    /// The worker of a call is gone; it is not run again.
    pub async fn tool_call_orphan(
        &self,
        book_id: BookId,
        run_id: RunId,
        tool_call_id: ToolCallId,
        reason: &str,
    ) -> Result<Done, CommandError> {
        let command = RunCommand::OrphanCall { tool_call_id, reason: reason.into(), at: self.log().now() };
        let context = Context { actor_id: "system".into(), correlation_id: Some(run_id.uuid()), causation_id: None };
        self.decide_run((book_id, run_id), item_request(tool_call_id.uuid(), "orphan"), context, command).await
    }

    /// A person answers a question.
    pub async fn approval_decide(
        &self,
        viewer: &Viewer,
        request_id: RequestId,
        run_id: RunId,
        decide: DecideApproval,
    ) -> Result<Done, CommandError> {
        let input = (run_id, decide.approval_id, format!("{:?}", decide.decision));
        let command = RunCommand::DecideApproval(decide);
        self.decide_run((viewer.book_id, run_id), request(request_id, &input), by(viewer, run_id.uuid()), command).await
    }

    /// A person has a failed run tried again.
    pub async fn run_retry(&self, viewer: &Viewer, request_id: RequestId, run_id: RunId) -> Result<Done, CommandError> {
        let command = RunCommand::Retry { requested_by: viewer.actor() };
        let request = request(request_id, &(run_id, "retry"));
        self.decide_run((viewer.book_id, run_id), request, by(viewer, run_id.uuid()), command).await
    }

    /// A person stops a run; a model call that is under way is charged by estimate.
    pub async fn run_cancel(
        &self,
        viewer: &Viewer,
        request_id: RequestId,
        run_id: RunId,
        reason: &str,
    ) -> Result<Done, CommandError> {
        let book_id = viewer.book_id;
        let _turn = self.account_turn(book_id).await;
        let draft = || -> Drafting<'_> {
            Box::pin(async {
                let run = self.run(book_id, run_id).await?;
                let (mut charge, mut cost_nanousd) = (None, NanoUsd::ZERO);
                if let Waiting::Step(step) = known(&run)?.waiting
                    && let Some((_, llm_call_id)) = step.started
                {
                    let (stream, cost) = self.charge(book_id, &run, llm_call_id, &StepCost::Estimate).await?;
                    (charge, cost_nanousd) = (Some(stream), cost);
                }
                let (cancelled_by, reason) = (viewer.actor(), reason.to_owned());
                let events = run.state.decide(&RunCommand::Cancel { cancelled_by, reason, cost_nanousd })?;
                // The run first: the hash of what was asked is keyed by the salt of the first event, and that of money
                // outlives an erasure.
                Ok([self.run_stream(&run, events)?].into_iter().chain(charge).collect())
            })
        };
        let request = request(request_id, &(run_id, "cancel", reason));
        let done = self.carry_out(book_id, request, by(viewer, run_id.uuid()), draft).await?;
        Ok(Done { position: done.position, answer: () })
    }

    async fn decide_run(
        &self,
        (book_id, run_id): (BookId, RunId),
        request: crate::log::Request,
        context: Context,
        command: RunCommand,
    ) -> Result<Done, CommandError> {
        let draft = || -> Drafting<'_> {
            Box::pin(async {
                let run = self.run(book_id, run_id).await?;
                let events = run.state.decide(&command)?;
                Ok(vec![self.run_stream(&run, events)?])
            })
        };
        let done = self.carry_out(book_id, request, context, draft).await?;
        Ok(Done { position: done.position, answer: () })
    }

    fn run_stream(&self, run: &Loaded<Run>, events: Vec<RunEvent>) -> Result<StreamAppend, CommandError> {
        let state = known(run)?;
        Ok(to_stream(state.run_id().uuid(), run, Some(state.session_id()), events))
    }
}

/// What is known of a run, or that there is none any more.
fn known(run: &Loaded<Run>) -> Result<&RunState, CommandError> {
    let refusal = if run.state.is_erased() { RunRefusal::Erased } else { RunRefusal::Unknown };
    run.state.state().ok_or_else(|| refusal.into())
}

/// A worker acts within a run.
fn worker(worker_id: WorkerId, run_id: RunId) -> Context {
    Context { actor_id: worker_id.to_string(), correlation_id: Some(run_id.uuid()), causation_id: None }
}
