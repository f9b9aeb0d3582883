//! Finds open steps, takes them, asks the model, brings the answer back; frees the steps of workers that died.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use commands::bus::{LiveKind, Writer};
use commands::ids::{derived, new_id};
use commands::{CommandError, Commands, StepAnswer, StepCost, StepTicket, TakenStep};
use domain::account::{TokenCounts, Usage, UsageSource};
use domain::run::{self, CompleteStep, RequestedCall, RunError, RunEvent, RunState, SaidText, StepRef, Waiting};
use domain::{BookId, LlmCallId, RunId, SessionId, WorkerId};
use futures_util::StreamExt;
use projections::Runner;
use projections::work::{self, Item, Open};
use serde::Deserialize;

use crate::collect::{Answer, Collector};
use crate::conversation::{self, Conversation};
use crate::estimate::estimate_input_tokens;
use crate::provider::{self, ErrorKind, Frame, Provider, ProviderError};
use crate::request::{Message, ModelRequest, ToolSpec};

/// How many model calls one process has under way at most.
const AT_ONCE: usize = 32;
/// How often the worker looks without having been woken; also how soon a dead worker's step is seen.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often a call that is under way asks whether its step is still wanted.
const STILL_WANTED_EVERY: Duration = Duration::from_millis(250);
/// The pause before the second attempt; each further one doubles it.
const BACKOFF: Duration = Duration::from_secs(1);
/// Most tokens an answer may have.
const MAX_OUTPUT_TOKENS: u32 = 4_096;

/// What every model is told first.
const SYSTEM_PROMPT: &str = "You are a coding agent in Daybook. You work in a sandboxed workspace without network, whose \
    files you read and change with tools. First lay out a short plan with update_plan, then carry it out step by step, \
    keeping the plan up to date. Write tests, run them with run_tests, and mend what they find until they pass. Some \
    calls wait for a person's approval; if one is declined, respect it and go on without it. When nothing is left to \
    do, say in a few sentences what you did and call no tool.";

/// The worker. Cheap to clone.
#[derive(Clone)]
pub struct InferenceWorker {
    shared: Arc<Shared>,
}

struct Shared {
    commands: Commands,
    runner: Runner,
    provider: Arc<dyn Provider>,
    tools: Vec<ToolSpec>,
    worker_id: WorkerId,
    busy: Mutex<HashSet<RunId>>,
}

/// A step that this worker has taken.
struct Taken {
    book_id: BookId,
    run_id: RunId,
    session_id: SessionId,
    step: StepRef,
    llm_call_id: LlmCallId,
    began: Instant,
}

/// How a model call ended.
enum Outcome {
    Answered(Box<Answer>, Timing),
    /// It broke off; whether anything of an answer had come.
    Failed(ProviderError, bool),
    /// Its step is no longer wanted; whoever ended it has charged it.
    Unwanted,
}

/// When the frames of an answer came, in milliseconds.
struct Timing {
    first_frame: Option<u64>,
    thought: u64,
    all: u64,
}

impl InferenceWorker {
    /// A worker for this provider; `tools` is what models may call.
    pub fn new(
        commands: Commands,
        runner: Runner,
        provider: Arc<dyn Provider>,
        tools: Vec<ToolSpec>,
        worker_id: WorkerId,
    ) -> Self {
        let busy = Mutex::default();
        Self { shared: Arc::new(Shared { commands, runner, provider, tools, worker_id, busy }) }
    }

    /// Works until the process ends.
    pub async fn run(self) {
        let mut progress = self.shared.runner.progress();
        loop {
            if let Err(error) = self.look().await {
                tracing::warn!(%error, "the inference worker could not look for work; trying again");
            }
            // A wake-up is a hint; the look after a while is the truth.
            let _ = tokio::time::timeout(LOOK_EVERY, progress.changed()).await;
        }
    }

    async fn look(&self) -> Result<(), CommandError> {
        let open = work::open(self.shared.commands.log().pool()).await?;
        let steps = open.into_iter().filter(|open| matches!(open.row.item, Item::Step { .. }));
        let mut alive = None;
        for open in steps {
            match open.row.worker_id {
                None => self.take(open),
                Some(worker_id) if worker_id == self.shared.worker_id => {
                    // What this process took and no longer works on was left by an error: let it be attempted again.
                    if !self.shared.busy.lock().expect("no holder panics").contains(&open.run_id) {
                        self.free(&open, worker_id).await;
                    }
                }
                Some(worker_id) => {
                    if alive.is_none() {
                        alive = Some(commands::workers::alive(self.shared.commands.log().pool()).await?);
                    }
                    if alive.as_ref().is_some_and(|alive| !alive.contains_key(&worker_id)) {
                        self.free(&open, worker_id).await;
                    }
                }
            }
        }
        Ok(())
    }

