//! What can be done about events in quarantine, and about one session of a read model.

use async_graphql::{Context, ID, InputObject, Object, OneofObject, SimpleObject};
use commands::Done;
use domain::quarantine::{QuarantineRetried, QuarantineSkipped};
use domain::text::Reason;
use domain::{SessionId, Viewer};
use projections::feed::Partition;
use projections::{RebuildError, quarantine};

use crate::State;
use crate::cursor::{self, cursor};
use crate::error::{ErrorCode, Refused, command, internal, read, refuse, text, wait};
use crate::ids::{parse, request};
use crate::run::PATIENCE;
use crate::viewer::admin;

/// Commands on read models.
#[derive(Default)]
pub struct ProjectionMutation;

/// Try again to take an event in.
#[derive(InputObject)]
struct QuarantineRetryInput {
    /// `request:` and a UUIDv7 of the client's; the same again gets the first answer.
    request_id: ID,
    projection: String,
    /// The event's position.
    position: String,
}

/// Go on for good without an event.
#[derive(InputObject)]
struct QuarantineSkipInput {
    /// `request:` and a UUIDv7 of the client's; the same again gets the first answer.
    request_id: ID,
    projection: String,
    /// The event's position.
    position: String,
    /// Why it may be left out: 1 to 2,000 characters.
    reason: String,
}

/// The order is recorded and carried out.
#[derive(SimpleObject)]
struct QuarantinePayload {
    /// Whether the event still cannot be taken in.
    standing: bool,
    /// Where the order stands in the log.
    position: String,
}

/// What belongs together.
#[derive(OneofObject)]
enum PartitionInput {
    /// A session with all that happened in it.
    SessionId(ID),
    /// A stream outside of any session: its UUID.
    StreamId(ID),
}

/// Fold one session, or one stream outside of any, anew. It changes nothing but rows that were wrong, so it may be asked
/// any number of times.
#[derive(InputObject)]
struct ProjectionRebuildPartitionInput {
    projection: String,
    partition: PartitionInput,
}

/// It is folded anew.
#[derive(SimpleObject)]
struct ProjectionRebuildPartitionPayload {
    /// The event at which it waits in quarantine; null where it went all the way.
    waits_at: Option<String>,
}

#[Object]
impl ProjectionMutation {
    /// Has a projection try again to take an event in. For administrators.
    async fn quarantine_retry(&self, ctx: &Context<'_>, input: QuarantineRetryInput) -> Refused<QuarantinePayload> {
        let (viewer, state) = (admin(ctx)?, ctx.data_unchecked::<State>());
        let position = cursor::parse("position", state.commands.installation().epoch, &input.position)?;
        let order = QuarantineRetried { projection: input.projection.clone(), position };
        let standing = stands(ctx, viewer, &input.projection, position).await?;
        let done = state.commands.quarantine_retry(viewer, request(&input.request_id)?, order, standing).await;
        settled(ctx, viewer, done.map_err(command)?, (&input.projection, position)).await
    }

    /// Has a projection go on for good as if an event had not happened. The log keeps the event. For administrators.
    async fn quarantine_skip(&self, ctx: &Context<'_>, input: QuarantineSkipInput) -> Refused<QuarantinePayload> {
        let (viewer, state) = (admin(ctx)?, ctx.data_unchecked::<State>());
        let position = cursor::parse("position", state.commands.installation().epoch, &input.position)?;
        let reason = Reason::parse("reason", input.reason).map_err(text)?.as_str().to_owned();
        let order = QuarantineSkipped { projection: input.projection.clone(), position, reason };
        let standing = stands(ctx, viewer, &input.projection, position).await?;
        let done = state.commands.quarantine_skip(viewer, request(&input.request_id)?, order, standing).await;
        settled(ctx, viewer, done.map_err(command)?, (&input.projection, position)).await
    }

    /// Folds one session of a read model anew from the log; whoever reads meanwhile sees the old rows or the new ones.
    /// For administrators.
    async fn projection_rebuild_partition(
        &self,
        ctx: &Context<'_>,
        input: ProjectionRebuildPartitionInput,
    ) -> Refused<ProjectionRebuildPartitionPayload> {
        let (viewer, state) = (admin(ctx)?, ctx.data_unchecked::<State>());
        let id = match &input.partition {
            PartitionInput::SessionId(id) => parse("sessionId", id).map(SessionId::uuid)?,
            PartitionInput::StreamId(id) => {
                id.parse().map_err(|_| refuse(ErrorCode::BadId, "streamId: expected a UUID"))?
            }
        };
        let partition = Partition { book_id: viewer.book_id, id };
        match state.runner.rebuild_partition(&input.projection, partition).await {
            Ok(waits) => {
                Ok(ProjectionRebuildPartitionPayload { waits_at: waits.map(|position| cursor(ctx, position)) })
            }
            Err(error @ RebuildError::Unknown(_)) => Err(refuse(ErrorCode::NotFound, error.to_string())),
            Err(RebuildError::Apply(error)) if error.is_refusal() => {
                Err(refuse(ErrorCode::Conflict, error.to_string()))
            }
            Err(error) => Err(internal(&error)),
        }
    }
}

async fn stands(ctx: &Context<'_>, viewer: &Viewer, projection: &str, position: i64) -> Refused<bool> {
    let mut db = ctx.data_unchecked::<State>().reader.book(viewer.book_id).await.map_err(read)?;
    quarantine::stands(&mut db, viewer.book_id, projection, position).await.map_err(read)
}

/// What came of an order, once the read models have seen it.
async fn settled(
    ctx: &Context<'_>,
    viewer: &Viewer,
    done: Done,
    (projection, position): (&str, i64),
) -> Refused<QuarantinePayload> {
    ctx.data_unchecked::<State>().runner.wait_for(viewer.book_id, done.position, PATIENCE).await.map_err(wait)?;
    let standing = stands(ctx, viewer, projection, position).await?;
    Ok(QuarantinePayload { standing, position: cursor(ctx, done.position) })
}
