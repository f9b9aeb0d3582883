//! A model server for tests: it speaks OpenAI's chat completions to the byte, and says what the test laid down.
//!
//! Never understands what it is asked; when its script is over it says that it is done.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Tokens that each answer claims to have used: input and output.
pub const TOKENS: (i64, i64) = (1_000, 500);
const WATCHDOG: Duration = Duration::from_secs(300);
const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\
    connection: close\r\n\r\n";

/// One answer of the script.
pub enum Reply {
    /// Events of a stream, from first to last.
    Stream(Vec<Value>),
    /// Events of a stream that never ends.
    Hang(Vec<Value>),
    /// Events of a stream, and then the connection is lost.
    BreakOff(Vec<Value>),
    /// A refusal: status line, headers, body.
    Refusal(&'static str, &'static str, String),
}

/// A request as it came.
pub struct Asked {
    /// Request line and headers.
    pub head: String,
    /// The body.
    pub body: Value,
    /// When.
    pub at: Instant,
}

/// What the server noticed.
pub enum Noticed {
    /// A request came.
    Asked(Asked),
    /// The client closed the connection of a stream that never ends.
    HungUp,
}

/// The server. It ends when this is dropped.
pub struct Stub {
    /// What to configure.
    pub url: String,
    noticed: mpsc::UnboundedReceiver<Noticed>,
    serving: JoinHandle<()>,
}

impl Stub {
    /// Serves this script.
    pub async fn serve(script: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let (tell, noticed) = mpsc::unbounded_channel();
        let serving = tokio::spawn(async move {
            let mut script: VecDeque<Reply> = script.into();
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let asked = read_request(&mut socket).await;
                let _ = tell.send(Noticed::Asked(asked));
                let reply = script.pop_front().unwrap_or_else(|| says("Done."));
                let tell = tell.clone();
                tokio::spawn(async move { answer(socket, reply, &tell).await });
            }
        });
        Self { url, noticed, serving }
    }

    /// The next thing that the server notices.
    pub async fn notices(&mut self) -> Noticed {
        tokio::time::timeout(WATCHDOG, self.noticed.recv()).await.expect("something comes in time").unwrap()
    }

    /// The next request.
    pub async fn asked(&mut self) -> Asked {
        match self.notices().await {
            Noticed::Asked(asked) => asked,
            Noticed::HungUp => panic!("the client hung up"),
        }
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// An answer in words.
pub fn says(text: &str) -> Reply {
    let mut events = words(text);
    events.extend(end("stop"));
    Reply::Stream(events)
}

/// Words, two letters an event.
pub fn words(text: &str) -> Vec<Value> {
    let letters: Vec<char> = text.chars().collect();
    let pieces = letters.chunks(2).map(|piece| piece.iter().collect::<String>());
    pieces.map(|piece| json!({ "choices": [{ "index": 0, "delta": { "content": piece } }] })).collect()
}

/// An answer that calls tools. Arguments are sent in two pieces, as servers do.
pub fn calls(calls: &[(&str, Value)]) -> Reply {
    let calls: Vec<(&str, String)> = calls.iter().map(|(tool, arguments)| (*tool, arguments.to_string())).collect();
    raw_calls(&calls)
}

/// As `calls`, with arguments that need not be JSON.
pub fn raw_calls(calls: &[(&str, String)]) -> Reply {
    let mut events = words("I call.");
    for (index, (tool, arguments)) in calls.iter().enumerate() {
        let middle = (0..=arguments.len() / 2).rev().find(|at| arguments.is_char_boundary(*at)).unwrap();
        let (first, second) = arguments.split_at(middle);
        let call = |rest: Value| json!({ "choices": [{ "index": 0, "delta": { "tool_calls": [rest] } }] });
        let function = json!({ "name": tool, "arguments": first });
        events.push(call(
            json!({ "index": index, "id": format!("call_{index}"), "type": "function", "function": function }),
        ));
        events.push(call(json!({ "index": index, "function": { "arguments": second } })));
    }
    events.extend(end("tool_calls"));
    Reply::Stream(events)
}

fn end(reason: &str) -> [Value; 2] {
    let (input, output) = TOKENS;
    [
        json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }] }),
        json!({ "choices": [], "usage": { "prompt_tokens": input, "completion_tokens": output } }),
    ]
}

async fn answer(mut socket: TcpStream, reply: Reply, tell: &mpsc::UnboundedSender<Noticed>) {
    let (events, ends, hangs) = match reply {
        Reply::Stream(events) => (events, true, false),
        Reply::Hang(events) => (events, false, true),
        Reply::BreakOff(events) => (events, false, false),
        Reply::Refusal(status, headers, body) => {
            let length = body.len();
            let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n");
            let _ = socket.write_all(format!("{head}{body}").as_bytes()).await;
            return;
        }
    };
    let mut bytes = STREAM.to_owned();
    for event in events {
        let event = format!("data: {event}\n\n");
        bytes += &format!("{:x}\r\n{event}\r\n", event.len());
    }
    if ends {
        bytes += "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";
    }
    // The client may have hung up already, which some tests want.
    let _ = socket.write_all(bytes.as_bytes()).await;
    if hangs {
        let mut rest = vec![];
        let _ = socket.read_to_end(&mut rest).await;
        let _ = tell.send(Noticed::HungUp);
    }
}

async fn read_request(socket: &mut TcpStream) -> Asked {
    let mut bytes = vec![];
    loop {
        assert_ne!(socket.read_buf(&mut bytes).await.unwrap(), 0, "the request is cut");
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let body = &bytes[end + 4..];
        if body.len() == length.unwrap_or(0) {
            return Asked { body: serde_json::from_slice(body).unwrap(), head, at: Instant::now() };
        }
    }
}
