//! Finds approved tool calls, takes them, makes them in the sandbox, brings results and file changes back; marks the
//! calls of workers that died as orphaned. A call that had begun is never made again.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use commands::bus::{LiveKind, Writer};
use commands::{CommandError, Commands};
use domain::run::{CallFailure, CallResult, CallState, FinishCall, PLAN_TOOL, RunState, TestReport};
use domain::sandbox::{CheckOutcome, SandboxCheck, SandboxLimit, SandboxProbed};
use domain::{BookId, Content, RunId, SessionId, ToolCallId, WorkerId, WorkspaceId};
use projections::Runner;
use projections::work::{self, Item, Open};
use tokio_util::sync::CancellationToken;

use crate::changed::{self, Cause};
use crate::engine::{self, Enforcement, EngineError, Limits, ProcessEngine, Spec};
use crate::files;
use crate::probe::{Held, ProbeReport, Verdict};
use crate::tools::{self, Status, ToolContext, ToolOutcome};

/// How many calls one process makes at once.
const AT_ONCE: usize = 8;
/// How often the worker looks without having been woken; also how soon a dead worker's call is seen.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often a call that is under way asks whether it is still wanted.
const STILL_WANTED_EVERY: Duration = Duration::from_millis(250);

/// The worker. Cheap to clone.
#[derive(Clone)]
pub struct SandboxWorker {
    shared: Arc<Shared>,
}

struct Shared {
    commands: Commands,
    runner: Runner,
    /// The engine, or why there is none.
    engine: Result<ProcessEngine, EngineError>,
    workspaces: PathBuf,
    worker_id: WorkerId,
    busy: Mutex<HashSet<RunId>>,
}

/// A call that this worker has taken.
struct Taken {
    book_id: BookId,
    run_id: RunId,
    session_id: SessionId,
    workspace_id: WorkspaceId,
    tool_call_id: ToolCallId,
    tool: String,
    arguments: Content,
}

impl SandboxWorker {
    /// A worker that keeps workspaces below `workspaces`. The sandbox proves itself first, and what it found is
    /// written down; without one that holds, tools that run something fail and say why.
    pub async fn open(
        commands: Commands,
        runner: Runner,
        workspaces: PathBuf,
        worker_id: WorkerId,
    ) -> Result<Self, CommandError> {
        let engine = ProcessEngine::detect();
        if let Ok(engine) = &engine {
            let report = engine.probe_quick().await;
            if let Verdict::Refused { failed } = report.verdict() {
                tracing::error!(?failed, "the sandbox does not hold on this machine and refuses to run anything");
            }
            commands.sandbox_probed(record(&report)).await?;
        }
        let busy = Mutex::default();
        Ok(Self { shared: Arc::new(Shared { commands, runner, engine, workspaces, worker_id, busy }) })
    }

    /// Why nothing can be run here, if so.
    pub fn unavailable(&self) -> Option<String> {
        self.shared.engine.as_ref().err().map(ToString::to_string)
    }

    /// Works until the process ends.
    pub async fn run(self) {
        let mut progress = self.shared.runner.progress();
        loop {
            if let Err(error) = self.look().await {
                tracing::warn!(%error, "the sandbox worker could not look for work; trying again");
            }
            // A wake-up is a hint; the look after a while is the truth.
            let _ = tokio::time::timeout(LOOK_EVERY, progress.changed()).await;
        }
    }

    async fn look(&self) -> Result<(), CommandError> {
        let open = work::open(self.shared.commands.log().pool()).await?;
        let mut alive = None;
        for open in open {
            let Item::Call { tool_call_id } = open.row.item else { continue };
            let Some(worker_id) = open.row.worker_id else {
                self.take(&open, tool_call_id);
                continue;
            };
            if worker_id == self.shared.worker_id {
                // What this process took and no longer works on was left by an error: it is over for everybody.
                if !self.shared.busy.lock().expect("no holder panics").contains(&open.run_id) {
                    self.free(&open, tool_call_id).await;
                }
                continue;
            }
            if alive.is_none() {
                alive = Some(commands::workers::alive(self.shared.commands.log().pool()).await?);
            }
            if alive.as_ref().is_some_and(|alive| !alive.contains_key(&worker_id)) {
                self.free(&open, tool_call_id).await;
            }
        }
        Ok(())
    }

    fn take(&self, open: &Open, tool_call_id: ToolCallId) {
        let mut busy = self.shared.busy.lock().expect("no holder panics");
        if busy.len() >= AT_ONCE || !busy.insert(open.run_id) {
            return;
        }
        drop(busy);
        let (worker, book_id, run_id) = (self.clone(), open.book_id, open.run_id);
        tokio::spawn(async move {
            if let Err(error) = worker.work(book_id, run_id, tool_call_id).await {
                tracing::info!(%error, %run_id, "a tool call was left");
            }
            worker.shared.busy.lock().expect("no holder panics").remove(&run_id);
        });
    }

