//! The demo's story over GraphQL, from the first word to the last cent.

use daybook_tests::{Follower, Studio};
use serde_json::{Value, json};

use crate::proof::{self, count};
use crate::story::{self, Begun, file};

#[tokio::test]
async fn the_demo_plans_asks_tests_fixes_and_ends_well() {
    let studio = Studio::open().await;
    let (begun, follower) = play(&studio, "GRANT").await;
    let phases: Vec<&str> = follower
        .of_kind("run.phase_changed")
        .iter()
        .flat_map(|event| [event.payload["from"].as_str(), event.payload["to"].as_str()])
        .flatten()
        .collect();
    let told = ["idle", "planning", "executing", "testing", "fixing", "testing", "done"];
    let moves: Vec<&str> = told.windows(2).flatten().copied().collect();
    assert_eq!(phases, moves);

    let session = story::session_after(&studio.client, &begun, &follower).await;
    let run = &session["latestRun"];
    assert_eq!((&run["outcome"], &run["phase"]), (&json!("SUCCEEDED"), &json!("DONE")));
    assert_eq!((&run["testsPassed"], &run["testsFailed"], &run["fixAttempts"]), (&json!(7), &json!(0), &json!(1)));
    assert!(file(&session, "roman.py").unwrap().contains("(4, \"IV\")"));
    assert!(file(&session, "test_roman.py").unwrap().contains("unittest"));
    assert_eq!(file(&session, "reports/sample.txt"), Some("2026 MMXXVI\n"));
    what_it_cost(&studio, &session, &follower).await;
    timeline_tells_all(&studio, &begun, &follower).await;
    proof::holds(&studio).await;
}

#[tokio::test]
async fn the_demo_goes_on_without_what_is_denied() {
    let studio = Studio::open().await;
    let (begun, follower) = play(&studio, "DENY").await;
    assert_eq!(follower.of_kind("approval.denied").len(), 1);
    assert_eq!(follower.of_kind("tool_call.declined").len(), 1);
    let session = story::session_after(&studio.client, &begun, &follower).await;
    assert_eq!(session["latestRun"]["outcome"], "SUCCEEDED");
    assert_eq!(session["latestRun"]["testsPassed"], 7);
    assert!(file(&session, "roman.py").is_some());
    assert_eq!(file(&session, "reports/sample.txt"), None);
    let calls = session["latestRun"]["toolCalls"].as_array().unwrap();
    let bash: Vec<&Value> = calls.iter().filter(|call| call["tool"] == "bash").collect();
    assert_eq!(bash.len(), 1, "it does not ask again");
    assert_eq!((&bash[0]["status"], &bash[0]["approval"]["decision"]), (&json!("DECLINED"), &json!("denied")));
    proof::holds(&studio).await;
}

async fn play(studio: &Studio, answer: &str) -> (Begun, Follower) {
    let begun = story::begin(&studio.client, "demo").await;
    let mut follower = Follower::open(&studio.client, &begun.session, None).await;
    story::answer(&studio.client, &mut follower, &begun, answer).await;
    follower.until_event("run.completed").await;
    (begun, follower)
}

/// Each model call is one charge; nobody is billed for the scripted model, so all of it stands in memo accounts.
async fn what_it_cost(studio: &Studio, session: &Value, follower: &Follower) {
    let log = proof::log(studio).await;
    let calls = follower.of_kind("step.started").len();
    assert_eq!(count(&log, "usage.charged"), calls);
    let usage = &session["usage"];
    assert_eq!((usage["calls"].as_u64(), usage["estimatedCalls"].as_u64()), (Some(calls as u64), Some(0)));
    assert_eq!((story::nanousd(&usage["meteredUsd"]), story::nanousd(&usage["reservedUsd"])), (0, 0));
    let entries = proof::ledger(studio, true).await;
    assert_eq!(entries.len(), 2 * calls);
    let amounts = entries.iter().map(|entry| story::nanousd(&entry["amountUsd"]));
    assert_eq!(amounts.clone().filter(|amount| *amount > 0).sum::<i64>(), story::nanousd(&usage["notionalUsd"]));
    assert_eq!(amounts.sum::<i64>(), 0);
    assert_eq!(proof::ledger(studio, false).await, Vec::<Value>::new());
}

/// The pages of the timeline, one after the other, are in order and end with the run.
async fn timeline_tells_all(studio: &Studio, begun: &Begun, follower: &Follower) {
    let query = "query($id: ID!, $after: String) { session(id: $id) { timeline(first: 7, after: $after) { \
        nodes { position eventType title } pageInfo { hasNextPage endCursor } } } }";
    let (mut told, mut after) = (vec![], Value::Null);
    loop {
        let answer = studio.client.ask(query, json!({ "id": begun.session, "after": after })).await;
        let page = &answer["session"]["timeline"];
        told.extend(page["nodes"].as_array().unwrap().iter().cloned());
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
    let known: Vec<(&str, &str)> = follower.events.iter().map(|e| (e.position.as_str(), e.kind.as_str())).collect();
    let mut rest = known.iter();
    for line in &told {
        let line = (line["position"].as_str().unwrap(), line["eventType"].as_str().unwrap());
        assert!(rest.any(|event| *event == line), "{line:?} is an event of the session, in order");
    }
    assert_eq!(told.last().unwrap()["eventType"], "run.completed");
}
