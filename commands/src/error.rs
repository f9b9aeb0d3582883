//! Why a command was not carried out.

use domain::account::AccountError;
use domain::model::ModelError;
use domain::quarantine::QuarantineError;
use domain::run::RunRefusal;
use domain::session::SessionError;
use domain::user::UserError;
use domain::workspace::WorkspaceError;

use crate::log::AppendError;

/// Why a command was not carried out. Each refusal of the rules keeps its own type.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// A session refuses.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A run refuses.
    #[error(transparent)]
    Run(#[from] RunRefusal),
    /// A workspace refuses.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    /// An account refuses.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The price list refuses.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// An order about quarantine is refused.
    #[error(transparent)]
    Quarantine(#[from] QuarantineError),
    /// A user refuses.
    #[error(transparent)]
    User(#[from] UserError),
    /// The log refuses.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// A model without a price cannot be used: its calls could not be charged.
    #[error("the model {0} has no price: set one before it is used")]
    Unpriced(String),
    /// Others kept changing the same streams.
    #[error("too many others changed the same thing at once: try again")]
    Contended,
    /// The request was carried out before, and the content of what it did has been erased since.
    #[error("this was done before, and its content has been erased since")]
    Erased,
    /// A stored event cannot be read.
    #[error(transparent)]
    Decode(#[from] domain::DecodeError),
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
}
