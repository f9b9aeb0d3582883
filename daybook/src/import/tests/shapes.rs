//! Shapes that the recorded files do not show: other templates, other tools, other ends.

use domain::NanoUsd;
use serde_json::{Value, json};

use super::*;

const PROMPT: &str = "\n(Open file: /r/a.py)\n(Current directory: /r)\nbash-$";

/// A run of one tool call each: tool, arguments, observation.
fn run(calls: &[(&str, Value, &str)], info: Value) -> Trajectory {
    let mut history = vec![json!({"role": "user", "content": format!("Fix it.{PROMPT}")})];
    for (tool, arguments, observation) in calls {
        let function = json!({"name": tool, "arguments": arguments.to_string()});
        history.push(json!({"role": "assistant", "content": "So.", "thought": "So.", "action": tool,
            "tool_calls": [{"id": "c", "function": function}]}));
        history.push(json!({"role": "tool", "content": format!("{observation}{PROMPT}")}));
    }
    parse("run.traj", json!({"history": history, "info": info}).to_string().as_bytes()).unwrap()
}

fn bash(command: &str) -> (&str, Value, &str) {
    ("bash", json!({"command": command}), "")
}

#[test]
fn only_a_plain_rm_proves_that_a_file_is_gone() {
    let missing = ("bash", json!({"command": "rm gone"}), "rm: cannot remove 'gone': No such file or directory");
    let commands = ["rm a b", "rm 'c d'", "rm -f e", "rm f && ls", "rm *.py", "ls # rm g", "rm /etc/passwd", "rm ../h"];
    let calls: Vec<_> = commands.into_iter().map(bash).chain([missing]).collect();
    let read = run(&calls, Value::Null);
    let deleted = |step, path| (Some(step), path, ChangeKind::Deleted, 0, 0, false);
    assert_eq!(short(&read), [deleted(0, "a"), deleted(0, "b"), deleted(1, "c d")]);
    let outside = "is left out: it is outside the repository";
    let note = |step_no, path| format!("step {step_no}: the change of {path:?} {outside}");
    assert_eq!(read.notes, [note(7, "/etc/passwd"), note(8, "../h")]);
}

#[test]
fn a_forced_rm_proves_the_end_of_files_that_were_seen() {
    let created = ("create", json!({"filename": "e"}), "[File: /r/e (1 lines total)]\n1:");
    let refused = ("create", json!({"filename": "f"}), "Error: File 'f' already exists.\n[File: /r/f (1 lines total)]");
    let read = run(&[created, refused, bash("rm -rf e other")], Value::Null);
    assert_eq!(
        short(&read),
        [(Some(0), "e", ChangeKind::Created, 1, 0, false), (Some(2), "e", ChangeKind::Deleted, 0, 1, false)]
    );
}

#[test]
fn edits_without_a_submission_count_their_own_lines() {
    let seen = "Text replaced.\n[File: /r/a.py (3 lines total)]\n1:x";
    let search = ("edit", json!({"search": "a\nb\nc", "replace": "a\nB\nBB\nc"}), seen);
    let range = ("edit", json!({"command": "edit 4:6\none\ntwo\nend_of_edit\n"}), seen);
    let longer = ("insert", json!({"text": "1\n2"}), "[File: /r/a.py (5 lines total)]\n1:x");
    let unshown = ("edit", json!({"search": "a", "replace": "b"}), "File updated.");
    let failed = ("edit", json!({"search": "a", "replace": "b"}), "Text \"a\" not found in displayed lines.");
    let read = run(&[search, range, longer, unshown, failed], Value::Null);
    let modified = |step, added, removed| (Some(step), "a.py", ChangeKind::Modified, added, removed, false);
    assert_eq!(short(&read), [modified(0, 2, 1), modified(1, 2, 3), modified(2, 2, 0), modified(3, 1, 1)]);
    assert_eq!(read.usage, None);
}

#[test]
fn a_submitted_diff_proves_sums_and_what_no_call_tells() {
    let seen = "Text replaced.\n[File: /r/a.py (3 lines total)]\n1:x";
    let edit = || ("edit", json!({"search": "a", "replace": "b"}), seen);
    let diff = "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1 +1,3 @@\n-a\n+b\n+c\n+d\n\
        diff --git a/new.py b/new.py\nnew file mode 100644\n--- /dev/null\n+++ b/new.py\n@@ -0,0 +1 @@\n+x\n\
        diff --git a/../up b/../up\n--- a/../up\n+++ b/../up\n@@ -1 +1 @@\n-x\n+y\n";
    let read = run(&[edit(), edit(), bash("python make.py")], json!({"submission": diff}));
    assert_eq!(
        short(&read),
        [
            (Some(0), "a.py", ChangeKind::Modified, 0, 0, false),
            (Some(1), "a.py", ChangeKind::Modified, 3, 1, true),
            (None, "new.py", ChangeKind::Created, 1, 0, true),
        ]
    );
    assert_eq!(read.notes, ["the submitted change of \"../up\" is left out: it is outside the repository"]);
}

