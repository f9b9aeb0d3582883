//! How projections fare: how far each build is behind in each book, how fast it goes, what went wrong, and who posts.

use std::time::Duration;

use domain::{BookId, Timestamp, WorkerId};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use crate::post::PACE_SECONDS;
use crate::projection;

/// How one build fares in one book.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Status {
    /// The projection.
    pub projection: String,
    /// The version of the build.
    pub version: i32,
    /// The version that this release would build; absent where it knows no such projection.
    pub release_version: Option<i32>,
    /// The build, by its schema.
    pub build: String,
    /// What becomes of the build: `serving`, `following` (about to serve), or being made.
    pub state: String,
    /// The book.
    pub book_id: BookId,
    /// How it fares.
    pub condition: Condition,
    /// The last position that it has taken in.
    pub position: i64,
    /// The newest position of the book.
    pub head: i64,
    /// How long ago the first event was written down that it has not taken in; 0 where there is none.
    pub lag_seconds: f64,
    /// How long its checkpoint has not moved; absent before it first did.
    pub unmoved_seconds: Option<f64>,
    /// Events that it took in per second, over about a minute.
    pub rate: f64,
    /// What went wrong last.
    pub error: Option<String>,
    /// When that was.
    pub failed_at: Option<Timestamp>,
    /// The process that moved it last, where that has a heartbeat.
    pub worker_id: Option<WorkerId>,
    /// That process's last heartbeat; absent once it has left.
    pub beat_at: Option<Timestamp>,
    /// The event at which it stopped.
    pub stopped_at: Option<i64>,
    /// How many partitions wait in quarantine.
    pub quarantined: i64,
    /// Whether somebody works on the projection's builds just now.
    pub rebuilding: bool,
}

/// How a build fares in a book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It has taken in everything.
    Current,
    /// It is on its way.
    Behind,
    /// It failed when it last tried, and is tried again.
    Failing,
    /// It stopped at an event that it cannot take in, and waits for an order.
    Stopped,
}

impl Status {
    /// How many events it has not taken in.
    pub fn lag_events(&self) -> i64 {
        self.head - self.position
    }

    /// Whether it serves, has been behind for longer than `patience`, and has not moved in that time, of which this
    /// process has seen `uptime`. One that stopped waits for a person: that is no stall, and a restart cures nothing.
    /// What an earlier release serves is posted by its processes as long as there are any; then it has to stand still
    /// until this release's build is made, which a restart would only delay.
    pub fn stalled(&self, patience: Duration, uptime: Duration) -> bool {
        let waits = [self.lag_seconds, self.unmoved_seconds.unwrap_or(f64::INFINITY), uptime.as_secs_f64()];
        let expected = self
            .release_version
            .is_some_and(|release| self.version == release || self.version < release && !self.rebuilding);
        let behind = self.state == "serving" && matches!(self.condition, Condition::Behind | Condition::Failing);
        expected && behind && waits.into_iter().all(|seconds| seconds > patience.as_secs_f64())
    }
}

/// How every build fares that is in use or about to be, in every book that `db` may see.
pub async fn list(db: &mut PgConnection) -> sqlx::Result<Vec<Status>> {
    let rows = sqlx::query(
        "WITH b AS MATERIALIZED \
           (SELECT *, is_being_rebuilt(projection) AS rebuilding FROM builds WHERE state <> 'retired') \
         SELECT b.projection, b.version, b.rebuilding, b.schema_name, b.state, h.book_id, h.position AS head, \
           coalesce(c.position, 0) AS position, c.error, c.failed_at, c.worker_id, w.beat_at, \
           coalesce(c.failed_at >= c.moved_at, false) AS failing, \
           greatest(extract(epoch FROM clock_timestamp() - next.recorded_at), 0)::float8 AS lag, \
           greatest(extract(epoch FROM clock_timestamp() - c.moved_at), 0)::float8 AS unmoved, \
           coalesce(c.pace, 0) AS pace, q.quarantined, q.stopped_at \
         FROM b CROSS JOIN book_heads h \
         LEFT JOIN checkpoints c ON c.schema_name = b.schema_name AND c.book_id = h.book_id \
         LEFT JOIN workers w ON w.worker_id = c.worker_id \
         LEFT JOIN events next ON next.book_id = h.book_id AND next.position = coalesce(c.position, 0) + 1 \
         CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE NOT q.stops) AS quarantined, \
             min(q.position) FILTER (WHERE q.stops) AS stopped_at \
           FROM quarantine q WHERE q.schema_name = b.schema_name AND q.book_id = h.book_id) q \
         ORDER BY b.projection, b.build, h.book_id",
    )
    .fetch_all(db)
    .await?;
    let known = projection::all();
    let release = |name: &str| known.iter().find(|one| one.name() == name).map(|one| one.version());
    Ok(rows.iter().map(|row| status(row, release(row.get("projection")))).collect())
}

