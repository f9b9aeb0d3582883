//! The story with real files and a real Python: the tests must really be red, and then really green.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, process};

use serde_json::Value;

use super::world::{Settled, World};
use crate::request::{CallOutcome, Situation, Tests};

/// A folder that is gone when the test is.
struct Workspace(PathBuf);

impl Drop for Workspace {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_story_is_true() {
    let workspace = Workspace(env::temp_dir().join(format!("daybook-scripted-{}", process::id())));
    fs::create_dir_all(&workspace.0).unwrap();
    let mut seen = Vec::new();
    let world = World::new("demo").play(&mut |tool, arguments, _: &Situation| {
        let settled = run(&workspace.0, tool, arguments);
        seen.extend(settled.tests);
        settled
    });
    assert_eq!(seen, [Tests::Red { failed: 4 }, Tests::Green { passed: 7 }]);
    let outcomes = world.request.situation.calls.iter().map(|call| &call.outcome);
    assert_eq!(outcomes.filter(|outcome| **outcome == CallOutcome::Failed).count(), 1, "only the red tests fail");
    assert_eq!(fs::read_to_string(workspace.0.join("reports/sample.txt")).unwrap(), "2026 MMXXVI\n");
    assert!(world.last_text().starts_with("Done. All 7 tests pass."), "{}", world.last_text());
}

fn run(folder: &Path, tool: &str, arguments: &Value) -> Settled {
    let text = |name: &str| arguments[name].as_str().unwrap();
    let file = |name: &str| folder.join(text(name));
    match tool {
        "update_plan" => Settled::of(CallOutcome::Succeeded),
        "write_file" => {
            fs::write(file("path"), text("content")).unwrap();
            Settled::of(CallOutcome::Succeeded)
        }
        "read_file" => {
            Settled { output: fs::read_to_string(file("path")).unwrap(), ..Settled::of(CallOutcome::Succeeded) }
        }
        "edit_file" => {
            let before = fs::read_to_string(file("path")).unwrap();
            assert_eq!(before.matches(text("old_text")).count(), 1, "the edit must fit in one place only");
            fs::write(file("path"), before.replace(text("old_text"), text("new_text"))).unwrap();
            Settled::of(CallOutcome::Succeeded)
        }
        "bash" => command(folder, &["sh", "-c", text("command")]),
        "run_tests" => {
            assert_eq!(text("framework"), "unittest");
            let settled = command(folder, &["python3", "-B", "-m", "unittest", "-v"]);
            Settled { tests: Some(tests(&settled.output)), ..settled }
        }
        _ => panic!("the story calls {tool}"),
    }
}

fn command(folder: &Path, words: &[&str]) -> Settled {
    let ran =
        Command::new(words[0]).args(&words[1..]).current_dir(folder).output().expect("python3 and sh are installed");
    let outcome = if ran.status.success() { CallOutcome::Succeeded } else { CallOutcome::Failed };
    let output = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
    Settled { output, ..Settled::of(outcome) }
}

/// Counts tests, not subtests, by the lines of `unittest -v`.
fn tests(output: &str) -> Tests {
    let count =
        |end: &str| output.lines().filter(|line| line.starts_with("test_") && line.ends_with(end)).count() as u32;
    match count("... FAIL") + count("... ERROR") {
        0 => Tests::Green { passed: count("... ok") },
        failed => Tests::Red { failed },
    }
}
