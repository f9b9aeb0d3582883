//! One owner across processes: a lock that lives as long as a connection. Who crashes lets go of it at once.

use sqlx::postgres::PgPool;
use sqlx::{ConnectOptions, Connection, PgConnection, Row};

use super::RebuildError;

/// Whoever works on projections.
pub(super) struct Owner {
    db: PgConnection,
}

impl Owner {
    /// Becomes the owner of projections, of all or of none.
    pub async fn take(pool: &PgPool, names: &[&str]) -> Result<Self, RebuildError> {
        let mut db = pool.connect_options().connect().await?;
        for name in names {
            let sql = "SELECT pg_try_advisory_lock(rebuild_lock($1)) AS taken";
            let row = sqlx::query(sql).bind(name).fetch_one(&mut db).await?;
            if !row.get::<bool, _>("taken") {
                db.close().await?;
                return Err(RebuildError::Owned { projection: (*name).to_owned(), owner: owner(pool, name).await? });
            }
        }
        Ok(Self { db })
    }

    /// Lets go of all of them.
    pub async fn release(self) {
        // A connection that cannot be closed is broken, and the lock is gone with it.
        let _ = self.db.close().await;
    }
}

/// How others are told of this process.
pub(super) fn this_process() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("process {} on {}", std::process::id(), host.trim())
}

async fn owner(pool: &PgPool, name: &str) -> sqlx::Result<String> {
    let row = sqlx::query("SELECT owner FROM builds WHERE projection = $1 AND state IN ('rebuilding', 'following')")
        .bind(name)
        .fetch_optional(pool)
        .await?;
    Ok(row.and_then(|row| row.get("owner")).unwrap_or_else(|| "somebody who has just begun".to_owned()))
}
