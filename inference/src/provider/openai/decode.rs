//! Turns the bytes of an answer into frames. Pure: no clock, no connection.
//!
//! Never emits two calls with one index, a call without a name, or anything after the end.

use serde_json::Value;

use super::chunk::{self, CallDelta, Choice, Chunk, Delta};
use super::{failure, sse};
use crate::collect::MAX_CALLS_PER_ANSWER;
use crate::provider::{ErrorKind, FinishReason, Frame, ProviderError, Usage};

/// What a server sends in place of JSON when the answer is whole.
const DONE: &str = "[DONE]";

/// The state between two pieces of an answer.
#[derive(Debug, Default)]
pub struct Decoder {
    format: Format,
    events: sse::Parser,
    calls: Vec<OpenCall>,
    usage: Option<Usage>,
    finish_reason: Option<FinishReason>,
    ended: bool,
}

/// How the answer is written. Its first byte says so, since content types are not to be relied on.
#[derive(Debug, Default)]
enum Format {
    #[default]
    Unknown,
    Events,
    /// One JSON text, from a server that does not stream.
    Whole(Vec<u8>),
}

/// A call of which a server has begun to tell.
#[derive(Debug, Default)]
struct OpenCall {
    wire_index: Option<u64>,
    /// As the server sent it, for telling calls apart.
    wire_id: Option<String>,
    started: bool,
    /// Arguments that came before the name.
    early_arguments: String,
}

impl Decoder {
    /// Takes the next bytes and appends the frames they complete. Says how many events there were, comments not counted.
    pub fn push(&mut self, bytes: &[u8], frames: &mut Vec<Frame>) -> Result<usize, ProviderError> {
        if let Format::Unknown = self.format {
            match bytes.trim_ascii_start().first() {
                None => return Ok(0),
                Some(b'{') => self.format = Format::Whole(Vec::new()),
                Some(_) => self.format = Format::Events,
            }
        }
        if let Format::Whole(body) = &mut self.format {
            body.extend_from_slice(bytes);
            return Ok(0);
        }
        let events = self.events.push(bytes);
        let count = events.len();
        for event in events {
            self.event(&event, frames)?;
        }
        Ok(count)
    }

    /// The bytes have ended. `lost` is the failure that ended them, if it was one: it is forgiven once the answer is
    /// known to be whole.
    pub fn finish(&mut self, lost: Option<ProviderError>, frames: &mut Vec<Frame>) -> Result<(), ProviderError> {
        if lost.is_none() {
            self.rest(frames)?;
        }
        if self.ended {
            return Ok(());
        }
        if self.finish_reason.is_none() {
            return Err(lost.unwrap_or_else(|| protocol("The model's server ended the answer in the middle.")));
        }
        self.end(frames)
    }

    fn rest(&mut self, frames: &mut Vec<Frame>) -> Result<(), ProviderError> {
        if let Format::Whole(body) = &self.format {
            let value = serde_json::from_slice(body).map_err(|error| not_understood(&error))?;
            return self.chunk(value, frames);
        }
        match self.events.finish() {
            Some(event) => self.event(&event, frames),
            None => Ok(()),
        }
    }

    /// Whether the last frame has been emitted.
    pub fn ended(&self) -> bool {
        self.ended
    }

    fn event(&mut self, event: &sse::Event, frames: &mut Vec<Frame>) -> Result<(), ProviderError> {
        let data = event.data.trim();
        if self.ended || data.is_empty() {
            return Ok(());
        }
        if event.name == "error" {
            let said = serde_json::from_str(data).unwrap_or_else(|_| Value::String(data.to_owned()));
            return Err(failure::from_event(&said));
        }
        if data == DONE {
            return self.end(frames);
        }
        self.chunk(serde_json::from_str(data).map_err(|error| not_understood(&error))?, frames)
    }

    fn chunk(&mut self, value: Value, frames: &mut Vec<Frame>) -> Result<(), ProviderError> {
        if let Some(error) = value.get("error").filter(|error| !error.is_null()) {
            return Err(failure::from_event(error));
        }
        let chunk: Chunk = serde_json::from_value(value).map_err(|error| not_understood(&error))?;
        if let Some(usage) = chunk.usage.as_ref().and_then(chunk::usage) {
            self.usage = Some(usage);
        }
        // We never ask for more than one choice.
        let first = |choice: &Choice| choice.index.unwrap_or(0) == 0;
        for choice in chunk.choices.into_iter().flatten().filter(first) {
            if let Some(error) = choice.error.filter(|error| !error.is_null()) {
                return Err(failure::from_event(&error));
            }
            if let Some(delta) = choice.delta.or(choice.message) {
                self.delta(&delta, frames)?;
            }
            if let Some(reason) = choice.finish_reason.as_deref().and_then(chunk::finish_reason) {
                self.finish_reason = Some(reason);
            }
        }
        Ok(())
    }

