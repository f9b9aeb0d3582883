//! Refusals with stable codes. What is not a refusal is logged in full and told in one sentence.

use async_graphql::{Enum, ErrorExtensions, Object};
use commands::CommandError;
use commands::log::AppendError;
use domain::DecodeError;
use domain::account::AccountError;
use domain::quarantine::QuarantineError;
use domain::run::RunRefusal;
use domain::session::SessionError;
use domain::text::TextError;
use domain::workspace::WorkspaceError;
use projections::WaitError;

/// Every code that `extensions.code` can have.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// Nobody is signed in.
    Unauthenticated,
    /// The viewer's role does not allow it.
    Forbidden,
    /// An id that is malformed or of another kind.
    BadId,
    /// A cursor that the API never gave.
    BadCursor,
    /// A cursor from before a backup was restored.
    CursorExpired,
    /// An input outside its bounds.
    BadInput,
    /// A query that is no GraphQL, does not fit the schema, or asks for too much at once.
    BadQuery,
    /// There is no such thing, or it is another organisation's.
    NotFound,
    /// It is not in the state in which this can be asked.
    Conflict,
    /// A decision that was made the other way already.
    AlreadyDecided,
    /// Its content was erased.
    Erased,
    /// The request id was used with other input.
    RequestReused,
    /// The model has no price.
    Unpriced,
    /// Others changed the same thing at once.
    Contended,
    /// It is done, and the read models do not show it yet.
    NotYetVisible,
    /// A later release wrote what this one cannot read: upgrade this process.
    UpgradeRequired,
    /// The database cannot be reached.
    Unavailable,
    /// Daybook itself failed.
    Internal,
}

/// A result with an error for clients.
pub type Refused<T> = async_graphql::Result<T>;

/// The codes are part of the schema.
#[derive(Default)]
pub struct ErrorQuery;

#[Object]
impl ErrorQuery {
    /// Every code that `extensions.code` of an error can have.
    async fn error_codes(&self) -> Vec<ErrorCode> {
        <ErrorCode as async_graphql::resolver_utils::EnumType>::items().iter().map(|item| item.value).collect()
    }
}

/// An error with a code and a sentence.
pub fn refuse(code: ErrorCode, message: impl Into<String>) -> async_graphql::Error {
    let name = async_graphql::resolver_utils::enum_value(code);
    async_graphql::Error::new(message.into()).extend_with(|_, extensions| extensions.set("code", name.clone()))
}

/// Gives a code to errors that come from before any resolver: those about the query itself.
pub fn with_codes(mut response: async_graphql::Response) -> async_graphql::Response {
    for error in &mut response.errors {
        let extensions = error.extensions.get_or_insert_default();
        if extensions.get("code").is_none() {
            extensions.set("code", async_graphql::resolver_utils::enum_value(ErrorCode::BadQuery));
        }
    }
    response
}

/// What a failed command tells its caller.
pub fn command(error: CommandError) -> async_graphql::Error {
    match code(&error) {
        ErrorCode::Internal => internal(&error),
        ErrorCode::Unavailable => {
            tracing::error!(%error, "the database cannot be reached");
            refuse(ErrorCode::Unavailable, "the database cannot be reached: ask again with the same requestId")
        }
        code => refuse(code, error.to_string()),
    }
}

/// What went wrong inside is for the server's log; the caller gets one sentence.
pub fn internal(error: &(dyn std::error::Error + 'static)) -> async_graphql::Error {
    let id: domain::RequestId = commands::ids::new_id();
    tracing::error!(%error, %id, "a request failed");
    refuse(ErrorCode::Internal, format!("something went wrong inside; the server's log says more under {id}"))
}

/// What a failed read tells its caller.
pub fn read(error: sqlx::Error) -> async_graphql::Error {
    command(CommandError::Database(error))
}

/// A text outside its bounds.
pub fn text(error: TextError) -> async_graphql::Error {
    refuse(ErrorCode::BadInput, error.to_string())
}

/// It is done and not visible yet.
pub fn wait(error: WaitError) -> async_graphql::Error {
    refuse(ErrorCode::NotYetVisible, error.to_string())
}

/// It is done, and whatever posts the read model that would show it is late or away.
pub fn not_shown(noun: &str) -> async_graphql::Error {
    let message = format!("it is done, and the read models do not show the {noun} yet: ask again in a moment");
    refuse(ErrorCode::NotYetVisible, message)
}

/// There is none, or it is another organisation's: both look the same.
pub fn not_found(noun: &str) -> async_graphql::Error {
    refuse(ErrorCode::NotFound, format!("there is no such {noun}"))
}

/// The one place where refusals get their codes.
fn code(error: &CommandError) -> ErrorCode {
    match error {
        CommandError::Session(SessionError::Unknown)
        | CommandError::Run(RunRefusal::Unknown | RunRefusal::UnknownCall(_) | RunRefusal::UnknownApproval(_))
        | CommandError::Quarantine(QuarantineError::Unknown { .. })
        | CommandError::Workspace(WorkspaceError::Unknown) => ErrorCode::NotFound,
        CommandError::Erased
        | CommandError::Session(SessionError::Erased)
        | CommandError::Run(RunRefusal::Erased)
        | CommandError::Workspace(WorkspaceError::Erased) => ErrorCode::Erased,
        CommandError::Session(SessionError::NotYours) => ErrorCode::Forbidden,
        CommandError::Run(RunRefusal::AlreadyDecided { .. }) => ErrorCode::AlreadyDecided,
        CommandError::Run(RunRefusal::TooManyCalls) | CommandError::Workspace(WorkspaceError::PathLeaves(_)) => {
            ErrorCode::BadInput
        }
        CommandError::Session(SessionError::Taken | SessionError::Imported)
        | CommandError::Workspace(WorkspaceError::Taken)
        | CommandError::User(_)
        | CommandError::Quarantine(QuarantineError::Skipped { .. } | QuarantineError::TooMany)
        | CommandError::Run(
            RunRefusal::Taken
            | RunRefusal::Ended
            | RunRefusal::NotFailed
            | RunRefusal::Imported
            | RunRefusal::StillOpen(_)
            | RunRefusal::StepOver
            | RunRefusal::CallOver(_)
            | RunRefusal::ApprovalClosed(_)
            | RunRefusal::Phase { .. },
        )
        | CommandError::Account(AccountError::NotReserved(_) | AccountError::Taken(_) | AccountError::OtherPrice(_)) => {
            ErrorCode::Conflict
        }
        CommandError::Account(AccountError::Overflow(_))
        | CommandError::Quarantine(QuarantineError::NoReason)
        | CommandError::Model(_) => ErrorCode::BadInput,
        CommandError::Append(AppendError::RequestReused) => ErrorCode::RequestReused,
        CommandError::Append(AppendError::Conflict(_)) | CommandError::Contended => ErrorCode::Contended,
        CommandError::Append(AppendError::Unavailable) => ErrorCode::Unavailable,
        CommandError::Append(AppendError::Unknown { .. }) | CommandError::Decode(DecodeError::Unknown { .. }) => {
            ErrorCode::UpgradeRequired
        }
        CommandError::Append(AppendError::Malformed(_)) => ErrorCode::BadInput,
        CommandError::Append(AppendError::Refused(_)) | CommandError::Decode(DecodeError::Malformed { .. }) => {
            ErrorCode::Internal
        }
        CommandError::Unpriced(_) => ErrorCode::Unpriced,
        CommandError::Database(sqlx::Error::PoolTimedOut | sqlx::Error::Io(_)) => ErrorCode::Unavailable,
        CommandError::Database(_) => ErrorCode::Internal,
    }
}
