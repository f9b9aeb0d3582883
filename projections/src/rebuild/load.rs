//! Loads a build from the log: every book up to a frozen head, several at once; then its indexes, and it follows.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use domain::BookId;
use futures::{StreamExt, TryStreamExt};
use sqlx::{PgConnection, Postgres, Row, Transaction};
use tokio::sync::watch;
use uuid::Uuid;

use super::book::{self, Book, Load};
use super::pace::Pace;
use super::record::{self, Green};
use super::report::{Phase, Progress};
use super::{RebuildError, Rebuilder};
use crate::apply::{Apply, ApplyError};
use crate::feed::Partition;
use crate::post::{partition_at, refold};
use crate::quarantine::Standing;

/// How often progress is written down, and looked whether somebody wants the rebuild to end.
const SAY_EVERY: Duration = Duration::from_millis(200);

impl Rebuilder {
    /// Loads a build that is not loaded yet. From then on it follows the log.
    pub(super) async fn load(&self, projection: &dyn Apply, green: &Green) -> Result<(), RebuildError> {
        if !green.bare {
            return Ok(());
        }
        match self.load_in_bulk(projection, green).await {
            // Which event a refused row is of shows only when events are posted as they are live: slower, and what
            // cannot be taken in is set aside.
            Err(RebuildError::Refused(ApplyError::Database(error))) if !projection.stops() => {
                tracing::warn!(%error, build = green.schema, "a row is refused in bulk: all is posted live instead");
                let mut tx = self.runner.pool().begin().await?;
                record::empty(&mut tx, projection, green).await?;
                self.complete(tx, projection, green).await
            }
            loaded => loaded,
        }
    }

    async fn load_in_bulk(&self, projection: &dyn Apply, green: &Green) -> Result<(), RebuildError> {
        let books = self.books(projection, green).await?;
        let before: i64 = books.iter().map(|book| book.from).sum();
        let total: i64 = books.iter().map(|book| book.to.max(book.from)).sum();
        let done = AtomicI64::new(before);
        let (stop, stopped) = watch::channel(false);
        let load = Load {
            pool: self.runner.pool(),
            projection,
            schema: &green.schema,
            limits: self.limits,
            done: &done,
            stop: stopped,
            indexed: tokio::sync::Mutex::new(false),
        };
        let begun = Instant::now();
        let progress = |phase| progress(green, projection, phase, Counted { before, done: &done, total, begun });
        let saying = async {
            let mut every = tokio::time::interval(SAY_EVERY);
            loop {
                every.tick().await;
                let now = progress(Phase::Reading);
                if record::say(self.runner.pool(), green, &now).await? {
                    stop.send_replace(true);
                }
                self.progress(now);
            }
        };
        let loading = futures::stream::iter(books.into_iter().filter(|book| book.from < book.to))
            .map(|book| book::load(&load, book))
            .buffer_unordered(self.limits.books)
            .try_collect::<()>();
        tokio::select! {
            loaded = loading => loaded?,
            failed = saying => return failed,
        }
        if record::say(self.runner.pool(), green, &progress(Phase::Indexing)).await? {
            return Err(RebuildError::Cancelled);
        }
        self.progress(progress(Phase::Indexing));
        let mut pace = Pace::begin(self.runner.pool()).await?;
        self.complete(self.runner.pool().begin().await?, projection, green).await?;
        pace.rest().await?;
        Ok(())
    }

    /// The books and their heads as they are now, the longest first.
    async fn books(&self, projection: &dyn Apply, green: &Green) -> Result<Vec<Book>, RebuildError> {
        let mut tx = self.runner.pool().begin().await?;
        // The last cut of an owner that crashed may still be on its way to being durable: it counts too.
        let sql = format!("LOCK TABLE {}.{} IN SHARE ROW EXCLUSIVE MODE", green.schema, projection.name());
        sqlx::query(&sql).execute(&mut *tx).await?;
        let rows = sqlx::query(
            "SELECT h.book_id, h.position AS head, coalesce(c.position, 0) AS position FROM book_heads h \
             LEFT JOIN checkpoints c ON c.book_id = h.book_id AND c.schema_name = $1 ORDER BY h.position DESC",
        )
        .bind(&green.schema)
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        let books = rows.into_iter().map(|row| {
            let id = BookId::new(row.get("book_id"));
            Book { id, from: row.get("position"), to: row.get("head") }
        });
        Ok(books.collect())
    }

    /// Folds those partitions by themselves that wait in quarantine, or about which something was ordered: a load that
    /// was resumed may have passed the event before the order was given.
    async fn fold_anew(
        &self,
        db: &mut PgConnection,
        projection: &dyn Apply,
        green: &Green,
    ) -> Result<(), RebuildError> {
        let books = sqlx::query("SELECT book_id, position FROM checkpoints WHERE schema_name = $1")
            .bind(&green.schema)
            .fetch_all(&mut *db)
            .await?;
        for row in books {
            let (book_id, to) = (BookId::new(row.get("book_id")), row.get("position"));
            let standing = Standing::load(db, book_id).await?;
            let mut partitions: BTreeSet<Uuid> = standing.entries(&green.schema).map(|(id, _)| id).collect();
            for position in standing.skips(projection.name(), to) {
                partitions.extend(partition_at(db, book_id, position).await?.map(|partition| partition.id));
            }
            for id in partitions {
                refold(db, projection, &green.schema, Partition { book_id, id }, to).await?;
            }
        }
        Ok(())
    }

    /// Makes indexes and constraints; in the same transaction the build begins to follow the log.
    async fn complete(
        &self,
        mut tx: Transaction<'static, Postgres>,
        projection: &dyn Apply,
        green: &Green,
    ) -> Result<(), RebuildError> {
        sqlx::query("SET LOCAL maintenance_work_mem = '256MB'").execute(&mut *tx).await?;
        projection.complete(&mut tx, &green.schema).await?;
        self.fold_anew(&mut tx, projection, green).await?;
        if let Some(wrong) = projection.wrong(&mut tx, &green.schema).await? {
            return Err(RebuildError::Wrong(projection.name().to_owned(), wrong));
        }
        let following = sqlx::query("UPDATE builds SET state = 'following' WHERE schema_name = $1 AND NOT cancel")
            .bind(&green.schema)
            .execute(&mut *tx)
            .await?;
        if following.rows_affected() == 0 {
            return Err(RebuildError::Cancelled);
        }
        tx.commit().await?;
        let sql = format!("ANALYZE {}.{}", green.schema, projection.name());
        sqlx::query(&sql).execute(self.runner.pool()).await?;
        Ok(())
    }
}

struct Counted<'a> {
    before: i64,
    done: &'a AtomicI64,
    total: i64,
    begun: Instant,
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn progress(green: &Green, projection: &dyn Apply, phase: Phase, counted: Counted<'_>) -> Progress {
    let done = counted.done.load(Ordering::Relaxed);
    let seconds = counted.begun.elapsed().as_secs_f64();
    let rate = (done - counted.before) as f64 / seconds.max(f64::EPSILON);
    Progress {
        build: green.named(projection),
        phase,
        events_done: done,
        events_total: counted.total,
        events_per_second: rate,
        percent: if counted.total == 0 { 100.0 } else { 100.0 * done as f64 / counted.total as f64 },
        eta_seconds: (rate > 0.0).then(|| (counted.total - done) as f64 / rate),
    }
}