    /// Begins an open step, unless it is to wait or this process has enough to do.
    fn take(&self, open: Open) {
        let Item::Step { step_no, attempt, not_before, .. } = open.row.item else { return };
        let early = not_before.is_some_and(|at| at > self.shared.commands.log().now());
        let mut busy = self.shared.busy.lock().expect("no holder panics");
        if early || busy.len() >= AT_ONCE || !busy.insert(open.run_id) {
            return;
        }
        drop(busy);
        let worker = self.clone();
        tokio::spawn(async move {
            let step = StepRef { step_no, attempt, worker_id: worker.shared.worker_id };
            if let Err(error) = worker.work(open.book_id, open.run_id, step).await {
                tracing::info!(%error, run_id = %open.run_id, "a step was left");
            }
            worker.shared.busy.lock().expect("no holder panics").remove(&open.run_id);
        });
    }

    /// The worker of a step is gone: charge its call by estimate, and let the step be attempted again.
    async fn free(&self, open: &Open, worker_id: WorkerId) {
        let Item::Step { step_no, attempt, llm_call_id: Some(llm_call_id), .. } = open.row.item else { return };
        let step = StepRef { step_no, attempt, worker_id };
        let answer = StepAnswer::Interrupted { reason: "the server that worked on it stopped".into() };
        // The read model may be a moment behind: the step may be over.
        match self.shared.commands.run(open.book_id, open.run_id).await {
            Ok(run) if run.state.state().is_some_and(|state| waits_for(state, llm_call_id)) => {}
            _ => return,
        }
        let taken = TakenStep { book_id: open.book_id, run_id: open.run_id, step, llm_call_id };
        let commands = &self.shared.commands;
        let freed = commands.step_finish(taken, answer, StepCost::Estimate);
        if let Err(error) = freed.await {
            tracing::info!(%error, run_id = %open.run_id, "a dead worker's step was left to others");
        }
    }

    async fn work(&self, book_id: BookId, run_id: RunId, step: StepRef) -> Result<(), CommandError> {
        let llm_call_id: LlmCallId = new_id();
        if !self.is_ours(book_id, run_id).await? {
            return Ok(());
        }
        let Some((session_id, request)) = self.request(book_id, run_id).await? else { return Ok(()) };
        let ticket = StepTicket {
            book_id,
            run_id,
            step,
            llm_call_id,
            model: self.model(),
            est_input_tokens: estimate_input_tokens(&request),
            max_output_tokens: u64::from(request.max_output_tokens),
        };
        if !self.shared.commands.step_start(ticket).await?.answer {
            return Ok(());
        }
        // A message may have come while the step was taken; what the model reads is read again now.
        let Some((_, request)) = self.request(book_id, run_id).await? else { return Ok(()) };
        let taken = Taken { book_id, run_id, session_id, step, llm_call_id, began: Instant::now() };
        let (answer, cost) = match self.ask(&taken, request).await {
            Outcome::Answered(answer, timing) => self.answered(&taken, *answer, &timing).await?,
            Outcome::Failed(error, begun) => failed(error, begun, step.attempt),
            Outcome::Unwanted => return Ok(()),
        };
        self.shared.commands.step_finish(TakenStep { book_id, run_id, step, llm_call_id }, answer, cost).await?;
        Ok(())
    }

    /// Whether this process is to answer: it asks the run's model, or nobody alive does.
    async fn is_ours(&self, book_id: BookId, run_id: RunId) -> Result<bool, CommandError> {
        let run = self.shared.commands.run(book_id, run_id).await?;
        let Some(state) = run.state.state() else { return Ok(false) };
        let wanted = &state.request.model;
        if *wanted == self.model() {
            return Ok(true);
        }
        let alive = commands::workers::alive(self.shared.commands.log().pool()).await?;
        Ok(!alive.values().any(|model| model == wanted))
    }

    /// The model as charges name it.
    fn model(&self) -> String {
        format!("{}/{}", self.shared.provider.name(), self.shared.provider.model())
    }

