//! A real model server: what is sent, what is charged, and what happens when it refuses or is cut off.

use std::time::Duration;

use daybook_tests::{Follower, Studio};
use serde_json::{Value, json};

use crate::proof::{self, count};
use crate::story::{self, Begun, file, nanousd};
use crate::stub::{Noticed, Reply, Stub, TOKENS, calls, says, words};

const KEY: &str = "sk-a-key-of-no-account";
/// USD per million tokens, input and output.
const PRICE: (i64, i64) = (2, 8);
/// What one answer of the stub costs, in billionths of a dollar.
const COST: i64 = TOKENS.0 * PRICE.0 * 1_000 + TOKENS.1 * PRICE.1 * 1_000;

async fn studio(stub: &Stub) -> Studio {
    let price = format!("{}/{}", PRICE.0, PRICE.1);
    Studio::with(&[
        ("DAYBOOK_MODEL_URL", &stub.url),
        ("DAYBOOK_MODEL_NAME", "stub-1"),
        ("DAYBOOK_MODEL_KEY", KEY),
        ("DAYBOOK_MODEL_PRICE", &price),
    ])
    .await
}

async fn begun(studio: &Studio) -> (Begun, Follower) {
    let begun = story::begin(&studio.client, "Add two numbers.").await;
    let follower = Follower::open(&studio.client, &begun.session, None).await;
    (begun, follower)
}

fn plan(status: &str) -> (&'static str, Value) {
    ("update_plan", json!({ "items": [{ "text": "Write add.py", "status": status }] }))
}

