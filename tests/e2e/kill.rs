//! The server dies without a word, in the worst moments, and is started again on the same data.

use std::time::Instant;

use daybook_tests::{Event, Follower, Studio};

use crate::proof;
use crate::story::{self, Begun};

#[tokio::test]
async fn a_model_turn_that_was_cut_off_is_charged_by_estimate_and_taken_again() {
    let mut studio = Studio::open().await;
    let begun = story::begin(&studio.client, "demo").await;
    let mut follower = Follower::open(&studio.client, &begun.session, None).await;
    follower.until_live("TEXT").await;
    studio.kill().await;
    let seen = follower.events;

    let mut follower = again(&mut studio, &begun, &seen, "step.started").await;
    let interrupted = follower.of_kind("step.interrupted");
    assert_eq!(interrupted.len(), 1);
    let cut_off = interrupted[0].payload["llm_call_id"].clone();
    let metered = follower.of_kind("usage.metered");
    let of_it = metered.iter().find(|event| event.payload["llm_call_id"] == cut_off).unwrap();
    assert_eq!(of_it.payload["usage_source"], "estimated");
    assert_eq!(follower.of_kind("step.started").last().unwrap().payload["attempt"], 2);

    story::answer(&studio.client, &mut follower, &begun, "GRANT").await;
    follower.until_event("run.completed").await;
    let session = story::session_after(&studio.client, &begun, &follower).await;
    assert_eq!(session["latestRun"]["outcome"], "SUCCEEDED");
    assert_eq!(session["usage"]["estimatedCalls"], 1);
    proof::begins_with(&seen, &follower.events);
    proof::holds(&studio).await;
}

#[tokio::test]
async fn a_tool_call_that_was_cut_off_is_orphaned_and_never_made_again() {
    let mut studio = Studio::open().await;
    let begun = story::begin(&studio.client, "count slowly").await;
    let mut follower = Follower::open(&studio.client, &begun.session, None).await;
    story::answer(&studio.client, &mut follower, &begun, "GRANT").await;
    follower.until_live("TOOL_OUTPUT").await;
    follower.until_live("TOOL_OUTPUT").await;
    let folder = studio.folder.path().file_name().unwrap().to_string_lossy().into_owned();
    assert!(sandboxed(&folder) > 0, "the command runs in a sandbox");
    studio.kill().await;
    let seen = follower.events;
    story::eventually("nothing of the sandbox lives on", async || sandboxed(&folder) == 0).await;

    let mut follower = again(&mut studio, &begun, &seen, "tool_call.orphaned").await;
    let orphaned = follower.of_kind("tool_call.orphaned")[0].payload["tool_call_id"].clone();
    // The model is told, asks again, and a person is asked again.
    story::answer(&studio.client, &mut follower, &begun, "GRANT").await;
    follower.until_event("run.completed").await;
    let started = follower.of_kind("tool_call.started");
    assert_eq!(started.iter().filter(|event| event.payload["tool_call_id"] == orphaned).count(), 1);
    assert_eq!(started.len(), 2);
    let session = story::session_after(&studio.client, &begun, &follower).await;
    assert_eq!(session["latestRun"]["outcome"], "SUCCEEDED");
    assert_eq!(session["latestRun"]["toolCalls"][0]["status"], "ORPHANED");
    assert_eq!(session["latestRun"]["toolCalls"][1]["output"], "1\n2\n3\n4\n5\n");
    proof::begins_with(&seen, &follower.events);
    proof::holds(&studio).await;
}

#[tokio::test]
async fn a_question_that_waited_still_waits_and_can_be_answered() {
    let mut studio = Studio::open().await;
    let begun = story::begin(&studio.client, "count slowly").await;
    let mut follower = Follower::open(&studio.client, &begun.session, None).await;
    let asked = follower.until_event("approval.requested").await;
    let waiting =
        |session: &serde_json::Value| session["pendingApprovals"] == 1 && session["latestRun"]["status"] == "WAITING";
    let before = story::session_when(&studio.client, &begun, waiting).await;
    studio.kill().await;
    let seen = follower.events;

    let began = Instant::now();
    studio.restart().await;
    let after = story::session_when(&studio.client, &begun, waiting).await;
    println!("after the kill the question waits again in {:.1} s", began.elapsed().as_secs_f64());
    assert_eq!(before, after);
    let mut follower = Follower::open(&studio.client, &begun.session, None).await;
    follower.until_caught_up().await;
    assert_eq!(seen, follower.events);
    let approval = asked.payload["approval_id"].as_str().unwrap();
    let decision = story::decision(&begun.run, approval, "GRANT");
    studio.client.ask(story::DECIDE, serde_json::json!({ "input": decision })).await;
    follower.until_event("run.completed").await;
    assert_eq!(follower.of_kind("approval.requested").len(), 1);
    proof::holds(&studio).await;
}

#[tokio::test]
async fn a_server_that_is_asked_to_stop_leaves_its_work_to_the_next_one() {
    let mut studio = Studio::open().await;
    let begun = story::begin(&studio.client, "hello").await;
    let mut follower = Follower::open(&studio.client, &begun.session, None).await;
    follower.until_live("TEXT").await;
    let seen = follower.events.clone();
    drop(follower);
    studio.stop().await;
    let mut follower = again(&mut studio, &begun, &seen, "step.started").await;
    follower.until_event("run.completed").await;
    proof::holds(&studio).await;
}

/// Starts the server again and follows until an event comes that shows that the run works; says how long that took.
async fn again(studio: &mut Studio, begun: &Begun, seen: &[Event], sign: &str) -> Follower {
    let began = Instant::now();
    studio.restart().await;
    let listens = began.elapsed();
    let last = seen.last().map(|event| event.position.clone());
    let mut rest = Follower::open(&studio.client, &begun.session, last.as_deref()).await;
    rest.until_event(sign).await;
    let (listens, works) = (listens.as_secs_f64(), began.elapsed().as_secs_f64());
    println!("after the kill the server listens in {listens:.1} s and the run works again in {works:.1} s");
    let mut all = Follower::open(&studio.client, &begun.session, None).await;
    all.until_caught_up().await;
    proof::begins_with(seen, &all.events);
    all.looked_at = seen.len();
    all
}

/// How many processes see a workspace below this folder: a sandbox has it mounted.
fn sandboxed(folder: &str) -> usize {
    let processes = std::fs::read_dir("/proc").expect("Linux has /proc").filter_map(Result::ok);
    let mounts = processes.filter_map(|process| std::fs::read_to_string(process.path().join("mountinfo")).ok());
    mounts.filter(|mounts| mounts.contains(folder)).count()
}
