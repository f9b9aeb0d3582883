//! The scripted model's playbook: what it says, when. Data only; `matching.rs` reads it against a situation.
//!
//! A playbook has `keywords` that tell which story a task asks for, `plans` and `texts` that rules refer to by name, an
//! `acknowledgement` for messages that come while a story runs, and `rules`: in order, the first whose `when` holds gives
//! the answer. The last rule holds always, so that every situation has an answer.
//!
//! All conditions of a `when` must hold; one that is absent holds always. Nothing else can be asked:
//!
//! | condition | holds when |
//! |---|---|
//! | `story` | the task has a keyword of this story and of none before it |
//! | `phase` | the run is in one of these phases |
//! | `plan_finished` | every item of the newest plan that this run's `update_plan` calls wrote is done, or not |
//! | `first_message` | the person has written at most one message in this run, or more |
//! | `has_file` | the workspace has this path |
//! | `tests` | the newest test run is `not_run`, `red`, `green` |
//! | `last` | the newest call is of one of these `tool`s, with one of these `outcome`s, asked `attempts_at_most` times |
//! | `calls` | the number of this run's calls of `tool` (`*` is any), with these `arguments` and `outcome`s, is `at_least`, `at_most` |
//!
//! "The newest call" is of the newest step with calls: the first that did not succeed, else the last. `update_plan` never
//! counts as the newest call, nor under `*`. "Asked n times" counts the same tool with the same arguments.
//!
//! An answer has `thinking`, `text`, a `plan` (the number of the item that is worked on, from 1; those before are done; 0
//! proposes, one past the end is all done), `calls`, and `repeat_last`, which asks again for the newest call. In texts,
//! `{message}`, `{reason}`, `{output}`, `{failed}` and `{passed}` are filled in. In a call's arguments, `{"text_of":
//! "name"}` stands for a text.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::request::Phase;

/// The playbook that is built in.
const EMBEDDED: &str = include_str!("playbook.json");

/// What the scripted model says, when.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Playbook {
    /// A task that the first story is made for.
    pub demo_task: String,
    pub(super) acknowledgement: String,
    pub(super) keywords: Vec<Keywords>,
    pub(super) plans: BTreeMap<String, Vec<String>>,
    texts: BTreeMap<String, Vec<String>>,
    pub(super) rules: Vec<Rule>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keywords {
    pub story: String,
    /// Whole words, in small letters.
    pub any_of: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    /// For people who read the playbook, and for tests.
    pub name: String,
    #[serde(default)]
    pub when: When,
    pub answer: Answer,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct When {
    pub story: Option<String>,
    pub phase: Option<Vec<Phase>>,
    pub plan_finished: Option<bool>,
    pub first_message: Option<bool>,
    pub has_file: Option<String>,
    pub tests: Option<TestsWord>,
    pub last: Option<LastCall>,
    pub calls: Vec<CallCount>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct LastCall {
    pub tool: Option<Vec<String>>,
    pub outcome: Option<Vec<OutcomeWord>>,
    pub attempts_at_most: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CallCount {
    pub tool: String,
    /// The call has at least these arguments.
    #[serde(default)]
    pub arguments: Map<String, Value>,
    pub outcome: Option<Vec<OutcomeWord>>,
    pub at_least: Option<usize>,
    pub at_most: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TestsWord {
    NotRun,
    Red,
    Green,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OutcomeWord {
    Succeeded,
    Failed,
    TimedOut,
    Cancelled,
    Declined,
    Orphaned,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Answer {
    pub thinking: String,
    pub text: String,
    pub plan: Option<PlanState>,
    pub calls: Vec<Call>,
    pub repeat_last: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlanState {
    pub name: String,
    pub working_on: usize,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Call {
    pub tool: String,
    pub arguments: Value,
}

/// Why a text is no playbook.
#[derive(Debug, thiserror::Error)]
pub enum PlaybookError {
    /// Not JSON, or not of the right shape.
    #[error("the playbook cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// A rule refers to something that is not there.
    #[error("rule `{rule}` refers to `{name}`, which the playbook does not have")]
    Unknown { rule: String, name: String },
    /// Some situations would have no answer.
    #[error("the last rule must hold always")]
    Incomplete,
}

impl Playbook {
    /// The playbook that is built in.
    pub fn embedded() -> Self {
        Self::parse(EMBEDDED).expect("the built-in playbook is tested")
    }

    /// Reads a playbook and checks that it is complete.
    pub fn parse(text: &str) -> Result<Self, PlaybookError> {
        let mut playbook: Self = serde_json::from_str(text)?;
        if playbook.rules.last().is_none_or(|rule| rule.when != When::default()) {
            return Err(PlaybookError::Incomplete);
        }
        let stories: BTreeSet<&str> = playbook.keywords.iter().map(|keywords| keywords.story.as_str()).collect();
        let texts: BTreeMap<&str, String> =
            playbook.texts.iter().map(|(name, lines)| (name.as_str(), lines.join("\n") + "\n")).collect();
        for rule in &mut playbook.rules {
            let story = rule.when.story.as_deref().filter(|story| !stories.contains(story));
            let plan = rule.answer.plan.as_ref().map(|plan| plan.name.as_str());
            if let Some(name) = story.or(plan.filter(|plan| !playbook.plans.contains_key(*plan))) {
                return Err(PlaybookError::Unknown { rule: rule.name.clone(), name: name.to_owned() });
            }
            for call in &mut rule.answer.calls {
                insert_texts(&mut call.arguments, &texts)
                    .map_err(|name| PlaybookError::Unknown { rule: rule.name.clone(), name })?;
            }
        }
        Ok(playbook)
    }
}

/// Puts texts where arguments refer to them, or names the one that is missing.
fn insert_texts(value: &mut Value, texts: &BTreeMap<&str, String>) -> Result<(), String> {
    let Value::Object(fields) = value else { return Ok(()) };
    if let Some(Value::String(name)) = fields.get("text_of") {
        *value = Value::String(texts.get(name.as_str()).ok_or_else(|| name.clone())?.clone());
        return Ok(());
    }
    fields.values_mut().try_for_each(|field| insert_texts(field, texts))
}
