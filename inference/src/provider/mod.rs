//! What every model provider has in common: frames, usage, and the one method.
//!
//! A provider never retries, never chooses another provider, and never outlives its stream: dropping the stream
//! cancels the call.

pub mod error;
pub mod openai;
pub mod scripted;

use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};

pub use error::{ErrorKind, ProviderError, UserAction};

use crate::request::ModelRequest;

/// Answers of one model call, as they arrive.
///
/// After `Frame::Finished` or an error nothing more comes.
pub type FrameStream = BoxStream<'static, Result<Frame, ProviderError>>;

/// Something that answers model requests.
pub trait Provider: Send + Sync {
    /// The provider's name as people see it: `openai`, `scripted`.
    fn name(&self) -> &'static str;

    /// The model that answers when the request names none.
    fn model(&self) -> &str;

    /// Most tokens that input and output may have together.
    fn context_window_tokens(&self) -> u32;

    /// Asks the model. Nothing happens before the stream is polled; dropping it cancels the call.
    fn stream(&self, request: ModelRequest) -> FrameStream;
}

/// A piece of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// More of what the model thinks before it answers.
    Thinking(String),
    /// More of the answer's text.
    Text(String),
    /// A tool call begins. Indexes count from 0 and never repeat within an answer.
    CallStarted { index: u32, id: String, name: String },
    /// More of the JSON text of a call that has started. Calls may be interleaved.
    CallArguments { index: u32, delta: String },
    /// What the call has used: at most once, right before `Finished`. Its absence means "not reported", never zero.
    Usage(Usage),
    /// The answer is whole. Always the last frame.
    Finished(FinishReason),
}

/// Tokens of one model call, in classes that never overlap: their sum is the whole call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Input that was not in a cache.
    pub input_tokens: u64,
    /// Input that was read from a cache.
    pub cache_read_tokens: u64,
    /// Input that was written to a cache.
    pub cache_write_tokens: u64,
    /// Output without reasoning.
    pub output_tokens: u64,
    /// Output that only the model saw.
    pub reasoning_tokens: u64,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model had said all.
    Stop,
    /// The model waits for the results of its calls.
    ToolCalls,
    /// The limit of output or of the context was reached: the answer is cut.
    Length,
    /// The server kept part of the answer back.
    ContentFilter,
    /// The server gave another reason, or none.
    Other,
}
