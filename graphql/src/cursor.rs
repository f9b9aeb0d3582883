//! Positions as clients see them: opaque strings `epoch-position`. The epoch changes when a backup is restored.

use async_graphql::Context;

use crate::ErrorCode;
use crate::State;
use crate::error::{Refused, refuse};

/// A position of this installation as a cursor.
pub fn cursor(ctx: &Context<'_>, position: i64) -> String {
    of(ctx.data_unchecked::<State>().commands.installation().epoch, position)
}

/// A position as a cursor.
pub fn of(epoch: i32, position: i64) -> String {
    format!("{epoch}-{position}")
}

/// The position behind a cursor of this installation.
pub fn position(epoch: i32, cursor: &str) -> Refused<i64> {
    parse("after", epoch, cursor)
}

/// The position behind a cursor; `field` names the input in the error.
pub fn parse(field: &str, epoch: i32, cursor: &str) -> Refused<i64> {
    let parsed = cursor.split_once('-').and_then(|(e, p)| Some((e.parse::<i32>().ok()?, p.parse::<i64>().ok()?)));
    match parsed {
        Some((same, position)) if same == epoch && position >= 0 => Ok(position),
        Some((other, _)) if other != epoch => Err(refuse(
            ErrorCode::CursorExpired,
            "this cursor is from before a backup was restored: begin again without it",
        )),
        _ => {
            let words = format!("{field}: expected a cursor as the API gave it, such as 1-42");
            Err(refuse(ErrorCode::BadCursor, words))
        }
    }
}
