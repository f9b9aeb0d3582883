//! Turns what servers say about failures into the closed vocabulary.
//!
//! Sources: <https://platform.openai.com/docs/guides/error-codes> and the error bodies of Ollama (`{"error": "text"}`),
//! vLLM (`{"detail": …}`, `{"message": …, "code": 400}`), llama.cpp (`exceed_context_size_error`) and OpenRouter (the
//! status as `code` in mid-stream).

use std::time::Duration;

use serde_json::Value;

use crate::provider::{ErrorKind, ProviderError};

/// Most characters of a message that are passed on. Cut only after the key is out, so that no half of it stays.
pub const MAX_MESSAGE_CHARS: usize = 500;
/// Longest wait that a server may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3_600);
/// What servers call a conversation that is too long.
const CONTEXT_WORDS: [&str; 6] = [
    "context_length_exceeded",
    "exceed_context_size",
    "context length",
    "context size",
    "context window",
    "prompt is too long",
];
/// What servers call an account with nothing left.
const QUOTA_WORDS: [&str; 2] = ["insufficient_quota", "billing"];

/// The error of an HTTP status and its body.
pub fn from_status(status: u16, retry_after: Option<Duration>, body: &[u8]) -> ProviderError {
    let said = match serde_json::from_slice::<Value>(body) {
        Ok(value) => Said::of(&value),
        Err(_) => Said::default(),
    };
    classify(Some(status), &said).after(retry_after)
}

/// The error of an error object in the middle of a stream: `{"error": …}`, or what stands in it.
pub fn from_event(value: &Value) -> ProviderError {
    let said = Said::of(value);
    classify(said.status, &said)
}

/// The wait in a `Retry-After` header in seconds, else in a `retry-after-ms` header. Dates are not read: no model server
/// sends them.
pub fn retry_after(seconds: Option<&str>, milliseconds: Option<&str>) -> Option<Duration> {
    let number = |text: Option<&str>| text?.trim().parse::<f64>().ok().filter(|value| *value >= 0.0);
    let wait = number(milliseconds).map(|value| value / 1_000.0).or_else(|| number(seconds))?;
    Some(Duration::try_from_secs_f64(wait).map_or(MAX_RETRY_AFTER, |wait| wait.min(MAX_RETRY_AFTER)))
}

/// What a server said about a failure.
#[derive(Debug, Default)]
struct Said {
    message: String,
    /// `type` and `code`, in small letters.
    words: String,
    /// `code`, where it is an HTTP status.
    status: Option<u16>,
}

impl Said {
    fn of(value: &Value) -> Self {
        let inner = value.get("error").or_else(|| value.get("detail")).unwrap_or(value);
        let text = |name: &str| inner.get(name).and_then(Value::as_str).unwrap_or_default();
        let message = inner.as_str().unwrap_or_else(|| text("message"));
        let status = inner.get("code").and_then(|code| match code {
            Value::String(text) => text.parse().ok(),
            _ => code.as_u64(),
        });
        Self {
            message: message.to_owned(),
            words: format!("{} {}", text("type"), text("code")).to_lowercase(),
            status: status.and_then(|code| u16::try_from(code).ok()).filter(|code| (300..600).contains(code)),
        }
    }

    fn mentions(&self, words: &[&str]) -> bool {
        let message = self.message.to_lowercase();
        words.iter().any(|word| self.words.contains(word) || message.contains(word))
    }
}

fn classify(status: Option<u16>, said: &Said) -> ProviderError {
    let kind = match status {
        Some(401 | 403) => ErrorKind::Unauthorized,
        Some(404 | 405) => ErrorKind::NotFound,
        Some(408 | 504) => ErrorKind::Timeout,
        Some(413) => ErrorKind::ContextTooLong,
        Some(402 | 429) => ErrorKind::RateLimited,
        Some(300..500) if said.mentions(&CONTEXT_WORDS) => ErrorKind::ContextTooLong,
        Some(409 | 425) => ErrorKind::Server,
        Some(300..500) => ErrorKind::InvalidRequest,
        Some(_) => ErrorKind::Server,
        None => kind_of_words(said),
    };
    let error = ProviderError::new(kind, sentence(kind, status, &said.message));
    let redirected = matches!(status, Some(300..400));
    let nothing_left = kind == ErrorKind::RateLimited && (status == Some(402) || said.mentions(&QUOTA_WORDS));
    if redirected || nothing_left { error.settled_by_settings() } else { error }
}

