//! Bad input: each with its stable code and a sentence, and nothing of it written.

use commands::ids::new_id;
use commands::{Commands, SessionStart};
use daybook_tests::{Client, Follower, Frame, Studio, http};
use domain::session::Origin;
use domain::text::MessageText;
use domain::{BookId, Role, RunId, SessionId, ToolCallId, UserId, Viewer};
use serde_json::{Value, json};

use crate::story::{self, Begun, CANCEL, DECIDE, SEND, START};

const READ_SESSIONS: &str = "query($first: Int!, $after: String) { sessions(first: $first, after: $after) { \
    nodes { id } } }";
const READ_TIMELINE: &str = "query($id: ID!, $after: String) { session(id: $id) { \
    timeline(after: $after) { nodes { position } } } }";

/// Asks, expects this code and a sentence, and that the book is where it was.
async fn refused(client: &Client, query: &str, variables: Value, code: &str) {
    let before = story::book_position(client).await;
    let (got, sentence) = client.refusal(query, variables.clone()).await;
    let shown: String = variables.to_string().chars().take(300).collect();
    assert_eq!(got, code, "{shown}: {sentence}");
    assert!(sentence.contains(' ') && sentence.len() < 400, "{shown}: {sentence}");
    assert_eq!(story::book_position(client).await, before, "{shown}: nothing is written");
}

fn start(text: &str) -> Value {
    json!({ "input": { "requestId": story::request_id(), "text": text } })
}

/// A session in which nothing works any more.
async fn quiet(studio: &Studio) -> Begun {
    let begun = story::begin(&studio.client, "hello").await;
    Follower::open(&studio.client, &begun.session, None).await.until_event("run.completed").await;
    begun
}

#[tokio::test]
async fn texts_outside_their_bounds_are_refused() {
    let studio = Studio::open().await;
    let client = &studio.client;
    let begun = quiet(&studio).await;
    for text in ["", " \n\t ", &"x".repeat(100_001), "a\0b"] {
        refused(client, START, start(text), "BAD_INPUT").await;
        let send = json!({ "requestId": story::request_id(), "sessionId": begun.session, "text": text });
        refused(client, SEND, json!({ "input": send }), "BAD_INPUT").await;
    }
    for title in ["x".repeat(201), "a\0b".into()] {
        let input = json!({ "requestId": story::request_id(), "text": "hello", "title": title });
        refused(client, START, json!({ "input": input }), "BAD_INPUT").await;
    }
    for reason in ["x".repeat(2_001), "a\0b".into()] {
        let input = json!({ "requestId": story::request_id(), "runId": begun.run, "reason": reason });
        refused(client, CANCEL, json!({ "input": input }), "BAD_INPUT").await;
    }
    // What lies exactly on the bound is taken, multi-byte letters and all.
    let longest = "ä".repeat(100_000);
    let begun = Begun::of(&client.ask(START, start(&longest)).await["sessionStart"]);
    let mut follower = Follower::open(client, &begun.session, None).await;
    follower.until_event("run.completed").await;
}

#[tokio::test]
async fn ids_that_are_unknown_malformed_or_of_another_kind_are_refused() {
    let studio = Studio::open().await;
    let client = &studio.client;
    let begun = quiet(&studio).await;
    let (session, run) = (new_id::<domain::id::SessionNoun>(), new_id::<domain::id::RunNoun>());
    let send =
        |session: &str| json!({ "input": { "requestId": story::request_id(), "sessionId": session, "text": "x" } });
    let cancel = |run: &str| json!({ "input": { "requestId": story::request_id(), "runId": run } });
    refused(client, SEND, send(&session.to_string()), "NOT_FOUND").await;
    refused(client, CANCEL, cancel(&run.to_string()), "NOT_FOUND").await;
    for id in [begun.run.as_str(), "", "session:", "session:nonsense", &session.uuid().to_string(), "session:\0"] {
        refused(client, SEND, send(id), "BAD_ID").await;
        refused(client, "query($id: ID!) { session(id: $id) { id } }", json!({ "id": id }), "BAD_ID").await;
    }
    refused(client, CANCEL, cancel(&begun.session), "BAD_ID").await;
    refused(client, "query($id: ID!) { run(id: $id) { id } }", json!({ "id": begun.session }), "BAD_ID").await;
    let ledger = "query($id: ID!) { ledger(sessionId: $id) { nodes { account } } }";
    refused(client, ledger, json!({ "id": begun.run }), "BAD_ID").await;
    let unknown = json!({ "id": session.to_string() });
    let none = client.ask("query($id: ID!) { session(id: $id) { id } }", unknown).await;
    assert_eq!(none, json!({ "session": null }));
    for id in [session.to_string(), begun.run] {
        let Some(Frame::Refused(error)) = Follower::open(client, &id, None).await.next().await else {
            panic!("{id} cannot be followed")
        };
        assert!(error.contains("NOT_FOUND") || error.contains("BAD_ID"), "{error}");
    }
}

