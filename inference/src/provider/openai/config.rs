//! How to reach one OpenAI-compatible server.
//!
//! The key never appears in `Debug` output, in an error, or in an address.

use std::fmt;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderValue;

use crate::provider::{ErrorKind, ProviderError};

/// The context most current models have, in tokens; used where nobody says otherwise.
pub const DEFAULT_CONTEXT_WINDOW_TOKENS: u32 = 128_000;
/// Most tokens of output asked for where nobody says otherwise.
pub const DEFAULT_MAX_OUTPUT_TOKENS: u32 = 8_192;
/// Most bytes read of one answer, framing included.
pub const DEFAULT_MAX_ANSWER_BYTES: u64 = 32 * 1024 * 1024;

/// How to reach one server and one model.
#[derive(Debug, Clone)]
pub struct OpenAiConfig {
    /// The address up to and without `/chat/completions`, such as `http://localhost:11434/v1`.
    pub base_url: String,
    /// Sent as a bearer token. Local servers mostly need none.
    pub api_key: Option<ApiKey>,
    /// The model asked when a request names none.
    pub model: String,
    /// Upper bound for what a request may ask for, reasoning included.
    pub max_output_tokens: u32,
    /// Most tokens that input and output may have together.
    pub context_window_tokens: u32,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// Most bytes read of one answer, framing included.
    pub max_answer_bytes: u64,
}

/// How long to wait for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For the connection, name lookup and TLS included.
    pub connect: Duration,
    /// From sending the request to the first event of the answer. Local models read long conversations slowly.
    pub first_event: Duration,
    /// Between two events. Keep-alive comments do not count.
    pub idle: Duration,
    /// For the whole answer.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_event: Duration::from_secs(300),
            idle: Duration::from_secs(120),
            total: Duration::from_secs(1_800),
        }
    }
}

/// A credential that does not show itself.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// Wraps a key; white space around it, as from a file, is taken off.
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into().trim().to_owned())
    }

    /// The text with every occurrence of the key taken out.
    pub(super) fn redact(&self, text: &str) -> String {
        if self.0.is_empty() { text.to_owned() } else { text.replace(&self.0, "[key]") }
    }

    pub(super) fn header(&self) -> Result<Option<HeaderValue>, ProviderError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let mut value = HeaderValue::from_str(&format!("Bearer {}", self.0))
            .map_err(|_| settings("The model's key has characters that no key can have."))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ApiKey(…)")
    }
}

impl OpenAiConfig {
    /// A server and a model with default limits.
    pub fn new(base_url: impl Into<String>, model: impl Into<String>) -> Self {
        Self {
            base_url: base_url.into(),
            api_key: None,
            model: model.into(),
            max_output_tokens: DEFAULT_MAX_OUTPUT_TOKENS,
            context_window_tokens: DEFAULT_CONTEXT_WINDOW_TOKENS,
            timeouts: Timeouts::default(),
            max_answer_bytes: DEFAULT_MAX_ANSWER_BYTES,
        }
    }

    /// The address to post to.
    pub(super) fn endpoint(&self) -> Result<Url, ProviderError> {
        let base = self.base_url.trim().trim_end_matches('/').trim_end_matches("/chat/completions");
        let url = Url::parse(&format!("{base}/chat/completions"))
            .map_err(|error| settings(format!("The model's address is not an address: {error}.")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(settings("The model's address must begin with http:// or https://."));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(settings("The model's address must not hold a password; set the key instead."));
        }
        Ok(url)
    }
}

/// Whether the host is this machine, which no proxy can reach.
pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn settings(message: impl Into<String>) -> ProviderError {
    ProviderError::new(ErrorKind::InvalidRequest, message).settled_by_settings()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::UserAction;

    #[test]
    fn the_address_may_be_written_in_several_ways() {
        for base in ["http://h/v1", "http://h/v1/", " http://h/v1/chat/completions\n"] {
            assert_eq!(OpenAiConfig::new(base, "m").endpoint().unwrap().as_str(), "http://h/v1/chat/completions");
        }
    }

    #[test]
    fn addresses_that_cannot_work_are_refused_with_a_way_out() {
        for base in ["", "localhost", "ftp://h/v1", "http://user:secret@h/v1"] {
            let error = OpenAiConfig::new(base, "m").endpoint().unwrap_err();
            assert_eq!((error.kind, error.user_action), (ErrorKind::InvalidRequest, UserAction::Settings), "{base}");
            assert!(!error.message.contains("secret"));
        }
    }

    #[test]
    fn the_key_does_not_show() {
        let mut config = OpenAiConfig::new("http://h", "m");
        config.api_key = Some(ApiKey::new("sk-secret\n"));
        assert!(!format!("{config:?}").contains("secret"));
        let key = config.api_key.unwrap();
        assert!(!format!("{:?}", key.header().unwrap()).contains("secret"));
        assert_eq!(key.redact("bad key sk-secret"), "bad key [key]");
        assert!(ApiKey::new("a\nb").header().is_err());
        assert_eq!(ApiKey::new(" ").header().unwrap(), None);
    }

    #[test]
    fn this_machine_is_known() {
        for (base, expected) in
            [("http://localhost:1", true), ("http://127.0.0.1", true), ("http://[::1]:8", true), ("https://a.b", false)]
        {
            assert_eq!(is_loopback(&Url::parse(base).unwrap()), expected, "{base}");
        }
    }
}
