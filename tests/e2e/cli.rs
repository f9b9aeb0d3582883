//! The command line: what it says and how it ends.

use std::process::Output;

use daybook_tests::Studio;
use serde_json::Value;
use sqlx::{ConnectOptions, Executor};

use crate::proof::{self, count};

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn complained(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The content of a file in the one workspace there is.
fn in_workspace(studio: &Studio, path: &str) -> Option<String> {
    let mut workspaces = std::fs::read_dir(studio.folder.path().join("data/workspaces")).unwrap();
    let workspace = workspaces.next().unwrap().unwrap().path();
    assert!(workspaces.next().is_none());
    std::fs::read_to_string(workspace.join(path)).ok()
}

#[tokio::test]
async fn a_task_in_the_terminal_ends_well_with_yes() {
    let studio = Studio::idle().await;
    let output = studio.daybook(&["run", "demo", "--yes"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", complained(&output));
    let text = said(&output);
    for expected in ["approval needed", "tests: 3 passed, 4 failed", "tests: 7 passed, 0 failed", "✓ done in"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(complained(&output).contains("calls no AI"), "the scripted model is labelled");
    assert_eq!(in_workspace(&studio, "reports/sample.txt").as_deref(), Some("2026 MMXXVI\n"));

    let listed: Value = serde_json::from_str(studio.say(&["sessions", "--json"]).await.trim()).unwrap();
    assert_eq!((&listed["origin"], &listed["title"]), (&"cli".into(), &"demo".into()));
    let id = listed["id"].as_str().unwrap();
    let timeline = studio.say(&["timeline", id, "--json"]).await;
    let lines: Vec<Value> = timeline.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() > 20, "{timeline}");
}

#[tokio::test]
async fn a_task_in_the_terminal_goes_on_without_what_no_denies() {
    let studio = Studio::idle().await;
    let output = studio.daybook(&["run", "demo", "--no", "--json"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", complained(&output));
    let events: Vec<Value> = said(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &str| events.iter().filter(|event| event["type"] == kind).count();
    assert_eq!((of("approval.denied"), of("tool_call.declined"), of("run.completed")), (1, 1, 1));
    assert_eq!(in_workspace(&studio, "reports/sample.txt"), None);
    assert!(in_workspace(&studio, "roman.py").is_some());
}

#[tokio::test]
async fn nobody_at_the_terminal_is_a_no() {
    let studio = Studio::idle().await;
    let output = studio.daybook(&["run", "count slowly"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", complained(&output));
    assert!(said(&output).contains("there is no terminal to ask"), "{}", said(&output));
    assert_eq!(count(&proof::log(&studio).await, "tool_call.started"), 0);
}

#[tokio::test]
async fn each_command_says_how_it_is_used() {
    let studio = Studio::idle().await;
    let commands: [&[&str]; 21] = [
        &[],
        &["demo"],
        &["serve"],
        &["run"],
        &["import"],
        &["export"],
        &["erase"],
        &["sessions"],
        &["timeline"],
        &["audit"],
        &["audit", "verify"],
        &["audit", "prove"],
        &["audit", "checkpoint"],
        &["audit", "consistency"],
        &["audit", "key"],
        &["rebuild"],
        &["projections"],
        &["projections", "quarantine"],
        &["projections", "retry"],
        &["projections", "skip"],
        &["doctor"],
    ];
    for command in commands {
        let help = studio.say(&[command, &["--help"]].concat()).await;
        assert!(help.contains("Example"), "{command:?}: {help}");
        let example = [&["daybook"], command].concat().join(" ");
        assert!(help.contains(&format!("  {example}")), "{command:?}: {help}");
        assert_eq!(studio.daybook(&[command, &["--nonsense"]].concat()).await.status.code(), Some(2), "{command:?}");
    }
    assert!(studio.say(&["--version"]).await.starts_with("daybook "));
}

#[tokio::test]
async fn wrong_usage_and_what_cannot_be_done_have_their_own_exit_codes() {
    let studio = Studio::idle().await;
    let usage: [&[&str]; 6] = [
        &["nonsense"],
        &["run"],
        &["run", "demo", "--yes", "--no"],
        &["run", "demo", "--policy", "reckless"],
        &["sessions", "--limit", "0"],
        &["serve", "--port", "65536"],
    ];
    for arguments in usage {
        let output = studio.daybook(arguments).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", complained(&output));
    }
    let unknown = "session:01900000-0000-7000-8000-000000000001";
    let undoable: [&[&str]; 5] = [
        &["run", ""],
        &["timeline", unknown],
        &["timeline", "nonsense"],
        &["import", "/nowhere/there.traj"],
        &["serve", "--port", "1", "--bind", "192.0.2.1", "--client", "/nowhere"],
    ];
    for arguments in undoable {
        let output = studio.daybook(arguments).await;
        let complaint = complained(&output);
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {complaint}");
        assert!(complaint.starts_with("daybook: ") && complaint.lines().count() == 1, "{arguments:?}: {complaint}");
    }
    assert_eq!(proof::log(&studio).await.len(), 0);
}

#[tokio::test]
async fn a_changed_log_is_noticed_and_the_place_is_named() {
    let studio = Studio::idle().await;
    studio.say(&["run", "hello", "--yes"]).await;
    assert!(studio.say(&["audit", "verify"]).await.contains("the chain holds"));
    let said_so = proof::log(&studio).await.into_iter().find(|event| event.kind == "assistant_message.completed");
    let position = said_so.unwrap().position;
    let book = studio.database.installation.home_book.uuid();
    let change = format!(
        "UPDATE events SET payload = replace(payload::text, 'scripted', 'inspired')::json \
         WHERE book_id = '{book}' AND position = {position}"
    );
    let mut owner = studio.database.options.connect().await.unwrap();
    assert_eq!(owner.execute(change.as_str()).await.unwrap().rows_affected(), 1);
    let output = studio.daybook(&["audit", "verify"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains(&format!("BROKEN at position {position}:")), "{}", said(&output));
}
