//! What follows from a command.

use super::*;
use crate::aggregate::Aggregate;
use crate::id::{ApprovalId, ToolCallId};

impl Aggregate for Run {
    type Command = RunCommand;
    type Event = RunEvent;
    type Error = RunRefusal;

    fn decide(&self, command: &RunCommand) -> Result<Vec<RunEvent>, RunRefusal> {
        if self.is_erased() {
            return if matches!(command, RunCommand::Erase(_)) { Ok(vec![]) } else { Err(RunRefusal::Erased) };
        }
        let state = match (command, self.state()) {
            (RunCommand::Request(wanted), None) => return Ok(request(wanted)),
            (RunCommand::Request(wanted), Some(known)) if known.request == *wanted => return Ok(vec![]),
            (RunCommand::Import(run), None) => return import::import(run),
            (RunCommand::Request(_) | RunCommand::Import(_), Some(_)) => return Err(RunRefusal::Taken),
            (_, None) => return Err(RunRefusal::Unknown),
            (RunCommand::EndRecord { .. }, Some(state)) if state.request.trigger == Trigger::Import => state,
            (RunCommand::EndRecord { .. }, Some(_)) => return Err(RunRefusal::Taken),
            // A record can be forgotten, and nothing else can be done with it.
            (RunCommand::Erase(_), Some(state)) => state,
            (_, Some(state)) if state.request.trigger == Trigger::Import => return Err(RunRefusal::Imported),
            (_, Some(state)) => state,
        };
        let mut draft = Draft::of(state);
        match command {
            RunCommand::Request(_) | RunCommand::Import(_) => {}
            RunCommand::Steer { message_id, content } => draft.steer(*message_id, content)?,
            RunCommand::StartStep(start) => draft.start_step(start)?,
            RunCommand::CompleteStep(complete) => draft.complete_step(complete)?,
            RunCommand::FailStep(fail) => draft.fail_step(fail)?,
            RunCommand::InterruptStep { step, reason, cost_nanousd } => {
                draft.interrupt_step(step, reason, *cost_nanousd)?;
            }
            RunCommand::DecideApproval(decide) => draft.decide_approval(decide)?,
            RunCommand::StartCall { tool_call_id, worker_id, timeout_ms } => {
                draft.start_call(*tool_call_id, *worker_id, *timeout_ms)?;
            }
            RunCommand::FinishCall(finish) => draft.finish_call(finish)?,
            RunCommand::OrphanCall { tool_call_id, reason, at } => {
                draft.orphan_call(*tool_call_id, reason, *at)?;
            }
            RunCommand::Cancel { cancelled_by, reason, cost_nanousd } => {
                draft.cancel(cancelled_by, reason, *cost_nanousd)?;
            }
            RunCommand::EndRecord { ended_by, reason } => draft.cancel(ended_by, reason, crate::NanoUsd::ZERO)?,
            RunCommand::Retry { requested_by } => draft.retry(requested_by)?,
            RunCommand::Erase(erased) => draft.erase(erased)?,
        }
        Ok(draft.events)
    }

    fn evolve(&mut self, event: &RunEvent) {
        self.take_in(event);
    }
}

fn request(wanted: &RunRequested) -> Vec<RunEvent> {
    let step = StepRequested { step_no: 1, attempt: 1, purpose: Purpose::Plan, not_before: None };
    vec![wanted.clone().into(), step.into()]
}

/// Events as they are decided, and the run as it will be after them.
pub(super) struct Draft {
    run: Run,
    pub events: Vec<RunEvent>,
}

impl Draft {
    fn of(state: &RunState) -> Self {
        let mut run = Run::default();
        run.take_in(&state.request.clone().into());
        let mut draft = Self { run, events: vec![] };
        *draft.state_mut() = state.clone();
        draft
    }

    fn state_mut(&mut self) -> &mut RunState {
        self.run.state_mut().expect("a draft begins with a requested run")
    }

    pub(super) fn state(&self) -> &RunState {
        self.run.state().expect("a draft begins with a requested run")
    }

    pub(super) fn push(&mut self, event: impl Into<RunEvent>) {
        let event = event.into();
        self.run.take_in(&event);
        self.events.push(event);
    }