    async fn request(&self, book_id: BookId, run_id: RunId) -> Result<Option<(SessionId, ModelRequest)>, CommandError> {
        let pool = self.shared.commands.log().pool();
        let run = self.shared.commands.run(book_id, run_id).await?;
        let Some(state) = run.state.state() else { return Ok(None) };
        let mut messages = vec![Message::System(SYSTEM_PROMPT.into())];
        // The connection goes back before others are asked for.
        let runs = projections::run::of_session(&mut *pool.acquire().await?, book_id, state.session_id()).await?;
        for (earlier, _) in runs {
            if earlier < run_id {
                messages.extend(words(self.conversation(book_id, earlier).await?));
            }
        }
        let conversation = self.conversation(book_id, run_id).await?;
        messages.extend(conversation.messages);
        let request = ModelRequest {
            model: String::new(),
            messages,
            tools: self.shared.tools.clone(),
            max_output_tokens: MAX_OUTPUT_TOKENS,
            situation: conversation.situation,
        };
        Ok(Some((state.session_id(), request)))
    }

    async fn conversation(&self, book_id: BookId, run_id: RunId) -> Result<Conversation, CommandError> {
        let pool = self.shared.commands.log().pool();
        let events = commands::stream::read_all(pool, book_id, run_id.uuid()).await?;
        let events: Vec<RunEvent> = events.into_iter().filter_map(|event| event.try_into().ok()).collect();
        Ok(conversation::of_run(pool, book_id, &events).await?)
    }

    /// Streams the answer: to whoever watches, and into one whole.
    async fn ask(&self, taken: &Taken, request: ModelRequest) -> Outcome {
        let mut frames = self.shared.provider.stream(request);
        let mut shown = Shown::new(self.shared.commands.clone(), taken);
        let mut collector = Collector::default();
        let mut timing = Timing { first_frame: None, thought: 0, all: 0 };
        let mut wanted = tokio::time::interval(STILL_WANTED_EVERY);
        loop {
            let frame = tokio::select! {
                frame = frames.next() => frame,
                _ = wanted.tick() => {
                    if self.still_wanted(taken).await { continue } else { return Outcome::Unwanted }
                }
            };
            let elapsed = taken.began.elapsed();
            match frame {
                None => break,
                Some(Err(error)) => return Outcome::Failed(error, timing.first_frame.is_some()),
                Some(Ok(frame)) => {
                    timing.first_frame.get_or_insert(millis(elapsed));
                    if matches!(frame, Frame::Thinking(_)) {
                        timing.thought = millis(elapsed);
                    }
                    shown.show(&frame);
                    if let Err(error) = collector.push(frame, elapsed) {
                        return Outcome::Failed(error, true);
                    }
                }
            }
        }
        timing.all = millis(taken.began.elapsed());
        match collector.finish() {
            Ok(answer) => Outcome::Answered(Box::new(answer), timing),
            Err(error) => Outcome::Failed(error, timing.first_frame.is_some()),
        }
    }

    async fn still_wanted(&self, taken: &Taken) -> bool {
        match self.shared.commands.run(taken.book_id, taken.run_id).await {
            Ok(run) => run.state.state().is_some_and(|state| waits_for(state, taken.llm_call_id)),
            // The database is away; the call goes on, and its answer is refused later if nobody wants it.
            Err(_) => true,
        }
    }

    async fn answered(
        &self,
        taken: &Taken,
        answer: Answer,
        timing: &Timing,
    ) -> Result<(StepAnswer, StepCost), CommandError> {
        let commands = &self.shared.commands;
        let (book_id, session, source) = (taken.book_id, taken.session_id, taken.llm_call_id.uuid());
        let thinking = match answer.thinking.as_str() {
            "" => None,
            thinking => Some((commands.content(book_id, session, thinking.to_owned()).await?, timing.thought)),
        };
        let text = match answer.text.as_str() {
            "" => None,
            text => Some(SaidText {
                message_id: derived(source, "message"),
                content: commands.content(book_id, session, text.to_owned()).await?,
                cadence: answer.cadence.clone(),
            }),
        };
        let (mut plan, mut calls) = (None, vec![]);
        for (index, call) in answer.calls.into_iter().enumerate() {
            // A plan that cannot be read goes on as a call, which fails and tells the model how to write one.
            if call.name == run::PLAN_TOOL
                && let Some(items) = plan_of(&call.arguments)
            {
                plan = Some(items);
                continue;
            }
            calls.push(RequestedCall {
                tool_call_id: derived(source, &format!("call {index}")),
                provider_call_id: call.id,
                tool: call.name,
                arguments: commands.content(book_id, session, call.arguments).await?,
            });
        }
        let usage = answer.usage.map(|usage| used(usage, timing));
        let done = CompleteStep {
            step: taken.step,
            thinking,
            text,
            plan,
            calls,
            finish_reason: finish_reason(answer.finish_reason).to_owned(),
            cost_nanousd: domain::NanoUsd::ZERO,
            at: commands.log().now(),
        };
        Ok((StepAnswer::Completed(Box::new(done)), usage.map_or(StepCost::Estimate, StepCost::Used)))
    }
}

