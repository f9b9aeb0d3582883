//! Who follows what in one book, and what is on its way to them. Nothing here waits: it is all done under one lock, so
//! that where a subscriber joins is exact.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::SessionId;
use tokio::sync::broadcast;

use super::{Batch, Logged};

/// How many batches wait for the slowest subscriber of a session before it has to read the log by itself.
const BATCHES: usize = 64;
/// The most events of one batch.
const BATCH_EVENTS: usize = 500;
/// Half as much again as it costs to hand one batch to one subscriber. Batches of a session are at least this far apart,
/// times its subscribers, so that under load handing out leaves a third of a thread to others, and no event waits behind a
/// batch that is late; a lone event never waits.
const PAUSE_PER_SUBSCRIBER: Duration = Duration::from_micros(28);
/// The longest that an event waits for others.
const LONGEST_PAUSE: Duration = Duration::from_millis(28);

/// Who follows what in one book.
pub(super) struct Routes {
    /// Every event up to here has been handed out, or waits in its channel.
    position: i64,
    channels: HashMap<SessionId, Channel>,
    /// Sessions with events that wait.
    waiting: Vec<SessionId>,
}

/// What goes to the subscribers of one session.
struct Channel {
    sender: broadcast::Sender<Arc<Batch>>,
    waiting: Vec<Logged>,
    /// When the next batch may go.
    due: Instant,
}

/// A place among the subscribers of a session.
pub(super) struct Place {
    pub batches: broadcast::Receiver<Arc<Batch>>,
    /// The channel brings every event of the session above this position, and none other.
    pub after: i64,
}

impl Routes {
    /// Nobody yet, in a book that is read from a position on.
    pub fn from(position: i64) -> Self {
        Self { position, channels: HashMap::new(), waiting: vec![] }
    }

    /// How far the book has been read.
    pub fn position(&self) -> i64 {
        self.position
    }

    /// Whether nobody follows anything here.
    pub fn is_empty(&self) -> bool {
        self.channels.is_empty()
    }

    pub fn join(&mut self, session_id: SessionId, now: Instant) -> Place {
        let open = || Channel { sender: broadcast::channel(BATCHES).0, waiting: vec![], due: now };
        let batches = self.channels.entry(session_id).or_insert_with(open).sender.subscribe();
        Place { batches, after: self.handed_out(session_id) }
    }

    /// A subscriber of the session is gone; its receiver was dropped before.
    pub fn leave(&mut self, session_id: SessionId) {
        if self.channels.get(&session_id).is_some_and(|channel| channel.sender.receiver_count() == 0) {
            self.channels.remove(&session_id);
            self.waiting.retain(|waiting| *waiting != session_id);
        }
    }

    /// Every event of the session up to here is in its channel.
    pub fn handed_out(&self, session_id: SessionId) -> i64 {
        let waiting = self.channels.get(&session_id).and_then(|channel| channel.waiting.first());
        waiting.map_or(self.position, |event| event.position - 1)
    }

    /// Takes in the next events of the book and hands out what may go.
    pub fn take_in(&mut self, events: Vec<Logged>, now: Instant) {
        for event in events {
            self.position = event.position;
            let session_id = event.session_id;
            let Some((session_id, channel)) = session_id.and_then(|id| Some((id, self.channels.get_mut(&id)?))) else {
                continue;
            };
            if channel.waiting.is_empty() {
                self.waiting.push(session_id);
            }
            channel.waiting.push(event);
            if channel.waiting.len() >= BATCH_EVENTS {
                channel.hand_out(now);
            }
        }
        self.hand_out_due(now);
    }

    /// Hands out what has waited long enough.
    pub fn hand_out_due(&mut self, now: Instant) {
        let channels = &mut self.channels;
        self.waiting.retain(|session_id| {
            let Some(channel) = channels.get_mut(session_id) else { return false };
            if channel.due <= now {
                channel.hand_out(now);
            }
            !channel.waiting.is_empty()
        });
    }

    /// When something is due next.
    pub fn next_due(&self) -> Option<Instant> {
        self.waiting.iter().filter_map(|session_id| self.channels.get(session_id)).map(|channel| channel.due).min()
    }
}

impl Channel {
    fn hand_out(&mut self, now: Instant) {
        if self.waiting.is_empty() {
            return;
        }
        let batch = Batch::new(std::mem::take(&mut self.waiting));
        // Nobody there any more is no failure: the last subscriber is about to leave.
        let subscribers = self.sender.send(Arc::new(batch)).unwrap_or(0);
        self.due = now + pause(subscribers);
    }
}

/// How long a session's next batch waits at least.
fn pause(subscribers: usize) -> Duration {
    let subscribers = u32::try_from(subscribers).unwrap_or(u32::MAX);
    PAUSE_PER_SUBSCRIBER.saturating_mul(subscribers).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests;
