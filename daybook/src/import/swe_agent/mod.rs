//! SWE-agent's `.traj` files: one JSON object with `history`, `trajectory` or both.
//!
//! Three shapes of it are known: `history` alone with tool calls; both lists and the run's settings; both lists where
//! the model asks in its text and a demonstration comes first. None carries times of day.

mod diff;
mod files;
mod json;
mod turns;
mod usage;
mod words;

use serde_json::Value;
use sha2::Digest;

use self::json::At;
use self::turns::{Conversation, Turn};
use super::error::{ImportError, MAX_FILE_BYTES};
use super::trajectory::{Step, ToolUse, Trajectory};

/// The format's name in events.
pub const FORMAT: &str = "swe-agent";
/// The tool by which the agent hands in its work.
const SUBMIT: &str = "submit";
/// How much of the agent's last words stands in the outcome, in characters.
const LAST_WORDS_CHARS: usize = 500;

/// Reads a file; `file_name` may come with its folder.
pub fn parse(file_name: &str, bytes: &[u8]) -> Result<Trajectory, ImportError> {
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if size > MAX_FILE_BYTES {
        return Err(ImportError::TooLarge { bytes: size });
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(ImportError::Empty);
    }
    let file = json::parse(bytes)?;
    let file = At::new(&file, "");
    let Conversation { mut task, start, turns, mut notes } = conversation(&file)?;
    let info = file.field("info")?;
    let config = usage::config(&file)?;
    let problem = config.as_ref().and_then(|config| config.pointer("/problem_statement/text")).and_then(Value::as_str);
    if task.trim().is_empty() {
        task = problem.map(|text| text.replace('\0', "\u{fffd}")).ok_or(ImportError::NoTask { place: "history" })?;
    }
    let turns: Vec<_> = turns.into_iter().map(with_call).collect();
    for (step_no, (turn, _)) in (1..).zip(&turns) {
        if turn.observation.is_some() {
            let words = "the model asked for no tool, and what SWE-agent answered to that is left out";
            notes.push(format!("step {step_no}: {words}"));
        }
    }
    let submission = match info.as_ref().map(|info| info.field_text("submission")).transpose()?.flatten() {
        Some(submission) => Some(submission),
        None => submitted(&turns).map(str::to_owned),
    };
    let changes = files::changes(&turns, &start, submission.as_deref(), &mut notes);
    let last_is_submit = turns.last().is_some_and(|(_, call)| call.as_ref().is_some_and(|call| call.tool == SUBMIT));
    let steps: Vec<Step> = turns.into_iter().map(|(turn, call)| step(&turn, call)).collect();
    let file_name = file_name.rsplit('/').next().unwrap_or(file_name).replace('\0', "\u{fffd}");
    Ok(Trajectory {
        format: FORMAT,
        sha256: domain::Sha256(sha2::Sha256::digest(bytes).into()),
        bytes: size,
        title: words::title(&task, problem, &file_name),
        task,
        model: usage::model(config.as_ref()),
        outcome: usage::outcome(info.as_ref(), &last_words(&steps), last_is_submit)?,
        usage: info.as_ref().map(|info| usage::totals(info, &mut notes)).transpose()?.flatten(),
        file_name,
        steps,
        changes,
        notes,
    })
}

/// The conversation of the file, from whichever of the two lists are there.
fn conversation(file: &At<'_>) -> Result<Conversation, ImportError> {
    let object = file.value().as_object();
    let foreign = |found: String| ImportError::Foreign { found };
    let object = object.ok_or_else(|| foreign(json::kind(file.value()).to_owned()))?;
    let (history, trajectory) = (file.field("history")?, file.field("trajectory")?);
    if history.is_none() && trajectory.is_none() {
        return Err(foreign(json::keys(object)));
    }
    let mut read = history.as_ref().map(turns::from_history).transpose()?.unwrap_or_default();
    let listed = trajectory.as_ref().map(turns::from_trajectory).transpose()?;
    if let Some(listed) = listed {
        turns::complete(&mut read, listed);
    }
    Ok(read)
}

/// A turn and its call. A model without tool calls asks in its text; then the first word of the action is the tool
/// and the whole action its command.
fn with_call(mut turn: Turn) -> (Turn, Option<ToolUse>) {
    let action = turn.action.trim();
    let (provider_call_id, tool, arguments) = match &turn.call {
        Some(call) => (call.id.clone(), call.name.clone(), call.arguments.clone()),
        None => match action.split_whitespace().next() {
            Some(word) => ("".into(), word.to_owned(), serde_json::json!({ "command": action }).to_string()),
            None => return (turn, None),
        },
    };
    let (observation, duration_ms) = (turn.observation.take(), turn.duration_ms);
    (turn, Some(ToolUse { tool, arguments, provider_call_id, observation, duration_ms }))
}

/// What the last `submit` printed, if that is a diff.
fn submitted(turns: &[(Turn, Option<ToolUse>)]) -> Option<&str> {
    let last = turns.iter().rev().filter_map(|(_, call)| call.as_ref()).find(|call| call.tool == SUBMIT)?;
    last.observation.as_deref().filter(|text| text.contains("diff --git "))
}

/// SWE-agent asks the model for a thought before each action and records the prose as `thought`; so prose is a thought
/// here too, and told once. Only where the model has a thinking mode of its own is its prose what it said.
fn step(turn: &Turn, call: Option<ToolUse>) -> Step {
    let filled = |text: &str| (!text.trim().is_empty()).then(|| text.trim().to_owned());
    match filled(&turn.thinking) {
        Some(thinking) => Step { thought: Some(thinking), text: words::beyond(&turn.content, "", &turn.action), call },
        None => {
            let text = words::beyond(&turn.content, &turn.thought, &turn.action);
            Step { thought: filled(&turn.thought), text, call }
        }
    }
}

/// The agent's last prose, cut.
fn last_words(steps: &[Step]) -> String {
    let said = steps.last().and_then(|step| step.text.as_deref().or(step.thought.as_deref())).unwrap_or_default();
    said.chars().take(LAST_WORDS_CHARS).collect()
}
