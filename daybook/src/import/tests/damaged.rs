//! Files that are cut off, flipped or foreign: always an error that names the place, never a panic.

use proptest::prelude::*;

use super::*;

fn refusal(bytes: &[u8]) -> String {
    parse("run.traj", bytes).unwrap_err().to_string()
}

#[test]
fn a_file_cut_anywhere_is_refused_with_its_place() {
    let whole = EXAMPLE.trim_end();
    for end in 1..whole.len() {
        let error = parse("run.traj", &whole.as_bytes()[..end]).unwrap_err();
        assert!(matches!(error, ImportError::Truncated { line: 1.., .. }), "cut at {end}: {error}");
    }
}

#[test]
fn recorded_files_cut_anywhere_are_refused() {
    for name in ["missing-colon-gpt4.traj", "marshmallow-1867-function-calling.traj"] {
        let Some(bytes) = recorded_file(name) else { return };
        for end in (1..bytes.trim_ascii_end().len()).step_by(997) {
            assert!(matches!(parse(name, &bytes[..end]), Err(ImportError::Truncated { .. })), "{name} cut at {end}");
        }
    }
}

#[test]
fn what_is_no_trajectory_is_named() {
    assert_eq!(refusal(b" \n"), "the file is empty: expected a SWE-agent trajectory, which is a JSON object");
    assert_eq!(refusal(b"# Notes\n"), "the file is not JSON: expected value at line 1, column 1");
    assert_eq!(
        refusal(b"{\"history\": [\n"),
        "the file ends too early, at line 2, column 0: it is cut off or still being written"
    );
    let foreign = "the file is not a SWE-agent trajectory: expected a list `history` or `trajectory`, found ";
    assert_eq!(refusal(b"[1, 2]"), format!("{foreign}a list"));
    assert_eq!(refusal(b"{}"), format!("{foreign}an object without keys"));
    assert_eq!(refusal(br#"{"model": "x", "messages": []}"#), format!("{foreign}the keys \"messages\", \"model\""));
    assert!(refusal(br#"{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1}"#).ends_with("\"h\" and 1 more"));
    assert!(refusal(&b"[".repeat(10_000)).contains("recursion limit exceeded at line 1, column 128"));
    assert!(refusal(b"{\"history\": \"\xff\"}").contains("line 1, column 14"));
}

#[test]
fn an_entry_of_the_wrong_shape_is_named_by_its_place() {
    let user = r#"{"role": "user", "content": "ISSUE:\nx"}"#;
    for (file, sentence) in [
        (r#"{"history": {}}"#.to_owned(), "history is an object: expected a list"),
        (r#"{"history": [1]}"#.to_owned(), "history[0] is 1: expected an object"),
        (r#"{"history": [{}]}"#.to_owned(), "history[0].role is absent: expected system, user, assistant or tool"),
        (
            format!(r#"{{"history": [{user}, {{"role": "bot"}}]}}"#),
            "history[1].role is \"bot\": expected system, user, assistant or tool",
        ),
        (
            format!(r#"{{"history": [{user}, {{"role": "assistant", "content": 7}}]}}"#),
            "history[1].content is 7: expected a text or a list of parts",
        ),
        (
            format!(r#"{{"history": [{user}, {{"role": "assistant", "tool_calls": [{{"id": "a"}}]}}]}}"#),
            "history[1].tool_calls[0].function is absent: expected an object with name and arguments",
        ),
        (
            format!(r#"{{"history": [{user}, {{"role": "assistant", "tool_calls": [1, 2]}}]}}"#),
            "history[1].tool_calls is a list of 2 calls: expected a list of one call",
        ),
        (
            format!(r#"{{"history": [{user}], "trajectory": [{{"execution_time": -1}}]}}"#),
            "trajectory[0].execution_time is -1: expected a time in seconds, 0 or more",
        ),
        (
            format!(r#"{{"history": [{user}], "info": {{"model_stats": {{"instance_cost": "1"}}}}}}"#),
            "info.model_stats.instance_cost is a text: expected an amount in US dollars, 0 or more",
        ),
        (
            format!(r#"{{"history": [{user}], "info": {{"model_stats": {{"api_calls": -1}}}}}}"#),
            "info.model_stats.api_calls is -1: expected a whole number, zero or more",
        ),
        (
            r#"{"history": []}"#.to_owned(),
            "history holds no message of the user before the agent's first turn: nothing says what the task was",
        ),
    ] {
        assert_eq!(refusal(file.as_bytes()), sentence);
    }
}

#[test]
fn what_is_too_large_is_refused() {
    let limit = usize::try_from(MAX_FILE_BYTES).unwrap();
    assert_eq!(parse("x", &vec![b' '; limit + 1]), Err(ImportError::TooLarge { bytes: MAX_FILE_BYTES + 1 }));
    let turns = vec![r#"{"action": "ls"}"#; MAX_STEPS + 1].join(",");
    let file = format!(r#"{{"trajectory": [{turns}]}}"#);
    assert_eq!(parse("x", file.as_bytes()), Err(ImportError::TooManySteps { place: "trajectory" }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_flipped_byte_never_panics(at in 0..EXAMPLE.len(), byte: u8, cut in 0..EXAMPLE.len()) {
        let mut bytes = EXAMPLE.as_bytes().to_vec();
        bytes[at] = byte;
        let _ = parse("run.traj", &bytes);
        let _ = parse("run.traj", &bytes[..cut]);
    }

    #[test]
    fn text_in_any_place_never_panics(text in ".{0,40}", at in 0..6_usize) {
        let keys = ["@C", "@T", "@A", "@O", "@S", "@D"];
        let mut file = r#"{"history": [{"role": "user", "content": "@C"},
            {"role": "assistant", "content": "@C", "thought": "@T", "action": "@A"},
            {"role": "user", "content": "@O\n(Open file: @S)\n(Current directory: /r)\nbash-$"}],
            "info": {"submission": "@D"}}"#.to_owned();
        let quoted = serde_json::to_string(&text).unwrap();
        file = file.replace(keys[at], &quoted[1..quoted.len() - 1]);
        let _ = parse("run.traj", file.as_bytes());
    }

    #[test]
    fn any_diff_and_any_command_are_read_without_panic(lines in proptest::collection::vec(
        prop_oneof![
            Just("diff --git a/x b/x".to_owned()), Just("diff --git ".to_owned()), Just("--- a/x".to_owned()),
            Just("+++ b/x".to_owned()), Just("@@".to_owned()), Just("rename from x".to_owned()),
            Just("rename to ä".to_owned()), Just("".to_owned()), "[-+ ]?.{0,8}",
        ], 0..12), command in "(rm|edit|create|insert)[ '\"a-z/.:0-9-]{0,20}\n?.{0,5}") {
        let observation = "Text replaced.\n[File: a/../b (2 lines total)]\n1:x";
        let file = serde_json::json!({
            "history": [{"role": "user", "content": "x\n(Current directory: /r)\nbash-$"},
                {"role": "assistant", "content": "", "action": command}, {"role": "user", "content": observation}],
            "info": {"submission": lines.join("\n")},
        });
        let read = parse("run.traj", file.to_string().as_bytes()).unwrap();
        for edit in read.changes {
            prop_assert!(!edit.path.is_empty() && !edit.path.starts_with('/') && !edit.path.contains("/../"));
        }
    }
}
