//! Posts events into one build: what can be taken in is, what cannot waits in quarantine, and the checkpoint moves.

use domain::{BookId, WorkerId};
use sqlx::{Connection, PgConnection, Row};

use crate::apply::{Apply, ApplyError};
use crate::build::{self, Build};
use crate::feed::{self, Partition, Recorded};
use crate::quarantine::{self, Culprit, Order, Standing};

/// Over how many seconds the count fades from which the rate is told.
pub(crate) const PACE_SECONDS: f64 = 60.0;

/// One build of one book, about to take events in. Whoever makes one holds the book's lock.
pub(crate) struct Posting<'a> {
    pub projection: &'a dyn Apply,
    pub build: &'a Build,
    pub standing: &'a Standing,
    /// The process that posts, where it has a heartbeat.
    pub worker_id: Option<WorkerId>,
}

/// Takes events into one build, and moves its checkpoint from where it was; answers where it is now. That is before
/// the last event where the projection stopped. An error leaves everything as it was.
pub(crate) async fn post(
    db: &mut PgConnection,
    projection: &dyn Apply,
    build: &Build,
    events: &[Recorded],
) -> Result<i64, ApplyError> {
    let Some(Recorded { book_id, .. }) = events.last() else { return Ok(build.position) };
    let standing = Standing::load(db, *book_id).await?;
    Posting { projection, build, standing: &standing, worker_id: None }.post(db, events).await
}

/// How far a partition is folded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UpTo {
    /// The last position that is taken in.
    pub position: i64,
    /// The last position whose orders are known.
    pub orders: i64,
}

impl From<i64> for UpTo {
    fn from(position: i64) -> Self {
        Self { position, orders: position }
    }
}

/// Folds one partition anew from the log, up to a position; answers where it waits, if it does.
pub(crate) async fn refold(
    db: &mut PgConnection,
    projection: &dyn Apply,
    schema: &str,
    partition: Partition,
    to: impl Into<UpTo>,
) -> Result<Option<i64>, ApplyError> {
    let to = to.into();
    let standing = Standing::load(db, partition.book_id).await?;
    projection.clear(db, schema, partition).await?;
    let (mut at, mut culprit) = (0, None);
    while culprit.is_none() {
        let events = feed::partition_page(db, partition, at..to.position).await?;
        let Some(last) = events.last() else { break };
        at = last.position;
        let kept = standing.keep(projection, None, &events, to.orders);
        culprit = quarantine::as_far(db, projection, schema, &kept).await?;
    }
    match &culprit {
        None => quarantine::lift(db, schema, partition).await?,
        // Rows of money are never given up for fewer ones: whoever asked rolls back.
        Some(Culprit { position, reason, .. }) if projection.stops() => {
            return Err(ApplyError::Poison { position: *position, partition, reason: reason.clone() });
        }
        Some(culprit) => quarantine::put(db, schema, culprit, false, standing.seen()).await?,
    }
    Ok(culprit.map(|culprit| culprit.position))
}

