//! Rebuilds of read models: begun, given up and undone by administrators, and followed while they go on.

use std::time::Duration;

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject, Subscription};
use async_stream::stream;
use domain::{RequestId, Viewer};
use futures::Stream;
use projections::rebuild::{Options, Phase, Progress, RebuildError};

use crate::State;
use crate::error::{ErrorCode, Refused, internal, refuse};
use crate::ids::request;
use crate::viewer::admin;

/// How often progress is looked at; it may be made by another process.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What can be asked of rebuilds.
#[derive(Default)]
pub struct RebuildMutation;

/// How rebuilds are followed.
#[derive(Default)]
pub struct RebuildSubscription;

/// Which read model to make anew.
#[derive(InputObject)]
struct ProjectionRebuildInput {
    /// Made by the client; the same id again is the same rebuild.
    request_id: ID,
    /// The read model, such as `timeline`.
    name: String,
    /// Switch though rows differ from those that serve.
    #[graphql(default)]
    accept_difference: bool,
}

/// Which rebuild.
#[derive(InputObject)]
struct ProjectionRebuildChangeInput {
    /// Made by the client.
    request_id: ID,
    /// The read model.
    name: String,
}

/// A rebuild that was begun; the build that serves goes on serving.
#[derive(SimpleObject)]
struct ProjectionRebuildPayload {
    name: String,
    /// How it stands; absent where it has only just begun.
    progress: Option<ProjectionRebuildProgress>,
}

/// A rebuild that was given up.
#[derive(SimpleObject)]
struct ProjectionRebuildCancelPayload {
    name: String,
    /// Whether there was one.
    cancelled: bool,
}

/// A read model whose earlier build serves again.
#[derive(SimpleObject)]
struct ProjectionRebuildUndoPayload {
    name: String,
}

/// What a rebuild is doing.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Phase")]
enum ProjectionRebuildPhase {
    /// Reads the log, folds it and loads rows.
    Reading,
    /// Makes indexes and constraints.
    Indexing,
    /// Posts what was appended meanwhile.
    CatchingUp,
    /// Compares with what serves.
    Comparing,
    /// Serves.
    Switched,
    /// Was given up because of an error.
    Failed,
    /// Was given up because somebody said so.
    Cancelled,
}

/// How far a rebuild has come.
#[derive(SimpleObject)]
struct ProjectionRebuildProgress {
    name: String,
    version: i32,
    /// Which build of the read model, 1 and up.
    build: i32,
    phase: ProjectionRebuildPhase,
    events_done: i64,
    events_total: i64,
    events_per_second: f64,
    /// 0 to 100.
    percent: f64,
    /// How long reading will take yet; absent where it cannot be told.
    eta_seconds: Option<f64>,
}

impl From<Progress> for ProjectionRebuildProgress {
    fn from(progress: Progress) -> Self {
        Self {
            name: progress.build.projection,
            version: progress.build.version,
            build: progress.build.build,
            phase: progress.phase.into(),
            events_done: progress.events_done,
            events_total: progress.events_total,
            events_per_second: progress.events_per_second,
            percent: progress.percent,
            eta_seconds: progress.eta_seconds,
        }
    }
}

#[Object]
impl RebuildMutation {
    /// Makes a read model anew from the log, beside the one that serves, and switches to it if both are equal.
    async fn projection_rebuild(
        &self,
        ctx: &Context<'_>,
        input: ProjectionRebuildInput,
    ) -> Refused<ProjectionRebuildPayload> {
        let viewer = admin(ctx)?;
        let request_id = request(&input.request_id)?;
        let rebuilder = &ctx.data_unchecked::<State>().rebuilder;
        let options = Options { accept_difference: input.accept_difference, ..asked(viewer, request_id) };
        let begun = match rebuilder.begin(&[&input.name], options).await {
            Ok(begun) => Some(begun),
            // The same request again, while its rebuild goes on.
            Err(error @ RebuildError::Owned { .. }) => {
                let same = rebuilder.works_on(&input.name, request_id).await.map_err(|error| refused(&error))?;
                if same { None } else { return Err(refused(&error)) }
            }
            Err(error) => return Err(refused(&error)),
        };
        let name = input.name.clone();
        // The work goes on when the client has gone; how is followed by subscription and stands in the log.
        tokio::spawn(async move {
            let Some(begun) = begun else { return };
            match begun.finish().await {
                Ok(results) => results.into_iter().filter_map(|(_, result)| result.err()).for_each(|error| {
                    tracing::warn!(%error, projection = name, "a rebuild did not come to its end");
                }),
                Err(error) => tracing::error!(%error, projection = name, "a rebuild was interrupted"),
            }
        });
        let progress = rebuilder.newest(&input.name).await.map_err(|error| refused(&error))?;
        Ok(ProjectionRebuildPayload { name: input.name, progress: progress.map(Into::into) })
    }

