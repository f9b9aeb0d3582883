//! How read models fare in the viewer's book.

use async_graphql::{Context, Enum, ID, Object, SimpleObject};
use projections::status::{self, Status};

use crate::State;
use crate::cursor::cursor;
use crate::error::{Refused, read};
use crate::ids::id;
use crate::viewer::overseer;

/// Read models.
#[derive(Default)]
pub struct ProjectionQuery;

/// How a build fares.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "status::Condition")]
enum ProjectionCondition {
    /// It has taken in everything.
    Current,
    /// It is on its way.
    Behind,
    /// It failed when it last tried, and is tried again.
    Failing,
    /// It stopped at an event that it cannot take in, and waits for an order.
    Stopped,
}

/// How one build of a projection fares in the viewer's book.
#[derive(SimpleObject)]
struct Projection {
    name: String,
    version: i32,
    /// The version that this server would build; null where it knows no such projection.
    release_version: Option<i32>,
    /// The schema of its tables.
    build: String,
    /// `serving`, `following` (about to serve), or being made.
    state: String,
    condition: ProjectionCondition,
    /// The last position that it has taken in.
    position: String,
    lag_events: i64,
    /// How long ago the first event was written down that it has not taken in; 0 where there is none.
    lag_seconds: f64,
    /// Events that it took in per second, over about a minute.
    events_per_second: f64,
    /// What went wrong last.
    last_error: Option<String>,
    failed_at: Option<domain::Timestamp>,
    /// The process that posted last, where that has a heartbeat.
    worker_id: Option<ID>,
    /// That process's last heartbeat; null once it has left.
    beat_at: Option<domain::Timestamp>,
    /// The event at which it stopped.
    stopped_at: Option<String>,
    /// How many sessions, and streams outside of any, wait in quarantine.
    quarantined: i64,
}

#[Object]
impl ProjectionQuery {
    /// Every build that serves or is about to, by name. For administrators and auditors.
    async fn projections(&self, ctx: &Context<'_>) -> Refused<Vec<Projection>> {
        let viewer = overseer(ctx)?;
        let mut db = ctx.data_unchecked::<State>().reader.book(viewer.book_id).await.map_err(read)?;
        let all = status::list(&mut db).await.map_err(read)?;
        Ok(all.into_iter().map(|one| Projection::of(ctx, one)).collect())
    }
}

impl Projection {
    fn of(ctx: &Context<'_>, one: Status) -> Self {
        Self {
            lag_events: one.lag_events(),
            name: one.projection,
            version: one.version,
            release_version: one.release_version,
            build: one.build,
            state: one.state,
            condition: one.condition.into(),
            position: cursor(ctx, one.position),
            lag_seconds: one.lag_seconds,
            events_per_second: one.rate,
            last_error: one.error,
            failed_at: one.failed_at,
            worker_id: one.worker_id.map(id),
            beat_at: one.beat_at,
            stopped_at: one.stopped_at.map(|position| cursor(ctx, position)),
            quarantined: one.quarantined,
        }
    }
}
