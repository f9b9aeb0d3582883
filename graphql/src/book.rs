//! The viewer's book: the organisation's log.

use async_graphql::{Context, ID, Object, SimpleObject};

use crate::State;
use crate::cursor::cursor;
use crate::error::{Refused, read};
use crate::ids::id;
use crate::viewer::viewer;

/// The viewer's book.
#[derive(Default)]
pub struct BookQuery;

/// One organisation's log.
#[derive(SimpleObject)]
struct Book {
    id: ID,
    /// The position of the newest event.
    position: String,
    /// Its hash, which stands for everything before it.
    hash: String,
}

#[Object]
impl BookQuery {
    /// The head of the viewer's log.
    async fn book(&self, ctx: &Context<'_>) -> Refused<Book> {
        let viewer = viewer(ctx)?;
        let mut db = ctx.data_unchecked::<State>().reader.book(viewer.book_id).await.map_err(read)?;
        let (position, hash) = projections::feed::head(&mut db, viewer.book_id).await.map_err(read)?;
        let hash = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Book { id: id(viewer.book_id), position: cursor(ctx, position), hash })
    }
}