    async fn free(&self, open: &Open, tool_call_id: ToolCallId) {
        // The read model may be a moment behind: the call may be over.
        match self.shared.commands.run(open.book_id, open.run_id).await {
            Ok(run)
                if run
                    .state
                    .state()
                    .and_then(|s| s.call(tool_call_id))
                    .is_some_and(|c| c.state != CallState::Settled) => {}
            _ => return,
        }
        let reason = "the server that ran it stopped";
        let freed = self.shared.commands.tool_call_orphan(open.book_id, open.run_id, tool_call_id, reason).await;
        if let Err(error) = freed {
            tracing::info!(%error, run_id = %open.run_id, "a dead worker's call was left to others");
        }
    }

    async fn work(&self, book_id: BookId, run_id: RunId, tool_call_id: ToolCallId) -> Result<(), CommandError> {
        let commands = &self.shared.commands;
        let run = commands.run(book_id, run_id).await?;
        let Some(taken) = run.state.state().and_then(|state| Taken::of(book_id, state, tool_call_id)) else {
            return Ok(());
        };
        let timeout =
            tools::catalogue().iter().find(|spec| spec.name == taken.tool).map_or(Duration::ZERO, |s| s.timeout);
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        commands.tool_call_start((book_id, run_id), tool_call_id, self.shared.worker_id, timeout_ms).await?;
        let root = self.shared.workspaces.join(taken.workspace_id.uuid().to_string());
        let outcome = self.make(&taken, &root).await?;
        let changes = self.changes(&taken, root).await?;
        let finish = self.finish(&taken, outcome).await?;
        commands.tool_call_finish(book_id, run_id, finish, changes).await?;
        Ok(())
    }

    async fn make(&self, taken: &Taken, root: &std::path::Path) -> Result<ToolOutcome, CommandError> {
        let commands = &self.shared.commands;
        if taken.tool == PLAN_TOOL {
            let words =
                "update_plan takes items: a list of {text, status}, where status is pending, in_progress or done.";
            return Ok(failed("BAD_PLAN", words.to_owned()));
        }
        // Only root can give files to another user; an ordinary user's sandbox runs as that user.
        let drops = self.shared.engine.as_ref().is_ok_and(ProcessEngine::drops_uid);
        let uid = drops.then(|| engine::uid_for(&taken.workspace_id.to_string()));
        if let Err(error) =
            std::fs::create_dir_all(root).map_err(EngineError::from).and_then(|()| engine::prepare_workspace(root, uid))
        {
            return Ok(failed("WORKSPACE_UNAVAILABLE", error.to_string()));
        }
        let text = commands::blobs::text(commands.log().pool(), taken.book_id, &taken.arguments).await?;
        let text = if text.trim().is_empty() { "{}" } else { text.as_str() };
        let arguments: serde_json::Value = match serde_json::from_str(text) {
            Ok(arguments) => arguments,
            Err(error) => return Ok(failed("ARGUMENTS_NOT_JSON", format!("The arguments are not JSON: {error}."))),
        };
        let spec = Spec { workspace: root.to_owned(), limits: Limits::default(), uid };
        let context = ToolContext { engine: self.shared.engine.as_ref().ok(), spec: &spec };
        let item = taken.tool_call_id.to_string();
        let shown = commands.bus().open(taken.session_id, taken.run_id, LiveKind::ToolOutput, item);
        let mut live = LiveText { shown, rest: vec![] };
        let mut sink = |_: engine::Stream, bytes: Vec<u8>| live.write(&bytes);
        let cancel = CancellationToken::new();
        let call = tools::call(&context, &taken.tool, &arguments, &mut sink, &cancel);
        tokio::pin!(call);
        let mut wanted = tokio::time::interval(STILL_WANTED_EVERY);
        loop {
            tokio::select! {
                outcome = &mut call => return Ok(outcome),
                _ = wanted.tick() => if !self.still_wanted(taken).await { cancel.cancel() },
            }
        }
    }

    async fn still_wanted(&self, taken: &Taken) -> bool {
        match self.shared.commands.run(taken.book_id, taken.run_id).await {
            Ok(run) => run
                .state
                .state()
                .and_then(|state| state.call(taken.tool_call_id))
                .is_some_and(|call| call.state == CallState::Started { worker_id: self.shared.worker_id }),
            Err(_) => true,
        }
    }

