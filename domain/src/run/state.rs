//! What is known of a run, folded from its events.

use serde::{Deserialize, Serialize};

use super::*;
use crate::Timestamp;
use crate::content::Content;
use crate::id::{LlmCallId, RunId, SessionId, ToolCallId, WorkerId, WorkspaceId};
use crate::money::NanoUsd;

/// A run; nothing before it was requested.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    state: Option<Box<RunState>>,
    erased: bool,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Well.
    Succeeded,
    /// Badly.
    Failed,
    /// Because a person said so.
    Cancelled,
}

/// What a run waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Waiting {
    /// The step that is wanted or under way.
    Step(Step),
    /// A call that is approved or under way.
    Call(ToolCallId),
    /// A person's answer about a call.
    Approval(ToolCallId),
    /// Nothing any more.
    Ended(Outcome),
}

/// A turn of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// 1 and up within the run.
    pub step_no: u32,
    /// 1 and up within the step.
    pub attempt: u32,
    /// What for.
    pub purpose: Purpose,
    /// Not to be begun earlier.
    pub not_before: Option<Timestamp>,
    /// Who took it, and for which model call.
    pub started: Option<(WorkerId, LlmCallId)>,
}

/// A tool that the model asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The call.
    pub tool_call_id: ToolCallId,
    /// Which step asked.
    pub step_no: u32,
    /// The tool.
    pub tool: String,
    /// Its arguments as the model wrote them.
    pub arguments: Content,
    /// Where it stands.
    pub state: CallState,
    /// What a person answered, if one was asked.
    pub decision: Option<Decision>,
}

/// Where a call stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CallState {
    /// The model asked for it.
    Requested,
    /// A person is asked.
    Asked {
        /// When.
        asked_at: Timestamp,
    },
    /// It may go ahead.
    Approved,
    /// A worker makes it.
    Started {
        /// Who.
        worker_id: WorkerId,
    },
    /// It is over, whatever came of it.
    Settled,
}

/// What is known of the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tests {
    /// They have not run.
    NotRun,
    /// Some are red.
    Red {
        /// How many.
        failed: u32,
    },
    /// None is red.
    Green {
        /// How many are green.
        passed: u32,
    },
}

/// A run that was requested.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunState {
    /// How it began.
    pub request: RunRequested,
    /// Where it is.
    pub phase: Phase,
    /// What it waits for.
    pub waiting: Waiting,
    /// The number of the newest step.
    pub last_step: u32,
    /// Everything the model asked for, in order.
    pub calls: Vec<Call>,
    /// Tools that a person let pass for the whole run.
    pub granted_tools: Vec<String>,
    /// The plan.
    pub plan: Vec<PlanItem>,
    /// The tests.
    pub tests: Tests,
    /// How often red tests were to be fixed.
    pub fix_attempts: u32,
    /// What its model calls cost.
    pub cost_nanousd: NanoUsd,
    /// The beginning of the last thing the model said.
    pub last_text: String,
    /// Whether a message came that no step has read.
    pub unread: bool,
    /// The newest message that reached it.
    pub last_message: crate::id::MessageId,
}

impl Run {
    pub(super) fn state_mut(&mut self) -> Option<&mut RunState> {
        self.state.as_deref_mut()
    }

    /// Whether its content was erased; then nothing else is known.
    pub fn is_erased(&self) -> bool {
        self.erased
    }

    /// What is known, if the run was requested.
    pub fn state(&self) -> Option<&RunState> {
        self.state.as_deref()
    }
}

impl RunState {
    /// The run.
    pub fn run_id(&self) -> RunId {
        self.request.run_id
    }

    /// Its session.
    pub fn session_id(&self) -> SessionId {
        self.request.session_id
    }

    /// Its files.
    pub fn workspace_id(&self) -> WorkspaceId {
        self.request.workspace_id
    }