#[test]
fn the_editor_of_later_releases_names_its_path() {
    let tool = "str_replace_editor";
    let create = json!({"command": "create", "path": "/r/t.py", "file_text": "1\n2\n"});
    let replace = json!({"command": "str_replace", "path": "/r/t.py", "old_str": "1", "new_str": "one"});
    let read = run(
        &[
            (tool, create, "File created successfully at: /r/t.py"),
            (tool, replace.clone(), "The file /r/t.py has been edited. Here is the result"),
            (tool, replace, "No replacement was performed"),
            (tool, json!({"command": "view", "path": "/r/t.py"}), "1\tone"),
        ],
        Value::Null,
    );
    assert_eq!(
        short(&read),
        [(Some(0), "t.py", ChangeKind::Created, 2, 0, false), (Some(1), "t.py", ChangeKind::Modified, 1, 1, false)]
    );
}

#[test]
fn a_run_that_was_not_submitted_failed_in_the_words_of_the_record() {
    let outcome = |info| run(&[bash("ls")], info).outcome;
    let words = "the record says how the run ended: exit_cost";
    assert_eq!(outcome(json!({"exit_status": "exit_cost"})), Outcome::Failed(words.into()));
    let words = "the record does not say how the run ended, and the agent submitted nothing";
    assert_eq!(outcome(json!({"exit_status": null})), Outcome::Failed(words.into()));
    assert_eq!(outcome(json!({"exit_status": "submitted"})), Outcome::Succeeded("So.".into()));
}

#[test]
fn a_zero_counts_only_where_something_was_reported() {
    let usage = |stats: Value| run(&[], json!({"model_stats": stats})).usage.unwrap();
    let free = usage(json!({"instance_cost": 0, "tokens_sent": 7, "tokens_received": 0, "api_calls": 1}));
    assert_eq!((free.input_tokens, free.output_tokens, free.cost), (Some(7), Some(0), None));
    let idle = usage(json!({"instance_cost": 0.0, "tokens_sent": 0, "tokens_received": 0, "api_calls": 0}));
    assert_eq!((idle.calls, idle.input_tokens, idle.cost), (0, Some(0), Some(NanoUsd::ZERO)));
    let batch = usage(json!({"instance_cost": 0.5, "total_cost": 9.5, "api_calls": 1}));
    assert_eq!((batch.cost, batch.input_tokens), (NanoUsd::parse_usd("0.5"), None));
    let read = run(&[], json!({"model_stats": {"instance_cost": 0.12345678949, "api_calls": 1}}));
    assert_eq!(read.notes, ["info.model_stats.instance_cost is 0.12345678949, which is rounded to 0.123456789 USD"]);
}

#[test]
fn later_releases_write_parts_thinking_and_settings_as_text() {
    let config = json!({"agent": {"model": {"name": "anthropic/claude", "api_key": "secret"}}}).to_string();
    let task = "<uploaded_files>\n/r\n</uploaded_files>\n<pr_description>\nA title\u{0}\n</pr_description>";
    let file = json!({"replay_config": config, "history": [
        {"role": "system", "content": [{"type": "text", "text": "You fix."}]},
        {"role": "user", "content": "A demonstration.", "message_type": "demonstration"},
        {"role": "user", "content": [{"type": "text", "text": task}]},
        {"role": "assistant", "content": "I look.", "thought": "I look.", "action": "ls",
            "thinking_blocks": [{"type": "thinking", "thinking": "Hm."}],
            "tool_calls": [{"function": {"name": "bash", "arguments": {"command": "ls"}}}]},
        {"role": "tool", "content": [{"type": "text", "text": "OBSERVATION:\na.py\n"}]},
        {"role": "assistant", "content": "I am lost.", "thought": "", "action": ""},
        {"role": "user", "content": "Call a tool."},
    ]});
    let read = parse("run.traj", file.to_string().as_bytes()).unwrap();
    assert_eq!(read.model.as_deref(), Some("anthropic/claude"));
    assert!(!format!("{read:?}").contains("secret"));
    assert!(!read.task.contains('\0'));
    assert_eq!(read.title, "A title\u{fffd}");
    let first = &read.steps[0];
    assert_eq!((first.thought.as_deref(), first.text.as_deref()), (Some("Hm."), Some("I look.")));
    let wanted = ("bash", r#"{"command":"ls"}"#, "", "a.py");
    let ToolUse { tool, arguments, provider_call_id, .. } = call(&read, 0);
    assert_eq!((tool.as_str(), arguments.as_str(), provider_call_id.as_str(), observation(&read, 0)), wanted);
    let second = Step { text: Some("I am lost.".into()), ..Step::default() };
    assert_eq!(read.steps[1], second);
    assert_eq!(read.notes.len(), 1);
}

#[test]
fn lists_of_different_length_are_matched_by_action() {
    let said = |action: &str| json!({"role": "assistant", "content": action, "action": action});
    let listed = |action: &str, seen: &str| json!({"response": action, "action": action, "observation": seen});
    let file = json!({
        "history": [{"role": "user", "content": "x"}, said("a"), said("only here"), said("b"), said("a")],
        "trajectory": [listed("a", "1"), listed("gone", "2"), listed("b", "3"), listed("a", "4"), listed("", "5")],
    });
    let read = parse("run.traj", file.to_string().as_bytes()).unwrap();
    let seen: Vec<_> = read.steps.iter().map(|step| step.call.as_ref().unwrap().observation.as_deref()).collect();
    assert_eq!(seen, [Some("1"), None, Some("3"), Some("4")]);
    assert_eq!(read.notes, ["turns of `trajectory` that have no counterpart in `history` and are left out: 2"]);
}
