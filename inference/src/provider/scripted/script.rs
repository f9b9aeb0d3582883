//! Turns a rule's answer into what the model says: texts filled in, plan and calls written as a real model writes them.
//!
//! Never decides which rule it is, and never calls a tool that the rule does not name.

use serde_json::{Value, json};

use super::matching::{DONE, Facts, PLAN_TOOL};
use super::playbook::{Answer, Call, PlanState, Playbook};
use crate::estimate::{count_tokens, estimate_input_tokens};
use crate::provider::{FinishReason, Usage};
use crate::request::{CallOutcome, CallSummary, Message, ModelRequest, Situation, Tests, ToolCall};

/// Most characters of a person's or a tool's words that are repeated.
const MAX_QUOTE_CHARS: usize = 300;

/// All the model is going to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Script {
    pub thinking: String,
    pub text: String,
    pub calls: Vec<ToolCall>,
    pub usage: Usage,
    pub finish_reason: FinishReason,
    /// The rule that was followed.
    pub rule: String,
}

impl Script {
    /// What the playbook says to a request.
    pub fn of(request: &ModelRequest, playbook: &Playbook) -> Self {
        let situation = &request.situation;
        let facts = Facts::of(situation, playbook);
        let rule = facts.rule(playbook);
        let answer = &rule.answer;
        let fill = |text: &str| fill(text, situation, facts.last);
        let mut text = fill(&answer.text);
        if rule.when.story.is_some() && was_interrupted(request) {
            text = format!("{}\n\n{text}", fill(&playbook.acknowledgement));
        }
        let calls = calls(answer, facts.last, playbook);
        let calls: Vec<ToolCall> = calls.into_iter().enumerate().map(|at| tool_call(request, at)).collect();
        let thinking = fill(&answer.thinking);
        Self {
            usage: usage(request, &thinking, &text, &calls),
            finish_reason: if calls.is_empty() { FinishReason::Stop } else { FinishReason::ToolCalls },
            thinking,
            text,
            calls,
            rule: rule.name.clone(),
        }
    }
}

fn calls(answer: &Answer, last: Option<&CallSummary>, playbook: &Playbook) -> Vec<Call> {
    let plan = answer.plan.iter().map(|state| plan_call(state, &playbook.plans[&state.name]));
    let again = last.filter(|_| answer.repeat_last);
    let again = again.map(|call| Call { tool: call.tool.clone(), arguments: call.arguments.clone() });
    plan.chain(again).chain(answer.calls.iter().cloned()).collect()
}

fn plan_call(state: &PlanState, items: &[String]) -> Call {
    let item = |(number, text): (usize, &String)| {
        let status = match state.working_on {
            0 => "pending",
            current if number < current => DONE,
            current if number == current => "in_progress",
            _ => "pending",
        };
        json!({"text": text, "status": status})
    };
    let items: Vec<Value> = (1..).zip(items).map(item).collect();
    Call { tool: PLAN_TOOL.to_owned(), arguments: json!({"items": items}) }
}

/// Ids are unique within a conversation: they count its calls.
fn tool_call(request: &ModelRequest, (at, call): (usize, Call)) -> ToolCall {
    let before: usize = request
        .messages
        .iter()
        .map(|message| if let Message::Assistant { calls, .. } = message { calls.len() } else { 0 })
        .sum();
    let id = format!("scripted_{}_{}", request.situation.step_no, before + at);
    ToolCall { id, name: call.tool, arguments: call.arguments.to_string() }
}

/// Whether the person wrote something while the run worked: after the model's newest answer, and not as the message
/// that began the run.
fn was_interrupted(request: &ModelRequest) -> bool {
    let situation = &request.situation;
    let newest = request.messages.iter().rev().find_map(|message| match message {
        Message::User(_) => Some(true),
        Message::Assistant { .. } => Some(false),
        Message::System(_) | Message::Tool { .. } => None,
    });
    situation.user_messages > 1 && !situation.calls.is_empty() && newest == Some(true)
}

fn fill(text: &str, situation: &Situation, last: Option<&CallSummary>) -> String {
    let (failed, passed) = match situation.tests {
        Tests::NotRun => (0, 0),
        Tests::Red { failed } => (failed, 0),
        Tests::Green { passed } => (0, passed),
    };
    let declined = situation.calls.iter().rev().find_map(|call| match &call.outcome {
        CallOutcome::Declined { reason } => Some(reason.as_deref().unwrap_or_default()),
        _ => None,
    });
    let reason = match declined.map(str::trim) {
        None | Some("") => String::new(),
        Some(reason) => format!(" (“{}”)", quote(reason)),
    };
    let output = last.map(|call| quote(&call.output_head)).unwrap_or_default();
    // What people and tools wrote goes in last, so that braces in it stay what they are.
    text.replace("{failed}", &failed.to_string())
        .replace("{passed}", &passed.to_string())
        .replace("{reason}", &reason)
        .replace("{output}", &output)
        .replace("{message}", &quote(&situation.last_user_message))
}

fn quote(text: &str) -> String {
    let text = text.trim();
    match text.char_indices().nth(MAX_QUOTE_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn usage(request: &ModelRequest, thinking: &str, text: &str, calls: &[ToolCall]) -> Usage {
    let calls: u64 = calls.iter().map(|call| count_tokens(&call.name) + count_tokens(&call.arguments)).sum();
    Usage {
        input_tokens: estimate_input_tokens(request),
        output_tokens: count_tokens(text) + calls,
        reasoning_tokens: count_tokens(thinking),
        ..Usage::default()
    }
}
