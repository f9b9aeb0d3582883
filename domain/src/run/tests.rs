mod phases;
mod story;

use super::*;
use crate::aggregate::testing::{Given, given};
use crate::content::Content;
use crate::id::*;
use crate::{NanoUsd, Timestamp};

fn uuid(n: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(n)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_timestamp(second, 0).unwrap()
}

fn worker(n: u128) -> WorkerId {
    WorkerId::new(uuid(n))
}

fn call_id(n: u128) -> ToolCallId {
    ToolCallId::new(uuid(n))
}

fn requested() -> RunRequested {
    RunRequested {
        run_id: RunId::new(uuid(1)),
        session_id: SessionId::new(uuid(2)),
        workspace_id: WorkspaceId::new(uuid(3)),
        mode: Mode::Build,
        trigger: Trigger::Message,
        message_id: MessageId::new(uuid(4)),
        task: Content::inline("do it"),
        model: "scripted/demo".into(),
        approval_policy: ApprovalPolicy::Standard,
        limits: Limits { max_fix_attempts: 2, ..Limits::default() },
        requested_at: at(0),
    }
}

fn step_ref(step_no: u32, attempt: u32) -> StepRef {
    StepRef { step_no, attempt, worker_id: worker(8) }
}

fn start(step_no: u32, attempt: u32) -> RunCommand {
    RunCommand::StartStep(StartStep {
        step: step_ref(step_no, attempt),
        llm_call_id: LlmCallId::new(uuid(1_000 + u128::from(step_no * 10 + attempt))),
        model: "scripted/demo".into(),
        est_nanousd: NanoUsd(100),
        at: at(1),
    })
}

fn answer(step_no: u32, plan: bool, calls: &[(u128, &str, &str)]) -> RunCommand {
    let item = PlanItem { text: "first".into(), status: PlanStatus::Pending };
    RunCommand::CompleteStep(CompleteStep {
        step: step_ref(step_no, 1),
        thinking: None,
        text: None,
        plan: plan.then(|| vec![item]),
        calls: calls.iter().map(|(id, tool, arguments)| wanted_call(*id, tool, arguments)).collect(),
        finish_reason: "stop".into(),
        cost_nanousd: NanoUsd(10),
        at: at(2),
    })
}

fn wanted_call(id: u128, tool: &str, arguments: &str) -> RequestedCall {
    RequestedCall {
        tool_call_id: call_id(id),
        provider_call_id: format!("call_{id}"),
        tool: tool.into(),
        arguments: Content::inline(arguments),
    }
}

fn start_call(id: u128) -> RunCommand {
    RunCommand::StartCall { tool_call_id: call_id(id), worker_id: worker(8), timeout_ms: 1_000 }
}

fn finish_call(id: u128, tests: Option<(u32, u32)>) -> RunCommand {
    RunCommand::FinishCall(FinishCall {
        tool_call_id: call_id(id),
        worker_id: worker(8),
        result: CallResult::Succeeded { exit_code: Some(0) },
        output: Content::inline("ok"),
        duration_ms: 5,
        tests: tests.map(|(passed, failed)| TestReport {
            framework: "unittest".into(),
            command: "python3 -m unittest".into(),
            passed,
            failed,
            skipped: 0,
            duration_ms: 5,
        }),
        at: at(3),
    })
}

fn decide(id: u128, decision: Decision) -> RunCommand {
    RunCommand::DecideApproval(DecideApproval {
        approval_id: ApprovalId::new(uuid(id)),
        decision,
        decided_by: "user:1".into(),
        via: Via::Web,
        at: at(9),
    })
}

fn cancel() -> RunCommand {
    RunCommand::Cancel { cancelled_by: "user:1".into(), reason: "enough".into(), cost_nanousd: NanoUsd(7) }
}

/// A run whose first step has just begun.
fn planning() -> Given<Run> {
    given::<Run>([])
        .when(RunCommand::Request(requested()))
        .then_types(&["run.requested", "step.requested"])
        .when(start(1, 1))
        .then_types(&["run.phase_changed", "step.started"])
}

const WRITES: &str = r#"{"command":"touch a"}"#;
