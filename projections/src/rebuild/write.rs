//! Writes cuts: rows by COPY and the book's progress, in one transaction each.

use std::ops::Range;

use domain::BookId;
use sqlx::Connection;
use sqlx::PgConnection;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::RebuildError;
use super::book::Load;
use super::copying::Copying;
use super::share::Part;
use crate::column::{COPY_HEADER, COPY_TRAILER};
use crate::quarantine::{self, Culprit};

/// The rows of a book up to a position.
pub(super) struct Cut {
    pub to: i64,
    /// Whether this is the book's last one.
    pub last: bool,
    /// From each share its rows, then the end.
    pub rows: mpsc::Receiver<Part>,
    /// Partitions whose rows of earlier cuts are replaced.
    pub taken: Vec<Uuid>,
}

/// Writes the cuts of a book.
pub(super) struct Writer<'a> {
    pub load: &'a Load<'a>,
    pub book_id: BookId,
    pub shares: usize,
    /// The newest order about quarantine that the load knows.
    pub orders: i64,
    /// Told how far the book has been written.
    pub written: watch::Sender<i64>,
}

impl Writer<'_> {
    pub async fn run(self, from: i64, mut cuts: mpsc::Receiver<Cut>) -> Result<(), RebuildError> {
        let mut at = from;
        if from > 0 {
            self.index().await?;
        }
        while let Some(cut) = cuts.recv().await {
            let (to, last) = (cut.to, cut.last);
            self.write(at, cut).await?;
            if at == 0 && !last {
                self.index().await?;
            }
            at = to;
            self.written.send_replace(at);
        }
        Ok(())
    }

    async fn write(&self, at: i64, mut cut: Cut) -> Result<(), RebuildError> {
        let Load { pool, projection, schema, .. } = self.load;
        let mut copying = Copying::acquire(pool).await?;
        let mut tx = copying.db().begin().await?;
        // Whoever crashes loses whole cuts; what puts the build in its place waits for the disk.
        sqlx::query("SET LOCAL synchronous_commit = off").execute(&mut *tx).await?;
        // Whoever goes on after a crash waits for this cut, also for one without rows.
        let lock = format!("LOCK TABLE {schema}.{} IN ROW EXCLUSIVE MODE", projection.name());
        sqlx::query(&lock).execute(&mut *tx).await?;
        projection.remove_partitions(&mut tx, schema, self.book_id, &cut.taken).await?;
        let culprits = self.copy_in(&mut tx, &mut cut.rows).await?;
        put_aside(&mut tx, schema, &culprits, self.orders).await?;
        move_checkpoint(&mut tx, schema, self.book_id, at..cut.to).await?;
        tx.commit().await?;
        copying.done();
        Ok(())
    }

    async fn copy_in(
        &self,
        db: &mut PgConnection,
        parts: &mut mpsc::Receiver<Part>,
    ) -> Result<Vec<Culprit>, RebuildError> {
        let (mut open, mut culprits) = (self.shares, vec![]);
        // A cut without rows needs no COPY.
        if let Some(first) = next_rows(parts, &mut open, &mut culprits).await? {
            let mut copy = db.copy_in_raw(&self.load.projection.copy_in(self.load.schema)).await?;
            copy.send(COPY_HEADER).await?;
            copy.send(first).await?;
            while let Some(rows) = next_rows(parts, &mut open, &mut culprits).await? {
                copy.send(rows).await?;
            }
            copy.send(&COPY_TRAILER[..]).await?;
            copy.finish().await?;
        }
        Ok(culprits)
    }

    /// Rows of a second cut find those of the first by their partition.
    async fn index(&self) -> Result<(), RebuildError> {
        let mut indexed = self.load.indexed.lock().await;
        if !*indexed && !self.load.projection.insert_only() {
            let mut db = self.load.pool.acquire().await?;
            self.load.projection.index_partitions(&mut db, self.load.schema).await?;
            *indexed = true;
        }
        Ok(())
    }
}

/// The next rows of a cut; `None` once every share has handed over all of its own.
async fn next_rows(
    parts: &mut mpsc::Receiver<Part>,
    open: &mut usize,
    culprits: &mut Vec<Culprit>,
) -> Result<Option<Vec<u8>>, RebuildError> {
    while *open > 0 {
        match parts.recv().await {
            Some(Part::Rows(rows)) => return Ok(Some(rows)),
            Some(Part::End(news)) => {
                culprits.extend(news);
                *open -= 1;
            }
            // A share ended before its cut did: nothing of the cut is written.
            None => return Err(RebuildError::Lost),
        }
    }
    Ok(None)
}

/// Puts partitions into quarantine: durable with the cut that left them out.
async fn put_aside(db: &mut PgConnection, schema: &str, culprits: &[Culprit], orders: i64) -> sqlx::Result<()> {
    for culprit in culprits {
        quarantine::put(db, schema, culprit, false, orders).await?;
    }
    Ok(())
}

/// Moves a checkpoint from where it was, or fails: then somebody else moved it.
async fn move_checkpoint(db: &mut PgConnection, schema: &str, book_id: BookId, moved: Range<i64>) -> sqlx::Result<()> {
    let moved = sqlx::query(
        "INSERT INTO checkpoints (schema_name, book_id, position) VALUES ($1, $2, $4) ON CONFLICT (schema_name, book_id) \
         DO UPDATE SET position = EXCLUDED.position, moved_at = now() WHERE checkpoints.position = $3",
    )
    .bind(schema)
    .bind(book_id.uuid())
    .bind(moved.start)
    .bind(moved.end)
    .execute(db)
    .await?;
    if moved.rows_affected() == 1 { Ok(()) } else { Err(sqlx::Error::RowNotFound) }
}