    /// How it ended, if it has.
    pub fn outcome(&self) -> Option<Outcome> {
        match self.waiting {
            Waiting::Ended(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// The call with this id.
    pub fn call(&self, id: ToolCallId) -> Option<&Call> {
        self.calls.iter().rev().find(|call| call.tool_call_id == id)
    }

    /// The calls of the newest step.
    pub fn step_calls(&self, step_no: u32) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(move |call| call.step_no == step_no)
    }

    fn call_mut(&mut self, id: ToolCallId) -> Option<&mut Call> {
        self.calls.iter_mut().rev().find(|call| call.tool_call_id == id)
    }

    fn set_call(&mut self, id: ToolCallId, state: CallState) {
        if let Some(call) = self.call_mut(id) {
            call.state = state;
        }
    }
}

impl Run {
    pub(super) fn take_in(&mut self, event: &RunEvent) {
        if let RunEvent::RunErased(_) = event {
            *self = Self { state: None, erased: true };
        } else if let RunEvent::RunRequested(request) = event {
            self.state = Some(Box::new(RunState::begun(request.clone())));
        } else if let Some(state) = self.state.as_deref_mut() {
            state.take_in(event);
        }
    }
}

impl RunState {
    fn begun(request: RunRequested) -> Self {
        let step = Step { step_no: 0, attempt: 0, purpose: Purpose::Plan, not_before: None, started: None };
        Self {
            phase: Phase::Idle,
            waiting: Waiting::Step(step),
            last_step: 0,
            calls: vec![],
            granted_tools: vec![],
            plan: vec![],
            tests: Tests::NotRun,
            fix_attempts: 0,
            cost_nanousd: NanoUsd::ZERO,
            last_text: String::new(),
            unread: true,
            last_message: request.message_id,
            request,
        }
    }

    fn take_in(&mut self, event: &RunEvent) {
        match event {
            RunEvent::RunRequested(_) | RunEvent::ThinkingCompleted(_) | RunEvent::TestsSkipped(_) => {}
            RunEvent::RunSteered(e) => {
                self.unread = true;
                self.last_message = e.message_id;
            }
            RunEvent::RunPhaseChanged(e) => self.phase = e.to,
            RunEvent::AssistantMessageCompleted(e) => {
                self.last_text = crate::content::head(&e.content.text, 1_000).to_owned();
            }
            RunEvent::PlanProposed(PlanProposed { items, .. }) | RunEvent::PlanRevised(PlanRevised { items, .. }) => {
                self.plan.clone_from(items);
            }
            RunEvent::FixAttempted(e) => self.fix_attempts = e.attempt,
            RunEvent::TestsRan(e) => {
                self.tests =
                    if e.failed > 0 { Tests::Red { failed: e.failed } } else { Tests::Green { passed: e.passed } };
            }
            RunEvent::RunCompleted(_) => self.waiting = Waiting::Ended(Outcome::Succeeded),
            RunEvent::RunFailed(_) => self.waiting = Waiting::Ended(Outcome::Failed),
            RunEvent::RunCancelled(_) => self.waiting = Waiting::Ended(Outcome::Cancelled),
            // The step that follows a retry stands in the same append.
            RunEvent::RunRetried(_) => {}
            _ => self.take_in_work(event),
        }
    }

    fn take_in_work(&mut self, event: &RunEvent) {
        match event {
            RunEvent::StepRequested(e) => {
                self.last_step = e.step_no;
                let (step_no, attempt, purpose, not_before) = (e.step_no, e.attempt, e.purpose, e.not_before);
                self.waiting = Waiting::Step(Step { step_no, attempt, purpose, not_before, started: None });
            }
            RunEvent::StepStarted(e) => {
                if let Waiting::Step(step) = &mut self.waiting {
                    step.started = Some((e.worker_id, e.llm_call_id));
                }
                self.unread = false;
            }
            RunEvent::StepCompleted(StepCompleted { cost_nanousd, .. })
            | RunEvent::StepFailed(StepFailed { cost_nanousd, .. })
            | RunEvent::StepInterrupted(StepInterrupted { cost_nanousd, .. }) => {
                self.cost_nanousd = NanoUsd(self.cost_nanousd.0.saturating_add(cost_nanousd.0));
            }
            RunEvent::ToolCallRequested(e) => self.calls.push(Call {
                tool_call_id: e.tool_call_id,
                step_no: e.step_no,
                tool: e.tool.clone(),
                arguments: e.arguments.clone(),
                state: CallState::Requested,
                decision: None,
            }),
            RunEvent::ApprovalRequested(e) => {
                self.set_call(e.tool_call_id, CallState::Asked { asked_at: e.asked_at });
                self.waiting = Waiting::Approval(e.tool_call_id);
            }
            RunEvent::ApprovalGranted(e) => self.take_in_grant(e),
            RunEvent::ApprovalDenied(e) => {
                if let Some(call) = self.call_mut(e.tool_call_id) {
                    call.decision = Some(Decision::Deny(e.reason.clone()));
                }
            }
            RunEvent::ToolCallApproved(e) => {
                self.set_call(e.tool_call_id, CallState::Approved);
                self.waiting = Waiting::Call(e.tool_call_id);
            }
            RunEvent::ToolCallStarted(e) => {
                self.set_call(e.tool_call_id, CallState::Started { worker_id: e.worker_id });
            }
            RunEvent::ToolCallDeclined(ToolCallDeclined { tool_call_id, .. })
            | RunEvent::ToolCallSucceeded(ToolCallSucceeded { tool_call_id, .. })
            | RunEvent::ToolCallFailed(ToolCallFailed { tool_call_id, .. })
            | RunEvent::ToolCallOrphaned(ToolCallOrphaned { tool_call_id, .. }) => {
                self.set_call(*tool_call_id, CallState::Settled);
            }
            _ => {}
        }
    }

    fn take_in_grant(&mut self, granted: &ApprovalGranted) {
        let mut tool = None;
        if let Some(call) = self.call_mut(granted.tool_call_id) {
            call.decision = Some(Decision::Grant(granted.scope));
            tool = Some(call.tool.clone());
        }
        if granted.scope == Scope::Run {
            self.granted_tools.extend(tool);
        }
    }
}
