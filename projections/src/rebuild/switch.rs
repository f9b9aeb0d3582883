//! Puts builds in the place of those that serve, in one transaction for all of them.

use domain::BookId;
use sqlx::{Executor, PgConnection, Row};

use super::held::{Tries, lock_posting};
use super::record::Green;
use super::{RebuildError, Rebuilder};
use crate::apply::Apply;
use crate::build;
use crate::check::fold_to;

/// How long one try waits for those who read, and everybody who comes to read meanwhile with it. Half of what PostgreSQL
/// lets pass before it looks for a deadlock: a reader of two views may hold the one that we want and want the one that
/// we hold, and it must never be the reader who is told so.
const READING_PATIENCE: &str = "500ms";

impl Rebuilder {
    /// Lets builds serve; those that served are kept for an undo, and nothing older is.
    /// An error comes with the place of the build that it is about; then nothing was switched.
    pub(super) async fn switch(&self, pairs: &[(&dyn Apply, Green)]) -> Result<(), (usize, RebuildError)> {
        let mut tries = Tries::default();
        while let Err((at, error)) = self.try_to_switch(pairs).await {
            tries.after(error).await.map_err(|error| (at, error))?;
        }
        for (projection, _) in pairs {
            self.drop_old(*projection).await.map_err(|error| (0, error))?;
        }
        self.runner.wake();
        Ok(())
    }

    async fn try_to_switch(&self, pairs: &[(&dyn Apply, Green)]) -> Result<(), (usize, RebuildError)> {
        let whole = |error: sqlx::Error| (0, error.into());
        let mut tx = self.runner.pool().begin().await.map_err(whole)?;
        // From here on nobody posts to anything, so no reader is ever taken back to an earlier position.
        lock_posting(&mut tx).await.map_err(whole)?;
        for (at, (projection, green)) in pairs.iter().enumerate() {
            follow_to_serving(&mut tx, *projection, green).await.map_err(|error| (at, error))?;
        }
        // All views at once: from here on nothing that is done waits for anybody.
        let views: Vec<_> = pairs.iter().map(|(projection, _)| format!("serving.{}", projection.name())).collect();
        let lock = format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", views.join(", "));
        for sql in
            [&format!("SET LOCAL statement_timeout = '{READING_PATIENCE}'"), &lock, "SET LOCAL statement_timeout = 0"]
        {
            tx.execute(sql).await.map_err(whole)?;
        }
        for (at, (projection, green)) in pairs.iter().enumerate() {
            put_in_place(&mut tx, *projection, green).await.map_err(|error| (at, error))?;
        }
        tx.commit().await.map_err(whole)
    }

    /// Keeps the newest of the builds that served before.
    async fn drop_old(&self, projection: &dyn Apply) -> Result<(), RebuildError> {
        let old = sqlx::query(
            "SELECT schema_name FROM builds WHERE projection = $1 AND state = 'retired' \
             ORDER BY served_at DESC NULLS LAST, build DESC OFFSET 1",
        )
        .bind(projection.name())
        .fetch_all(self.runner.pool())
        .await?;
        for row in old {
            let mut tx = self.runner.pool().begin().await?;
            build::drop_build(&mut tx, row.get("schema_name")).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}

async fn put_in_place(db: &mut PgConnection, projection: &dyn Apply, green: &Green) -> Result<(), RebuildError> {
    sqlx::query("UPDATE builds SET state = 'retired' WHERE projection = $1 AND state = 'serving'")
        .bind(projection.name())
        .execute(&mut *db)
        .await?;
    let serving = sqlx::query(
        "UPDATE builds SET state = 'serving', served_at = clock_timestamp(), owner = NULL, \
         progress = jsonb_set(progress, '{phase}', '\"switched\"') \
         WHERE schema_name = $1 AND state = 'following' AND NOT cancel",
    )
    .bind(&green.schema)
    .execute(&mut *db)
    .await?;
    if serving.rows_affected() == 0 {
        return Err(RebuildError::Cancelled);
    }
    build::serve(db, projection, &green.schema).await?;
    Ok(())
}

/// Takes a build, in every book, at least as far as the one that serves.
async fn follow_to_serving(db: &mut PgConnection, projection: &dyn Apply, green: &Green) -> Result<(), RebuildError> {
    let behind = sqlx::query(
        "SELECT s.book_id, s.position AS serving, coalesce(g.position, 0) AS green FROM builds b \
         JOIN checkpoints s ON s.schema_name = b.schema_name \
         LEFT JOIN checkpoints g ON g.schema_name = $2 AND g.book_id = s.book_id \
         WHERE b.projection = $1 AND b.state = 'serving' AND coalesce(g.position, 0) < s.position",
    )
    .bind(projection.name())
    .bind(&green.schema)
    .fetch_all(&mut *db)
    .await?;
    for row in behind {
        let (book_id, serving) = (BookId::new(row.get("book_id")), row.get("serving"));
        let build = green.at(projection, row.get("green"));
        let position = fold_to(db, projection, &build, book_id, build.position..serving).await?;
        if position < serving {
            return Err(RebuildError::Stopped { projection: projection.name().to_owned(), book_id, position });
        }
    }
    Ok(())
}
