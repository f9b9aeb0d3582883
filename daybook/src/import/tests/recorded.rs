//! What each recorded file yields, and what becomes of it.

use std::collections::BTreeSet;

use domain::run::{Run, RunCommand, RunEvent};
use domain::workspace::{self, Workspace, WorkspaceCommand, WorkspaceCreated};
use domain::{Aggregate, Content, NanoUsd};
use uuid::Uuid;

use super::*;

const FUNCTION_CALLING: &str = "missing-colon-function-calling.traj";
const MARSHMALLOW: &str = "marshmallow-1867-function-calling.traj";
const GPT4: &str = "missing-colon-gpt4.traj";

fn tools(read: &Trajectory) -> Vec<&str> {
    read.steps.iter().map(|step| step.call.as_ref().unwrap().tool.as_str()).collect()
}

#[test]
fn a_history_alone_tells_the_whole_run() {
    let Some(bytes) = recorded_file(FUNCTION_CALLING) else { return };
    let read = parse(FUNCTION_CALLING, &bytes).unwrap();
    assert_eq!(read.title, "SyntaxError: invalid syntax");
    assert!(read.task.starts_with("We're currently solving the following issue"));
    assert!(read.task.ends_with("perform further edits."), "{}", &read.task[read.task.len() - 80..]);
    assert_eq!(read.model, None);
    assert_eq!(read.usage, None);
    assert_eq!(tools(&read), ["find_file", "open", "edit", "bash", "submit"]);
    assert_eq!(call(&read, 0).arguments, r#"{"file_name":"missing_colon.py"}"#);
    assert_eq!(observation(&read, 3), "8.2");
    assert!(read.steps.iter().all(|step| step.thought.is_some() && step.text.is_none()));
    assert!(read.steps.iter().all(|step| step.call.as_ref().unwrap().duration_ms.is_none()));
    assert_eq!(short(&read), [(Some(2), "tests/missing_colon.py", ChangeKind::Modified, 1, 1, true)]);
    let patch = read.changes[0].patch.as_deref().unwrap();
    assert!(patch.starts_with("--- a/tests/missing_colon.py\n+++ b/tests/missing_colon.py\n@@ -1,7 +1,7 @@\n"));
    assert!(patch.ends_with("     return a/b\n \n \n"), "{patch:?}");
    let Outcome::Succeeded(words) = &read.outcome else { panic!("{:?}", read.outcome) };
    assert!(words.starts_with("The script ran successfully"), "{words}");
    assert_eq!(read.notes, [""; 0]);
}

#[test]
fn where_two_lists_differ_the_conversation_wins_and_the_import_says_so() {
    let Some(bytes) = recorded_file(MARSHMALLOW) else { return };
    let read = parse(MARSHMALLOW, &bytes).unwrap();
    assert_eq!(read.title, "TimeDelta serialization precision");
    assert_eq!(read.model.as_deref(), Some("unknown/gpt-4o"));
    let wanted = "create insert bash bash find_file open edit edit bash bash submit";
    assert_eq!(tools(&read).join(" "), wanted);
    let ids: BTreeSet<_> = (0..11).map(|i| call(&read, i).provider_call_id.as_str()).collect();
    assert_eq!((read.steps.len(), ids.len()), (11, 6));
    let thought = |step_no: usize| read.steps[step_no - 1].thought.as_deref().unwrap();
    assert!(thought(7).contains("without breaking existing functionality"));
    assert!(thought(9).contains("does not contain duplicate lines"));
    assert_eq!(read.notes.len(), 2, "{:?}", read.notes);
    assert!(read.notes[0].starts_with("step 7: ") && read.notes[1].starts_with("step 9: "));
    let zeros = Totals { calls: 11, input_tokens: None, output_tokens: None, cost: None };
    assert_eq!(read.usage, Some(zeros));
    assert_eq!(call(&read, 0).duration_ms, Some(239));
    assert_eq!(observation(&read, 0), "[File: reproduce.py (1 lines total)]\n1:");
    assert_eq!(observation(&read, 9), "");
    assert!(!read.steps.iter().any(|step| step.call.as_ref().unwrap().observation.as_ref().unwrap().contains('\r')));
    assert_eq!(
        short(&read),
        [
            (Some(0), "reproduce.py", ChangeKind::Created, 1, 0, false),
            (Some(1), "reproduce.py", ChangeKind::Modified, 9, 0, false),
            (Some(7), "src/marshmallow/fields.py", ChangeKind::Modified, 2, 1, true),
            (Some(9), "reproduce.py", ChangeKind::Deleted, 0, 10, false),
        ]
    );
    assert_eq!(read.outcome, Outcome::Succeeded("Calling `submit` to submit.".into()));
}

#[test]
fn a_model_without_tool_calls_asks_in_its_text() {
    let Some(bytes) = recorded_file(GPT4) else { return };
    let read = parse(GPT4, &bytes).unwrap();
    assert_eq!(read.title, "SyntaxError: invalid syntax");
    assert!(!read.task.contains("DEMONSTRATION"), "the demonstration is not the user's");
    assert!(read.task.starts_with("We're currently solving") && !read.task.contains("bash-$"));
    assert_eq!(read.model, None);
    assert_eq!(tools(&read), ["find_file", "open", "edit", "python", "submit"]);
    assert_eq!(call(&read, 3).arguments, r#"{"command":"python tests/missing_colon.py"}"#);
    assert!(read.steps.iter().all(|step| step.text.is_none() && !step.thought.as_ref().unwrap().contains("```")));
    assert_eq!(observation(&read, 3), "8.2");
    assert!(observation(&read, 4).contains("diff --git a/tests/missing_colon.py"));
    let usage = read.usage.unwrap();
    assert_eq!((usage.calls, usage.input_tokens, usage.output_tokens), (5, Some(52_861), Some(326)));
    assert_eq!(usage.cost, NanoUsd::parse_usd("0.53839"));
    assert_eq!(short(&read), [(Some(2), "tests/missing_colon.py", ChangeKind::Modified, 1, 1, true)]);
    assert!(
        matches!(&read.outcome, Outcome::Succeeded(words) if words.starts_with("The `missing_colon.py` script ran"))
    );
    assert_eq!(read.notes, [""; 0]);
}

#[test]
fn the_same_run_reads_the_same_from_either_list() {
    let Some(bytes) = recorded_file(GPT4) else { return };
    let mut file: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let both = parse(GPT4, &bytes).unwrap();
    let object = file.as_object_mut().unwrap();
    let trajectory = object.remove("trajectory").unwrap();
    let history = parse(GPT4, serde_json::to_string(&file).unwrap().as_bytes()).unwrap();
    assert_eq!(history.steps[..4], both.steps[..4]);
    assert_eq!(history.steps[4].call.as_ref().unwrap().observation, None, "only `trajectory` holds it");
    let object = file.as_object_mut().unwrap();
    object.remove("history");
    object.insert("trajectory".into(), trajectory);
    object.insert("replay_config".into(), serde_json::json!({"problem_statement": {"text": "A title\nmore"}}));
    let listed = parse(GPT4, serde_json::to_string(&file).unwrap().as_bytes()).unwrap();
    assert_eq!((listed.title.as_str(), listed.task.as_str()), ("A title", "A title\nmore"));
    assert_eq!(listed.steps, both.steps);
    assert_eq!(listed.changes, both.changes);
}

#[test]
fn the_example_reads_as_its_docs_say() {
    let read = parse("docs/examples/off-by-one.traj", EXAMPLE.as_bytes()).unwrap();
    assert!(EXAMPLE.len() < 4096);
    assert_eq!((read.file_name.as_str(), read.bytes), ("off-by-one.traj", EXAMPLE.len() as u64));
    assert_eq!(read.title, "One page too many when the last page is full");
    assert_eq!(read.model.as_deref(), Some("example/by-hand"));
    assert_eq!(tools(&read), ["open", "edit", "bash", "submit"]);
    assert_eq!(short(&read), [(Some(1), "pages.py", ChangeKind::Modified, 1, 1, true)]);
    assert_eq!(read.usage.unwrap().cost, NanoUsd::parse_usd("0.01234"));
    assert_eq!(read.outcome, Outcome::Succeeded("The tests pass, so I hand in the change.".into()));
    assert_eq!(read.notes, [""; 0]);
}

/// Ids in order and every text inline or not: what a caller brings along.
fn written(bytes: &[u8]) -> (commands::ImportedSession, Vec<String>) {
    let trajectory = parse("run.traj", bytes).unwrap();
    let mut next = 0_u128;
    let mut new_id = || {
        next += 1;
        Uuid::from_u128(next)
    };
    let mut texts = vec![];
    let mut content = |text: String| {
        texts.push(text.clone());
        Content { text, blob: None }
    };
    let to = Destination {
        owner: domain::id::Id::new(Uuid::from_u128(1 << 64)),
        worker_id: domain::id::Id::new(Uuid::from_u128(2 << 64)),
        now: domain::Timestamp::UNIX_EPOCH,
    };
    (record(trajectory, &to, &mut new_id, &mut content), texts)
}

#[test]
fn every_record_is_one_that_the_domain_accepts() {
    let recorded = [FUNCTION_CALLING, MARSHMALLOW, GPT4].into_iter().filter_map(recorded_file);
    for bytes in recorded.chain([EXAMPLE.as_bytes().to_vec()]) {
        let (record, texts) = written(&bytes);
        let events = Run::default().decide(&RunCommand::Import(record.run.clone())).unwrap();
        let calls = record.run.steps.len();
        let count = |wanted: fn(&RunEvent) -> bool| events.iter().filter(|event| wanted(event)).count();
        assert_eq!(count(|event| matches!(event, RunEvent::ToolCallRequested(_))), calls);
        assert_eq!(count(|event| matches!(event, RunEvent::ToolCallSucceeded(_))), calls);
        assert_eq!(count(|event| matches!(event, RunEvent::ThinkingCompleted(_))), calls);
        assert_eq!(count(|event| matches!(event, RunEvent::RunCompleted(_))), 1);
        let ids: BTreeSet<_> = record.run.steps.iter().map(|s| s.call.as_ref().unwrap().tool_call_id).collect();
        assert_eq!(ids.len(), calls, "a call is identified by its place");

        let created =
            WorkspaceCreated { workspace_id: record.session.workspace_id, session_id: record.session.session_id };
        let mut files = Workspace::default();
        files.evolve(&created.into());
        let changes = files.decide(&WorkspaceCommand::RecordChanges(record.changes.clone())).unwrap();
        for change in changes.iter().filter_map(workspace::change) {
            assert!(ids.contains(&change.tool_call_id.unwrap()));
            assert_eq!((change.before_sha256, change.after_sha256, change.bytes), (None, None, None));
        }
        changes.iter().for_each(|event| files.evolve(event));
        assert_eq!(files.files().len(), 1, "what was removed is gone");

        let source = record.session.import_source.unwrap();
        assert_eq!((source.sha256, source.format.as_str()), (record.sha256, "swe-agent"));
        assert_eq!(texts[0], record.message.content.text);
        assert_eq!(record.run.request.model, record.session.model.unwrap_or_else(|| "unknown".into()));
    }
}
