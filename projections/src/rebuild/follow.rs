//! A loaded build catches up with the log, and is compared with what serves.

use domain::BookId;
use sqlx::{PgConnection, Row};

use super::compare::Compared;
use super::record::{self, Green};
use super::report::{Phase, Report};
use super::{RebuildError, Rebuilder};
use crate::apply::Apply;
use crate::feed::PAGE;

/// A book in which a build lags behind the log.
struct Lag {
    book_id: BookId,
    position: i64,
    events: i64,
}

impl Rebuilder {
    /// Has a build catch up and compares it; a difference is an error unless it is accepted or expected.
    pub(super) async fn prove(
        &self,
        projection: &dyn Apply,
        green: &Green,
        accept_difference: bool,
    ) -> Result<(), RebuildError> {
        self.catch_up(projection, green).await?;
        self.phase(projection, green, Phase::Comparing).await?;
        let Some(compared) = self.compare(projection, green).await? else { return Ok(()) };
        let books = compared.different_books();
        let differs = compared.same_version() && books > 0 && !accept_difference;
        self.report(Report::Compared(compared)).await;
        match differs {
            true => Err(RebuildError::Differs { projection: projection.name().to_owned(), books }),
            false => Ok(()),
        }
    }

    /// Waits until a build is less than a page behind in every book.
    pub(super) async fn catch_up(&self, projection: &dyn Apply, green: &Green) -> Result<(), RebuildError> {
        self.phase(projection, green, Phase::CatchingUp).await?;
        loop {
            let before = self.lag(green).await?;
            if before.iter().map(|lag| lag.events).sum::<i64>() < PAGE {
                return Ok(());
            }
            if record::cancelled(self.runner.pool(), green).await? {
                return Err(RebuildError::Cancelled);
            }
            self.runner.catch_up().await?;
            // Each look posts at least a page of what is behind; where nothing was posted, the build has stopped.
            let after = self.lag(green).await?;
            let stands =
                |now: &&Lag| before.iter().any(|lag| (lag.book_id, lag.position) == (now.book_id, now.position));
            if let Some(Lag { book_id, position, .. }) = after.iter().find(stands) {
                let (projection, book_id, position) = (projection.name().to_owned(), *book_id, *position);
                return Err(RebuildError::Stopped { projection, book_id, position });
            }
        }
    }

    async fn lag(&self, green: &Green) -> sqlx::Result<Vec<Lag>> {
        let mut db = self.runner.pool().acquire().await?;
        lag(&mut db, green).await
    }

    async fn phase(&self, projection: &dyn Apply, green: &Green, phase: Phase) -> Result<(), RebuildError> {
        let before = record::newest_progress(self.runner.pool(), projection.name()).await?;
        let mut progress = before.unwrap_or_else(|| green.ended(projection, phase));
        (progress.phase, progress.build, progress.eta_seconds) = (phase, green.named(projection), None);
        let cancelled = record::say(self.runner.pool(), green, &progress).await?;
        self.progress(progress);
        if cancelled { Err(RebuildError::Cancelled) } else { Ok(()) }
    }

    async fn compare(&self, projection: &dyn Apply, green: &Green) -> Result<Option<Compared>, RebuildError> {
        let compared = super::compare::compare(self.runner.pool(), projection, green).await?;
        if let Some(compared) = &compared {
            sqlx::query("UPDATE builds SET compared = $2 WHERE schema_name = $1")
                .bind(&green.schema)
                .bind(sqlx::types::Json(&compared.books))
                .execute(self.runner.pool())
                .await?;
        }
        Ok(compared)
    }
}

async fn lag(db: &mut PgConnection, green: &Green) -> sqlx::Result<Vec<Lag>> {
    let rows = sqlx::query(
        "SELECT h.book_id, coalesce(c.position, 0) AS position, h.position - coalesce(c.position, 0) AS events \
         FROM book_heads h LEFT JOIN checkpoints c ON c.book_id = h.book_id AND c.schema_name = $1 \
         WHERE coalesce(c.position, 0) < h.position",
    )
    .bind(&green.schema)
    .fetch_all(db)
    .await?;
    let lag = |row: sqlx::postgres::PgRow| Lag {
        book_id: BookId::new(row.get("book_id")),
        position: row.get("position"),
        events: row.get("events"),
    };
    Ok(rows.into_iter().map(lag).collect())
}
