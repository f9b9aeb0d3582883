//! The past: which moment a query asks about.

use async_graphql::{Context, OneofObject};
use domain::{BookId, SessionId, Timestamp};
use projections::as_of::{self, AsOfError, Moment, Past};
use std::sync::Arc;

use crate::State;
use crate::cursor;
use crate::error::{ErrorCode, Refused, read, refuse};

/// A moment of the log: things are shown as they were then. What was erased since stays erased.
#[derive(OneofObject)]
pub enum AsOf {
    /// After the event at this position.
    Position(String),
    /// After the last event that was written down by then.
    Time(Timestamp),
}

/// The position of a moment.
pub async fn position(ctx: &Context<'_>, book_id: BookId, as_of: AsOf) -> Refused<i64> {
    let state = ctx.data_unchecked::<State>();
    let moment = match as_of {
        AsOf::Position(text) => {
            let epoch = state.commands.installation().epoch;
            Moment::Position(cursor::parse("asOf.position", epoch, &text)?)
        }
        AsOf::Time(time) => Moment::Time(time),
    };
    let mut db = state.reader.book(book_id).await.map_err(read)?;
    as_of::position(&mut db, book_id, moment).await.map_err(|error| refused(ctx, error))
}

/// A session with all that belongs to it, as it was at a position.
pub async fn past(ctx: &Context<'_>, book_id: BookId, session_id: SessionId, position: i64) -> Refused<Arc<Past>> {
    let mut db = ctx.data_unchecked::<State>().reader.book(book_id).await.map_err(read)?;
    let past = Past::read(&mut db, book_id, session_id, position).await;
    past.map(Arc::new).map_err(|error| refused(ctx, error))
}

fn refused(ctx: &Context<'_>, error: AsOfError) -> async_graphql::Error {
    match error {
        AsOfError::Beyond { head, .. } => {
            let head = cursor::cursor(ctx, head);
            refuse(ErrorCode::BadInput, format!("asOf.position: the newest position of the book is {head}"))
        }
        AsOfError::TooMany => refuse(ErrorCode::BadInput, format!("asOf: {error}")),
        AsOfError::Database(error) => read(error),
    }
}
