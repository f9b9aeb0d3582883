//! Why a build was not made, or does not serve.

use domain::BookId;

use super::row;
use crate::apply::ApplyError;
use crate::feed::FeedError;

/// Why a build was not made, or does not serve.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// There is no such projection.
    #[error("there is no projection named {0}")]
    Unknown(String),
    /// Somebody else works on it.
    #[error("{projection} is being rebuilt already, by {owner}")]
    Owned {
        /// The projection.
        projection: String,
        /// Who, for people.
        owner: String,
    },
    /// Somebody gave it up.
    #[error("cancelled")]
    Cancelled,
    /// An event cannot be taken in, or the database refuses a row.
    #[error("{0}")]
    Refused(ApplyError),
    /// The log lacks events.
    #[error("{book_id} has {events} events after position {after} and up to {to}: the log is damaged")]
    Incomplete {
        /// The book.
        book_id: BookId,
        /// The position before the range.
        after: i64,
        /// The last position of the range.
        to: i64,
        /// How many events there are.
        events: i64,
    },
    /// The new build holds rows that it must not hold.
    #[error("the rows of {0} are not what they must be: {1}")]
    Wrong(String, String),
    /// The new build stopped while it followed the log.
    #[error("the new build of {projection} stops in {book_id} after position {position}")]
    Stopped {
        /// The projection.
        projection: String,
        /// The book.
        book_id: BookId,
        /// The last position that it took in.
        position: i64,
    },
    /// The new build is not what serves.
    #[error("{projection} differs from what serves in {books} book(s): it was not switched")]
    Differs {
        /// The projection.
        projection: String,
        /// In how many books.
        books: usize,
    },
    /// Nothing was kept to go back to.
    #[error("{0} has no earlier build to go back to")]
    NothingToUndo(String),
    /// This release cannot post to the build that was kept.
    #[error("the earlier build of {0} has version {1}, which this release cannot follow")]
    OtherVersion(String, i32),
    /// Nothing is taken in, and no event is to blame. It is tried again and again.
    #[error("the new build of {projection} does not move in {book_id} after position {position}: it goes on trying")]
    Standing {
        /// The projection.
        projection: String,
        /// The book.
        book_id: BookId,
        /// The last position that it took in.
        position: i64,
    },
    /// Others hold on to what is wanted: readers to the view, or somebody who posts.
    #[error("others hold on to the read models; the new build stays as it is, and the same can be asked for later")]
    Busy,
    /// The same request came to nothing before.
    #[error("this request came to nothing before: {0}")]
    Before(String),
    /// A part of the work ended without a word.
    #[error("a part of the rebuild was lost")]
    Lost,
    /// The database sent something else than was asked for.
    #[error("the database sent a COPY that is not of the expected form")]
    Malformed,
    /// The database failed. What is written stays, and the next rebuild goes on from there.
    #[error("the database failed: {0}")]
    Database(sqlx::Error),
}

impl From<ApplyError> for RebuildError {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Database(error) => error.into(),
            error => Self::Refused(error),
        }
    }
}

impl From<sqlx::Error> for RebuildError {
    fn from(error: sqlx::Error) -> Self {
        match ApplyError::Database(error) {
            refusal if refusal.is_refusal() => Self::Refused(refusal),
            ApplyError::Database(error) => Self::Database(error),
            other => Self::Refused(other),
        }
    }
}

impl From<FeedError> for RebuildError {
    fn from(FeedError::Database(error): FeedError) -> Self {
        error.into()
    }
}

impl From<row::Malformed> for RebuildError {
    fn from(_: row::Malformed) -> Self {
        Self::Malformed
    }
}

impl RebuildError {
    /// Whether the build cannot come to anything, however often it is tried.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::Refused(..) | Self::Incomplete { .. } | Self::Wrong(..) | Self::Stopped { .. })
    }

    /// Whether the build goes on following the log, and waits for somebody to come back to it.
    pub(super) fn leaves_it_following(&self) -> bool {
        matches!(self, Self::Differs { .. } | Self::Standing { .. } | Self::Busy)
    }

    /// Whether nobody but the moment is to blame: the same, asked for a little later, may well be done.
    pub fn passes(&self) -> bool {
        matches!(self, Self::Database(_) | Self::Lost | Self::Standing { .. } | Self::Busy)
    }
}
