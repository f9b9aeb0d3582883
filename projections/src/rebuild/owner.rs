//! One owner across processes: a lock that lives as long as a connection. Who crashes lets go of it at once.

use sqlx::postgres::PgPool;
use sqlx::{ConnectOptions, Connection, Executor, PgConnection, Row};

use super::RebuildError;

/// Whoever works on projections.
pub(super) struct Owner {
    db: PgConnection,
}

impl Owner {
    /// Becomes the owner of projections, of all or of none.
    pub async fn take(pool: &PgPool, names: &[&str]) -> Result<Self, RebuildError> {
        let mut owner = Self { db: pool.connect_options().connect().await? };
        for name in names {
            let sql = "SELECT pg_try_advisory_lock(rebuild_lock($1)) AS taken";
            let row = sqlx::query(sql).bind(name).fetch_one(&mut owner.db).await?;
            if !row.get::<bool, _>("taken") {
                owner.release().await;
                return Err(RebuildError::Owned { projection: (*name).to_owned(), owner: owned_by(pool, name).await? });
            }
        }
        Ok(owner)
    }

    /// Lets go of all of them. They are free when it returns; the server would let go of them only some time after the
    /// connection is closed, and whoever comes next would meet them.
    pub async fn release(mut self) {
        // A connection that answers no more is broken, and the locks are gone with it.
        let _ = self.db.execute("SELECT pg_advisory_unlock_all()").await;
        let _ = self.db.close().await;
    }
}

/// How others are told of this process.
pub(super) fn this_process() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("process {} on {}", std::process::id(), host.trim())
}

async fn owned_by(pool: &PgPool, name: &str) -> sqlx::Result<String> {
    let row = sqlx::query("SELECT owner FROM builds WHERE projection = $1 AND state IN ('rebuilding', 'following')")
        .bind(name)
        .fetch_optional(pool)
        .await?;
    Ok(row.and_then(|row| row.get("owner")).unwrap_or_else(|| "somebody who has just begun".to_owned()))
}
