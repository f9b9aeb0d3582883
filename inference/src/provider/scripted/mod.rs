//! The scripted model: it plays prepared stories with real tools, so that Daybook can be tried without a key.
//!
//! Never talks to anybody, never pretends to be a real model, and never depends on the words of the conversation: its
//! playbook is matched on the state of the run, so that declined, failed and lost calls have their answers too.

mod matching;
mod playbook;
mod script;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};

pub use playbook::{Playbook, PlaybookError};

use self::script::Script;
use super::{Frame, FrameStream, Provider};
use crate::request::ModelRequest;

/// The context the scripted model says it has, in tokens.
const CONTEXT_WINDOW_TOKENS: u32 = 128_000;
/// Files are written this many times faster than words are said.
const ARGUMENTS_SPEED: usize = 4;

/// How fast the model speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Letters in one frame.
    pub chars_per_tick: usize,
    /// Time before each frame.
    pub tick: Duration,
}

impl Pace {
    /// 240 letters a second: fast to read, and one sees it move.
    pub const NATURAL: Self = Self { chars_per_tick: 12, tick: Duration::from_millis(50) };
    /// Everything at once, for tests.
    pub const INSTANT: Self = Self { chars_per_tick: 64, tick: Duration::ZERO };
}

impl Default for Pace {
    fn default() -> Self {
        Self::NATURAL
    }
}

/// The scripted model.
#[derive(Debug, Clone)]
pub struct Scripted {
    playbook: Arc<Playbook>,
    pace: Pace,
}

impl Scripted {
    /// The name of this provider and of its model, by which everything it does is labelled.
    pub const NAME: &'static str = "scripted";

    /// The built-in playbook at a pace.
    pub fn new(pace: Pace) -> Self {
        Self::with_playbook(Playbook::embedded(), pace)
    }

    /// Another playbook.
    pub fn with_playbook(playbook: Playbook, pace: Pace) -> Self {
        Self { playbook: Arc::new(playbook), pace }
    }

    /// A task that the model can really do.
    pub fn demo_task(&self) -> &str {
        &self.playbook.demo_task
    }
}

impl Provider for Scripted {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn model(&self) -> &str {
        Self::NAME
    }

    fn context_window_tokens(&self) -> u32 {
        CONTEXT_WINDOW_TOKENS
    }

    fn stream(&self, request: ModelRequest) -> FrameStream {
        let frames = frames(&Script::of(&request, &self.playbook), self.pace.chars_per_tick);
        let tick = self.pace.tick;
        stream::unfold(frames, move |mut frames| async move {
            let frame = frames.pop_front()?;
            if !tick.is_zero() {
                tokio::time::sleep(tick).await;
            }
            Some((Ok(frame), frames))
        })
        .boxed()
    }
}

fn frames(script: &Script, chars: usize) -> VecDeque<Frame> {
    let mut frames = VecDeque::new();
    frames.extend(pieces(&script.thinking, chars).map(Frame::Thinking));
    frames.extend(pieces(&script.text, chars).map(Frame::Text));
    for (index, call) in (0..).zip(&script.calls) {
        frames.push_back(Frame::CallStarted { index, id: call.id.clone(), name: call.name.clone() });
        let pieces = pieces(&call.arguments, chars.saturating_mul(ARGUMENTS_SPEED));
        frames.extend(pieces.map(|delta| Frame::CallArguments { index, delta }));
    }
    frames.extend([Frame::Usage(script.usage), Frame::Finished(script.finish_reason)]);
    frames
}

/// The text in pieces of so many letters.
fn pieces(text: &str, chars: usize) -> impl Iterator<Item = String> {
    let letters: Vec<char> = text.chars().collect();
    let pieces: Vec<String> = letters.chunks(chars.max(1)).map(|piece| piece.iter().collect()).collect();
    pieces.into_iter()
}

#[cfg(test)]
mod tests;
