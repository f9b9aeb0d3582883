//! Events that a projection could not take in.

use async_graphql::connection::{Connection, Edge, EmptyFields};
use async_graphql::{Context, ID, Object, SimpleObject};
use projections::quarantine::{self, Quarantined};

use crate::State;
use crate::cursor::cursor;
use crate::error::{ErrorCode, Refused, read, refuse};
use crate::ids::id;
use crate::session::page_size;
use crate::viewer::overseer;

/// Quarantine.
#[derive(Default)]
pub struct QuarantineQuery;

/// An event that a projection could not take in. What follows it in its session, or in its stream where it has none,
/// waits; where the projection stopped, everything does.
#[derive(SimpleObject)]
struct QuarantinedEvent {
    projection: String,
    /// The schema of the build's tables.
    build: String,
    position: String,
    event_type: String,
    event_version: i16,
    stream_id: ID,
    session_id: Option<ID>,
    /// As it stands in the log; null where it was erased.
    payload: Option<String>,
    /// Why it could not be taken in.
    error: String,
    since: domain::Timestamp,
    /// Whether the projection stopped in this book, as those of money do.
    stops: bool,
}

type Events = Connection<String, QuarantinedEvent, EmptyFields, EmptyFields>;

#[Object]
impl QuarantineQuery {
    /// What is in quarantine in the viewer's book, by position. For administrators and auditors.
    async fn projection_quarantine(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 50)] first: i32,
        after: Option<String>,
    ) -> Refused<Events> {
        let book_id = overseer(ctx)?.book_id;
        let first = page_size(first)?;
        let place = after.as_deref().map(place).transpose()?;
        let mut db = ctx.data_unchecked::<State>().reader.book(book_id).await.map_err(read)?;
        let mut rows = quarantine::list(&mut db, book_id, place, first + 1).await.map_err(read)?;
        let more = rows.len() as i64 > first;
        rows.truncate(usize::try_from(first).unwrap_or(0));
        let mut connection = Connection::new(place.is_some(), more);
        connection.edges.extend(rows.into_iter().map(|one| {
            let place = format!("{}.{}", one.position, one.build);
            Edge::new(place, QuarantinedEvent::of(ctx, one))
        }));
        Ok(connection)
    }
}

impl QuarantinedEvent {
    fn of(ctx: &Context<'_>, one: Quarantined) -> Self {
        Self {
            projection: one.projection,
            build: one.build,
            position: cursor(ctx, one.position),
            event_type: one.event_type,
            event_version: one.event_version,
            stream_id: ID(one.stream_id.to_string()),
            session_id: one.session_id.map(id),
            payload: one.payload,
            error: one.error,
            since: one.since,
            stops: one.stops,
        }
    }
}

/// Where a page ended: position of the event, and the build.
fn place(cursor: &str) -> Refused<(i64, &str)> {
    let parsed = cursor.split_once('.').and_then(|(position, build)| Some((position.parse().ok()?, build)));
    parsed.ok_or_else(|| refuse(ErrorCode::BadCursor, "after: expected a cursor as the quarantine gave it"))
}
