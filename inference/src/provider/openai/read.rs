//! Sends one request and reads its answer under time and size limits.
//!
//! Never keeps a connection after the stream is dropped: it owns the response, and nothing else does.

use std::collections::VecDeque;
use std::error::Error;
use std::time::Duration;

use futures_util::stream::{self, Stream};
use reqwest::{RequestBuilder, Response};
use tokio::time::{Instant, timeout_at};

use super::config::{ApiKey, OpenAiConfig, Timeouts};
use super::decode::Decoder;
use super::failure;
use crate::provider::{ErrorKind, Frame, ProviderError};

/// Most bytes read of the body of a refusal.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// The frames of one answer.
pub fn frames(http: RequestBuilder, config: &OpenAiConfig) -> impl Stream<Item = Result<Frame, ProviderError>> + use<> {
    let reading = Reading {
        state: State::NotSent(http),
        decoder: Decoder::default(),
        ready: VecDeque::new(),
        failure: None,
        timeouts: config.timeouts,
        bytes_left: config.max_answer_bytes,
        api_key: config.api_key.clone(),
    };
    stream::unfold(reading, |mut reading| async move { Some((reading.next().await?, reading)) })
}

/// The innermost cause of an error: what a person can do something about.
pub fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

struct Reading {
    state: State,
    decoder: Decoder,
    ready: VecDeque<Frame>,
    /// Told after the frames that came before it.
    failure: Option<ProviderError>,
    timeouts: Timeouts,
    bytes_left: u64,
    api_key: Option<ApiKey>,
}

enum State {
    NotSent(RequestBuilder),
    Open(Answer),
    Over,
}

struct Answer {
    response: Response,
    /// Somebody must have sent an event by then.
    next_event_by: Instant,
    end_by: Instant,
    /// The limit behind `next_event_by`, for the message.
    patience: Duration,
}

impl Reading {
    async fn next(&mut self) -> Option<Result<Frame, ProviderError>> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Some(Ok(frame));
            }
            if let Some(failure) = self.failure.take() {
                return Some(Err(self.presentable(failure)));
            }
            let advanced = match std::mem::replace(&mut self.state, State::Over) {
                State::NotSent(http) => self.open(http).await,
                State::Open(answer) => self.read(answer).await,
                State::Over => return None,
            };
            self.failure = advanced.err();
        }
    }

    async fn open(&mut self, http: RequestBuilder) -> Result<(), ProviderError> {
        let now = Instant::now();
        let end_by = now + self.timeouts.total;
        let next_event_by = end_by.min(now + self.timeouts.first_event);
        let response = match timeout_at(next_event_by, http.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(not_sent(error)),
            Err(_) => return Err(silent(self.timeouts.first_event)),
        };
        if !response.status().is_success() {
            return Err(refused(response, next_event_by).await);
        }
        let patience = self.timeouts.first_event;
        self.state = State::Open(Answer { response, next_event_by, end_by, patience });
        Ok(())
    }

    async fn read(&mut self, mut answer: Answer) -> Result<(), ProviderError> {
        let mut frames = Vec::new();
        let result = match timeout_at(answer.next_event_by, answer.response.chunk()).await {
            Ok(Ok(Some(bytes))) => self.take(&bytes, &mut answer, &mut frames),
            Ok(Ok(None)) => self.decoder.finish(None, &mut frames).map(|()| false),
            Ok(Err(error)) => self.decoder.finish(Some(lost(error)), &mut frames).map(|()| false),
            Err(_) => self.decoder.finish(Some(silent(answer.patience)), &mut frames).map(|()| false),
        };
        self.ready.extend(frames);
        if result? {
            self.state = State::Open(answer);
        }
        Ok(())
    }

    /// Says whether there is more to read.
    fn take(&mut self, bytes: &[u8], answer: &mut Answer, frames: &mut Vec<Frame>) -> Result<bool, ProviderError> {
        self.bytes_left = self.bytes_left.checked_sub(bytes.len() as u64).ok_or_else(|| {
            let mut error = ProviderError::new(ErrorKind::Protocol, "The model's answer is larger than allowed.");
            error.retryable = false;
            error
        })?;
        if self.decoder.push(bytes, frames)? > 0 {
            answer.patience = self.timeouts.idle;
            answer.next_event_by = answer.end_by.min(Instant::now() + self.timeouts.idle);
        }
        Ok(!self.decoder.ended())
    }

    /// The error without the key, and short.
    fn presentable(&self, mut error: ProviderError) -> ProviderError {
        if let Some(key) = &self.api_key {
            error.message = key.redact(&error.message);
        }
        if let Some((end, _)) = error.message.char_indices().nth(failure::MAX_MESSAGE_CHARS) {
            error.message.truncate(end);
            error.message.push('…');
        }
        error
    }
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

async fn refused(mut response: Response, by: Instant) -> ProviderError {
    let status = response.status().as_u16();
    let wait = failure::retry_after(header(&response, "retry-after"), header(&response, "retry-after-ms"));
    let mut body = Vec::new();
    while body.len() < MAX_ERROR_BYTES
        && let Ok(Ok(Some(bytes))) = timeout_at(by, response.chunk()).await
    {
        body.extend_from_slice(&bytes);
    }
    failure::from_status(status, wait, &body)
}

fn not_sent(error: reqwest::Error) -> ProviderError {
    let cause = innermost(&error.without_url());
    ProviderError::new(ErrorKind::Unreachable, format!("The model's server cannot be reached: {cause}."))
}

fn lost(error: reqwest::Error) -> ProviderError {
    let cause = innermost(&error.without_url());
    ProviderError::new(ErrorKind::Unreachable, format!("The connection was lost in the middle of the answer: {cause}."))
}

fn silent(limit: Duration) -> ProviderError {
    ProviderError::new(ErrorKind::Timeout, format!("The model's server sent nothing for {limit:?}, or took too long."))
}
