//! The tools as a model calls them, on a real workspace and in a real sandbox.

use serde_json::json;

use super::*;
use crate::engine::tests::{engine, sandbox};

async fn call_in(spec: &Spec, engine: Option<&ProcessEngine>, name: &str, arguments: Value) -> ToolOutcome {
    call(&ToolContext { engine, spec }, name, &arguments, &mut |_, _| (), &CancellationToken::new()).await
}

fn code(outcome: &ToolOutcome) -> &'static str {
    match outcome.status {
        Status::Failed { code, .. } => code,
        _ => "",
    }
}

#[test]
fn the_catalogue_is_sound() {
    let names: Vec<_> = catalogue().iter().map(|tool| (tool.name, tool.timeout.as_secs())).collect();
    let expected = [
        ("bash", 60),
        ("read_file", 5),
        ("write_file", 5),
        ("edit_file", 5),
        ("list_files", 10),
        ("search_files", 10),
        ("run_tests", 300),
    ];
    assert_eq!(names, expected);
    for tool in catalogue() {
        let schema: Value = serde_json::from_str(tool.schema).unwrap();
        assert_eq!(schema["additionalProperties"], json!(false), "{}", tool.name);
    }
}

#[tokio::test]
async fn arguments_that_do_not_fit_are_refused_by_name() {
    let (_folder, spec) = sandbox();
    for (name, arguments, field) in [
        ("bash", json!({}), "command"),
        ("bash", json!({"command": 1}), "command"),
        ("bash", json!({"command": "x", "shell": "y"}), "shell"),
        ("read_file", json!({"path": "x", "range": {"start": "a", "end": 2}}), "range.start"),
        ("write_file", json!({"path": "x", "content": "y", "mode": "z"}), "mode"),
        ("run_tests", json!({"framework": "tap"}), "framework"),
        ("run_tests", json!({"filter": "--x"}), "filter"),
    ] {
        let outcome = call_in(&spec, None, name, arguments).await;
        assert_eq!(code(&outcome), "BAD_ARGUMENTS", "{outcome:?}");
        assert!(outcome.output.contains(field), "{}", outcome.output);
    }
    assert_eq!(code(&call_in(&spec, None, "rm", json!({})).await), "UNKNOWN_TOOL");
}

#[tokio::test]
async fn a_command_that_fails_is_a_tool_that_succeeded() {
    let (_folder, spec) = sandbox();
    let arguments = json!({"command": "echo hello; exit 3", "working_dir": "/workspace"});
    let outcome = call_in(&spec, Some(engine().await), "bash", arguments).await;
    assert_eq!((outcome.status.clone(), outcome.exit_code), (Status::Succeeded, Some(3)));
    assert_eq!((outcome.output.as_str(), outcome.full_output.as_slice()), ("hello\n[exit code 3]", &b"hello\n"[..]));
    let outcome = call_in(&spec, None, "bash", json!({"command": "true"})).await;
    assert_eq!(code(&outcome), "NO_SANDBOX");
    let outcome = call_in(&spec, Some(engine().await), "bash", json!({"command": "true", "working_dir": "../x"})).await;
    assert_eq!(code(&outcome), "PATH_OUTSIDE_WORKSPACE");
}

#[tokio::test]
async fn a_call_may_be_cancelled() {
    let (_folder, spec) = sandbox();
    let cancel = CancellationToken::new();
    cancel.cancel();
    let context = ToolContext { engine: Some(engine().await), spec: &spec };
    for (name, arguments) in
        [("bash", json!({"command": "sleep 100"})), ("write_file", json!({"path": "x", "content": "y"}))]
    {
        let outcome = call(&context, name, &arguments, &mut |_, _| (), &cancel).await;
        assert_eq!(outcome.status, Status::Cancelled, "{name}");
    }
    assert!(!spec.workspace.join("x").exists());
}

#[tokio::test]
async fn a_file_is_written_edited_read_found_and_listed() {
    let (_folder, spec) = sandbox();
    let ok = async |name: &str, arguments: Value| {
        let outcome = call_in(&spec, None, name, arguments).await;
        assert_eq!(outcome.status, Status::Succeeded, "{outcome:?}");
        outcome.output
    };
    let created = ok("write_file", json!({"path": "/workspace/src/a.py", "content": "one\ntwo\n"})).await;
    assert_eq!(created, "Created src/a.py; it has 8 bytes now.");
    ok("write_file", json!({"path": "src/a.py", "content": "three\n", "mode": "append"})).await;
    ok("edit_file", json!({"path": "src/a.py", "old_text": "two", "new_text": "2"})).await;
    assert_eq!(ok("read_file", json!({"path": "src/a.py"})).await, "one\n2\nthree\n");
    assert_eq!(ok("read_file", json!({"path": "src/a.py", "range": {"start": 2, "end": 9}})).await, "2\nthree\n");
    assert_eq!(ok("read_file", json!({"path": "src/a.py", "encoding": "base64"})).await, "b25lCjIKdGhyZWUK");
    assert_eq!(ok("list_files", json!({"glob": "**/*.py"})).await, "src/a.py (12 bytes)\n");
    assert_eq!(ok("search_files", json!({"pattern": "^T", "ignore_case": true})).await, "src/a.py:3: three\n");
    assert_eq!(ok("search_files", json!({"pattern": "zzz"})).await, "No lines match.\n");
}

