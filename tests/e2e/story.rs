//! What tests ask of a session, in the words of the API.

use std::time::Duration;

use commands::ids::new_id;
use daybook_tests::{Client, Follower};
use serde_json::{Value, json};

/// How long a condition may take to come true; several times what is promised.
const WATCHDOG: Duration = Duration::from_secs(300);
/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub const START: &str = "mutation($input: SessionStartInput!) { sessionStart(input: $input) { \
    session { id } run { id } position } }";
pub const SEND: &str = "mutation($input: MessageSendInput!) { messageSend(input: $input) { \
    session { id } run { id } position } }";
pub const DECIDE: &str = "mutation($input: ApprovalDecideInput!) { approvalDecide(input: $input) { \
    run { status } position } }";
pub const CANCEL: &str =
    "mutation($input: RunCancelInput!) { runCancel(input: $input) { run { status outcome } position } }";
const SESSION: &str = "query($id: ID!) { session(id: $id) { title pendingApprovals position \
    latestRun { id phase status outcome waitingFor steps testsPassed testsFailed fixAttempts summary endedAt \
      error { kind userAction retryable message } toolCalls { id tool status output exitCode approval { decision } } } \
    files { path deleted content bytes } \
    usage { calls inputTokens outputTokens estimatedCalls meteredUsd notionalUsd reservedUsd } } }";

/// A session and its newest run.
#[derive(Debug, Clone, PartialEq)]
pub struct Begun {
    pub session: String,
    pub run: String,
}

impl Begun {
    /// From the payload of a mutation.
    pub fn of(payload: &Value) -> Self {
        let id = |noun: &str| payload[noun]["id"].as_str().expect("the API names it").to_owned();
        Self { session: id("session"), run: id("run") }
    }
}

/// A request id that nobody used.
pub fn request_id() -> String {
    new_id::<domain::id::RequestNoun>().to_string()
}

/// Begins a session.
pub async fn begin(client: &Client, text: &str) -> Begun {
    let input = json!({ "requestId": request_id(), "text": text });
    Begun::of(&client.ask(START, json!({ "input": input })).await["sessionStart"])
}

/// Begins a session in which nothing asks.
pub async fn begin_trusted(client: &Client, text: &str) -> Begun {
    let input = json!({ "requestId": request_id(), "text": text, "approvalPolicy": "TRUSTED" });
    Begun::of(&client.ask(START, json!({ "input": input })).await["sessionStart"])
}

/// What the answer to a question is made of.
pub fn decision(run: &str, approval: &str, answer: &str) -> Value {
    json!({ "requestId": request_id(), "runId": run, "approvalId": approval, "answer": answer })
}

/// Waits for the next question and answers it.
pub async fn answer(client: &Client, follower: &mut Follower, begun: &Begun, answer: &str) {
    let asked = follower.until_event("approval.requested").await;
    let approval = asked.payload["approval_id"].as_str().expect("a question has an id");
    client.ask(DECIDE, json!({ "input": decision(&begun.run, approval, answer) })).await;
}

/// The session as the API shows it.
pub async fn session(client: &Client, begun: &Begun) -> Value {
    client.ask(SESSION, json!({ "id": begun.session })).await["session"].take()
}

/// The session once the read models have taken in all that a follower has seen; a follower may be ahead of them.
pub async fn session_after(client: &Client, begun: &Begun, follower: &Follower) -> Value {
    let place = |cursor: &str| cursor.split_once('-').and_then(|(_, at)| at.parse::<i64>().ok());
    let seen = follower.events.last().and_then(|event| place(&event.position));
    session_when(client, begun, |session| session["position"].as_str().and_then(place) >= seen).await
}

/// Waits until the session is as wanted, and answers it.
pub async fn session_when(client: &Client, begun: &Begun, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    let looking = async {
        loop {
            looks.tick().await;
            let session = session(client, begun).await;
            if wanted(&session) {
                return session;
            }
        }
    };
    tokio::time::timeout(WATCHDOG, looking).await.expect("the session comes to be as wanted")
}

/// Waits until a condition of the machine holds.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    let looking = async {
        while !holds().await {
            looks.tick().await;
        }
    };
    if tokio::time::timeout(WATCHDOG, looking).await.is_err() {
        panic!("it did not come to pass: {what}");
    }
}

/// The newest position of the viewer's log.
pub async fn book_position(client: &Client) -> String {
    let book = client.ask("{ book { position } }", json!({})).await;
    book["book"]["position"].as_str().expect("a cursor").to_owned()
}

/// The content of a file of a session, as the API shows it.
pub fn file<'a>(session: &'a Value, path: &str) -> Option<&'a str> {
    let files = session["files"].as_array().expect("a list");
    files.iter().find(|file| file["path"] == path).and_then(|file| file["content"].as_str())
}

/// An amount in billionths of a dollar, from the decimal that the API shows.
pub fn nanousd(amount: &Value) -> i64 {
    let text = amount.as_str().expect("amounts are decimals");
    domain::NanoUsd::parse_usd(text).expect("amounts are decimals").0
}