    /// Gives up a rebuild, in whatever process it runs. What serves is not touched.
    async fn projection_rebuild_cancel(
        &self,
        ctx: &Context<'_>,
        input: ProjectionRebuildChangeInput,
    ) -> Refused<ProjectionRebuildCancelPayload> {
        let options = asked(admin(ctx)?, request(&input.request_id)?);
        let rebuilder = &ctx.data_unchecked::<State>().rebuilder;
        let cancelled = rebuilder.cancel(&input.name, options).await.map_err(|error| refused(&error))?;
        Ok(ProjectionRebuildCancelPayload { name: input.name, cancelled })
    }

    /// Lets the build serve again that served before, once it has caught up with the log.
    async fn projection_rebuild_undo(
        &self,
        ctx: &Context<'_>,
        input: ProjectionRebuildChangeInput,
    ) -> Refused<ProjectionRebuildUndoPayload> {
        let options = asked(admin(ctx)?, request(&input.request_id)?);
        let rebuilder = ctx.data_unchecked::<State>().rebuilder.clone();
        let name = input.name.clone();
        let undone = tokio::spawn(async move { rebuilder.undo(&name, options).await });
        match undone.await {
            Ok(Ok(())) => Ok(ProjectionRebuildUndoPayload { name: input.name }),
            Ok(Err(error)) => Err(refused(&error)),
            Err(error) => Err(internal(&error)),
        }
    }
}

#[Subscription]
impl RebuildSubscription {
    /// How the newest rebuild of a read model goes on: its present state first, then every change.
    async fn projection_rebuild_progress(
        &self,
        ctx: &Context<'_>,
        name: String,
    ) -> async_graphql::Result<impl Stream<Item = Refused<ProjectionRebuildProgress>> + use<>> {
        admin(ctx)?;
        let rebuilder = ctx.data_unchecked::<State>().rebuilder.clone();
        let mut before = rebuilder.newest(&name).await.map_err(|error| refused(&error))?;
        Ok(stream! {
            if let Some(progress) = before.clone() {
                yield Ok(progress.into());
            }
            let mut every = tokio::time::interval(LOOK_EVERY);
            loop {
                every.tick().await;
                match rebuilder.newest(&name).await {
                    Ok(now) if now != before => {
                        if let Some(progress) = now.clone() {
                            yield Ok(progress.into());
                        }
                        before = now;
                    }
                    Ok(_) => {}
                    Err(error) => {
                        yield Err(refused(&error));
                        return;
                    }
                }
            }
        })
    }
}

/// Whose wish it is, and by which request.
fn asked(viewer: &Viewer, request_id: RequestId) -> Options {
    Options { request_id: Some(request_id), asked_by: Some(viewer.actor()), ..Options::default() }
}

/// What a refused rebuild tells its caller.
fn refused(error: &RebuildError) -> async_graphql::Error {
    match error {
        RebuildError::Unknown(_) => refuse(ErrorCode::NotFound, error.to_string()),
        RebuildError::Owned { .. }
        | RebuildError::Cancelled
        | RebuildError::Differs { .. }
        | RebuildError::NothingToUndo(_)
        | RebuildError::OtherVersion(..)
        | RebuildError::Stopped { .. }
        | RebuildError::Refused(_)
        | RebuildError::Incomplete { .. }
        | RebuildError::Wrong(..)
        | RebuildError::Before(_) => refuse(ErrorCode::Conflict, error.to_string()),
        RebuildError::Standing { .. } | RebuildError::Busy => refuse(ErrorCode::Contended, error.to_string()),
        RebuildError::Lost | RebuildError::Malformed | RebuildError::Database(_) => internal(error),
    }
}
