//! A loaded build catches up with the log, and is compared with what serves.

use std::time::Duration;

use domain::BookId;
use sqlx::{PgConnection, Row};

use super::compare::Compared;
use super::record::{self, Green};
use super::report::{Phase, Report};
use super::{RebuildError, Rebuilder};
use crate::apply::Apply;
use crate::feed::PAGE;
use crate::quarantine;

/// How long to wait before looking again at a build that stood still somewhere.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How often in a row that may be so.
const STANDSTILLS: u32 = 60;

/// A book in which a build lags behind the log.
#[derive(Clone, Copy)]
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
        let mut standstills = 0;
        loop {
            let before = self.lag(green).await?;
            if before.iter().map(|lag| lag.events).sum::<i64>() < PAGE {
                return Ok(());
            }
            if record::cancelled(self.runner.pool(), green).await? {
                return Err(RebuildError::Cancelled);
            }
            self.runner.look().await.result?;
            let name = || projection.name().to_owned();
            if let Some((book_id, event)) = self.stopped(green).await? {
                return Err(RebuildError::Stopped { projection: name(), book_id, position: event - 1 });
            }
            // Each look posts at least a page of what is behind. Where nothing was posted and no event is to blame, the
            // database was, and what is wrong with it may pass.
            let after = self.lag(green).await?;
            let Some(Lag { book_id, position, .. }) = stands(&before, &after) else {
                standstills = 0;
                continue;
            };
            standstills += 1;
            if standstills == STANDSTILLS {
                return Err(RebuildError::Standing { projection: name(), book_id, position });
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn stopped(&self, green: &Green) -> sqlx::Result<Option<(BookId, i64)>> {
        let mut db = self.runner.pool().acquire().await?;
        quarantine::stopped(&mut db, &green.schema).await
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

/// A book in which nothing was taken in.
fn stands(before: &[Lag], after: &[Lag]) -> Option<Lag> {
    let same = |now: &&Lag| before.iter().any(|lag| (lag.book_id, lag.position) == (now.book_id, now.position));
    after.iter().find(same).copied()
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
