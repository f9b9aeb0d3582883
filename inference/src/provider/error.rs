//! The closed vocabulary of what can go wrong with a model call, and what may be done about it.
//!
//! Never holds a credential: whoever makes an error has taken keys out of its message.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What went wrong with a model call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ProviderError {
    /// What kind of failure it is.
    pub kind: ErrorKind,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// What the person can do.
    pub user_action: UserAction,
    /// One or two sentences for the person.
    pub message: String,
    /// How long the server asked us to wait.
    pub retry_after: Option<Duration>,
}

/// Kinds of failure. Stored in events: never rename one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The key is missing, wrong, or not allowed to do this.
    Unauthorized,
    /// The server knows neither this address nor this model.
    NotFound,
    /// Too many requests, or the account has nothing left.
    RateLimited,
    /// The conversation does not fit into the model's context.
    ContextTooLong,
    /// The server refuses the request as it stands.
    InvalidRequest,
    /// The server failed.
    Server,
    /// No connection, or it was lost.
    Unreachable,
    /// The server was silent for too long.
    Timeout,
    /// The answer is not what the protocol allows.
    Protocol,
    /// Somebody cancelled the call.
    Cancelled,
}

/// What a person can do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserAction {
    /// Nothing.
    None,
    /// Ask again.
    Retry,
    /// Change the model's settings.
    Settings,
}

impl ProviderError {
    /// An error with what its kind usually means for retrying and for the person.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            retryable: kind.usually_retryable(),
            user_action: kind.usual_action(),
            message: message.into(),
            retry_after: None,
        }
    }

    /// The same error, but asking again is of no use: only other settings help.
    #[must_use]
    pub fn settled_by_settings(mut self) -> Self {
        self.retryable = false;
        self.user_action = UserAction::Settings;
        self
    }

    /// The same error with the wait the server asked for.
    #[must_use]
    pub fn after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }
}

impl ErrorKind {
    fn usually_retryable(self) -> bool {
        match self {
            Self::RateLimited | Self::Server | Self::Unreachable | Self::Timeout | Self::Protocol => true,
            Self::Unauthorized | Self::NotFound | Self::ContextTooLong | Self::InvalidRequest | Self::Cancelled => {
                false
            }
        }
    }

    fn usual_action(self) -> UserAction {
        match self {
            Self::Unauthorized | Self::NotFound => UserAction::Settings,
            Self::ContextTooLong | Self::InvalidRequest => UserAction::None,
            Self::RateLimited | Self::Server | Self::Unreachable | Self::Timeout | Self::Protocol | Self::Cancelled => {
                UserAction::Retry
            }
        }
    }
}