    pub(super) fn enter(&mut self, to: Phase, reason: impl Into<String>) -> Result<(), RunRefusal> {
        let from = self.state().phase;
        if from == to {
            return Ok(());
        }
        if !from.may_become(to) {
            return Err(RunRefusal::Phase { from, to });
        }
        self.push(RunPhaseChanged { from, to, reason: reason.into() });
        Ok(())
    }

    fn not_ended(&self) -> Result<(), RunRefusal> {
        self.state().outcome().map_or(Ok(()), |_| Err(RunRefusal::Ended))
    }

    fn steer(&mut self, message_id: crate::MessageId, content: &crate::Content) -> Result<(), RunRefusal> {
        if self.state().last_message == message_id {
            return Ok(());
        }
        self.not_ended()?;
        self.push(RunSteered { message_id, content: content.clone() });
        Ok(())
    }

    /// The attempt that is under way, if it is this one.
    fn step(&self, wanted: &StepRef) -> Result<Step, RunRefusal> {
        match self.state().waiting {
            Waiting::Step(step)
                if step.step_no == wanted.step_no
                    && step.attempt == wanted.attempt
                    && step.started.is_some_and(|(worker, _)| worker == wanted.worker_id) =>
            {
                Ok(step)
            }
            _ => Err(RunRefusal::StepOver),
        }
    }

    fn start_step(&mut self, start: &StartStep) -> Result<(), RunRefusal> {
        self.not_ended()?;
        let Waiting::Step(step) = self.state().waiting else { return Err(RunRefusal::StepOver) };
        let wanted = start.step;
        if step.started.is_some() || (step.step_no, step.attempt) != (wanted.step_no, wanted.attempt) {
            return Err(RunRefusal::StepOver);
        }
        if self.state().phase == Phase::Idle {
            self.enter(Phase::Planning, "the first step begins")?;
        }
        if let Some(error) = self.limit_reached(start) {
            return self.fail(error);
        }
        self.push(StepStarted {
            step_no: wanted.step_no,
            attempt: wanted.attempt,
            worker_id: wanted.worker_id,
            llm_call_id: start.llm_call_id,
            model: start.model.clone(),
        });
        Ok(())
    }

    fn complete_step(&mut self, done: &CompleteStep) -> Result<(), RunRefusal> {
        let step = self.step(&done.step)?;
        if done.calls.len() > MAX_CALLS_PER_STEP {
            return Err(RunRefusal::TooManyCalls);
        }
        let step_no = step.step_no;
        if let Some((content, duration_ms)) = done.thinking.clone() {
            self.push(ThinkingCompleted { step_no, content, duration_ms });
        }
        if let Some(SaidText { message_id, content, cadence }) = done.text.clone() {
            self.push(AssistantMessageCompleted { message_id, step_no, content, cadence });
        }
        if let Some(items) = done.plan.clone() {
            if self.state().plan.is_empty() {
                self.push(PlanProposed { step_no, items });
            } else {
                self.push(PlanRevised { step_no, items });
            }
        }
        for (index, call) in (0..).zip(&done.calls) {
            self.push(ToolCallRequested {
                tool_call_id: call.tool_call_id,
                step_no,
                index,
                provider_call_id: call.provider_call_id.clone(),
                tool: call.tool.clone(),
                arguments: call.arguments.clone(),
            });
        }
        let (_, llm_call_id) = step.started.expect("`step` found the attempt that is under way");
        self.push(StepCompleted {
            step_no,
            attempt: step.attempt,
            llm_call_id,
            finish_reason: done.finish_reason.clone(),
            cost_nanousd: done.cost_nanousd,
        });
        if self.state().phase == Phase::Planning {
            self.enter(Phase::Executing, "the plan is made")?;
        }
        let goes_on = done.plan.is_some() || !done.calls.is_empty();
        self.after_step(step_no, goes_on, done.at)
    }

