//! A run's events as a conversation with a model, and as the situation that the scripted model matches on.

use std::collections::BTreeSet;

use domain::content::head;
use domain::run::{self, CallFailure, PlanItem, RunEvent};
use domain::{BookId, Content, ToolCallId};
use serde_json::{Value, json};
use sqlx::postgres::PgPool;

use crate::request::{CallOutcome, CallSummary, Message, Phase, Situation, Tests, ToolCall};

/// How much of a call's output the situation shows, in bytes.
const OUTPUT_HEAD: usize = 2_000;

/// A conversation as it stands.
#[derive(Debug, Clone, Default)]
pub struct Conversation {
    /// What was said and done, oldest first.
    pub messages: Vec<Message>,
    /// The state of the run.
    pub situation: Situation,
    /// What the model says in the step that is being read.
    said: String,
    asked: Vec<ToolCall>,
    /// Plans among what was asked; they are answered at once.
    planned: Vec<String>,
    /// Calls whose results are still to come; they must follow the words that asked for them.
    unanswered: BTreeSet<ToolCallId>,
    /// What people said meanwhile.
    waiting: Vec<Message>,
    open: Vec<(ToolCallId, CallSummary)>,
}

/// Reads the events of a run. Long texts are fetched from the blobs of the book.
pub async fn of_run(pool: &PgPool, book_id: BookId, events: &[RunEvent]) -> sqlx::Result<Conversation> {
    let mut conversation = Conversation::default();
    for event in events {
        let text = match content_of(event) {
            Some(content) => commands::blobs::text(pool, book_id, content).await?,
            None => String::new(),
        };
        conversation.take_in(event, text);
    }
    Ok(conversation)
}

/// The long text of an event, if it has one that the model is shown.
fn content_of(event: &RunEvent) -> Option<&Content> {
    match event {
        RunEvent::RunRequested(e) => Some(&e.task),
        RunEvent::RunSteered(e) => Some(&e.content),
        RunEvent::AssistantMessageCompleted(e) => Some(&e.content),
        RunEvent::ToolCallRequested(e) => Some(&e.arguments),
        _ => None,
    }
}

impl Conversation {
    fn take_in(&mut self, event: &RunEvent, text: String) {
        match event {
            RunEvent::RunRequested(_) => {
                self.situation.task.clone_from(&text);
                self.hear(text);
            }
            RunEvent::RunSteered(_) => self.hear(text),
            RunEvent::RunPhaseChanged(e) => self.situation.phase = phase(e.to),
            RunEvent::StepRequested(e) => self.situation.step_no = e.step_no,
            RunEvent::AssistantMessageCompleted(_) => self.said = text,
            RunEvent::PlanProposed(run::PlanProposed { items, step_no })
            | RunEvent::PlanRevised(run::PlanRevised { items, step_no }) => self.plan(items, *step_no),
            RunEvent::ToolCallRequested(e) => self.ask(e, text),
            RunEvent::StepCompleted(_) => self.say(),
            RunEvent::TestsRan(e) if e.failed > 0 => self.situation.tests = Tests::Red { failed: e.failed },
            RunEvent::TestsRan(e) => self.situation.tests = Tests::Green { passed: e.passed },
            _ => self.take_in_result(event),
        }
    }

    fn take_in_result(&mut self, event: &RunEvent) {
        match event {
            RunEvent::ToolCallDeclined(e) => {
                let reason = Some(e.reason.clone()).filter(|reason| !reason.is_empty());
                let words = format!("Not run. A person or a rule declined it: {}", e.reason);
                self.answer(e.tool_call_id, CallOutcome::Declined { reason }, None, words);
            }
            RunEvent::ToolCallSucceeded(e) => {
                let words = match e.exit_code {
                    Some(code) if code != 0 => format!("exit status {code}\n{}", e.output.text),
                    _ if e.output.text.is_empty() => "(no output)".to_owned(),
                    // What the model sees stands in the event, bounded; all of it may stand in a blob.
                    _ => e.output.text.clone(),
                };
                self.answer(e.tool_call_id, CallOutcome::Succeeded, e.exit_code, words);
            }
            RunEvent::ToolCallFailed(e) => {
                let outcome = match e.failure {
                    CallFailure::Failed => CallOutcome::Failed,
                    CallFailure::TimedOut => CallOutcome::TimedOut,
                    CallFailure::Cancelled => CallOutcome::Cancelled,
                };
                self.answer(e.tool_call_id, outcome, None, format!("{}: {}\n{}", e.code, e.message, e.output.text));
            }
            RunEvent::ToolCallOrphaned(e) => {
                let words = "The server stopped while this ran. Nobody knows how far it came, and it was not run again. \
                             Look before you ask for it once more.";
                self.answer(e.tool_call_id, CallOutcome::Orphaned, None, words.to_owned());
            }
            _ => {}
        }
    }

