//! The past over the API and in the terminal: what was shown then is shown again.

use daybook_tests::{Client, Follower, Studio};
use serde_json::{Value, json};

use crate::story::{self, Begun};

const SESSION: &str = "query($id: ID!, $asOf: AsOf) { session(id: $id, asOf: $asOf) { title position pendingApprovals \
    runs { id phase status steps toolCalls { id status } usage { calls notionalUsd } } latestRun { id status } \
    files { path version } usage { calls notionalUsd reservedUsd } timeline { nodes { position title } } } }";
const RUN: &str = "query($id: ID!, $asOf: AsOf) { run(id: $id, asOf: $asOf) { id phase status steps \
    toolCalls { id status } usage { calls notionalUsd } } }";
const LEDGER: &str = "query($asOf: AsOf) { ledger(asOf: $asOf, includeMemo: true, first: 100) { \
    nodes { position amountUsd } } }";
const FIELDS: &str = "query($id: ID!, $asOf: AsOf) { session(id: $id) { files(asOf: $asOf) { path } \
    usage(asOf: $asOf) { calls } } }";

/// Everything that is shown of a session, now or then.
async fn shown(client: &Client, begun: &Begun, as_of: Value) -> [Value; 3] {
    let mut session = client.ask(SESSION, json!({ "id": begun.session, "asOf": as_of })).await;
    let mut run = client.ask(RUN, json!({ "id": begun.run, "asOf": as_of })).await;
    let mut ledger = client.ask(LEDGER, json!({ "asOf": as_of })).await;
    [session["session"].take(), run["run"].take(), ledger["ledger"].take()]
}

#[tokio::test]
async fn what_was_shown_is_shown_again() {
    let studio = Studio::open().await;
    let client = &studio.client;
    let begun = story::begin(client, "demo").await;
    let mut follower = Follower::open(client, &begun.session, None).await;
    // The run waits for an answer: what is shown now stands still.
    follower.until_event("approval.requested").await;
    let waiting = story::session_when(client, &begun, |session| session["pendingApprovals"] == 1).await;
    let then = shown(client, &begun, Value::Null).await;
    let position = waiting["position"].clone();
    let as_of = json!({ "position": position });
    assert_eq!(shown(client, &begun, as_of.clone()).await, then);

    let asked = follower.events.iter().rev().find(|event| event.kind == "approval.requested").unwrap();
    let approval = asked.payload["approval_id"].as_str().unwrap();
    let decision = json!({ "input": story::decision(&begun.run, approval, "GRANT") });
    client.ask(story::DECIDE, decision).await;
    follower.until_event("run.completed").await;
    let now = story::session_after(client, &begun, &follower).await;
    assert_ne!(now["position"], position);
    assert_eq!(shown(client, &begun, as_of.clone()).await, then, "later events change nothing of it");
    assert_ne!(shown(client, &begun, Value::Null).await, then);
    let fields = client.ask(FIELDS, json!({ "id": begun.session, "asOf": as_of })).await["session"].take();
    assert_eq!(fields["usage"]["calls"], then[0]["usage"]["calls"]);
    assert_eq!(fields["files"].as_array().unwrap().len(), then[0]["files"].as_array().unwrap().len());

    // By time: the moment at which the waiting event was written down.
    let at = json!({ "id": begun.session, "after": null });
    let lines =
        client.ask("query($id: ID!) { session(id: $id) { timeline { nodes { position recordedAt } } } }", at).await;
    let lines = lines["session"]["timeline"]["nodes"].as_array().unwrap().clone();
    let line = lines.iter().find(|line| line["position"] == position).unwrap();
    assert_eq!(shown(client, &begun, json!({ "time": line["recordedAt"] })).await[0], then[0]);
    let before_all = shown(client, &begun, json!({ "time": "2001-01-01T00:00:00Z" })).await;
    assert_eq!((&before_all[0], &before_all[1]), (&Value::Null, &Value::Null), "it had not begun");
    assert_eq!(before_all[2]["nodes"], json!([]));

    let ask = |as_of: Value| json!({ "id": begun.session, "asOf": as_of });
    let (code, words) = client.refusal(SESSION, ask(json!({ "position": "1-999999" }))).await;
    assert!(code == "BAD_INPUT" && words.starts_with("asOf.position"), "{code} {words}");
    assert_eq!(client.refusal(SESSION, ask(json!({ "position": "nonsense" }))).await.0, "BAD_CURSOR");
    assert_eq!(client.refusal(SESSION, ask(json!({ "position": "7-1" }))).await.0, "CURSOR_EXPIRED");
    let both = json!({ "position": position, "time": "2001-01-01T00:00:00Z" });
    assert_eq!(client.refusal(SESSION, ask(both)).await.0, "BAD_QUERY");

    let bare = position.as_str().unwrap().split_once('-').unwrap().1;
    let all = studio.say(&["timeline", &begun.session, "--json"]).await;
    let some = studio.say(&["timeline", &begun.session, "--json", "--as-of", bare]).await;
    assert!(all.starts_with(&some) && some.lines().count() < all.lines().count());
    assert_eq!(studio.say(&["sessions", "--json", "--as-of", bare]).await.lines().count(), 1);
    assert_eq!(studio.say(&["sessions", "--json", "--as-of", "2001-01-01T00:00:00Z"]).await, "");
    assert_eq!(studio.daybook(&["sessions", "--as-of", "yesterday"]).await.status.code(), Some(2));
}
