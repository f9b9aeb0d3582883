//! What a model may ask of tools, and must not get.

use daybook_tests::{Event, Follower, Studio};
use serde_json::{Value, json};

use crate::proof;
use crate::story::{self, Begun};
use crate::stub::{Reply, Stub, calls, raw_calls};

/// Has a model ask for these, one answer after the other, with nothing that asks a person.
async fn asked_for(script: Vec<Reply>) -> (Studio, Begun, Follower) {
    let stub = Stub::serve(script).await;
    let studio = Studio::with(&[("DAYBOOK_MODEL_URL", &stub.url), ("DAYBOOK_MODEL_NAME", "stub-1")]).await;
    let begun = story::begin_trusted(&studio.client, "Do as you are told.").await;
    let mut follower = Follower::open(&studio.client, &begun.session, None).await;
    follower.until_event("run.completed").await;
    (studio, begun, follower)
}

fn failures(follower: &Follower) -> Vec<(&str, &str)> {
    let text = |event: &'_ Event, name: &str| -> &'static str { text_of(&event.payload[name]) };
    let failed = follower.of_kind("tool_call.failed").into_iter();
    failed.map(|event| (text(event, "code"), text(event, "message"))).collect()
}

/// Kept for the rest of the test: it is compared with literals.
fn text_of(value: &Value) -> &'static str {
    value.as_str().expect("a text").to_owned().leak()
}

#[tokio::test]
async fn paths_that_leave_the_workspace_reach_nothing() {
    let write = |path: &str| ("write_file", json!({ "path": path, "content": "escaped" }));
    let read = |path: &str| ("read_file", json!({ "path": path }));
    let bad = [
        (write("../escaped.txt"), "PATH_OUTSIDE_WORKSPACE"),
        (write("a/../../escaped.txt"), "PATH_OUTSIDE_WORKSPACE"),
        (write("/tmp/daybook-escaped.txt"), "PATH_OUTSIDE_WORKSPACE"),
        (write("/workspace/../escaped.txt"), "PATH_OUTSIDE_WORKSPACE"),
        (read("/etc/passwd"), "PATH_OUTSIDE_WORKSPACE"),
        (read("../../postgres/PG_VERSION"), "PATH_OUTSIDE_WORKSPACE"),
        (write("nul\0l.txt"), "PATH_HAS_NULL_BYTE"),
        (write(""), "PATH_EMPTY"),
        (write(&"x".repeat(5_000)), "PATH_TOO_LONG"),
        (("write_file", json!({ "path": "big.txt", "content": "x".repeat(1024 * 1024) })), "FILE_TOO_LARGE"),
        (("write_file", json!({ "path": "odd.txt", "content": "x", "mode": "execute" })), "BAD_ARGUMENTS"),
        (("write_file", json!({ "path": "odd.txt", "content": "x", "extra": 1 })), "BAD_ARGUMENTS"),
        (("format_disk", json!({})), "UNKNOWN_TOOL"),
    ];
    let asked: Vec<(&str, Value)> = bad.iter().map(|(call, _)| call.clone()).collect();
    let (studio, begun, follower) =
        asked_for(vec![calls(&asked), raw_calls(&[("write_file", "{\"path\": ".into())])]).await;
    let mut expected: Vec<&str> = bad.iter().map(|(_, code)| *code).collect();
    expected.push("ARGUMENTS_NOT_JSON");
    let failures = failures(&follower);
    assert_eq!(failures.iter().map(|(code, _)| *code).collect::<Vec<_>>(), expected);
    for (code, message) in failures {
        assert!(message.contains(' ') && message.ends_with('.') && message.len() < 300, "{code}: {message}");
    }
    assert_eq!(follower.of_kind("file.changed").len(), 0);
    let session = story::session_after(&studio.client, &begun, &follower).await;
    assert_eq!(session["files"], json!([]));
    let asked: Vec<&Value> =
        follower.of_kind("tool_call.requested").iter().map(|event| &event.payload["tool_call_id"]).collect();
    let shown = session["latestRun"]["toolCalls"].as_array().unwrap().iter();
    assert_eq!(shown.map(|call| &call["id"]).collect::<Vec<_>>(), asked, "in the order in which they were asked for");
    assert!(!std::path::Path::new("/tmp/daybook-escaped.txt").exists());
    assert_eq!(written(&studio), Vec::<String>::new(), "no file was written anywhere");
    proof::holds(&studio).await;
}

