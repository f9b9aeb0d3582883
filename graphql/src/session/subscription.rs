//! Following a session: every event in order, each once, and text while it is written.
//!
//! Each frame of events carries `prev`, the position before its first event in this session, so that the client can
//! prove that nothing is missing. Live frames have no position; those of an item all come before its event.

use async_graphql::{Context, ID, SimpleObject, Subscription};
use async_stream::stream;
use futures::Stream;
use projections::feed;

use super::following::Following;
use super::frame::{self, Outgoing};
use crate::State;
use crate::cursor;
use crate::error::{Refused, not_found, read};
use crate::ids::parse;
use crate::viewer::viewer;

/// What can be followed of sessions.
#[derive(Default)]
pub struct SessionSubscription;

/// Something in the session list changed.
#[derive(SimpleObject)]
struct SessionsChanged {
    position: String,
}

#[Subscription]
impl SessionSubscription {
    /// Every event of a session, in order, after a cursor; without one from the beginning.
    async fn session_events(
        &self,
        ctx: &Context<'_>,
        session_id: ID,
        after: Option<String>,
    ) -> async_graphql::Result<impl Stream<Item = Refused<Outgoing>> + use<>> {
        let (book_id, state) = (viewer(ctx)?.book_id, ctx.data_unchecked::<State>());
        let session_id = parse("sessionId", &session_id)?;
        let epoch = state.commands.installation().epoch;
        let after = after.as_deref().map_or(Ok(0), |after| cursor::position(epoch, after))?;
        let mut db = state.reader.book(book_id).await.map_err(read)?;
        let at = feed::session_position(&mut db, book_id, session_id, after).await.map_err(read)?;
        let at = at.ok_or_else(|| not_found("session"))?;
        drop(db);
        let subscriber = state.follower.subscribe(book_id, session_id, at);
        let (bus, asked) = (state.commands.bus().clone(), frame::asked(ctx));
        Ok(Following { subscriber, bus, session_id, epoch, asked }.frames())
    }

    /// Says that something in the session list changed: read the list again.
    async fn sessions_changed(
        &self,
        ctx: &Context<'_>,
    ) -> async_graphql::Result<impl Stream<Item = Refused<SessionsChanged>> + use<>> {
        let (book_id, state) = (viewer(ctx)?.book_id, ctx.data_unchecked::<State>());
        let epoch = state.commands.installation().epoch;
        let mut progress = state.runner.progress();
        Ok(stream! {
            let mut seen = None;
            loop {
                let reached = progress.borrow_and_update().get(&book_id).copied();
                if let Some(position) = reached && seen != reached {
                    seen = reached;
                    yield Ok(SessionsChanged { position: cursor::of(epoch, position) });
                }
                if progress.changed().await.is_err() {
                    return;
                }
            }
        })
    }
}