#[tokio::test]
async fn pages_and_cursors_that_cannot_be_are_refused() {
    let studio = Studio::open().await;
    let client = &studio.client;
    let begun = quiet(&studio).await;
    for first in [0, 101, -1, i32::MIN] {
        refused(client, READ_SESSIONS, json!({ "first": first }), "BAD_INPUT").await;
        let ledger = "query($first: Int!) { ledger(first: $first) { nodes { account } } }";
        refused(client, ledger, json!({ "first": first }), "BAD_INPUT").await;
    }
    for after in ["nonsense", "", "1-", "-1", "1--1", "1-99999999999999999999", "1-\0"] {
        refused(client, READ_TIMELINE, json!({ "id": begun.session, "after": after }), "BAD_CURSOR").await;
    }
    refused(client, READ_TIMELINE, json!({ "id": begun.session, "after": "7-1" }), "CURSOR_EXPIRED").await;
    let ledger = "query($after: String) { ledger(after: $after) { nodes { account } } }";
    refused(client, ledger, json!({ "after": "1-1" }), "BAD_CURSOR").await;
    refused(client, READ_SESSIONS, json!({ "first": 1, "after": "1-1" }), "BAD_ID").await;
    let Some(Frame::Refused(error)) = Follower::open(client, &begun.session, Some("nonsense")).await.next().await
    else {
        panic!("there is nothing to follow after nonsense")
    };
    assert!(error.contains("BAD_CURSOR"), "{error}");
}

#[tokio::test]
async fn decisions_cannot_be_turned_round_or_made_up() {
    let studio = Studio::open().await;
    let client = &studio.client;
    let begun = story::begin(client, "count slowly").await;
    let mut follower = Follower::open(client, &begun.session, None).await;
    let asked = follower.until_event("approval.requested").await;
    let approval = asked.payload["approval_id"].as_str().unwrap();
    let decide = |approval: &str, answer: &str| json!({ "input": story::decision(&begun.run, approval, answer) });
    let made_up = new_id::<domain::id::ApprovalNoun>().to_string();
    refused(client, DECIDE, decide(&made_up, "GRANT"), "NOT_FOUND").await;
    let call = ToolCallId::new(approval.parse::<domain::ApprovalId>().unwrap().uuid()).to_string();
    refused(client, DECIDE, decide(&call, "GRANT"), "BAD_ID").await;

    client.ask(DECIDE, decide(approval, "DENY")).await;
    follower.until_event("run.completed").await;
    refused(client, DECIDE, decide(approval, "GRANT"), "ALREADY_DECIDED").await;
    let before = story::book_position(client).await;
    client.ask(DECIDE, decide(approval, "DENY")).await;
    assert_eq!(story::book_position(client).await, before, "the same again is already so");
    let cancel = json!({ "input": { "requestId": story::request_id(), "runId": begun.run } });
    refused(client, CANCEL, cancel, "CONFLICT").await;
    let retry = "mutation($input: RunRetryInput!) { runRetry(input: $input) { position } }";
    let input = json!({ "input": { "requestId": story::request_id(), "runId": begun.run } });
    refused(client, retry, input, "CONFLICT").await;
}

#[tokio::test]
async fn request_ids_are_of_version_7_and_good_for_one_input() {
    let studio = Studio::open().await;
    let client = &studio.client;
    let begun = quiet(&studio).await;
    let input = |id: &str, text: &str| json!({ "input": { "requestId": id, "text": text } });
    for id in ["request:6ba7b810-9dad-41d1-80b4-00c04fd430c8", "nonsense", "", &begun.run] {
        refused(client, START, input(id, "hello"), "BAD_ID").await;
    }
    let id = story::request_id();
    let first = client.ask(START, input(&id, "hello")).await;
    let again = client.ask(START, input(&id, "hello")).await;
    assert_eq!(first, again);
    let begun = Begun::of(&first["sessionStart"]);
    Follower::open(client, &begun.session, None).await.until_event("run.completed").await;
    refused(client, START, input(&id, "something else"), "REQUEST_REUSED").await;
    let send = json!({ "input": { "requestId": id, "sessionId": begun.session, "text": "hello" } });
    refused(client, SEND, send, "REQUEST_REUSED").await;
}

#[tokio::test]
async fn questions_that_are_too_deep_or_too_wide_are_refused() {
    let studio = Studio::open().await;
    let client = &studio.client;
    let before = story::book_position(client).await;
    let deep = format!("{{ __schema {{ types {{ {} name {} }} }} }}", "ofType { ".repeat(20), "} ".repeat(20));
    let wide: String = (0..1_001).map(|index| format!("a{index}: book {{ position }} ")).collect();
    for query in [deep, format!("{{ {wide} }}"), "{ nonsense }".into(), "{".into(), String::new()] {
        let answer = client.send(&query, json!({})).await.unwrap();
        assert!(answer["errors"][0]["message"].is_string() && answer["data"].is_null(), "{answer}");
    }
    assert_eq!(story::book_position(client).await, before);
}