/// The kind of a failure in mid-stream that has no status.
fn kind_of_words(said: &Said) -> ErrorKind {
    if said.mentions(&CONTEXT_WORDS) {
        return ErrorKind::ContextTooLong;
    }
    let has = |word: &str| said.words.contains(word);
    if has("rate_limit") || has("insufficient_quota") {
        ErrorKind::RateLimited
    } else if has("authentication") || has("permission") || has("invalid_api_key") {
        ErrorKind::Unauthorized
    } else if has("not_found") {
        ErrorKind::NotFound
    } else if has("invalid_request") {
        ErrorKind::InvalidRequest
    } else {
        ErrorKind::Server
    }
}

fn sentence(kind: ErrorKind, status: Option<u16>, said: &str) -> String {
    let what = match kind {
        ErrorKind::Unauthorized => "The model's server refused the key",
        ErrorKind::NotFound => "The model's server knows neither this address nor this model",
        ErrorKind::RateLimited => "The model's server allows no more requests for now",
        ErrorKind::ContextTooLong => "The conversation is too long for this model",
        ErrorKind::InvalidRequest => "The model's server refused the request",
        ErrorKind::Timeout => "The model's server gave up waiting",
        _ => "The model's server failed",
    };
    let status = status.map(|status| format!(" (HTTP {status})")).unwrap_or_default();
    if said.is_empty() { format!("{what}{status}.") } else { format!("{what}{status}: {said}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::UserAction;
    use serde_json::json;

    #[test]
    fn statuses_have_kinds() {
        let expected = [
            (302, ErrorKind::InvalidRequest, false, UserAction::Settings),
            (400, ErrorKind::InvalidRequest, false, UserAction::None),
            (401, ErrorKind::Unauthorized, false, UserAction::Settings),
            (402, ErrorKind::RateLimited, false, UserAction::Settings),
            (403, ErrorKind::Unauthorized, false, UserAction::Settings),
            (404, ErrorKind::NotFound, false, UserAction::Settings),
            (408, ErrorKind::Timeout, true, UserAction::Retry),
            (413, ErrorKind::ContextTooLong, false, UserAction::None),
            (429, ErrorKind::RateLimited, true, UserAction::Retry),
            (500, ErrorKind::Server, true, UserAction::Retry),
            (503, ErrorKind::Server, true, UserAction::Retry),
            (529, ErrorKind::Server, true, UserAction::Retry),
        ];
        for (status, kind, retryable, action) in expected {
            let error = from_status(status, None, b"<html>");
            assert_eq!((error.kind, error.retryable, error.user_action), (kind, retryable, action), "{status}");
        }
    }

    #[test]
    fn the_servers_words_are_passed_on_from_every_known_shape() {
        for body in [
            json!({"error": {"message": "no such model", "type": "x", "code": null}}),
            json!({"error": "no such model"}),
            json!({"detail": "no such model"}),
            json!({"object": "error", "message": "no such model", "code": 404}),
        ] {
            let error = from_status(404, None, body.to_string().as_bytes());
            assert!(error.message.ends_with("(HTTP 404): no such model"), "{}", error.message);
        }
    }

    #[test]
    fn a_conversation_that_is_too_long_is_told_apart() {
        for body in [
            json!({"error": {"message": "too long", "code": "context_length_exceeded"}}),
            json!({"error": {"message": "the request exceeds", "type": "exceed_context_size_error", "code": 400}}),
            json!({"message": "This model's maximum context length is 4096 tokens"}),
        ] {
            assert_eq!(from_status(400, None, body.to_string().as_bytes()).kind, ErrorKind::ContextTooLong);
        }
    }

    #[test]
    fn an_empty_account_is_not_asked_again() {
        let body = json!({"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}});
        let error = from_status(429, None, body.to_string().as_bytes());
        assert_eq!((error.retryable, error.user_action), (false, UserAction::Settings));
    }

    #[test]
    fn errors_in_mid_stream_have_kinds() {
        for (event, kind) in [
            (json!({"error": {"message": "m", "code": 502}}), ErrorKind::Server),
            (json!({"error": {"message": "m", "code": "429"}}), ErrorKind::RateLimited),
            (json!({"error": {"message": "m", "type": "rate_limit_error"}}), ErrorKind::RateLimited),
            (json!({"error": {"message": "m", "type": "invalid_request_error"}}), ErrorKind::InvalidRequest),
            (json!({"error": "out of memory"}), ErrorKind::Server),
            (json!({"message": "m", "type": "authentication_error"}), ErrorKind::Unauthorized),
        ] {
            assert_eq!(from_event(&event).kind, kind, "{event}");
        }
    }

    #[test]
    fn waits_are_read_and_bounded() {
        assert_eq!(retry_after(Some("7"), None), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(Some("1"), Some("1500")), Some(Duration::from_millis(1_500)));
        assert_eq!(retry_after(Some("1e99"), None), Some(MAX_RETRY_AFTER));
        for unreadable in ["-1", "NaN", "soon", ""] {
            assert_eq!(retry_after(Some(unreadable), None), None, "{unreadable}");
        }
    }
}