    fn fail_step(&mut self, fail: &FailStep) -> Result<(), RunRefusal> {
        let step = self.step(&fail.step)?;
        let (_, llm_call_id) = step.started.expect("`step` found the attempt that is under way");
        let (step_no, attempt, error) = (step.step_no, step.attempt, fail.error.clone());
        self.push(StepFailed { step_no, attempt, llm_call_id, error, cost_nanousd: fail.cost_nanousd });
        if !fail.error.retryable || attempt >= MAX_STEP_ATTEMPTS {
            return self.fail(fail.error.clone());
        }
        let wait = chrono::TimeDelta::milliseconds(i64::try_from(fail.retry_after_ms).unwrap_or(i64::MAX / 2_000));
        self.push(StepRequested {
            step_no,
            attempt: attempt + 1,
            purpose: step.purpose,
            not_before: fail.at.checked_add_signed(wait),
        });
        Ok(())
    }

    fn interrupt_step(
        &mut self,
        wanted: &StepRef,
        reason: &str,
        cost_nanousd: crate::NanoUsd,
    ) -> Result<(), RunRefusal> {
        let step = self.step(wanted)?;
        let (_, llm_call_id) = step.started.expect("`step` found the attempt that is under way");
        let (step_no, attempt) = (step.step_no, step.attempt);
        self.push(StepInterrupted { step_no, attempt, llm_call_id, reason: reason.into(), cost_nanousd });
        if attempt >= MAX_STEP_ATTEMPTS {
            return self.fail(RunError {
                kind: ErrorKind::Internal,
                retryable: true,
                user_action: UserAction::Retry,
                message: format!("the model turn was cut off {attempt} times"),
            });
        }
        self.push(StepRequested { step_no, attempt: attempt + 1, purpose: step.purpose, not_before: None });
        Ok(())
    }

    fn decide_approval(&mut self, decide: &DecideApproval) -> Result<(), RunRefusal> {
        let approval_id = decide.approval_id;
        let tool_call_id = ToolCallId::new(approval_id.uuid());
        let call = self.state().call(tool_call_id).ok_or(RunRefusal::UnknownApproval(approval_id))?;
        match (&call.decision, &decide.decision) {
            (None, _) => {}
            (Some(Decision::Grant(_)), Decision::Grant(_)) | (Some(Decision::Deny(_)), Decision::Deny(_)) => {
                return Ok(());
            }
            (Some(Decision::Grant(_)), Decision::Deny(_)) => {
                return Err(RunRefusal::AlreadyDecided { approval_id, decided: "granted" });
            }
            (Some(Decision::Deny(_)), Decision::Grant(_)) => {
                return Err(RunRefusal::AlreadyDecided { approval_id, decided: "denied" });
            }
        }
        let asked_at = match call.state {
            CallState::Asked { asked_at } => asked_at,
            CallState::Requested => return Err(RunRefusal::UnknownApproval(approval_id)),
            _ => return Err(RunRefusal::ApprovalClosed(approval_id)),
        };
        let waited_ms = u64::try_from((decide.at - asked_at).num_milliseconds()).unwrap_or(0);
        let (decided_by, via) = (decide.decided_by.clone(), decide.via);
        match decide.decision.clone() {
            Decision::Grant(scope) => {
                self.push(ApprovalGranted { approval_id, tool_call_id, scope, decided_by, via, waited_ms });
                self.approve(tool_call_id, ApprovedBy::Person)
            }
            Decision::Deny(reason) => {
                let told = if reason.is_empty() { "a person said no".to_owned() } else { reason.clone() };
                self.push(ApprovalDenied { approval_id, tool_call_id, decided_by, via, reason, waited_ms });
                self.push(ToolCallDeclined { tool_call_id, reason: told });
                self.next(decide.at)
            }
        }
    }

    fn start_call(
        &mut self,
        tool_call_id: ToolCallId,
        worker_id: crate::WorkerId,
        timeout_ms: u64,
    ) -> Result<(), RunRefusal> {
        self.not_ended()?;
        let call = self.state().call(tool_call_id).ok_or(RunRefusal::UnknownCall(tool_call_id))?;
        if call.state != CallState::Approved {
            return Err(RunRefusal::CallOver(tool_call_id));
        }
        self.push(ToolCallStarted { tool_call_id, worker_id, timeout_ms });
        Ok(())
    }

