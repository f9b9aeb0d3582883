//! A follower of a session: GraphQL over WebSocket, with the proof that nothing is missing.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;

use crate::Client;

/// How long anything may take that is awaited here; several times what is promised.
const WATCHDOG: Duration = Duration::from_secs(300);
const FOLLOW: &str = "subscription($id: ID!, $after: String) { sessionEvents(sessionId: $id, after: $after) { \
    __typename \
    ... on EventsFrame { prev events { position eventType eventVersion streamId sequence runId actorId occurredAt \
      recordedAt payload } } \
    ... on LiveFrame { runId itemId kind offset text done } \
    ... on CaughtUpFrame { position } ... on HeartbeatFrame { position } ... on FellBehindFrame { position } } }";

/// An event as a follower gets it.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The cursor.
    pub position: String,
    /// `noun.verb_past`.
    pub kind: String,
    /// The stream.
    pub stream: String,
    /// Its place in the stream.
    pub sequence: i64,
    /// The run, where it is one's.
    pub run: Option<String>,
    /// Everything else that was sent with it.
    pub rest: Value,
    /// What it says.
    pub payload: Value,
}

/// What comes over the subscription.
#[derive(Debug, Clone, PartialEq)]
pub enum Frame {
    /// New events; they are in `Follower::events` too.
    Events(Vec<Event>),
    /// Text while it is written: item, kind, offset, text, done.
    Live(Live),
    /// All of the past has come.
    CaughtUp(String),
    /// Nothing new.
    Heartbeat(String),
    /// Live text was lost.
    FellBehind(String),
    /// The subscription was refused.
    Refused(String),
}

/// Text while it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Live {
    /// What is written.
    pub item: String,
    /// `THINKING`, `TEXT`, `TOOL_OUTPUT`.
    pub kind: String,
    /// Where it begins.
    pub offset: usize,
    /// The piece.
    pub text: String,
    /// Whether it was the last.
    pub done: bool,
}

/// A follower of a session.
pub struct Follower {
    socket: WebSocketStream<TcpStream>,
    /// Every event so far, in order.
    pub events: Vec<Event>,
    /// The text of every item that was written live, put together from its pieces.
    pub texts: BTreeMap<String, String>,
    /// How many of the events have been looked at by `until_event`.
    pub looked_at: usize,
    last: Option<String>,
}

impl Follower {
    /// Follows a session after a cursor, else from its beginning.
    pub async fn open(client: &Client, session: &str, after: Option<&str>) -> Self {
        let socket = TcpStream::connect(&client.address).await.expect("the server listens");
        let (mut socket, _) =
            tokio_tungstenite::client_async(upgrade(client), socket).await.expect("the server takes the socket");
        let variables = json!({ "id": session, "after": after });
        for message in [
            json!({ "type": "connection_init" }),
            json!({ "id": "1", "type": "subscribe", "payload": { "query": FOLLOW, "variables": variables } }),
        ] {
            socket.send(Message::text(message.to_string())).await.expect("the socket is open");
        }
        Self { socket, events: vec![], texts: BTreeMap::new(), looked_at: 0, last: after.map(str::to_owned) }
    }

