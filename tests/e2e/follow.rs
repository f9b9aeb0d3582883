//! Following a session over a socket: complete, in order, resumable anywhere.

use std::collections::BTreeMap;
use std::time::Duration;

use daybook_tests::{Event, Follower, Frame, Studio, upgrade};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use sqlx::Executor;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::proof;
use crate::story;

/// How often the socket is cut while the run works.
const CUTS: usize = 5;
/// Several times as long as a sign-in that is over may go on.
const SOON: Duration = Duration::from_secs(60);
const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/examples/off-by-one.traj");

#[tokio::test]
async fn a_follower_resumes_after_any_event_with_exactly_the_rest() {
    let studio = Studio::open().await;
    let said = studio.say(&["import", EXAMPLE, "--json"]).await;
    let imported: serde_json::Value = serde_json::from_str(said.trim()).unwrap();
    let session = imported["session"].as_str().unwrap();
    let mut whole = Follower::open(&studio.client, session, None).await;
    whole.until_caught_up().await;
    let positions: Vec<&str> = whole.events.iter().map(|event| event.position.as_str()).collect();
    assert!(positions.len() > 20, "{positions:?}");
    assert_eq!(positions, proof::session_positions(&studio, session).await);
    for (index, after) in positions.iter().enumerate() {
        // `Follower` checks that `prev` is `after`.
        let mut rest = Follower::open(&studio.client, session, Some(after)).await;
        rest.until_caught_up().await;
        assert_eq!(rest.events, whole.events[index + 1..], "after {after}");
    }
    let mut before_all = Follower::open(&studio.client, session, None).await;
    before_all.until_caught_up().await;
    assert_eq!(before_all.events, whole.events);
}

#[tokio::test]
async fn a_follower_whose_socket_is_cut_five_times_has_exactly_the_log() {
    let studio = Studio::open().await;
    let begun = story::begin_trusted(&studio.client, "demo").await;
    let mut events = vec![];
    for cut in 0..CUTS {
        let last = events.last().map(|event: &Event| event.position.clone());
        let mut follower = Follower::open(&studio.client, &begun.session, last.as_deref()).await;
        // The run has moved on, and stands in the middle of a text.
        follower.until(|frame| matches!(frame, Frame::Events(_))).await;
        follower.until_live(if cut % 2 == 0 { "TEXT" } else { "THINKING" }).await;
        events.extend(follower.events);
    }
    let last = events.last().map(|event| event.position.clone());
    let mut follower = Follower::open(&studio.client, &begun.session, last.as_deref()).await;
    follower.until_event("run.completed").await;
    events.extend(follower.events);

    let mut whole = Follower::open(&studio.client, &begun.session, None).await;
    whole.until_caught_up().await;
    assert_eq!(events, whole.events);
    let positions: Vec<&str> = events.iter().map(|event| event.position.as_str()).collect();
    assert_eq!(positions, proof::session_positions(&studio, &begun.session).await);
}

#[tokio::test]
async fn who_comes_in_the_middle_of_a_text_gets_it_from_its_beginning() {
    let studio = Studio::open().await;
    let begun = story::begin(&studio.client, "hello").await;
    let mut first = Follower::open(&studio.client, &begun.session, None).await;
    let mut live = first.until_live("TEXT").await;
    for _ in 0..5 {
        live = first.until_live("TEXT").await;
    }
    let so_far = first.texts[&live.item].clone();
    let mut second = Follower::open(&studio.client, &begun.session, None).await;
    let opening = second.until_live("TEXT").await;
    assert_eq!((opening.offset, &opening.item), (0, &live.item));
    assert!(opening.text.starts_with(&so_far), "{:?} begins with {so_far:?}", opening.text);

    for follower in [&mut first, &mut second] {
        let said = follower.until_event("assistant_message.completed").await;
        let said = said.payload["content"]["text"].as_str().unwrap();
        assert_eq!(follower.texts[&live.item], said, "what was shown live is what was said");
        follower.until_event("run.completed").await;
    }
    assert_eq!(first.events, second.events);
}