    async fn changes(
        &self,
        taken: &Taken,
        root: PathBuf,
    ) -> Result<Vec<domain::workspace::WorkspaceEvent>, CommandError> {
        let commands = &self.shared.commands;
        let known = commands.workspace(taken.book_id, taken.workspace_id).await?;
        let folder = root.clone();
        let scan = tokio::task::spawn_blocking(move || files::scan(&folder, None)).await;
        let Ok(Ok(scan)) = scan else { return Ok(vec![]) };
        let Taken { book_id, session_id, run_id, tool_call_id, .. } = *taken;
        let cause = Cause { book_id, session_id, run_id, tool_call_id };
        Ok(changed::since(commands.log().pool(), &root, known.state.files(), &scan, cause).await?)
    }

    async fn finish(&self, taken: &Taken, outcome: ToolOutcome) -> Result<FinishCall, CommandError> {
        let commands = &self.shared.commands;
        let fail = |failure, code: &str, message: String| CallResult::Failed { failure, code: code.into(), message };
        let result = match outcome.status {
            Status::Succeeded => CallResult::Succeeded { exit_code: outcome.exit_code },
            Status::Failed { code, message } => fail(CallFailure::Failed, code, message),
            Status::TimedOut => fail(CallFailure::TimedOut, "TIMED_OUT", "it ran out of time and was stopped".into()),
            Status::Cancelled => fail(CallFailure::Cancelled, "CANCELLED", "it was stopped".into()),
        };
        let pool = commands.log().pool();
        let mut output = commands.content(taken.book_id, taken.session_id, outcome.output).await?;
        if outcome.full_output.len() > tools::SEEN_BYTES {
            let full = &outcome.full_output;
            output.blob = Some(commands::blobs::put(pool, taken.book_id, taken.session_id, full).await?);
        }
        Ok(FinishCall {
            tool_call_id: taken.tool_call_id,
            worker_id: self.shared.worker_id,
            result,
            output,
            duration_ms: u64::try_from(outcome.duration.as_millis()).unwrap_or(u64::MAX),
            tests: outcome.tests.map(|tests| report(&tests)),
            at: commands.log().now(),
        })
    }
}

impl Taken {
    fn of(book_id: BookId, state: &RunState, tool_call_id: ToolCallId) -> Option<Self> {
        let call = state.call(tool_call_id).filter(|call| call.state == CallState::Approved)?;
        Some(Self {
            book_id,
            run_id: state.run_id(),
            session_id: state.session_id(),
            workspace_id: state.workspace_id(),
            tool_call_id,
            tool: call.tool.clone(),
            arguments: call.arguments.clone(),
        })
    }
}

/// Shows bytes as text; a character that is cut by a read waits for its rest.
struct LiveText {
    shown: Writer,
    rest: Vec<u8>,
}

impl LiveText {
    fn write(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(&self.rest) {
            Ok(_) => self.rest.len(),
            // `None` says that more bytes may complete the character; anything else is no text and is shown as such.
            Err(error) => error.error_len().map_or(error.valid_up_to(), |_| self.rest.len()),
        };
        let rest = self.rest.split_off(whole);
        self.shown.write(&String::from_utf8_lossy(&self.rest));
        self.rest = rest;
    }
}

fn failed(code: &'static str, message: String) -> ToolOutcome {
    ToolOutcome {
        output: message.clone(),
        status: Status::Failed { code, message },
        exit_code: None,
        full_output: vec![],
        tests: None,
        duration: Duration::ZERO,
    }
}

fn report(tests: &tools::TestReport) -> TestReport {
    TestReport {
        framework: tests.framework.to_string(),
        command: tests.command.clone(),
        passed: count(tests.passed),
        failed: count(tests.failed + tests.errors),
        skipped: count(tests.skipped),
        duration_ms: tests.duration_ms,
    }
}

fn count(tests: u64) -> u32 {
    u32::try_from(tests).unwrap_or(u32::MAX)
}

/// What a probe found, as it is written down.
fn record(report: &ProbeReport) -> SandboxProbed {
    let checks = report.checks.iter().map(|check| {
        let (outcome, detail) = match &check.held {
            Held::Yes => (CheckOutcome::Held, None),
            Held::No(why) => (CheckOutcome::Escaped, Some(why.clone())),
            Held::NotTried(why) => (CheckOutcome::NotTried, Some(why.clone())),
        };
        SandboxCheck { name: check.name.into(), outcome, detail }
    });
    let limits = report.limits.iter().map(|limit| {
        let enforcement = match limit.enforcement {
            Enforcement::Enforced => "enforced",
            Enforcement::Watched => "watched",
            Enforcement::Absent => "absent",
        };
        SandboxLimit {
            name: limit.name.into(),
            value: limit.value.clone(),
            enforcement: enforcement.into(),
            how: limit.how.clone(),
        }
    });
    SandboxProbed {
        tier: report.tier.into(),
        holds: report.verdict() == Verdict::Holds,
        checks: checks.collect(),
        limits: limits.collect(),
    }
}