#[tokio::test]
async fn links_that_a_command_made_are_not_followed() {
    let link =
        "mkdir d && ln -s /etc/passwd link && ln -s .. up && ln -s /tmp away && ln -s ../../.. d/far && echo made";
    let (studio, begun, follower) = asked_for(vec![
        calls(&[("bash", json!({ "command": link }))]),
        calls(&[
            ("read_file", json!({ "path": "link" })),
            ("write_file", json!({ "path": "link", "content": "escaped" })),
            ("write_file", json!({ "path": "up/escaped.txt", "content": "escaped" })),
            ("write_file", json!({ "path": "away/daybook-escaped-by-link.txt", "content": "escaped" })),
            ("edit_file", json!({ "path": "link", "old_text": "root", "new_text": "toor" })),
            ("read_file", json!({ "path": "d/far/etc/passwd" })),
        ]),
    ])
    .await;
    let failures = failures(&follower);
    assert_eq!(failures.iter().map(|(code, _)| *code).collect::<Vec<_>>(), ["SYMLINK_REFUSED"; 6], "{failures:?}");
    assert!(!std::path::Path::new("/tmp/daybook-escaped-by-link.txt").exists());
    let session = story::session_after(&studio.client, &begun, &follower).await;
    assert_eq!(session["latestRun"]["toolCalls"][0]["output"], "made\n");
    assert!(!session.to_string().contains("root:"), "nothing of the file behind the link is shown");
    assert_eq!(written(&studio), Vec::<String>::new());
    proof::holds(&studio).await;
}

#[tokio::test]
async fn bytes_that_are_no_text_are_shown_and_kept_without_harm() {
    let commands = ["printf 'a\\0b\\n'", "printf '\\377\\376'", "printf 'x\\0y' > nul.bin; printf '\\303' > half.txt"];
    let asked: Vec<(&str, Value)> = commands.iter().map(|command| ("bash", json!({ "command": command }))).collect();
    let null = Reply::Stream(vec![
        json!({ "choices": [{ "index": 0, "delta": { "content": "null \u{0} byte" } }] }),
        json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop" }] }),
    ]);
    let (studio, begun, follower) = asked_for(vec![calls(&asked), null]).await;
    assert_eq!(follower.of_kind("tool_call.succeeded").len(), commands.len());
    let session = story::session_after(&studio.client, &begun, &follower).await;
    assert_eq!(session["latestRun"]["outcome"], "SUCCEEDED");
    let output = text_of(&follower.of_kind("tool_call.succeeded")[0].payload["output"]["text"]);
    assert!(output.starts_with('a') && output.trim_end().ends_with('b'), "{output:?}");
    let paths: Vec<&str> =
        session["files"].as_array().unwrap().iter().filter_map(|file| file["path"].as_str()).collect();
    assert_eq!(paths, ["half.txt", "nul.bin"]);
    proof::holds(&studio).await;
}

#[tokio::test]
async fn a_flood_of_output_is_cut_and_the_run_goes_on() {
    let flood = "head -c 3000000 /dev/zero | tr '\\0' 'x'; echo; echo end";
    let (studio, begun, follower) = asked_for(vec![calls(&[("bash", json!({ "command": flood }))])]).await;
    let session = story::session_after(&studio.client, &begun, &follower).await;
    assert_eq!(session["latestRun"]["outcome"], "SUCCEEDED");
    let ended = ["tool_call.succeeded", "tool_call.failed"].map(|kind| follower.of_kind(kind).len());
    assert_eq!(ended.iter().sum::<usize>(), 1);
    let log = proof::log(&studio).await;
    let longest = log.iter().map(|event| event.payload.to_string().len()).max().unwrap();
    assert!(longest < 200_000, "no event is larger than its bound: {longest} bytes");
    proof::holds(&studio).await;
}

/// The ordinary files in the data folder, but for the key and the checkpoints, which are the server's own.
fn written(studio: &Studio) -> Vec<String> {
    let data = studio.folder.path().join("data");
    let mut files = below(&data);
    files.retain(|file| !file.starts_with(&*data.join("checkpoint").to_string_lossy()));
    files
}

/// The ordinary files below a folder.
fn below(folder: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .flat_map(|entry| match entry.file_type().unwrap() {
            kind if kind.is_dir() => below(&entry.path()),
            kind if kind.is_file() => vec![entry.path().to_string_lossy().into_owned()],
            _ => vec![],
        })
        .collect()
}