    fn hear(&mut self, text: String) {
        self.situation.user_messages += 1;
        self.situation.last_user_message.clone_from(&text);
        if self.unanswered.is_empty() && self.asked.is_empty() {
            self.messages.push(Message::User(text));
        } else {
            self.waiting.push(Message::User(text));
        }
    }

    fn plan(&mut self, items: &[PlanItem], step_no: u32) {
        self.situation.has_plan = true;
        // The call itself is not in the log, its plan is; one call a step is all that a plan needs.
        let (id, name) = (format!("plan_{step_no}"), run::PLAN_TOOL.to_owned());
        self.planned.push(id.clone());
        self.asked.push(ToolCall { id, name, arguments: json!({ "items": items }).to_string() });
        self.situation.calls.push(CallSummary {
            tool: run::PLAN_TOOL.into(),
            arguments: json!({ "items": items }),
            outcome: CallOutcome::Succeeded,
            exit_code: None,
            step_no,
            output_head: String::new(),
        });
    }

    fn ask(&mut self, call: &run::ToolCallRequested, arguments: String) {
        let summary = CallSummary {
            tool: call.tool.clone(),
            arguments: serde_json::from_str(&arguments).unwrap_or(Value::Null),
            outcome: CallOutcome::Succeeded,
            exit_code: None,
            step_no: call.step_no,
            output_head: String::new(),
        };
        self.open.push((call.tool_call_id, summary));
        self.unanswered.insert(call.tool_call_id);
        // The provider's own ids are not always unique, ours are.
        self.asked.push(ToolCall { id: call_id(call.tool_call_id), name: call.tool.clone(), arguments });
    }

    fn say(&mut self) {
        let (text, calls) = (std::mem::take(&mut self.said), std::mem::take(&mut self.asked));
        if !text.is_empty() || !calls.is_empty() {
            self.messages.push(Message::Assistant { text, calls });
        }
        let noted = |call_id| Message::Tool { call_id, content: "The plan is noted.".into() };
        self.messages.extend(self.planned.drain(..).map(noted));
        self.let_waiting_in();
    }

    fn answer(&mut self, id: ToolCallId, outcome: CallOutcome, exit_code: Option<i32>, content: String) {
        if let Some(place) = self.open.iter().position(|(open, _)| *open == id) {
            let (_, mut summary) = self.open.remove(place);
            (summary.outcome, summary.exit_code) = (outcome, exit_code);
            summary.output_head = head(&content, OUTPUT_HEAD).to_owned();
            if summary.exit_code.unwrap_or(0) == 0
                && let Some(path) = summary.arguments.get("path").and_then(Value::as_str)
                && summary.tool == "write_file"
                && summary.outcome == CallOutcome::Succeeded
            {
                self.situation.files.push(path.to_owned());
            }
            self.situation.calls.push(summary);
        }
        self.unanswered.remove(&id);
        self.messages.push(Message::Tool { call_id: call_id(id), content });
        self.let_waiting_in();
    }

    fn let_waiting_in(&mut self) {
        if self.unanswered.is_empty() {
            self.messages.append(&mut self.waiting);
        }
    }
}

fn call_id(id: ToolCallId) -> String {
    format!("call_{}", id.uuid().simple())
}

fn phase(phase: run::Phase) -> Phase {
    match phase {
        run::Phase::Idle | run::Phase::Planning => Phase::Planning,
        run::Phase::Executing => Phase::Executing,
        run::Phase::Testing | run::Phase::Done | run::Phase::Error => Phase::Testing,
        run::Phase::Fixing => Phase::Fixing,
    }
}
