//! Folds the frames of one answer into the whole answer.
//!
//! Never reads a clock while folding: the caller says when a frame came. Never guesses an end that was not sent.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::Instant;

use crate::provider::{ErrorKind, FinishReason, Frame, FrameStream, ProviderError, Usage};
use crate::request::ToolCall;

/// The cadence has at most one sample in this time: 20 a second.
pub const CADENCE_INTERVAL: Duration = Duration::from_millis(50);
/// Most calls one answer may hold.
pub const MAX_CALLS_PER_ANSWER: usize = 128;

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What the model thought, if it shows it.
    pub thinking: String,
    /// What the model said.
    pub text: String,
    /// What the model asks to be done, in its order.
    pub calls: Vec<ToolCall>,
    /// Tokens used; `None` means "not reported", never zero.
    pub usage: Option<Usage>,
    /// Why the answer ended.
    pub finish_reason: FinishReason,
    /// How the text came, for replaying it at its own pace: see [`Collector::cadence`].
    pub cadence: Vec<(u32, u32)>,
}

/// An answer in the making.
#[derive(Debug, Clone, Default)]
pub struct Collector {
    thinking: String,
    text: String,
    calls: Vec<ToolCall>,
    usage: Option<Usage>,
    finish_reason: Option<FinishReason>,
    cadence: Vec<(u32, u32)>,
}

impl Collector {
    /// Adds a frame that came `elapsed` after the request was sent.
    pub fn push(&mut self, frame: Frame, elapsed: Duration) -> Result<(), ProviderError> {
        match frame {
            Frame::Thinking(delta) => self.thinking.push_str(&delta),
            Frame::Text(delta) => {
                self.text.push_str(&delta);
                self.sample(elapsed);
            }
            Frame::CallStarted { index, id, name } => {
                if index as usize != self.calls.len() || self.calls.len() == MAX_CALLS_PER_ANSWER {
                    return Err(ProviderError::new(
                        ErrorKind::Protocol,
                        format!("The model's tool call {index} came out of order or is one too many."),
                    ));
                }
                self.calls.push(ToolCall { id, name, arguments: String::new() });
            }
            Frame::CallArguments { index, delta } => match self.calls.get_mut(index as usize) {
                Some(call) => call.arguments.push_str(&delta),
                None => {
                    return Err(ProviderError::new(
                        ErrorKind::Protocol,
                        format!("The model sent arguments of tool call {index}, which had not started."),
                    ));
                }
            },
            Frame::Usage(usage) => self.usage = Some(usage),
            Frame::Finished(reason) => self.finish_reason = Some(reason),
        }
        Ok(())
    }

    /// The thinking so far.
    pub fn thinking(&self) -> &str {
        &self.thinking
    }

    /// The text so far. After a failure or a cancellation this is all there is.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Pairs of milliseconds since the request and a byte offset into the text: from that moment, and within
    /// [`CADENCE_INTERVAL`], the text came to be this long. The last offset is the length of the text.
    pub fn cadence(&self) -> &[(u32, u32)] {
        &self.cadence
    }

    /// The answer, or an error if it was never finished.
    pub fn finish(self) -> Result<Answer, ProviderError> {
        let finish_reason = self
            .finish_reason
            .ok_or_else(|| ProviderError::new(ErrorKind::Protocol, "The model's answer ended in the middle."))?;
        Ok(Answer {
            thinking: self.thinking,
            text: self.text,
            calls: self.calls,
            usage: self.usage,
            finish_reason,
            cadence: self.cadence,
        })
    }

    fn sample(&mut self, elapsed: Duration) {
        let at_ms = u32::try_from(elapsed.as_millis()).unwrap_or(u32::MAX);
        let offset = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        let interval_ms = CADENCE_INTERVAL.as_millis() as u32;
        match self.cadence.last_mut() {
            Some((from_ms, reached)) if at_ms.saturating_sub(*from_ms) < interval_ms => *reached = offset,
            _ => self.cadence.push((at_ms, offset)),
        }
    }
}

/// Reads a stream to its end.
pub async fn collect(mut frames: FrameStream) -> Result<Answer, ProviderError> {
    let started = Instant::now();
    let mut collector = Collector::default();
    while let Some(frame) = frames.next().await {
        collector.push(frame?, started.elapsed())?;
    }
    collector.finish()
}

#[cfg(test)]
mod tests;
