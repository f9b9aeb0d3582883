//! The closed vocabulary of what can go wrong with a model call, and what may be done about it.
//!
//! Never holds a credential: whoever makes an error has taken keys out of its message.

use std::time::Duration;

pub use domain::run::{ErrorKind, UserAction};

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

impl ProviderError {
    /// An error with what its kind usually means for retrying and for the person.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            retryable: usually_retryable(kind),
            user_action: usual_action(kind),
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

/// Whether the same request may succeed later, as a rule.
fn usually_retryable(kind: ErrorKind) -> bool {
    use ErrorKind::{Protocol, RateLimited, Server, Timeout, Unreachable};
    matches!(kind, RateLimited | Server | Unreachable | Timeout | Protocol)
}

/// What the person can do, as a rule.
fn usual_action(kind: ErrorKind) -> UserAction {
    match kind {
        ErrorKind::Unauthorized | ErrorKind::NotFound => UserAction::Settings,
        ErrorKind::ContextTooLong | ErrorKind::InvalidRequest => UserAction::None,
        _ => UserAction::Retry,
    }
}
