//! The turns of the agent, out of `history` and `trajectory`.
//!
//! `history` is the conversation as the model was shown it; `trajectory` lists the same turns with the bare output of
//! each action, the shell's state and the time it took. Where both are there, the words of the model are those of
//! `history`: it is what each later prompt was made of, so the later turns answer to these words, and it is the list
//! that every file has. The observations are those of `trajectory`: in `history` they carry prompts and stand-ins for
//! silence, and the last one may be missing.

use super::super::error::{ImportError, MAX_STEPS};
use super::json::At;
use super::words::{Shell, known, without_prompt};

/// How far ahead the counterpart of a turn is looked for, where the two lists differ in length.
const MATCH_REACH: usize = 50;

/// What the two lists say together.
#[derive(Debug, Default)]
pub struct Conversation {
    /// The user's message.
    pub task: String,
    /// Where the agent's shell stood when it began.
    pub start: Shell,
    /// The agent's turns, in order.
    pub turns: Vec<Turn>,
    /// What was decided on the way.
    pub notes: Vec<String>,
}

/// One turn of the agent.
#[derive(Debug, Default)]
pub struct Turn {
    /// The whole answer of the model.
    pub content: String,
    /// The part of it that the record calls its thought.
    pub thought: String,
    /// What a model with a thinking mode thought before it answered.
    pub thinking: String,
    /// What SWE-agent ran; empty where there was nothing to run.
    pub action: String,
    /// The call by which the model asked for it; models without tool calls ask in their text.
    pub call: Option<RecordedCall>,
    /// What came back.
    pub observation: Option<String>,
    /// Where the shell stood. One release writes the state before the action and another the state after it; both
    /// are the same for actions that change a file, and for nothing else is this used.
    pub shell: Shell,
    /// How long the action took, in milliseconds.
    pub duration_ms: Option<u64>,
}

/// A call as the provider's format writes it.
#[derive(Debug)]
pub struct RecordedCall {
    /// The id, which later calls may repeat.
    pub id: String,
    /// The tool.
    pub name: String,
    /// JSON, as the model wrote it.
    pub arguments: String,
}

/// Reads `history`: what the user wrote and the turns after it. System prompts and demonstrations are neither.
pub fn from_history(history: &At<'_>) -> Result<Conversation, ImportError> {
    let mut read = Conversation::default();
    let mut task: Vec<String> = vec![];
    for entry in history.items()? {
        let role = entry.field_text("role")?.ok_or_else(|| ImportError::Shape {
            place: format!("{}.role", entry.place()),
            found: "absent".into(),
            expected: "system, user, assistant or tool",
        })?;
        let is_demo = entry.field("is_demo")?.is_some_and(|demo| demo.value() == &serde_json::Value::Bool(true));
        if is_demo || entry.field_text("message_type")?.as_deref() == Some("demonstration") {
            continue;
        }
        match role.as_str() {
            "system" => {}
            "assistant" => push(&mut read.turns, said(&entry)?, "history")?,
            "user" | "tool" => {
                let (text, shell) = without_prompt(&content(&entry)?);
                match read.turns.last_mut() {
                    None => {
                        task.push(text);
                        read.start = shell;
                    }
                    Some(turn) => {
                        turn.shell = shell;
                        turn.observation = Some(match turn.observation.take() {
                            Some(before) => format!("{before}\n\n{text}"),
                            None => text,
                        });
                    }
                }
            }
            _ => {
                let place = format!("{}.role", entry.place());
                let expected = "system, user, assistant or tool";
                return Err(ImportError::Shape { place, found: format!("{role:?}"), expected });
            }
        }
    }
    read.task = task.join("\n\n");
    Ok(read)
}

/// Reads `trajectory`: the turns alone. What the user wrote stands there only in the `query` of the first turn, in
/// releases that record it.
pub fn from_trajectory(trajectory: &At<'_>) -> Result<Vec<Turn>, ImportError> {
    let mut turns = vec![];
    for entry in trajectory.items()? {
        let text = |key: &str| Ok(entry.field_text(key)?.unwrap_or_default());
        let observation = entry.field("observation")?.map(|found| found.text_or_parts()).transpose()?;
        let shell = entry.field("state")?.map(|state| shell(&state)).transpose()?.unwrap_or_default();
        let turn = Turn {
            content: text("response")?,
            thought: text("thought")?,
            thinking: String::new(),
            action: text("action")?,
            call: None,
            observation: observation.map(|text| without_prompt(&text).0),
            shell,
            duration_ms: entry.field("execution_time")?.map(|time| millis(&time)).transpose()?,
        };
        push(&mut turns, turn, "trajectory")?;
    }
    Ok(turns)
}