#[tokio::test]
async fn who_is_not_signed_in_or_comes_from_elsewhere_gets_nothing() {
    let studio = Studio::open().await;
    let begun = quiet(&studio).await;
    let stranger = Client { cookie: "daybook_session=made-up".into(), ..studio.client.clone() };
    let before = story::book_position(&studio.client).await;
    let reads = [
        "{ viewer { name } }",
        "{ book { position } }",
        "{ sessions { totalCount } }",
        "{ ledger { nodes { account } } }",
    ];
    for query in reads {
        assert_eq!(stranger.refusal(query, json!({})).await.0, "UNAUTHENTICATED", "{query}");
    }
    assert_eq!(stranger.refusal(START, start("hello")).await.0, "UNAUTHENTICATED");
    let followed = Follower::open(&stranger, &begun.session, None).await.next().await;
    assert!(matches!(&followed, Some(Frame::Refused(error)) if error.contains("UNAUTHENTICATED")), "{followed:?}");

    let address = &studio.client.address;
    let port = address.rsplit_once(':').unwrap().1;
    let own = studio.client.headers();
    let own = own.lines().filter(|line| !line.starts_with("Origin")).map(|line| format!("{line}\r\n"));
    let own: String = own.collect();
    let body = Client::body(START, &start("hello"));
    for foreign in [
        format!("Host: evil.example:{port}\r\n"),
        "Host: 127.0.0.1:1\r\n".into(),
        "Origin: http://evil.example\r\n".into(),
        "Origin: null\r\n".into(),
        "Origin: http://127.0.0.1:1\r\n".into(),
    ] {
        let headers = format!("{foreign}{own}");
        let answer = http::exchange(address, "POST", "/graphql", &headers, &body).await.unwrap();
        assert_eq!(answer.status, 403, "{foreign}");
        assert!(answer.body.contains("FORBIDDEN"), "{}", answer.body);
        let upgrade =
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
        let answer = http::exchange(address, "GET", "/graphql/ws", &format!("{headers}{upgrade}"), "").await.unwrap();
        assert_eq!(answer.status, 403, "{foreign}");
    }
    let expired = http::exchange(address, "GET", "/sign-in?token=made-up", "", "").await.unwrap();
    assert_eq!(expired.status, 401);
    assert!(expired.header("set-cookie").is_none());
    assert_eq!(story::book_position(&studio.client).await, before);
}

#[tokio::test]
async fn another_organisations_sessions_do_not_exist() {
    let studio = Studio::open().await;
    let client = &studio.client;
    let (session, run) = elsewhere(&studio.database.commands().await).await;
    let (session, run) = (session.to_string(), run.to_string());
    let read = "query($id: ID!) { session(id: $id) { id title } }";
    assert_eq!(client.ask(read, json!({ "id": session })).await, json!({ "session": null }));
    let read = "query($id: ID!) { run(id: $id) { id task } }";
    assert_eq!(client.ask(read, json!({ "id": run })).await, json!({ "run": null }));
    assert_eq!(client.ask("{ sessions { totalCount } }", json!({})).await["sessions"]["totalCount"], 0);
    let send = json!({ "requestId": story::request_id(), "sessionId": session, "text": "x" });
    refused(client, SEND, json!({ "input": send }), "NOT_FOUND").await;
    let cancel = json!({ "input": { "requestId": story::request_id(), "runId": run } });
    refused(client, CANCEL, cancel, "NOT_FOUND").await;
    let decide = story::decision(&run, &new_id::<domain::id::ApprovalNoun>().to_string(), "GRANT");
    refused(client, DECIDE, json!({ "input": decide }), "NOT_FOUND").await;
    let followed = Follower::open(client, &session, None).await.next().await;
    assert!(matches!(&followed, Some(Frame::Refused(error)) if error.contains("NOT_FOUND")), "{followed:?}");
}

/// A session of another organisation on the same installation.
async fn elsewhere(commands: &Commands) -> (SessionId, RunId) {
    let (book_id, user_id): (BookId, UserId) = (new_id(), new_id());
    let viewer = Viewer { user_id, book_id, role: Role::Admin, name: "somebody else".into() };
    let start = SessionStart {
        text: MessageText::parse("text", "a secret of theirs").unwrap(),
        title: None,
        approval_policy: domain::run::ApprovalPolicy::default(),
        origin: Origin::Web,
        model: "scripted/scripted".into(),
    };
    let started = commands.session_start(&viewer, new_id(), start).await.unwrap().answer;
    (started.session_id, started.run_id)
}
