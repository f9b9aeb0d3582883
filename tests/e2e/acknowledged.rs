//! What was acknowledged is there after a loss of power, and what was asked twice is done once.

use daybook_tests::{Client, Follower, Studio, http};
use serde_json::{Value, json};

use crate::proof::{self, count};
use crate::story::{self, Begun, START};

/// How often a request is cut off in flight; each time it gets a different distance.
const ROUNDS: usize = 4;

#[tokio::test]
async fn a_session_that_was_acknowledged_is_there_after_a_kill() {
    let mut studio = Studio::open().await;
    let input = json!({ "input": { "requestId": story::request_id(), "text": "hello" } });
    let first = studio.client.ask(START, input.clone()).await["sessionStart"].take();
    studio.kill().await;
    studio.restart().await;
    let again = studio.client.ask(START, input).await["sessionStart"].take();
    assert_eq!(first, again, "the same request gets the first answer, position included");
    let mut follower = Follower::open(&studio.client, &Begun::of(&first).session, None).await;
    follower.until_event("run.completed").await;
    let log = proof::log(&studio).await;
    assert_eq!((count(&log, "session.started"), count(&log, "run.requested")), (1, 1));
    proof::holds(&studio).await;
}

#[tokio::test]
async fn a_message_that_was_acknowledged_is_there_after_a_kill() {
    let mut studio = Studio::open().await;
    let begun = story::begin(&studio.client, "hello").await;
    Follower::open(&studio.client, &begun.session, None).await.until_event("run.completed").await;
    let input = json!({ "requestId": story::request_id(), "sessionId": begun.session, "text": "hello again" });
    let input = json!({ "input": input });
    let first = studio.client.ask(story::SEND, input.clone()).await["messageSend"].take();
    studio.kill().await;
    studio.restart().await;
    let again = studio.client.ask(story::SEND, input).await["messageSend"].take();
    assert_eq!(first, again);
    assert_ne!(Begun::of(&first).run, begun.run, "the run before was over, so there is a second one");
    let mut follower = Follower::open(&studio.client, &begun.session, None).await;
    follower.until_event("run.completed").await;
    follower.until_event("run.completed").await;
    assert_eq!(follower.of_kind("message.received").len(), 2);
    proof::holds(&studio).await;
}

#[tokio::test]
async fn a_request_that_was_cut_off_in_flight_takes_effect_once() {
    let mut studio = Studio::open().await;
    let mut sessions = vec![];
    for round in 0..ROUNDS {
        let input = json!({ "input": { "requestId": story::request_id(), "text": format!("hello {round}") } });
        // The bytes are on their way; the later the round, the more of the server's work is done when it dies.
        let socket = send(&studio.client, START, &input).await;
        for _ in 0..round {
            story::book_position(&studio.client).await;
        }
        studio.kill().await;
        drop(socket);
        studio.restart().await;
        let first = studio.client.ask(START, input.clone()).await["sessionStart"].take();
        let again = studio.client.ask(START, input).await["sessionStart"].take();
        assert_eq!(first, again);
        sessions.push(Begun::of(&first));
    }
    let log = proof::log(&studio).await;
    assert_eq!((count(&log, "session.started"), count(&log, "run.requested")), (ROUNDS, ROUNDS));
    for begun in sessions {
        let mut follower = Follower::open(&studio.client, &begun.session, None).await;
        follower.until_event("run.completed").await;
    }
    proof::holds(&studio).await;
}

#[tokio::test]
async fn a_decision_that_was_acknowledged_is_not_asked_for_again() {
    let mut studio = Studio::open().await;
    let begun = story::begin(&studio.client, "count slowly").await;
    let mut follower = Follower::open(&studio.client, &begun.session, None).await;
    let asked = follower.until_event("approval.requested").await;
    let decision = story::decision(&begun.run, asked.payload["approval_id"].as_str().unwrap(), "DENY");
    let input = json!({ "input": decision });
    let first = studio.client.ask(story::DECIDE, input.clone()).await["approvalDecide"]["position"].take();
    studio.kill().await;
    studio.restart().await;
    let again = studio.client.ask(story::DECIDE, input).await["approvalDecide"]["position"].take();
    assert_eq!(first, again);
    let mut follower = Follower::open(&studio.client, &begun.session, None).await;
    follower.until_event("run.completed").await;
    assert_eq!(follower.of_kind("approval.requested").len(), 1);
    assert_eq!(follower.of_kind("approval.denied").len(), 1);
    assert_eq!(follower.of_kind("tool_call.started").len(), 0);
    proof::holds(&studio).await;
}

async fn send(client: &Client, query: &str, variables: &Value) -> tokio::net::TcpStream {
    let body = Client::body(query, variables);
    http::send(&client.address, "POST", "/graphql", &client.headers(), &body).await.expect("the server listens")
}
