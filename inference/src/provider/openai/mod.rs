//! Any server that speaks OpenAI's chat completions: OpenAI, Ollama, llama.cpp, vLLM, LocalAI and many more.
//!
//! Never retries, never follows a redirect (the key would travel with it), never waits or reads without a limit. Speaks
//! HTTP/1.1 only, so that dropping a stream closes its connection and the server stops working.

mod body;
mod chunk;
mod config;
mod decode;
mod failure;
mod read;
mod sse;

use std::time::Duration;

use futures_util::StreamExt;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use reqwest::{Client, Url};

pub use config::{
    ApiKey, DEFAULT_CONTEXT_WINDOW_TOKENS, DEFAULT_MAX_ANSWER_BYTES, DEFAULT_MAX_OUTPUT_TOKENS, OpenAiConfig, Timeouts,
};

use self::body::OutputLimitField;
use super::{ErrorKind, FrameStream, Provider, ProviderError};
use crate::request::ModelRequest;

/// How long an unused connection is kept.
const POOL_IDLE: Duration = Duration::from_secs(60);

/// A server that speaks chat completions.
#[derive(Debug, Clone)]
pub struct OpenAi {
    client: Client,
    endpoint: Url,
    config: OpenAiConfig,
}

impl OpenAi {
    /// The name of this provider.
    pub const NAME: &'static str = "openai";

    /// Checks the settings. Does not connect.
    pub fn new(config: OpenAiConfig) -> Result<Self, ProviderError> {
        let endpoint = config.endpoint()?;
        let client = client(&config, &endpoint)?;
        Ok(Self { client, endpoint, config })
    }
}

impl Provider for OpenAi {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn model(&self) -> &str {
        &self.config.model
    }

    fn context_window_tokens(&self) -> u32 {
        self.config.context_window_tokens
    }

    fn stream(&self, request: ModelRequest) -> FrameStream {
        let model = if request.model.is_empty() { &self.config.model } else { &request.model };
        let max_output_tokens = request.max_output_tokens.min(self.config.max_output_tokens);
        let limit_field = OutputLimitField::of_host(self.endpoint.host_str().unwrap_or_default());
        let body = body::body(&request, model, max_output_tokens, limit_field).to_string();
        let http = self.client.post(self.endpoint.clone()).body(body);
        read::frames(http, &self.config).boxed()
    }
}

fn client(config: &OpenAiConfig, endpoint: &Url) -> Result<Client, ProviderError> {
    // An error only says that some provider is installed already, and any will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/json".parse().expect("a constant"));
    headers.insert("accept", "text/event-stream, application/json".parse().expect("a constant"));
    if let Some(value) = config.api_key.as_ref().map(ApiKey::header).transpose()?.flatten() {
        headers.insert(AUTHORIZATION, value);
    }
    let mut builder = Client::builder()
        .default_headers(headers)
        .user_agent(concat!("daybook/", env!("CARGO_PKG_VERSION")))
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(config.timeouts.connect)
        .pool_idle_timeout(POOL_IDLE);
    if config::is_loopback(endpoint) {
        builder = builder.no_proxy();
    }
    if endpoint.scheme() == "http" {
        // A machine without root certificates can still use a server that needs none.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(|error| {
        let message = format!("The connection to the model cannot be set up: {}.", read::innermost(&error));
        ProviderError::new(ErrorKind::InvalidRequest, message).settled_by_settings()
    })
}

#[cfg(test)]
mod tests;