#[tokio::test]
async fn what_a_file_tool_refuses_has_a_code() {
    let (folder, spec) = sandbox();
    std::fs::write(folder.path().join("a"), "x x").unwrap();
    for (name, arguments, expected) in [
        ("search_files", json!({"pattern": "("}), "BAD_PATTERN"),
        ("list_files", json!({"glob": "["}), "BAD_GLOB"),
        ("read_file", json!({"path": "/etc/passwd"}), "PATH_OUTSIDE_WORKSPACE"),
        ("read_file", json!({"path": "none"}), "FILE_NOT_FOUND"),
        ("write_file", json!({"path": "../a", "content": ""}), "PATH_OUTSIDE_WORKSPACE"),
        ("edit_file", json!({"path": "a", "old_text": "x", "new_text": ""}), "EDIT_AMBIGUOUS"),
    ] {
        assert_eq!(code(&call_in(&spec, None, name, arguments).await), expected, "{name}");
    }
}

#[tokio::test]
async fn long_output_shows_its_head_and_its_tail() {
    let (_folder, spec) = sandbox();
    let outcome = call_in(&spec, Some(engine().await), "bash", json!({"command": "seq 1 30000"})).await;
    assert!(outcome.output.len() < SEEN_BYTES + 100);
    assert!(outcome.output.starts_with("1\n2\n") && outcome.output.ends_with("\n30000\n"));
    assert!(outcome.output.contains(" bytes cut here"));
    assert!(outcome.full_output.len() > 5 * SEEN_BYTES - 20_000);
}

#[test]
fn base64_is_the_standard_one() {
    use super::read_file::base64;
    let all: Vec<String> = [&b""[..], b"f", b"fo", b"foo", b"foob"].iter().map(|bytes| base64(bytes)).collect();
    assert_eq!(all, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]);
}

const RED_TEST: &str = "
import unittest
class Sums(unittest.TestCase):
    def test_right(self):
        self.assertEqual(1 + 1, 2)
    def test_wrong(self):
        self.assertEqual(1 + 1, 3)
    @unittest.skip('later')
    def test_later(self):
        pass
    def test_broken(self):
        raise ValueError('no')
";

#[tokio::test]
async fn a_red_project_turns_green() {
    let (folder, spec) = sandbox();
    let engine = Some(engine().await);
    crate::files::write(
        &spec.workspace,
        &crate::files::WorkspacePath::parse("tests/test_sums.py").unwrap(),
        RED_TEST.as_bytes(),
        crate::files::Mode::Write,
    )
    .unwrap();
    for path in [json!({"path": "tests"}), json!({"path": "tests/test_sums.py", "framework": "unittest"})] {
        let outcome = call_in(&spec, engine, "run_tests", path).await;
        assert_eq!((outcome.status, outcome.exit_code), (Status::Succeeded, Some(1)));
        let tests = outcome.tests.unwrap();
        assert_eq!(
            (tests.framework, tests.passed, tests.failed, tests.skipped, tests.errors),
            ("unittest", 1, 1, 1, 1)
        );
        let names: Vec<_> = tests.failures.iter().map(|failure| failure.name.split(' ').next().unwrap()).collect();
        assert_eq!(names, ["test_broken", "test_wrong"]);
        assert!(tests.failures[0].message.ends_with("ValueError: no"), "{tests:?}");
    }
    let green = RED_TEST.replace("1 + 1, 3", "1 + 1, 2").replace("raise ValueError('no')", "pass");
    std::fs::write(folder.path().join("tests/test_sums.py"), green).unwrap();
    let outcome = call_in(&spec, engine, "run_tests", json!({"path": "tests", "filter": "Sums"})).await;
    let tests = outcome.tests.unwrap();
    assert_eq!((outcome.exit_code, tests.passed, tests.failed, tests.skipped), (Some(0), 3, 0, 1));
    assert!(!folder.path().join("tests/__pycache__").exists());
    let none = call_in(&spec, engine, "run_tests", json!({"path": "tests", "filter": "Nothing"})).await;
    assert_eq!(code(&none), "NO_TESTS_FOUND");
}

#[tokio::test]
async fn a_missing_framework_is_said_to_be_missing() {
    let (folder, spec) = sandbox();
    let engine = Some(engine().await);
    assert_eq!(code(&call_in(&spec, engine, "run_tests", json!({})).await), "FRAMEWORK_UNKNOWN");
    if std::path::Path::new("/usr/bin/cargo").exists() {
        return;
    }
    std::fs::write(folder.path().join("Cargo.toml"), "").unwrap();
    assert_eq!(code(&call_in(&spec, engine, "run_tests", json!({})).await), "FRAMEWORK_MISSING");
}