#[tokio::test]
async fn a_quiet_session_says_how_far_it_is() {
    let studio = Studio::open().await;
    let begun = story::begin(&studio.client, "hello").await;
    let mut follower = Follower::open(&studio.client, &begun.session, None).await;
    follower.until_event("run.completed").await;
    let last = follower.events.last().unwrap().position.clone();
    let mut late = Follower::open(&studio.client, &begun.session, Some(&last)).await;
    assert_eq!(late.next().await, Some(Frame::CaughtUp(last)));
    let beat = late.until(|frame| matches!(frame, Frame::Heartbeat(_))).await;
    assert_eq!(beat, Frame::Heartbeat(story::book_position(&studio.client).await));
    assert_eq!(late.events, []);
}

#[tokio::test]
async fn who_is_signed_out_meanwhile_is_told_so_and_gets_nothing_more() {
    let studio = Studio::open().await;
    let begun = story::begin(&studio.client, "hello").await;
    let mut follower = Follower::open(&studio.client, &begun.session, None).await;
    follower.until_event("run.completed").await;
    studio.database.pool.execute("DELETE FROM secrets WHERE kind = 'cookie'").await.unwrap();
    let refusal = loop {
        match follower.next().await {
            Some(Frame::Refused(refusal)) => break refusal,
            Some(_) => {}
            None => panic!("the stream ends with a reason"),
        }
    };
    assert!(refusal.contains("UNAUTHENTICATED"), "{refusal}");
    assert_eq!(follower.next().await, None);
}

/// A socket on which anything can be asked, by name.
struct Socket {
    socket: WebSocketStream<TcpStream>,
    /// What came last for each question.
    answers: BTreeMap<String, Value>,
}

impl Socket {
    async fn open(studio: &Studio) -> Self {
        let stream = TcpStream::connect(&studio.client.address).await.unwrap();
        let (socket, _) = tokio_tungstenite::client_async(upgrade(&studio.client), stream).await.unwrap();
        let mut opened = Self { socket, answers: BTreeMap::new() };
        opened.send(json!({ "type": "connection_init" })).await;
        opened
    }

    async fn send(&mut self, message: Value) {
        self.socket.send(Message::text(message.to_string())).await.unwrap();
    }

    async fn ask(&mut self, name: &str, query: &str, variables: Value) {
        let payload = json!({ "query": query, "variables": variables });
        self.send(json!({ "id": name, "type": "subscribe", "payload": payload })).await;
    }

    /// Reads until the last answer to each of these questions is as wanted.
    async fn until(&mut self, names: &[&str], wanted: impl Fn(&Value) -> bool) {
        let reading = async {
            while !names.iter().all(|name| self.answers.get(*name).is_some_and(&wanted)) {
                let Message::Text(text) = self.socket.next().await.unwrap().unwrap() else { continue };
                let message: Value = serde_json::from_str(&text).unwrap();
                if let (Some("next"), Some(name)) = (message["type"].as_str(), message["id"].as_str()) {
                    self.answers.insert(name.to_owned(), message["payload"].clone());
                }
            }
        };
        if tokio::time::timeout(SOON, reading).await.is_err() {
            panic!("{names:?} were not answered as wanted: {:?}", self.answers);
        }
    }
}

#[tokio::test]
async fn who_is_signed_out_meanwhile_asks_and_follows_nothing_more_on_an_open_socket() {
    let studio = Studio::open().await;
    story::begin(&studio.client, "hello").await;
    studio.say(&["rebuild", "timeline"]).await;
    let mut socket = Socket::open(&studio).await;
    socket.ask("changes", "subscription { sessionsChanged { position } }", json!({})).await;
    let progress = "subscription { projectionRebuildProgress(name: \"timeline\") { phase } }";
    socket.ask("progress", progress, json!({})).await;
    socket.ask("viewer", "{ viewer { name } }", json!({})).await;
    socket.until(&["changes", "progress", "viewer"], |answer| answer["data"].is_object()).await;
    studio.database.pool.execute("DELETE FROM secrets WHERE kind = 'cookie'").await.unwrap();
    let refused = |answer: &Value| answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED";
    socket.until(&["changes", "progress"], refused).await;
    let input = json!({ "requestId": story::request_id(), "text": "hello" });
    socket.ask("query", "{ viewer { name } }", json!({})).await;
    socket.ask("mutation", story::START, json!({ "input": input })).await;
    socket.until(&["query", "mutation"], refused).await;
}