    fn delta(&mut self, delta: &Delta, frames: &mut Vec<Frame>) -> Result<(), ProviderError> {
        let mut say = |text: Option<&str>, frame: fn(String) -> Frame| {
            frames.extend(text.filter(|text| !text.is_empty()).map(|text| frame(text.to_owned())));
        };
        say(delta.thinking(), Frame::Thinking);
        say(delta.content.as_deref(), Frame::Text);
        say(delta.refusal.as_deref(), Frame::Text);
        for call in delta.tool_calls.iter().flatten() {
            self.call(call, frames)?;
        }
        Ok(())
    }

    fn call(&mut self, delta: &CallDelta, frames: &mut Vec<Frame>) -> Result<(), ProviderError> {
        let at = match self.position(delta) {
            Some(at) => at,
            None if self.calls.len() == MAX_CALLS_PER_ANSWER => {
                return Err(protocol("The model asked for too many tool calls at once."));
            }
            None => {
                self.calls.push(OpenCall { wire_index: delta.index, ..OpenCall::default() });
                self.calls.len() - 1
            }
        };
        let index = at as u32;
        let taken = |id: &str| self.calls.iter().enumerate().any(|(other, call)| other != at && call.is(id));
        let id = delta.id().filter(|id| !taken(id)).map(str::to_owned);
        let call = &mut self.calls[at];
        if call.wire_id.is_none() {
            call.wire_id = id;
        }
        let arguments = delta.arguments().unwrap_or_default();
        if call.started {
            frames.extend((!arguments.is_empty()).then_some(Frame::CallArguments { index, delta: arguments }));
            return Ok(());
        }
        call.early_arguments.push_str(&arguments);
        if let Some(name) = delta.name() {
            call.started = true;
            let id = call.wire_id.clone().unwrap_or_else(|| format!("call_{index}"));
            frames.push(Frame::CallStarted { index, id, name: name.to_owned() });
            let early = std::mem::take(&mut call.early_arguments);
            frames.extend((!early.is_empty()).then_some(Frame::CallArguments { index, delta: early }));
        }
        Ok(())
    }

    /// Which call a delta belongs to; `None` for a new one.
    ///
    /// Mostly the index says it. But some servers give every call the index 0 and tell them apart by id, and some send
    /// no index: then an id says it, and without one a name begins a new call.
    fn position(&self, delta: &CallDelta) -> Option<usize> {
        let Some(wire_index) = delta.index else {
            return match (delta.id(), delta.name()) {
                (Some(id), _) => self.calls.iter().rposition(|call| call.is(id)),
                (None, Some(_)) => None,
                (None, None) => self.calls.len().checked_sub(1),
            };
        };
        let at = self.calls.iter().rposition(|call| call.wire_index == Some(wire_index))?;
        let call = &self.calls[at];
        let another = delta.name().is_some() && call.wire_id.is_some() && delta.id().is_some_and(|id| !call.is(id));
        (!another).then_some(at)
    }

    fn end(&mut self, frames: &mut Vec<Frame>) -> Result<(), ProviderError> {
        self.ended = true;
        if self.calls.iter().any(|call| !call.started) {
            return Err(protocol("The model asked for a tool without naming it."));
        }
        frames.extend(self.usage.map(Frame::Usage));
        // Several servers say "stop" although the model waits for its calls.
        let reason = match self.finish_reason {
            None | Some(FinishReason::Stop | FinishReason::Other) if !self.calls.is_empty() => FinishReason::ToolCalls,
            reason => reason.unwrap_or(FinishReason::Other),
        };
        frames.push(Frame::Finished(reason));
        Ok(())
    }
}

impl OpenCall {
    fn is(&self, id: &str) -> bool {
        self.wire_id.as_deref() == Some(id)
    }
}

fn protocol(message: &str) -> ProviderError {
    ProviderError::new(ErrorKind::Protocol, message)
}

fn not_understood(error: &serde_json::Error) -> ProviderError {
    protocol(&format!("The model's server sent something that is not an answer: {error}."))
}

#[cfg(test)]
mod tests;
