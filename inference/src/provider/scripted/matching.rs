//! Finds the rule of the playbook for a situation. Pure.
//!
//! Never looks at the conversation, only at the state of the run.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::playbook::{CallCount, LastCall, OutcomeWord, Playbook, Rule, TestsWord, When};
use crate::request::{CallOutcome, CallSummary, Situation, Tests};

/// The tool that keeps the plan. It is no part of the work, so it never counts as the newest call.
pub(super) const PLAN_TOOL: &str = "update_plan";
/// The status of a plan item that is done.
pub(super) const DONE: &str = "done";

/// What the rules ask about, derived once.
pub(super) struct Facts<'a> {
    situation: &'a Situation,
    story: Option<&'a str>,
    files: BTreeSet<&'a str>,
    /// The newest call, in the playbook's sense.
    pub last: Option<&'a CallSummary>,
}

impl<'a> Facts<'a> {
    /// Reads a situation.
    pub fn of(situation: &'a Situation, playbook: &'a Playbook) -> Self {
        let task = if situation.task.is_empty() { &situation.last_user_message } else { &situation.task };
        Self {
            situation,
            story: story_of(task, playbook),
            files: situation.files.iter().map(String::as_str).collect(),
            last: newest_call(&situation.calls),
        }
    }

    /// The first rule that holds.
    pub fn rule<'p>(&self, playbook: &'p Playbook) -> &'p Rule {
        playbook.rules.iter().find(|rule| self.holds(&rule.when)).expect("a playbook's last rule holds always")
    }

    fn holds(&self, when: &When) -> bool {
        let situation = self.situation;
        holds(&when.story, |story| self.story == Some(story.as_str()))
            && holds(&when.phase, |phases| phases.contains(&situation.phase))
            && holds(&when.plan_finished, |finished| *finished == plan_finished(&situation.calls))
            && holds(&when.first_message, |first| *first == (situation.user_messages <= 1))
            && holds(&when.has_file, |path| self.files.contains(path.as_str()))
            && holds(&when.tests, |word| *word == tests_word(situation.tests))
            && holds(&when.last, |last| self.last.is_some_and(|call| self.last_holds(last, call)))
            && when.calls.iter().all(|count| self.count_holds(count))
    }

    fn last_holds(&self, last: &LastCall, call: &CallSummary) -> bool {
        let attempts = || {
            let same = |other: &&CallSummary| other.tool == call.tool && other.arguments == call.arguments;
            self.situation.calls.iter().filter(same).count()
        };
        holds(&last.tool, |tools| tools.contains(&call.tool))
            && holds(&last.outcome, |words| words.contains(&outcome_word(&call.outcome)))
            && holds(&last.attempts_at_most, |most| attempts() <= *most)
    }

    fn count_holds(&self, count: &CallCount) -> bool {
        let counted = |call: &&CallSummary| {
            (count.tool == call.tool || (count.tool == "*" && call.tool != PLAN_TOOL))
                && has_arguments(&call.arguments, &count.arguments)
                && holds(&count.outcome, |words| words.contains(&outcome_word(&call.outcome)))
        };
        let number = self.situation.calls.iter().filter(counted).count();
        count.at_least.is_none_or(|least| number >= least) && count.at_most.is_none_or(|most| number <= most)
    }
}

/// A condition that is absent holds always.
fn holds<T>(condition: &Option<T>, test: impl FnOnce(&T) -> bool) -> bool {
    condition.as_ref().is_none_or(test)
}

/// The first story that the task has a keyword of.
fn story_of<'a>(task: &str, playbook: &'a Playbook) -> Option<&'a str> {
    let words: Vec<String> = task
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let task = format!(" {} ", words.join(" "));
    let asked = |keyword: &String| task.contains(&format!(" {keyword} "));
    playbook.keywords.iter().find(|keywords| keywords.any_of.iter().any(asked)).map(|found| found.story.as_str())
}

fn newest_call(calls: &[CallSummary]) -> Option<&CallSummary> {
    let work = || calls.iter().filter(|call| call.tool != PLAN_TOOL);
    let step_no = work().map(|call| call.step_no).max()?;
    let mut newest = work().filter(|call| call.step_no == step_no);
    newest.clone().find(|call| call.outcome != CallOutcome::Succeeded).or_else(|| newest.next_back())
}

fn plan_finished(calls: &[CallSummary]) -> bool {
    let newest = calls.iter().rfind(|call| call.tool == PLAN_TOOL);
    let items = newest.and_then(|call| call.arguments.get("items")?.as_array());
    items.is_some_and(|items| items.iter().all(|item| item.get("status").and_then(Value::as_str) == Some(DONE)))
}

fn has_arguments(arguments: &Value, expected: &Map<String, Value>) -> bool {
    expected.iter().all(|(name, value)| arguments.get(name) == Some(value))
}

fn tests_word(tests: Tests) -> TestsWord {
    match tests {
        Tests::NotRun => TestsWord::NotRun,
        Tests::Red { .. } => TestsWord::Red,
        Tests::Green { .. } => TestsWord::Green,
    }
}

fn outcome_word(outcome: &CallOutcome) -> OutcomeWord {
    match outcome {
        CallOutcome::Succeeded => OutcomeWord::Succeeded,
        CallOutcome::Failed => OutcomeWord::Failed,
        CallOutcome::TimedOut => OutcomeWord::TimedOut,
        CallOutcome::Cancelled => OutcomeWord::Cancelled,
        CallOutcome::Declined { .. } => OutcomeWord::Declined,
        CallOutcome::Orphaned => OutcomeWord::Orphaned,
    }
}