fn status(row: &PgRow, release_version: Option<i32>) -> Status {
    let (position, head, stopped_at): (i64, i64, Option<i64>) =
        (row.get("position"), row.get("head"), row.get("stopped_at"));
    let unmoved: Option<f64> = row.get("unmoved");
    Status {
        projection: row.get("projection"),
        version: row.get("version"),
        release_version,
        build: row.get("schema_name"),
        state: row.get("state"),
        book_id: BookId::new(row.get("book_id")),
        condition: match (stopped_at, position < head) {
            (Some(_), _) => Condition::Stopped,
            (None, false) => Condition::Current,
            (None, true) if row.get("failing") => Condition::Failing,
            (None, true) => Condition::Behind,
        },
        position,
        head,
        lag_seconds: row.get::<Option<f64>, _>("lag").unwrap_or(0.0),
        unmoved_seconds: unmoved,
        rate: row.get::<f64, _>("pace") * (-unmoved.unwrap_or(0.0) / PACE_SECONDS).exp() / PACE_SECONDS,
        error: row.get("error"),
        failed_at: row.get("failed_at"),
        worker_id: row.get::<Option<_>, _>("worker_id").map(WorkerId::new),
        beat_at: row.get("beat_at"),
        stopped_at,
        quarantined: row.get("quarantined"),
        rebuilding: row.get("rebuilding"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn status(lag_seconds: f64, unmoved_seconds: Option<f64>, condition: Condition) -> Status {
        Status {
            projection: "timeline".into(),
            version: 2,
            release_version: Some(2),
            build: "timeline_v2_b1".into(),
            state: "serving".into(),
            book_id: BookId::new(uuid::Uuid::nil()),
            condition,
            position: 1,
            head: 2,
            lag_seconds,
            unmoved_seconds,
            rate: 0.0,
            error: None,
            failed_at: None,
            worker_id: None,
            beat_at: None,
            stopped_at: None,
            quarantined: 0,
            rebuilding: false,
        }
    }

    #[test]
    fn only_who_is_behind_and_has_not_moved_for_long_has_stalled() {
        let behind = |lag, unmoved| status(lag, unmoved, Condition::Behind);
        assert!(behind(61.0, Some(61.0)).stalled(MINUTE, 2 * MINUTE));
        assert!(behind(61.0, None).stalled(MINUTE, 2 * MINUTE), "it never moved");
        assert!(status(61.0, Some(61.0), Condition::Failing).stalled(MINUTE, 2 * MINUTE));
        assert!(!behind(3600.0, Some(1.0)).stalled(MINUTE, 2 * MINUTE), "it catches up");
        assert!(!behind(1.0, Some(3600.0)).stalled(MINUTE, 2 * MINUTE), "it had nothing to do until now");
        assert!(!behind(3600.0, Some(3600.0)).stalled(MINUTE, MINUTE), "this process has only begun");
        assert!(!status(3600.0, Some(3600.0), Condition::Stopped).stalled(MINUTE, 2 * MINUTE));
        assert!(!status(0.0, Some(3600.0), Condition::Current).stalled(MINUTE, 2 * MINUTE));
        let later = Status { release_version: Some(1), ..behind(61.0, Some(61.0)) };
        assert!(!later.stalled(MINUTE, 2 * MINUTE), "a later release posts it");
        let earlier = || Status { release_version: Some(3), ..behind(61.0, Some(61.0)) };
        assert!(earlier().stalled(MINUTE, 2 * MINUTE), "nobody posts it any more, and nobody replaces it");
        let replaced = Status { rebuilding: true, ..earlier() };
        assert!(!replaced.stalled(MINUTE, 2 * MINUTE), "the next build is being made");
        let posted = Status { unmoved_seconds: Some(1.0), ..earlier() };
        assert!(!posted.stalled(MINUTE, 2 * MINUTE), "a process of its release is there");
        let retired = Status { state: "following".into(), ..behind(61.0, Some(61.0)) };
        assert!(!retired.stalled(MINUTE, 2 * MINUTE), "nobody reads it yet");
    }
}