    /// The next frame; `None` when the connection is over.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            let message = tokio::time::timeout(WATCHDOG, self.socket.next()).await.expect("a frame comes in time");
            let message = match message {
                Some(Ok(Message::Text(text))) => serde_json::from_str::<Value>(&text).expect("frames are JSON"),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => continue,
            };
            match message["type"].as_str() {
                Some("next") => return Some(self.take_in(&message["payload"])),
                Some("error") => return Some(Frame::Refused(message["payload"].to_string())),
                Some("complete") => return None,
                _ => {}
            }
        }
    }

    /// Reads until a frame is what is wanted, and answers that frame.
    pub async fn until(&mut self, wanted: impl Fn(&Frame) -> bool) -> Frame {
        let looking = async {
            loop {
                match self.next().await {
                    Some(frame) if wanted(&frame) => return frame,
                    Some(Frame::Refused(error)) => panic!("the server gave up: {error}"),
                    Some(_) => {}
                    None => panic!("the connection ended; events so far: {:?}", self.kinds()),
                }
            }
        };
        match tokio::time::timeout(WATCHDOG, looking).await {
            Ok(frame) => frame,
            Err(_) => panic!("what was awaited did not come; events so far: {:?}", self.kinds()),
        }
    }

    /// The next event of this kind that has not been looked at; reads until it comes.
    pub async fn until_event(&mut self, kind: &str) -> Event {
        loop {
            let found = self.events.iter().skip(self.looked_at).position(|event| event.kind == kind);
            if let Some(found) = found {
                self.looked_at += found + 1;
                return self.events[self.looked_at - 1].clone();
            }
            self.looked_at = self.events.len();
            self.until(|frame| matches!(frame, Frame::Events(_))).await;
        }
    }

    /// Reads until everything up to now has come.
    pub async fn until_caught_up(&mut self) {
        self.until(|frame| matches!(frame, Frame::CaughtUp(_))).await;
    }

    /// Reads until a piece of live text of this kind comes.
    pub async fn until_live(&mut self, kind: &str) -> Live {
        let found = |frame: &Frame| matches!(frame, Frame::Live(live) if live.kind == kind && !live.text.is_empty());
        let Frame::Live(live) = self.until(found).await else { unreachable!("only such frames are found") };
        live
    }

    /// The kinds of all events so far.
    pub fn kinds(&self) -> Vec<&str> {
        self.events.iter().map(|event| event.kind.as_str()).collect()
    }

    /// The events of one kind so far.
    pub fn of_kind(&self, kind: &str) -> Vec<&Event> {
        self.events.iter().filter(|event| event.kind == kind).collect()
    }

    fn take_in(&mut self, payload: &Value) -> Frame {
        if payload["errors"].is_array() {
            return Frame::Refused(payload["errors"].to_string());
        }
        let frame = &payload["data"]["sessionEvents"];
        let text = |name: &str| frame[name].as_str().unwrap_or_default().to_owned();
        match frame["__typename"].as_str() {
            Some("EventsFrame") => {
                // Nothing is missing: what stands before these is what came last.
                assert_eq!(frame["prev"].as_str(), self.last.as_deref());
                let events: Vec<Event> = frame["events"].as_array().expect("a list").iter().map(event).collect();
                self.last = events.last().map(|event| event.position.clone());
                self.events.extend(events.iter().cloned());
                Frame::Events(events)
            }
            Some("LiveFrame") => Frame::Live(self.take_in_live(Live {
                item: text("itemId"),
                kind: text("kind"),
                offset: frame["offset"].as_u64().and_then(|offset| offset.try_into().ok()).expect("a number"),
                text: text("text"),
                done: frame["done"].as_bool().expect("yes or no"),
            })),
            Some("CaughtUpFrame") => Frame::CaughtUp(text("position")),
            Some("HeartbeatFrame") => Frame::Heartbeat(text("position")),
            Some("FellBehindFrame") => Frame::FellBehind(text("position")),
            _ => panic!("a frame of no known kind: {payload}"),
        }
    }

    /// Each piece begins where the one before it ended, or anew.
    fn take_in_live(&mut self, live: Live) -> Live {
        let so_far = self.texts.entry(live.item.clone()).or_default();
        if live.offset == 0 {
            so_far.clear();
        }
        assert_eq!(so_far.len(), live.offset, "a piece of {} is missing", live.item);
        so_far.push_str(&live.text);
        live
    }
}

/// The request that opens a WebSocket to the API.
pub fn upgrade(client: &Client) -> Request {
    let Client { address, cookie } = client;
    let mut request = format!("ws://{address}/graphql/ws").into_client_request().expect("a request");
    let headers = request.headers_mut();
    let origin = format!("http://{address}");
    for (name, value) in [("sec-websocket-protocol", "graphql-transport-ws"), ("cookie", cookie), ("origin", &origin)] {
        headers.insert(name, value.parse().expect("a header"));
    }
    request
}

fn event(value: &Value) -> Event {
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let mut rest = value.clone();
    Event {
        position: text("position"),
        kind: text("eventType"),
        stream: text("streamId"),
        sequence: value["sequence"].as_i64().expect("a number"),
        run: value["runId"].as_str().map(str::to_owned),
        payload: rest["payload"].take(),
        rest,
    }
}
