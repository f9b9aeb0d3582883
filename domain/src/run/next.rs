//! What a run does next: the one place that names work.

use super::decide::Draft;
use super::*;
use crate::Timestamp;
use crate::id::{ApprovalId, ToolCallId};

impl Draft {
    /// After the model's turn: its calls, or another turn, or the end.
    pub(super) fn after_step(&mut self, step_no: u32, goes_on: bool, at: Timestamp) -> Result<(), RunRefusal> {
        if self.state().step_calls(step_no).next().is_some() {
            self.next(at)
        } else if goes_on || self.state().unread {
            self.request_step()
        } else {
            self.finish(at)
        }
    }

    /// After a call has settled: the next call of the same step, or the next turn of the model.
    pub(super) fn next(&mut self, at: Timestamp) -> Result<(), RunRefusal> {
        let step_no = self.state().last_step;
        while let Some(call) = self.next_call(step_no) {
            let id = call.tool_call_id;
            let granted = self.state().granted_tools.contains(&call.tool);
            match self.state().request.approval_policy.verdict(&call.tool, &call.arguments.text) {
                Verdict::Block(reason) => self.push(ToolCallDeclined { tool_call_id: id, reason }),
                Verdict::Ask(_) if granted => return self.approve(id, ApprovedBy::Grant),
                Verdict::Allow => return self.approve(id, ApprovedBy::Policy),
                Verdict::Ask(reason) => {
                    self.push(ApprovalRequested {
                        approval_id: ApprovalId::from(id),
                        tool_call_id: id,
                        reason,
                        offered_scopes: vec![Scope::Once, Scope::Run],
                        asked_at: at,
                    });
                    return Ok(());
                }
            }
        }
        self.after_calls(step_no)
    }

    fn next_call(&self, step_no: u32) -> Option<Call> {
        self.state().step_calls(step_no).find(|call| call.state == CallState::Requested).cloned()
    }

    pub(super) fn approve(&mut self, id: ToolCallId, by: ApprovedBy) -> Result<(), RunRefusal> {
        let tests = self.state().call(id).is_some_and(|call| call.tool == TEST_TOOL);
        if tests {
            self.enter(Phase::Testing, "tests are to run")?;
        } else if self.state().phase == Phase::Testing {
            self.enter(Phase::Fixing, "more work after the tests")?;
        }
        self.push(ToolCallApproved { tool_call_id: id, by });
        Ok(())
    }

    fn after_calls(&mut self, step_no: u32) -> Result<(), RunRefusal> {
        let tested = self.state().step_calls(step_no).any(|call| call.tool == TEST_TOOL);
        if let (true, Phase::Testing, Tests::Red { failed }) = (tested, self.state().phase, self.state().tests) {
            let attempt = self.state().fix_attempts + 1;
            let most = self.state().request.limits.max_fix_attempts;
            if attempt > most {
                return self.fail(RunError::limit(format!("tests are still red after {most} attempts to fix them")));
            }
            self.enter(Phase::Fixing, format!("{failed} tests are red"))?;
            self.push(FixAttempted { attempt, failed });
        }
        self.request_step()
    }

    fn request_step(&mut self) -> Result<(), RunRefusal> {
        let step_no = self.state().last_step + 1;
        let purpose = match (self.state().phase, self.state().tests) {
            (Phase::Idle | Phase::Planning, _) => Purpose::Plan,
            (Phase::Fixing, _) => Purpose::Fix,
            (Phase::Testing, Tests::Green { .. }) => Purpose::Deliver,
            _ => Purpose::Act,
        };
        self.push(StepRequested { step_no, attempt: 1, purpose, not_before: None });
        Ok(())
    }

    /// The model has nothing more to do.
    fn finish(&mut self, at: Timestamp) -> Result<(), RunRefusal> {
        let state = self.state();
        if let (Phase::Testing | Phase::Fixing, Tests::Red { failed }) = (state.phase, state.tests) {
            return self.fail(RunError {
                kind: ErrorKind::TestsFailed,
                retryable: true,
                user_action: UserAction::Retry,
                message: format!("the agent stopped while {failed} tests are red"),
            });
        }
        if state.phase == Phase::Executing {
            self.enter(Phase::Testing, "the work is done")?;
            self.push(TestsSkipped { reason: "the agent ran no tests".into() });
        }
        let steps = self.state().last_step;
        self.enter(Phase::Done, "nothing is left to do")?;
        let state = self.state();
        let summary = crate::content::head(&state.last_text, 500).to_owned();
        let duration_ms = u64::try_from((at - state.request.requested_at).num_milliseconds()).ok();
        let cost_nanousd = state.cost_nanousd;
        self.push(RunCompleted { summary, steps, duration_ms, cost_nanousd });
        Ok(())
    }

    pub(super) fn fail(&mut self, error: RunError) -> Result<(), RunRefusal> {
        let phase = self.state().phase;
        self.enter(Phase::Error, error.message.clone())?;
        self.push(RunFailed { error, phase });
        Ok(())
    }

    /// The bound that the next model call would break, if any.
    pub(super) fn limit_reached(&self, start: &StartStep) -> Option<RunError> {
        let state = self.state();
        let limits = &state.request.limits;
        let wall_ms = u64::try_from((start.at - state.request.requested_at).num_milliseconds()).unwrap_or(0);
        let cost = crate::NanoUsd(state.cost_nanousd.0.saturating_add(start.est_nanousd.0));
        if start.step.step_no > limits.max_steps {
            Some(RunError::limit(format!("the run's limit of {} steps is reached", limits.max_steps)))
        } else if cost > limits.max_cost_nanousd {
            Some(RunError::limit(format!(
                "the next model call could exceed the run's budget of {} USD",
                limits.max_cost_nanousd
            )))
        } else if wall_ms > limits.max_wall_ms {
            Some(RunError::limit(format!("the run's limit of {} minutes is reached", limits.max_wall_ms / 60_000)))
        } else {
            None
        }
    }
}