impl Posting<'_> {
    /// See [`post`].
    pub async fn post(&self, db: &mut PgConnection, events: &[Recorded]) -> Result<i64, ApplyError> {
        let Some(last) = events.last() else { return Ok(self.build.position) };
        let kept = self.standing.keep(self.projection, Some(&self.build.schema), events, last.position);
        let mut savepoint = db.begin().await?;
        let error = match self.whole(&mut savepoint, events, &kept).await {
            Ok(reached) => {
                savepoint.commit().await?;
                return Ok(reached);
            }
            Err(error) => error,
        };
        savepoint.rollback().await?;
        if !error.is_refusal() {
            return Err(error);
        }
        let mut savepoint = db.begin().await?;
        match self.in_parts(&mut savepoint, events, &kept).await {
            Ok(reached) => {
                savepoint.commit().await?;
                Ok(reached)
            }
            Err(error) => {
                savepoint.rollback().await?;
                Err(error)
            }
        }
    }

    /// Takes a page in as it nearly always is: nothing in it is refused.
    async fn whole(&self, db: &mut PgConnection, events: &[Recorded], kept: &[Recorded]) -> Result<i64, ApplyError> {
        if let Some(Recorded { book_id, .. }) = kept.first() {
            self.projection.apply(db, &self.build.schema, *book_id, kept).await?;
        }
        self.finish(db, events).await
    }

    /// Takes a page in as far as it can be, and puts the rest into quarantine.
    async fn in_parts(&self, db: &mut PgConnection, events: &[Recorded], kept: &[Recorded]) -> Result<i64, ApplyError> {
        let (schema, stops) = (&self.build.schema, self.projection.stops());
        let culprits = if stops {
            Vec::from_iter(quarantine::as_far(db, self.projection, schema, kept).await?)
        } else {
            quarantine::apart(db, self.projection, schema, kept).await?
        };
        for culprit in &culprits {
            quarantine::put(db, schema, culprit, stops, self.standing.seen()).await?;
        }
        let stop = culprits.first().filter(|_| stops).map(|culprit| culprit.position);
        let before = events.partition_point(|event| stop.is_none_or(|stop| event.position < stop));
        let reached = self.finish(db, &events[..before]).await?;
        if let Some(culprit) = culprits.last() {
            note_error(db, schema, culprit.partition.book_id, &culprit.reason).await?;
        }
        Ok(reached)
    }

    /// What follows when the rows are written: erasures and orders among the events, and the checkpoint.
    async fn finish(&self, db: &mut PgConnection, events: &[Recorded]) -> Result<i64, ApplyError> {
        let Some(last) = events.last() else { return Ok(self.build.position) };
        self.carry_out_orders(db, events, last.position).await?;
        self.move_to(db, last, events.len()).await?;
        Ok(last.position)
    }

    /// Folds the partitions anew whose content was erased, or about which something was ordered.
    async fn carry_out_orders(
        &self,
        db: &mut PgConnection,
        events: &[Recorded],
        reached: i64,
    ) -> Result<(), ApplyError> {
        for event in events {
            if event.erases() {
                // What an erased session left in the rows goes: they are folded anew from what is left of it.
                refold(db, self.projection, &self.build.schema, event.partition(), reached).await?;
                // A build that is kept to go back to catches up and folds them then; nothing may lie there until it does.
                // One that has come past the erasure has folded them, and would not do so again.
                for schema in build::kept_before(db, self.projection.name(), event.book_id, event.position).await? {
                    self.projection.clear(db, &schema, event.partition()).await?;
                }
                // An error may quote what went.
                forget_error(db, &self.build.schema, event.book_id).await?;
            }
            let order = event.event().and_then(|order| Order::of(order, event.position));
            let Some(order) = order.filter(|order| order.projection == self.projection.name()) else { continue };
            if let Some(partition) = partition_at(db, event.book_id, order.position).await? {
                refold(db, self.projection, &self.build.schema, partition, reached).await?;
            }
        }
        Ok(())
    }

    /// Moves the checkpoint from where it was, or fails: then somebody else moved it.
    async fn move_to(&self, db: &mut PgConnection, last: &Recorded, events: usize) -> Result<(), ApplyError> {
        let Recorded { book_id, position: reached, .. } = *last;
        let moved = sqlx::query(
            "INSERT INTO checkpoints AS c (schema_name, book_id, position, worker_id, pace) VALUES ($1, $2, $4, $5, $6) \
             ON CONFLICT (schema_name, book_id) DO UPDATE SET position = EXCLUDED.position, \
               worker_id = EXCLUDED.worker_id, moved_at = EXCLUDED.moved_at, pace = EXCLUDED.pace + c.pace \
                 * exp(-least(greatest(extract(epoch FROM EXCLUDED.moved_at - c.moved_at), 0) / $7, 100)) \
             WHERE c.position = $3",
        )
        .bind(&self.build.schema)
        .bind(book_id.uuid())
        .bind(self.build.position)
        .bind(reached)
        .bind(self.worker_id.map(WorkerId::uuid))
        .bind(events as f64)
        .bind(PACE_SECONDS)
        .execute(&mut *db)
        .await?
        .rows_affected();
        if moved != 1 {
            return Err(ApplyError::Database(sqlx::Error::RowNotFound));
        }
        if self.standing.entries(&self.build.schema).any(|(_, entry)| entry.stops && entry.position <= reached) {
            sqlx::query("DELETE FROM quarantine WHERE schema_name = $1 AND book_id = $2 AND stops AND position <= $3")
                .bind(&self.build.schema)
                .bind(book_id.uuid())
                .bind(reached)
                .execute(db)
                .await?;
        }
        Ok(())
    }
}

/// Keeps what went wrong in a build, for its status.
pub(crate) async fn note_error(db: &mut PgConnection, schema: &str, book_id: BookId, error: &str) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO checkpoints (schema_name, book_id, position, error, failed_at) VALUES ($1, $2, 0, $3, now()) \
         ON CONFLICT (schema_name, book_id) DO UPDATE SET error = EXCLUDED.error, failed_at = EXCLUDED.failed_at",
    )
    .bind(schema)
    .bind(book_id.uuid())
    .bind(error)
    .execute(db)
    .await
    .map(|_| ())
}

/// Forgets what went wrong in a build.
async fn forget_error(db: &mut PgConnection, schema: &str, book_id: BookId) -> sqlx::Result<()> {
    sqlx::query("UPDATE checkpoints SET error = NULL, failed_at = NULL WHERE schema_name = $1 AND book_id = $2")
        .bind(schema)
        .bind(book_id.uuid())
        .execute(db)
        .await
        .map(|_| ())
}

/// The partition of the event at a position.
pub(crate) async fn partition_at(
    db: &mut PgConnection,
    book_id: BookId,
    position: i64,
) -> sqlx::Result<Option<Partition>> {
    let row = sqlx::query(
        "SELECT coalesce(session_id, stream_id) AS partition_id FROM events WHERE book_id = $1 AND position = $2",
    )
    .bind(book_id.uuid())
    .bind(position)
    .fetch_optional(db)
    .await?;
    Ok(row.map(|row| Partition { book_id, id: row.get("partition_id") }))
}