/// Whether a run waits for the answer to this model call.
fn waits_for(state: &RunState, llm_call_id: LlmCallId) -> bool {
    matches!(state.waiting, Waiting::Step(step) if step.started.is_some_and(|(_, call)| call == llm_call_id))
}

/// The words of an earlier run: what was asked and what was said, without the calls.
fn words(conversation: Conversation) -> Vec<Message> {
    let spoken = conversation.messages.into_iter().filter_map(|message| match message {
        Message::Assistant { text, .. } if text.is_empty() => None,
        Message::Assistant { text, .. } => Some(Message::Assistant { text, calls: vec![] }),
        Message::Tool { .. } => None,
        said => Some(said),
    });
    spoken.collect()
}

fn used(usage: provider::Usage, timing: &Timing) -> Usage {
    let tokens = TokenCounts {
        input_tokens: Some(usage.input_tokens),
        cache_read_tokens: Some(usage.cache_read_tokens),
        cache_write_tokens: Some(usage.cache_write_tokens),
        output_tokens: Some(usage.output_tokens),
        reasoning_tokens: Some(usage.reasoning_tokens),
    };
    Usage { tokens, source: UsageSource::Provider, ttft_ms: timing.first_frame, duration_ms: Some(timing.all) }
}

fn finish_reason(reason: provider::FinishReason) -> &'static str {
    match reason {
        provider::FinishReason::Stop => "stop",
        provider::FinishReason::ToolCalls => "tool_calls",
        provider::FinishReason::Length => "length",
        provider::FinishReason::ContentFilter => "content_filter",
        provider::FinishReason::Other => "other",
    }
}

/// A plan as the model wrote it; `None` where it is none.
fn plan_of(arguments: &str) -> Option<Vec<run::PlanItem>> {
    #[derive(Deserialize)]
    struct Plan {
        items: Vec<run::PlanItem>,
    }
    serde_json::from_str::<Plan>(arguments).ok().map(|plan| plan.items)
}

/// A call that failed: how the run is told, and what is charged for it.
fn failed(error: ProviderError, begun: bool, attempt: u32) -> (StepAnswer, StepCost) {
    let cost = match error.kind {
        // The provider may have worked and will bill it.
        ErrorKind::Server | ErrorKind::Timeout | ErrorKind::Protocol => StepCost::Estimate,
        _ => StepCost::Nothing,
    };
    // However an answer broke off, what had come of it was work.
    let cost = if begun { StepCost::Estimate } else { cost };
    let backoff = BACKOFF * 2_u32.saturating_pow(attempt.saturating_sub(1).min(6));
    let retry_after_ms = millis(error.retry_after.unwrap_or(backoff).max(backoff));
    let ProviderError { kind, retryable, user_action, message, .. } = error;
    let error = RunError { kind, retryable, user_action, message };
    (StepAnswer::Failed { error, retry_after_ms }, cost)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What is shown of an answer while it comes.
struct Shown {
    commands: Commands,
    session_id: SessionId,
    run_id: RunId,
    item: String,
    thinking: Option<Writer>,
    text: Option<Writer>,
}

impl Shown {
    fn new(commands: Commands, taken: &Taken) -> Self {
        let StepRef { step_no, attempt, .. } = taken.step;
        let item = format!("step:{}:{step_no}:{attempt}", taken.run_id.uuid());
        Self { commands, session_id: taken.session_id, run_id: taken.run_id, item, thinking: None, text: None }
    }

    fn show(&mut self, frame: &Frame) {
        let (kind, piece) = match frame {
            Frame::Thinking(piece) => (LiveKind::Thinking, piece),
            Frame::Text(piece) => (LiveKind::Text, piece),
            _ => return,
        };
        let (slot, label) = match kind {
            LiveKind::Thinking => (&mut self.thinking, "thinking"),
            _ => (&mut self.text, "text"),
        };
        let open = || self.commands.bus().open(self.session_id, self.run_id, kind, format!("{}:{label}", self.item));
        slot.get_or_insert_with(open).write(piece);
    }
}