/// Adds to the conversation what only `trajectory` knows. Turns are matched by place; where one list has more turns
/// than the other, by the next turn with the same action.
pub fn complete(conversation: &mut Conversation, mut listed: Vec<Turn>) {
    if conversation.turns.is_empty() {
        conversation.turns = listed;
        return;
    }
    let reach = if conversation.turns.len() == listed.len() { 1 } else { MATCH_REACH };
    let (mut next, mut unmatched) = (0, 0);
    for (step_no, turn) in (1..).zip(&mut conversation.turns) {
        let ahead = &mut listed[next..];
        let Some(found) = ahead.iter().take(reach).position(|candidate| same_action(turn, candidate)) else {
            // Turns that are matched by place stay in step; others wait for their counterpart.
            next += usize::from(reach == 1);
            unmatched += usize::from(reach == 1);
            continue;
        };
        let candidate = std::mem::take(&mut ahead[found]);
        if turn.content.trim() != candidate.content.trim() {
            let words = "the model's words differ between `history` and `trajectory`";
            conversation.notes.push(format!("step {step_no}: {words}; those of `history` are kept"));
        }
        turn.observation = candidate.observation.or(turn.observation.take());
        turn.shell.open_file = candidate.shell.open_file.or(turn.shell.open_file.take());
        turn.shell.working_dir = candidate.shell.working_dir.or(turn.shell.working_dir.take());
        turn.duration_ms = candidate.duration_ms;
        unmatched += found;
        next += found + 1;
    }
    unmatched += listed.len() - next;
    if unmatched > 0 {
        let words = "have no counterpart in `history` and are left out";
        conversation.notes.push(format!("turns of `trajectory` that {words}: {unmatched}"));
    }
}

fn same_action(turn: &Turn, candidate: &Turn) -> bool {
    turn.action.trim() == candidate.action.trim()
}

fn push(turns: &mut Vec<Turn>, turn: Turn, place: &'static str) -> Result<(), ImportError> {
    if turns.len() == MAX_STEPS {
        return Err(ImportError::TooManySteps { place });
    }
    turns.push(turn);
    Ok(())
}

/// An entry's content; a message that is nothing but a call may have none.
fn content(entry: &At<'_>) -> Result<String, ImportError> {
    entry.field("content")?.map_or_else(|| Ok(String::new()), |content| content.text_or_parts())
}

/// What the model said in one entry of `history`.
fn said(entry: &At<'_>) -> Result<Turn, ImportError> {
    let mut thinking = vec![];
    if let Some(blocks) = entry.field("thinking_blocks")? {
        for block in blocks.items()? {
            thinking.extend(block.field_text("thinking")?);
        }
    }
    Ok(Turn {
        content: content(entry)?,
        thought: entry.field_text("thought")?.unwrap_or_default(),
        thinking: thinking.join("\n\n"),
        action: entry.field_text("action")?.unwrap_or_default(),
        call: entry.field("tool_calls")?.map(|calls| only_call(&calls)).transpose()?.flatten(),
        ..Turn::default()
    })
}

/// SWE-agent runs one action per turn and refuses answers with more calls, so more than one is another format.
fn only_call(calls: &At<'_>) -> Result<Option<RecordedCall>, ImportError> {
    let mut items = calls.items()?;
    let Some(call) = items.next() else { return Ok(None) };
    let more = items.count();
    if more > 0 {
        let found = format!("a list of {} calls", more + 1);
        return Err(ImportError::Shape { place: calls.place().into(), found, expected: "a list of one call" });
    }
    let absent = |key: &str, expected| ImportError::Shape {
        place: format!("{}.{key}", call.place()),
        found: "absent".into(),
        expected,
    };
    let function = call.field("function")?.ok_or_else(|| absent("function", "an object with name and arguments"))?;
    let name = function.field_text("name")?.ok_or_else(|| absent("function.name", "the name of a tool"))?;
    let arguments = match function.field("arguments")? {
        Some(arguments) if arguments.value().is_object() => arguments.value().to_string(),
        Some(arguments) => arguments.text()?,
        None => "{}".into(),
    };
    Ok(Some(RecordedCall { id: call.field_text("id")?.unwrap_or_default(), name, arguments }))
}

/// A `state`: an object, or a text that holds one. A text that holds none says nothing.
fn shell(state: &At<'_>) -> Result<Shell, ImportError> {
    let parsed = state.value().as_str().map(|text| serde_json::from_str::<serde_json::Value>(text).unwrap_or_default());
    let object = parsed.as_ref().unwrap_or(state.value());
    if parsed.is_some() && !object.is_object() {
        return Ok(Shell::default());
    }
    let state = At::new(object, state.place());
    let read = |key: &str| Ok(state.field_text(key)?.as_deref().and_then(known));
    Ok(Shell { open_file: read("open_file")?, working_dir: read("working_dir")? })
}

fn millis(seconds: &At<'_>) -> Result<u64, ImportError> {
    let found = seconds.value().as_f64().filter(|seconds| (0.0..1e12).contains(seconds));
    // The cast is exact enough: below 1e15 milliseconds every whole number is a double.
    found.map(|seconds| (seconds * 1000.0).round() as u64).ok_or_else(|| seconds.wrong("a time in seconds, 0 or more"))
}
