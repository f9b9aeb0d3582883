//! Heartbeats: one row per process, by the database's clock, says whose work is free.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::WorkerId;
use sqlx::Row;
use sqlx::postgres::PgPool;
use tokio::task::JoinHandle;

use crate::ids::new_id;

/// How often a process says that it lives.
const BEAT: Duration = Duration::from_secs(1);
/// After how many seconds of silence a process counts as dead.
const DEAD_AFTER_SECONDS: f64 = 5.0;

/// This process, as the others see it.
pub struct Worker {
    id: WorkerId,
    pool: PgPool,
    beating: JoinHandle<()>,
}

impl Worker {
    /// Enters this process, which asks this model, and keeps it alive.
    pub async fn register(pool: PgPool, model: String) -> sqlx::Result<Self> {
        let id: WorkerId = new_id();
        beat(&pool, id, &model).await?;
        let beating = tokio::spawn({
            let pool = pool.clone();
            async move {
                let mut ticks = tokio::time::interval(BEAT);
                loop {
                    ticks.tick().await;
                    if let Err(error) = beat(&pool, id, &model).await {
                        tracing::warn!(%error, "the heartbeat was not written");
                    }
                }
            }
        });
        Ok(Self { id, pool, beating })
    }

    /// Its id.
    pub fn id(&self) -> WorkerId {
        self.id
    }

    /// Leaves: what this process has not finished is free at once.
    pub async fn leave(self) -> sqlx::Result<()> {
        self.beating.abort();
        sqlx::query("DELETE FROM workers WHERE worker_id = $1").bind(self.id.uuid()).execute(&self.pool).await?;
        Ok(())
    }
}

async fn beat(pool: &PgPool, id: WorkerId, model: &str) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO workers (worker_id, model, beat_at) VALUES ($1, $2, now()) \
         ON CONFLICT (worker_id) DO UPDATE SET beat_at = now()",
    )
    .bind(id.uuid())
    .bind(model)
    .execute(pool)
    .await?;
    Ok(())
}

/// The processes that live, each with the model that it asks.
pub async fn alive(pool: &PgPool) -> sqlx::Result<BTreeMap<WorkerId, String>> {
    let rows = sqlx::query("SELECT worker_id, model FROM workers WHERE beat_at > now() - make_interval(secs => $1)")
        .bind(DEAD_AFTER_SECONDS)
        .fetch_all(pool)
        .await?;
    Ok(rows.into_iter().map(|row| (WorkerId::new(row.get("worker_id")), row.get("model"))).collect())
}
