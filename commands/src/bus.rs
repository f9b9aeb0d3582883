//! Live frames: text while it is being written. Not the log: a frame may be missed, the event that follows may not.
//!
//! The bus keeps the text of every item that is open, so that whoever comes late begins with all of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use domain::{RunId, SessionId};
use tokio::sync::broadcast;

/// How many frames of its session a slow listener may lag behind before it starts again from the open texts.
const FRAMES: usize = 128;
/// The most text of one item that is shown live, in bytes. The event that follows holds all of it.
const OPEN_MAX: usize = 1024 * 1024;

/// What is being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveKind {
    /// The model thinks.
    Thinking,
    /// The model speaks.
    Text,
    /// A tool prints.
    ToolOutput,
}

/// A piece of text of an open item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// The session that it belongs to.
    pub session_id: SessionId,
    /// The run that it belongs to.
    pub run_id: RunId,
    /// The item: a tool call's id, or `step:…` for the step that is under way.
    pub item_id: Arc<str>,
    /// What is being written.
    pub kind: LiveKind,
    /// Where this piece begins, in bytes of the item's text.
    pub offset: usize,
    /// The piece.
    pub text: String,
    /// Whether nothing more comes.
    pub done: bool,
}

/// The bus of one process. Cheap to clone.
#[derive(Clone, Default)]
pub struct Bus {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    /// Every item that is open, with its text so far.
    open: HashMap<Arc<str>, Live>,
    /// One channel for each session that anybody listens to: nobody is woken for another's text.
    listened: HashMap<SessionId, broadcast::Sender<Arc<Live>>>,
}

impl Shared {
    fn send(&self, frame: Live) {
        if let Some(listeners) = self.listened.get(&frame.session_id) {
            let _ = listeners.send(Arc::new(frame));
        }
    }
}

impl Bus {
    /// Opens an item for writing.
    pub fn open(&self, session_id: SessionId, run_id: RunId, kind: LiveKind, item_id: String) -> Writer {
        let item_id: Arc<str> = item_id.into();
        let text = String::new();
        let live = Live { session_id, run_id, item_id: item_id.clone(), kind, offset: 0, text, done: false };
        self.shared.lock().expect("no holder panics").open.insert(item_id.clone(), live);
        Writer { bus: self.clone(), item_id }
    }

    /// Forgets what is open in a session.
    pub fn forget(&self, session_id: SessionId) {
        self.shared.lock().expect("no holder panics").open.retain(|_, live| live.session_id != session_id);
    }

    /// All open texts of a session, and every frame of it from then on.
    pub fn listen(&self, session_id: SessionId) -> (Vec<Live>, broadcast::Receiver<Arc<Live>>) {
        let mut shared = self.shared.lock().expect("no holder panics");
        shared.listened.retain(|_, listeners| listeners.receiver_count() > 0);
        let listeners = shared.listened.entry(session_id).or_insert_with(|| broadcast::channel(FRAMES).0);
        let frames = listeners.subscribe();
        let mine = shared.open.values().filter(|live| live.session_id == session_id && !live.text.is_empty());
        (mine.cloned().collect(), frames)
    }
}

/// Writes one item. Dropping it closes the item.
pub struct Writer {
    bus: Bus,
    item_id: Arc<str>,
}

impl Writer {
    /// Appends a piece of text.
    pub fn write(&self, piece: &str) {
        let mut shared = self.bus.shared.lock().expect("no holder panics");
        let Some(live) = shared.open.get_mut(&self.item_id) else { return };
        if piece.is_empty() || live.text.len() + piece.len() > OPEN_MAX {
            return;
        }
        let frame = Live { offset: live.text.len(), text: piece.to_owned(), ..head_of(live) };
        live.text.push_str(piece);
        // Sent under the lock, so that a late listener sees each byte in its snapshot or in a frame, never in both.
        shared.send(frame);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let mut shared = self.bus.shared.lock().expect("no holder panics");
        if let Some(live) = shared.open.remove(&self.item_id) {
            shared.send(Live { offset: live.text.len(), done: true, ..head_of(&live) });
        }
    }
}

/// The item without its text.
fn head_of(live: &Live) -> Live {
    Live { text: String::new(), item_id: live.item_id.clone(), ..*live }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_listener_begins_with_all_the_text_and_misses_nothing_after_it() {
        let bus = Bus::default();
        let (session_id, run_id): (SessionId, RunId) = (crate::ids::new_id(), crate::ids::new_id());
        let writer = bus.open(session_id, run_id, LiveKind::Text, "step:1".into());
        writer.write("Hel");
        let (open, mut frames) = bus.listen(session_id);
        assert_eq!((open[0].offset, open[0].text.as_str()), (0, "Hel"));
        writer.write("lo");
        let frame = frames.try_recv().unwrap();
        assert_eq!((frame.offset, frame.text.as_str(), frame.done), (3, "lo", false));
        drop(writer);
        assert!(frames.try_recv().unwrap().done);
        assert!(bus.listen(session_id).0.is_empty());
    }

    #[test]
    fn nobody_hears_of_another_session_and_channels_go_with_their_listeners() {
        let bus = Bus::default();
        let (ours, theirs, run_id): (SessionId, SessionId, RunId) =
            (crate::ids::new_id(), crate::ids::new_id(), crate::ids::new_id());
        let ((_, mut frames), listening) = (bus.listen(ours), bus.listen(theirs));
        bus.open(theirs, run_id, LiveKind::Text, "step:1".into()).write("Hello");
        assert!(frames.try_recv().is_err());
        drop(listening);
        bus.listen(ours);
        assert_eq!(bus.shared.lock().unwrap().listened.len(), 1);
    }
}
