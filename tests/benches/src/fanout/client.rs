//! The subscribers: cheap ones, so that their own cost does not stand for the server's. Each looks for positions in the
//! text of a frame and for nothing else.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use daybook_tests::Client;
use domain::SessionId;
use futures::StreamExt;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::socket::Socket;
use super::{Appended, Measured, Scenario};
use crate::source::nanos;

/// How many connect at once.
const AT_ONCE: usize = 32;
/// What the web client asks for.
const FOLLOW: &str = "subscription($id: ID!) { sessionEvents(sessionId: $id) { \
    __typename \
    ... on EventsFrame { prev events { position eventType eventVersion streamId sequence runId actorId occurredAt \
      recordedAt payload } } \
    ... on LiveFrame { runId itemId kind offset text done } \
    ... on CaughtUpFrame { position } ... on HeartbeatFrame { position } ... on FellBehindFrame { position } } }";
const EVENTS: &str = "\"__typename\":\"EventsFrame\"";
const CAUGHT_UP: &str = "\"__typename\":\"CaughtUpFrame\"";
const POSITION: &str = "\"position\":\"1-";

/// What one subscriber received: positions, and when.
#[derive(Default)]
pub struct Received {
    session: usize,
    events: Vec<(i64, i64)>,
    frames: usize,
}

/// All subscribers.
pub struct Crowd {
    /// The position of each session up to which to read; none while the load goes on.
    until: watch::Sender<Option<HashMap<usize, i64>>>,
    reading: JoinSet<Received>,
}

impl Crowd {
    /// So many subscribers, spread over the sessions, each with all of the past.
    pub async fn join(client: &Client, sessions: &[SessionId], subscribers: usize) -> anyhow::Result<Self> {
        let joining = (0..subscribers).map(|number| async move {
            let session = number % sessions.len();
            anyhow::Ok((session, subscribe(client, sessions[session]).await?))
        });
        let joined: Vec<_> = futures::stream::iter(joining).buffer_unordered(AT_ONCE).collect().await;
        let (until, mut reading) = (watch::Sender::new(None), JoinSet::new());
        for one in joined {
            let (session, socket) = one?;
            reading.spawn(read(session, socket, until.subscribe()));
        }
        Ok(Self { until, reading })
    }

    /// What everybody has once they have all, or when the time is over.
    pub async fn until(&mut self, last: &HashMap<usize, i64>, limit: Duration) -> Vec<Received> {
        self.until.send_replace(Some(last.clone()));
        let (mut all, deadline) = (vec![], tokio::time::Instant::now() + limit);
        while let Ok(Some(one)) = tokio::time::timeout_at(deadline, self.reading.join_next()).await {
            all.extend(one.ok());
        }
        all
    }
}

async fn subscribe(client: &Client, session_id: SessionId) -> anyhow::Result<Socket> {
    let mut socket = Socket::open(client).await?;
    let variables = json!({ "id": session_id.to_string() });
    for message in [
        json!({ "type": "connection_init" }),
        json!({ "id": "1", "type": "subscribe", "payload": { "query": FOLLOW, "variables": variables } }),
    ] {
        socket.send(&message.to_string()).await?;
    }
    loop {
        let text = socket.next().await?.context("the server hung up")?;
        ensure!(!text.contains("\"errors\""), "the server refused: {text}");
        if text.contains(CAUGHT_UP) {
            return Ok(socket);
        }
    }
}

async fn read(session: usize, mut socket: Socket, mut until: watch::Receiver<Option<HashMap<usize, i64>>>) -> Received {
    let mut received = Received { session, ..Received::default() };
    loop {
        let last = until.borrow_and_update().as_ref().map(|until| until.get(&session).copied().unwrap_or(0));
        if last.is_some_and(|last| received.events.last().map_or(0, |(position, _)| *position) >= last) {
            return received;
        }
        tokio::select! {
            message = socket.next() => {
                let Ok(Some(text)) = message else { return received };
                let now = nanos();
                if text.contains(EVENTS) {
                    received.frames += 1;
                    received.events.extend(positions(text).map(|position| (position, now)));
                }
            }
            changed = until.changed() => if changed.is_err() { return received },
        }
    }
}

/// The positions of the events in a frame.
fn positions(text: &str) -> impl Iterator<Item = i64> {
    text.match_indices(POSITION).filter_map(|(at, found)| {
        let rest = &text[at + found.len()..];
        rest[..rest.find('"')?].parse().ok()
    })
}

/// Compares what was received with what was appended within the slice.
pub fn compare(
    scenario: Scenario,
    sessions: &[SessionId],
    appended: &[Appended],
    received: &[Received],
) -> anyhow::Result<Measured> {
    let mut by_session: Vec<Vec<&Appended>> = sessions.iter().map(|_| vec![]).collect();
    appended.iter().for_each(|one| by_session[one.session].push(one));
    let acknowledged: HashMap<i64, i64> = appended.iter().map(|one| (one.position, one.at)).collect();
    let (mut delays, mut expected, mut doubled) = (vec![], 0, 0);
    for one in received {
        expected += by_session[one.session].len();
        let mut newest = 0;
        for (position, at) in &one.events {
            if *position <= newest {
                doubled += 1;
                continue;
            }
            newest = *position;
            if let Some(from) = acknowledged.get(position) {
                delays.push(Duration::from_nanos(u64::try_from(at - from).unwrap_or(0)));
            }
        }
    }
    delays.sort_unstable();
    let rank = |share| crate::slice::rank(&delays, share).context("nothing was received");
    Ok(Measured {
        scenario,
        deliveries: delays.len(),
        lost: expected - delays.len(),
        doubled,
        p50: rank(0.5)?,
        p99: rank(0.99)?,
        slowest: rank(1.0)?,
        received: received.iter().map(|one| one.events.len()).sum(),
        frames: received.iter().map(|one| one.frames).sum(),
        idle_bytes: 0,
        loaded_bytes: 0,
        server_cpu: 0.0,
        own_cpu: 0.0,
    })
}

#[cfg(test)]
mod tests {
    use super::positions;

    #[test]
    fn every_position_of_a_frame_is_found() {
        let text = r#"{"prev":"1-3","events":[{"position":"1-4","sequence":9},{"position":"1-12"}]}"#;
        assert_eq!(positions(text).collect::<Vec<_>>(), [4, 12]);
    }
}
