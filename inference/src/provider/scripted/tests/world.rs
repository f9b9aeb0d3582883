//! A run in memory: asks the model, settles its calls as a test says, and asks again.

use std::sync::LazyLock;

use serde_json::Value;

use super::super::Playbook;
use super::super::matching::PLAN_TOOL;
use super::super::script::Script;
use crate::request::{CallOutcome, CallSummary, Message, ModelRequest, Phase, Situation, Tests, ToolCall};

/// No story takes more model turns than this, whatever goes wrong.
pub const MOST_STEPS: usize = 40;

/// Read once: the tests ask thousands of times.
static PLAYBOOK: LazyLock<Playbook> = LazyLock::new(Playbook::embedded);

/// What came of one call.
pub struct Settled {
    pub outcome: CallOutcome,
    pub output: String,
    /// What the tests said, if the call ran them.
    pub tests: Option<Tests>,
}

impl Settled {
    pub fn of(outcome: CallOutcome) -> Self {
        Self { outcome, output: "output".into(), tests: None }
    }
}

/// The run and what was said in it.
pub struct World {
    pub playbook: &'static Playbook,
    pub request: ModelRequest,
    /// The answers so far.
    pub said: Vec<Script>,
}

impl World {
    pub fn new(task: &str) -> Self {
        let situation = Situation {
            task: task.into(),
            last_user_message: task.into(),
            step_no: 1,
            user_messages: 1,
            ..Situation::default()
        };
        let messages = vec![Message::System("You are an agent.".into()), Message::User(task.into())];
        let request =
            ModelRequest { model: String::new(), messages, tools: vec![], max_output_tokens: 4_096, situation };
        Self { playbook: &PLAYBOOK, request, said: vec![] }
    }

    /// One model turn. Says whether the run goes on.
    pub fn step(&mut self, settle: &mut dyn FnMut(&str, &Value, &Situation) -> Settled) -> bool {
        let script = Script::of(&self.request, self.playbook);
        self.request.messages.push(Message::Assistant { text: script.text.clone(), calls: script.calls.clone() });
        for call in &script.calls {
            self.settle(call, settle);
        }
        let goes_on = !script.calls.is_empty();
        self.said.push(script);
        self.request.situation.step_no += 1;
        goes_on
    }

    /// All turns to the end of the run.
    pub fn play(mut self, settle: &mut dyn FnMut(&str, &Value, &Situation) -> Settled) -> Self {
        while self.step(settle) {
            assert!(self.said.len() < MOST_STEPS, "{:?}", self.rules());
        }
        self
    }

    /// The person writes while the run works.
    pub fn write(&mut self, message: &str) {
        self.request.messages.push(Message::User(message.into()));
        self.request.situation.last_user_message = message.into();
        self.request.situation.user_messages += 1;
    }

    pub fn rules(&self) -> Vec<&str> {
        self.said.iter().map(|script| script.rule.as_str()).collect()
    }

    pub fn last_text(&self) -> &str {
        &self.said.last().unwrap().text
    }

    /// The tools that were called, the plan left out.
    pub fn tools(&self) -> Vec<&str> {
        let calls = self.said.iter().flat_map(|script| &script.calls);
        calls.map(|call| call.name.as_str()).filter(|name| *name != PLAN_TOOL).collect()
    }

    fn settle(&mut self, call: &ToolCall, settle: &mut dyn FnMut(&str, &Value, &Situation) -> Settled) {
        let arguments: Value = serde_json::from_str(&call.arguments).unwrap();
        let situation = &mut self.request.situation;
        let settled = settle(&call.name, &arguments, situation);
        situation.tests = settled.tests.unwrap_or(situation.tests);
        match call.name.as_str() {
            PLAN_TOOL => {
                situation.has_plan = true;
                situation.phase = Phase::Executing;
            }
            "run_tests" => situation.phase = Phase::Testing,
            "edit_file" => situation.phase = Phase::Fixing,
            _ => {}
        }
        self.request.messages.push(Message::Tool { call_id: call.id.clone(), content: settled.output.clone() });
        situation.calls.push(CallSummary {
            tool: call.name.clone(),
            arguments,
            outcome: settled.outcome,
            exit_code: None,
            step_no: situation.step_no,
            output_head: settled.output,
        });
    }
}

/// Everything succeeds; the tests are red until the edit.
pub fn all_well(tool: &str, _: &Value, situation: &Situation) -> Settled {
    let edited = situation.calls.iter().any(|call| call.tool == "edit_file" && call.outcome == CallOutcome::Succeeded);
    let tests = if edited { Tests::Green { passed: 7 } } else { Tests::Red { failed: 4 } };
    Settled { tests: (tool == "run_tests").then_some(tests), ..Settled::of(CallOutcome::Succeeded) }
}