    fn finish_call(&mut self, finish: &FinishCall) -> Result<(), RunRefusal> {
        let tool_call_id = finish.tool_call_id;
        let call = self.state().call(tool_call_id).ok_or(RunRefusal::UnknownCall(tool_call_id))?;
        if call.state != (CallState::Started { worker_id: finish.worker_id }) {
            return Err(RunRefusal::CallOver(tool_call_id));
        }
        let (duration_ms, output) = (Some(finish.duration_ms), finish.output.clone());
        match finish.result.clone() {
            CallResult::Succeeded { exit_code } => {
                self.push(ToolCallSucceeded { tool_call_id, exit_code, duration_ms, output });
            }
            CallResult::Failed { failure, code, message } => {
                self.push(ToolCallFailed { tool_call_id, failure, code, message, duration_ms, output });
            }
        }
        if let Some(tests) = finish.tests.clone() {
            self.push(TestsRan {
                tool_call_id,
                framework: tests.framework,
                command: tests.command,
                passed: tests.passed,
                failed: tests.failed,
                skipped: tests.skipped,
                duration_ms: tests.duration_ms,
            });
        }
        self.next(finish.at)
    }

    fn orphan_call(&mut self, id: ToolCallId, reason: &str, at: crate::Timestamp) -> Result<(), RunRefusal> {
        let call = self.state().call(id).ok_or(RunRefusal::UnknownCall(id))?;
        if !matches!(call.state, CallState::Started { .. }) {
            return Err(RunRefusal::CallOver(id));
        }
        self.push(ToolCallOrphaned { tool_call_id: id, reason: reason.into() });
        self.next(at)
    }

    fn cancel(&mut self, by: &str, reason: &str, cost_nanousd: crate::NanoUsd) -> Result<(), RunRefusal> {
        match self.state().outcome() {
            Some(Outcome::Cancelled) => return Ok(()),
            Some(_) => return Err(RunRefusal::Ended),
            None => {}
        }
        if let Waiting::Step(Step { step_no, attempt, started: Some((_, llm_call_id)), .. }) = self.state().waiting {
            let reason = "the run was cancelled".to_owned();
            self.push(StepInterrupted { step_no, attempt, llm_call_id, reason, cost_nanousd });
        }
        let open: Vec<_> = self.state().calls.iter().filter(|c| c.state != CallState::Settled).cloned().collect();
        for Call { tool_call_id, state, .. } in open {
            if matches!(state, CallState::Started { .. }) {
                self.push(ToolCallFailed {
                    tool_call_id,
                    failure: CallFailure::Cancelled,
                    code: "RUN_CANCELLED".into(),
                    message: "the run was cancelled while the tool ran".into(),
                    duration_ms: None,
                    output: crate::Content::default(),
                });
            } else {
                self.push(ToolCallDeclined { tool_call_id, reason: "the run was cancelled".into() });
            }
        }
        self.push(RunCancelled { cancelled_by: by.into(), reason: reason.into() });
        Ok(())
    }

    fn erase(&mut self, erased: &RunErased) -> Result<(), RunRefusal> {
        // Nobody works on a record. One whose import was interrupted has no end, and can have none.
        if self.state().request.trigger != Trigger::Import {
            self.state().outcome().ok_or(RunRefusal::StillOpen(erased.run_id))?;
        }
        self.push(erased.clone());
        Ok(())
    }

    fn retry(&mut self, requested_by: &str) -> Result<(), RunRefusal> {
        match self.state().outcome() {
            Some(Outcome::Failed) => {}
            _ => return Err(RunRefusal::NotFailed),
        }
        self.push(RunRetried { requested_by: requested_by.into() });
        self.enter(Phase::Planning, "the run is tried again")?;
        let step_no = 1 + self.state().last_step;
        self.push(StepRequested { step_no, attempt: 1, purpose: Purpose::Plan, not_before: None });
        Ok(())
    }
}

impl From<ApprovalId> for ToolCallId {
    fn from(id: ApprovalId) -> Self {
        Self::new(id.uuid())
    }
}
