//! Events of one session that were handed out together, and what subscribers made of them.

use std::sync::{Arc, Mutex};

use super::Logged;

/// How many renderings of one batch are kept; whoever asks for one more makes it for itself.
const RENDERINGS: usize = 8;

/// Events of one session, in order, shared by all its subscribers.
#[derive(Debug, Default)]
pub struct Batch {
    events: Vec<Logged>,
    renderings: Mutex<Vec<(Rendering, Arc<str>)>>,
}

/// What a rendering of a batch depends on besides its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rendering {
    /// The hash of what was asked for.
    pub asked: [u8; 32],
    /// The position before the batch in its session.
    pub prev: i64,
}

impl Batch {
    /// At least one event, in order of position.
    pub(super) fn new(events: Vec<Logged>) -> Self {
        Self { events, renderings: Mutex::default() }
    }

    /// The events, in order.
    pub fn events(&self) -> &[Logged] {
        &self.events
    }

    /// What another subscriber made of these events for the same question.
    pub fn rendered(&self, rendering: &Rendering) -> Option<Arc<str>> {
        let all = self.renderings.lock().expect("no holder panics");
        all.iter().find(|(known, _)| known == rendering).map(|(_, text)| text.clone())
    }

    /// Keeps a rendering for the others.
    pub fn keep(&self, rendering: Rendering, text: Arc<str>) {
        let mut all = self.renderings.lock().expect("no holder panics");
        if all.len() < RENDERINGS && all.iter().all(|(known, _)| *known != rendering) {
            all.push((rendering, text));
        }
    }

    pub(super) fn first(&self) -> i64 {
        self.events.first().map_or(0, |event| event.position)
    }

    pub(super) fn last(&self) -> i64 {
        self.events.last().map_or(0, |event| event.position)
    }
}
