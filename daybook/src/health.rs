//! `/health`: is this process of use? A read model that stands still for long says no, a short stall does not.

use std::time::Duration;

use axum::http::StatusCode;
use projections::status::{self, Status};
use sqlx::postgres::PgPool;
use tokio::time::Instant;

/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What health is judged by. Cheap to clone.
#[derive(Clone)]
pub struct Health {
    pool: PgPool,
    /// How long a read model may stand still behind the log.
    stall_after: Duration,
    since: Instant,
}

impl Health {
    /// The health of a process that begins now.
    pub fn new(pool: PgPool, stall_after: Duration) -> Self {
        Self { pool, stall_after, since: Instant::now() }
    }

    /// A status code, and why in words.
    pub async fn check(&self) -> (StatusCode, String) {
        let reading = async {
            let mut db = self.pool.acquire().await?;
            status::list(&mut db).await
        };
        match tokio::time::timeout(PATIENCE, reading).await {
            Ok(Ok(all)) => self.judge(&all),
            Ok(Err(error)) => {
                tracing::error!(%error, "the health check cannot read from the database");
                (StatusCode::SERVICE_UNAVAILABLE, "the database cannot be reached\n".into())
            }
            Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n".into()),
        }
    }

    fn judge(&self, all: &[Status]) -> (StatusCode, String) {
        let uptime = self.since.elapsed();
        let stalled: Vec<_> = all.iter().filter(|one| one.stalled(self.stall_after, uptime)).collect();
        if stalled.is_empty() {
            return (StatusCode::OK, "ok\n".into());
        }
        let lines = stalled.iter().map(|one| {
            let (events, seconds) = (one.lag_events(), one.lag_seconds);
            format!("{} has stood still for {seconds:.0} s, {events} events behind\n", one.projection)
        });
        (StatusCode::SERVICE_UNAVAILABLE, lines.collect())
    }
}