#[tokio::test]
async fn a_run_on_a_model_server_is_metered_and_billed() {
    let test = "import unittest\nfrom add import add\n\nclass T(unittest.TestCase):\n    def test_it(self):\n        \
        self.assertEqual(add(1, 2), 3)\n";
    let mut stub = Stub::serve(vec![
        calls(&[
            plan("in_progress"),
            ("write_file", json!({ "path": "add.py", "content": "def add(a, b): return a + b\n" })),
        ]),
        calls(&[("write_file", json!({ "path": "test_add.py", "content": test })), ("run_tests", json!({}))]),
        calls(&[plan("done")]),
        says("It adds. 🦀"),
    ])
    .await;
    let studio = studio(&stub).await;
    let (begun, mut follower) = begun(&studio).await;
    follower.until_event("run.completed").await;

    let first = stub.asked().await;
    assert!(first.head.starts_with("POST /v1/chat/completions HTTP/1.1"), "{}", first.head);
    assert!(first.head.contains(&format!("authorization: Bearer {KEY}")), "{}", first.head);
    assert_eq!((&first.body["model"], &first.body["stream"]), (&json!("stub-1"), &json!(true)));
    let tools: Vec<&str> =
        first.body["tools"].as_array().unwrap().iter().filter_map(|tool| tool["function"]["name"].as_str()).collect();
    assert!(["update_plan", "write_file", "run_tests", "bash"].iter().all(|tool| tools.contains(tool)), "{tools:?}");
    let second = stub.asked().await;
    let messages = second.body["messages"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let called = messages.iter().filter_map(|message| message["tool_calls"].as_array()).flatten();
    let called: Vec<(String, String)> = called.map(|c| (text(&c["id"]), text(&c["function"]["name"]))).collect();
    assert_eq!(called.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>(), ["update_plan", "write_file"]);
    let answered = messages.iter().filter(|message| message["role"] == "tool");
    let answered: Vec<String> = answered.map(|message| text(&message["tool_call_id"])).collect();
    assert!(called.iter().map(|(id, _)| id).eq(&answered), "each call has its answer: {called:?} {answered:?}");

    let session = story::session_after(&studio.client, &begun, &follower).await;
    let run = &session["latestRun"];
    assert_eq!((&run["outcome"], &run["summary"]), (&json!("SUCCEEDED"), &json!("It adds. 🦀")));
    assert_eq!((&run["testsPassed"], &run["testsFailed"]), (&json!(1), &json!(0)));
    assert!(file(&session, "add.py").is_some());
    let usage = &session["usage"];
    assert_eq!(
        (usage["calls"].as_i64(), usage["inputTokens"].as_i64(), usage["outputTokens"].as_i64()),
        (Some(4), Some(4 * TOKENS.0), Some(4 * TOKENS.1))
    );
    assert_eq!((nanousd(&usage["meteredUsd"]), nanousd(&usage["notionalUsd"])), (4 * COST, 0));
    let ledger = proof::ledger(&studio, false).await;
    let mut amounts: Vec<(&str, i64)> =
        ledger.iter().map(|entry| (entry["account"].as_str().unwrap(), nanousd(&entry["amountUsd"]))).collect();
    amounts.sort_unstable();
    assert_eq!(amounts, [vec![("expense:model", COST); 4], vec![("payable:openai", -COST); 4]].concat());
    key_is_nowhere(&studio).await;
    proof::holds(&studio).await;
}

#[tokio::test]
async fn who_asks_to_slow_down_is_asked_again_later() {
    let slow_down = r#"{"error": {"message": "Rate limit reached", "type": "requests"}}"#.to_owned();
    let mut stub =
        Stub::serve(vec![Reply::Refusal("429 Too Many Requests", "retry-after: 3\r\n", slow_down), says("Hello.")])
            .await;
    let studio = studio(&stub).await;
    let (begun, mut follower) = begun(&studio).await;
    follower.until_event("run.completed").await;
    let (first, second) = (stub.asked().await, stub.asked().await);
    let waited = second.at - first.at;
    assert!(waited >= Duration::from_secs(3), "{waited:?}");
    assert_eq!(first.body, second.body);
    let failed = follower.of_kind("step.failed")[0].payload["error"].clone();
    assert_eq!((&failed["kind"], &failed["retryable"]), (&json!("rate_limited"), &json!(true)));
    assert_eq!(follower.of_kind("reservation.released").len(), 1, "what was refused costs nothing");
    let usage = story::session_after(&studio.client, &begun, &follower).await["usage"].take();
    assert_eq!((nanousd(&usage["meteredUsd"]), nanousd(&usage["reservedUsd"])), (COST, 0));
    proof::holds(&studio).await;
}

#[tokio::test]
async fn a_refused_key_fails_the_run_and_points_to_the_settings() {
    let body =
        json!({ "error": { "message": format!("Incorrect API key provided: {KEY}."), "code": "invalid_api_key" } });
    let stub = Stub::serve(vec![Reply::Refusal("401 Unauthorized", "", body.to_string()), says("Hello.")]).await;
    let studio = studio(&stub).await;
    let (begun, mut follower) = begun(&studio).await;
    let failed = follower.until_event("run.failed").await;
    assert_eq!(failed.payload["error"]["kind"], "unauthorized");
    let session = story::session_after(&studio.client, &begun, &follower).await;
    let run = &session["latestRun"];
    assert_eq!((&run["outcome"], &run["phase"]), (&json!("FAILED"), &json!("ERROR")));
    assert_eq!((&run["error"]["userAction"], &run["error"]["retryable"]), (&json!("settings"), &json!(false)));
    assert_eq!(nanousd(&session["usage"]["meteredUsd"]), 0);
    key_is_nowhere(&studio).await;

    let retry = "mutation($input: RunRetryInput!) { runRetry(input: $input) { run { status } } }";
    let input = json!({ "requestId": story::request_id(), "runId": begun.run });
    studio.client.ask(retry, json!({ "input": input })).await;
    follower.until_event("run.completed").await;
    assert_eq!(story::session_after(&studio.client, &begun, &follower).await["latestRun"]["outcome"], "SUCCEEDED");
    proof::holds(&studio).await;
}

#[tokio::test]
async fn stopping_a_run_hangs_up_on_the_model_and_charges_by_estimate() {
    let mut stub = Stub::serve(vec![Reply::Hang(words("Let me think about that for a very long time"))]).await;
    let studio = studio(&stub).await;
    let (begun, mut follower) = begun(&studio).await;
    follower.until_live("TEXT").await;
    stub.asked().await;
    let input = json!({ "input": { "requestId": story::request_id(), "runId": begun.run, "reason": "too slow" } });
    let stopped = studio.client.ask(story::CANCEL, input.clone()).await;
    assert_eq!(stopped["runCancel"]["run"]["outcome"], "CANCELLED");
    assert!(matches!(stub.notices().await, Noticed::HungUp));
    follower.until_event("run.cancelled").await;
    let usage = story::session_after(&studio.client, &begun, &follower).await["usage"].take();
    assert_eq!((usage["calls"].as_i64(), usage["estimatedCalls"].as_i64()), (Some(1), Some(1)));
    assert_eq!(nanousd(&usage["reservedUsd"]), 0);
    assert!(nanousd(&usage["meteredUsd"]) > 0, "it worked, so it will bill");
    assert_eq!(stopped, studio.client.ask(story::CANCEL, input).await, "the same again gets the first answer");
    proof::holds(&studio).await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_charged_and_asked_for_again() {
    let cut = Reply::BreakOff(words("Half of an ans"));
    let mut stub = Stub::serve(vec![cut, says("A whole answer.")]).await;
    let studio = studio(&stub).await;
    let (begun, mut follower) = begun(&studio).await;
    follower.until_event("run.completed").await;
    stub.asked().await;
    stub.asked().await;
    let session = story::session_after(&studio.client, &begun, &follower).await;
    assert_eq!(session["latestRun"]["summary"], "A whole answer.");
    assert_eq!((session["usage"]["calls"].as_i64(), session["usage"]["estimatedCalls"].as_i64()), (Some(2), Some(1)));
    assert_eq!(count(&proof::log(&studio).await, "step.failed"), 1);
    proof::holds(&studio).await;
}

/// The key is in no event, in no blob and in no log.
async fn key_is_nowhere(studio: &Studio) {
    let events = "SELECT count(*) FROM events WHERE payload::text LIKE $1 OR metadata::text LIKE $1";
    let blobs = "SELECT count(*) FROM blobs WHERE encode(content, 'escape') LIKE $1";
    for query in [events, blobs] {
        let found: i64 =
            sqlx::query_scalar(query).bind(format!("%{KEY}%")).fetch_one(&studio.database.pool).await.unwrap();
        assert_eq!(found, 0, "{query}");
    }
    assert!(!studio.log().contains(KEY));
}
