//! A run that happened elsewhere, written down as if it had happened here, marked as a record.

use super::*;
use crate::content::Content;
use crate::id::{LlmCallId, MessageId, ToolCallId, WorkerId};
use crate::money::NanoUsd;

/// What a record says of a run.
#[derive(Debug, Clone)]
pub struct ImportedRun {
    /// How it began.
    pub request: RunRequested,
    /// Who writes it down.
    pub worker_id: WorkerId,
    /// What the agent did, in order.
    pub steps: Vec<ImportedStep>,
    /// How it ended.
    pub outcome: ImportedOutcome,
}

/// What a record says of one turn of the model.
#[derive(Debug, Clone)]
pub struct ImportedStep {
    /// Names the model call.
    pub llm_call_id: LlmCallId,
    /// What the model thought.
    pub thinking: Option<Content>,
    /// What the model said.
    pub text: Option<(MessageId, Content)>,
    /// The tool it asked for.
    pub call: Option<ImportedCall>,
}

/// What a record says of one tool call.
#[derive(Debug, Clone)]
pub struct ImportedCall {
    /// The call; identified by its place, because recorded ids repeat.
    pub tool_call_id: ToolCallId,
    /// The id in the record.
    pub provider_call_id: String,
    /// The tool.
    pub tool: String,
    /// Its arguments.
    pub arguments: Content,
    /// What came back; absent where the record ends before it.
    pub observation: Option<Content>,
    /// How long it took, in milliseconds, where the record says so.
    pub duration_ms: Option<u64>,
}

/// How a record says that the run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportedOutcome {
    /// Well, with these words.
    Succeeded(String),
    /// Badly, with these words.
    Failed(String),
}

pub(super) fn import(run: &ImportedRun) -> Result<Vec<RunEvent>, RunRefusal> {
    let mut events: Vec<RunEvent> = vec![run.request.clone().into()];
    let mut from = Phase::Idle;
    let mut enter = |events: &mut Vec<RunEvent>, to: Phase| {
        events.push(RunPhaseChanged { from, to, reason: "imported".into() }.into());
        from = to;
    };
    for (index, step) in (1..).zip(&run.steps) {
        let purpose = if index == 1 { Purpose::Plan } else { Purpose::Act };
        events.push(StepRequested { step_no: index, attempt: 1, purpose, not_before: None }.into());
        if index == 1 {
            enter(&mut events, Phase::Planning);
        }
        import_turn(&mut events, run, index, step);
        if index == 1 {
            enter(&mut events, Phase::Executing);
        }
        if let Some(call) = &step.call {
            import_call(&mut events, run, call);
        }
    }
    if run.steps.is_empty() {
        enter(&mut events, Phase::Planning);
        enter(&mut events, Phase::Executing);
    }
    match &run.outcome {
        ImportedOutcome::Succeeded(summary) => {
            enter(&mut events, Phase::Testing);
            events.push(TestsSkipped { reason: "imported".into() }.into());
            enter(&mut events, Phase::Done);
            let steps = u32::try_from(run.steps.len()).unwrap_or(u32::MAX);
            let summary = summary.clone();
            events.push(RunCompleted { summary, steps, duration_ms: None, cost_nanousd: NanoUsd::ZERO }.into());
        }
        ImportedOutcome::Failed(message) => {
            enter(&mut events, Phase::Error);
            let error = RunError {
                kind: ErrorKind::Imported,
                retryable: false,
                user_action: UserAction::None,
                message: message.clone(),
            };
            events.push(RunFailed { error, phase: Phase::Executing }.into());
        }
    }
    Ok(events)
}

fn import_turn(events: &mut Vec<RunEvent>, run: &ImportedRun, step_no: u32, step: &ImportedStep) {
    let llm_call_id = step.llm_call_id;
    let model = run.request.model.clone();
    events.push(StepStarted { step_no, attempt: 1, worker_id: run.worker_id, llm_call_id, model }.into());
    if let Some(content) = step.thinking.clone() {
        events.push(ThinkingCompleted { step_no, content, duration_ms: 0 }.into());
    }
    if let Some((message_id, content)) = step.text.clone() {
        events.push(AssistantMessageCompleted { message_id, step_no, content, cadence: vec![] }.into());
    }
    if let Some(call) = &step.call {
        events.push(
            ToolCallRequested {
                tool_call_id: call.tool_call_id,
                step_no,
                index: 0,
                provider_call_id: call.provider_call_id.clone(),
                tool: call.tool.clone(),
                arguments: call.arguments.clone(),
            }
            .into(),
        );
    }
    let finish_reason = if step.call.is_some() { "tool_calls" } else { "stop" }.to_owned();
    events.push(StepCompleted { step_no, attempt: 1, llm_call_id, finish_reason, cost_nanousd: NanoUsd::ZERO }.into());
}

fn import_call(events: &mut Vec<RunEvent>, run: &ImportedRun, call: &ImportedCall) {
    let tool_call_id = call.tool_call_id;
    events.push(ToolCallApproved { tool_call_id, by: ApprovedBy::Record }.into());
    events.push(ToolCallStarted { tool_call_id, worker_id: run.worker_id, timeout_ms: 0 }.into());
    let duration_ms = call.duration_ms;
    match call.observation.clone() {
        Some(output) => {
            events.push(ToolCallSucceeded { tool_call_id, exit_code: None, duration_ms, output }.into());
        }
        None => {
            let reason = "the record holds no result of this call".to_owned();
            events.push(ToolCallOrphaned { tool_call_id, reason }.into());
        }
    }
}
