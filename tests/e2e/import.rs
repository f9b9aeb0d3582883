//! Recorded runs of other agents are taken in whole or not at all, and once.

use std::path::{Path, PathBuf};

use daybook_tests::{Studio, recorded_runs};
use serde_json::Value;

use crate::proof;

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/examples/off-by-one.traj");

#[tokio::test]
async fn the_example_is_taken_in_once() {
    let studio = Studio::idle().await;
    taken_in_once(&studio, Path::new(EXAMPLE)).await;
}

#[tokio::test]
async fn recorded_runs_are_taken_in_once() {
    let Some(folder) = recorded_runs() else {
        println!("there are no recorded runs beside the checkout: nothing was tried");
        return;
    };
    let studio = Studio::idle().await;
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|ext| ext == "traj")).collect();
    assert!(!files.is_empty());
    for file in &files {
        taken_in_once(&studio, file).await;
    }
    let listed = studio.say(&["sessions", "--json"]).await;
    assert_eq!(listed.lines().count(), files.len());
    audit(&studio).await;
}

/// Imports a file, finds it in the lists, and imports it again: nothing is written then.
async fn taken_in_once(studio: &Studio, file: &Path) {
    let file = file.to_str().unwrap();
    let first = json(&studio.say(&["import", file, "--json"]).await);
    let position = proof::log(studio).await.len();
    assert_eq!(first["before"], false);
    let session = first["session"].as_str().unwrap();
    let listed = studio.say(&["sessions", "--json"]).await;
    let listed = listed.lines().map(json).find(|line| line["id"] == session).expect("it is listed");
    assert_eq!(listed["origin"], "import");
    assert!(file.ends_with(listed["importSource"]["file_name"].as_str().unwrap()), "{listed}");
    let timeline = studio.say(&["timeline", session, "--json"]).await;
    assert!(timeline.lines().count() > 5, "{timeline}");

    let again = json(&studio.say(&["import", file, "--json"]).await);
    assert_eq!((&again["before"], &again["session"]), (&true.into(), &first["session"]));
    assert_eq!(proof::log(studio).await.len(), position, "the book is where it was");
    audit(studio).await;
}

async fn audit(studio: &Studio) {
    studio.say(&["audit", "verify"]).await;
    studio.say(&["rebuild", "--check"]).await;
}

#[tokio::test]
async fn files_that_cannot_be_understood_are_refused_whole() {
    let studio = Studio::idle().await;
    let whole = std::fs::read(EXAMPLE).unwrap();
    let text = String::from_utf8(whole.clone()).unwrap();
    let bad: [(&str, Vec<u8>, &str); 7] = [
        ("cut.traj", whole[..whole.len() / 2].to_vec(), "ends too early, at line "),
        ("empty.traj", vec![], "the file is empty"),
        ("foreign.traj", b"{\"cells\": [], \"nbformat\": 4}".to_vec(), "not a SWE-agent trajectory"),
        ("list.traj", b"[1, 2]".to_vec(), "not a SWE-agent trajectory"),
        ("words.traj", b"Dear diary,\n".to_vec(), "at line 1, column "),
        ("bytes.traj", vec![0xff, 0xfe, 0x00], "column "),
        ("shape.traj", text.replacen("\"role\": \"user\"", "\"role\": 7", 1).into_bytes(), "history[1]"),
    ];
    for (name, bytes, place) in bad {
        let file = studio.folder.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        // A good file before it is not taken in either.
        let output = studio.daybook(&["import", EXAMPLE, file.to_str().unwrap()]).await;
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{name}: {complaint}");
        assert!(complaint.contains(name) && complaint.contains(place), "{name}: {complaint}");
        assert_eq!(complaint.lines().count(), 1, "{name}: {complaint}");
        assert!(complaint.contains("nothing was written"), "{name}: {complaint}");
    }
    assert_eq!(proof::log(&studio).await.len(), 0);
}

fn json(text: &str) -> Value {
    serde_json::from_str(text.trim()).expect("each line is JSON")
}
