//! Folds one share of a book's partitions on a thread of its own, and hands over its rows at the end of each cut.

use std::collections::HashSet;
use std::sync::Arc;

use domain::BookId;
use sqlx::Row as _;
use tokio::sync::mpsc::{Receiver, Sender};
use uuid::Uuid;

use super::RebuildError;
use super::fold::Fold;
use super::range::{self, Range};
use super::row::{self, Row};
use crate::apply::ApplyError;
use crate::quarantine::Culprit;

/// How much is sent to the database at once.
const CHUNK: usize = 1024 * 1024;

/// What a share is told.
pub(super) enum Task {
    /// Fold these.
    Fold(Arc<Range>),
    /// Hand over all rows.
    Cut(Sender<Part>),
}

/// What a share hands over.
pub(super) enum Part {
    /// Rows of a binary COPY.
    Rows(Vec<u8>),
    /// That was all of this cut; and the events at which partitions were set aside in it.
    End(Vec<Culprit>),
}

/// One share at work.
pub(super) struct Share {
    pub book_id: BookId,
    /// Which of how many.
    pub number: usize,
    pub shares: usize,
    /// Whether it stops at what it cannot take in.
    pub stops: bool,
    pub fold: Box<dyn Fold>,
    /// Partitions that wait in quarantine: no event of theirs is taken in any more.
    pub waiting: HashSet<Uuid>,
    /// Events that the projection goes on without.
    pub skipped: Arc<HashSet<i64>>,
}

impl Share {
    /// Works until nobody has tasks any more. Blocks.
    pub fn work(mut self, mut tasks: Receiver<Task>) -> Result<(), RebuildError> {
        let mut news = vec![];
        while let Some(task) = tasks.blocking_recv() {
            match task {
                Task::Fold(range) => self.take(&range, &mut news)?,
                Task::Cut(parts) => {
                    if !self.hand_over(&parts, std::mem::take(&mut news)) {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, range: &Range, news: &mut Vec<Culprit>) -> Result<(), RebuildError> {
        for row in &range.taken_back {
            if range::share(row.get("partition_id"), self.shares) == self.number {
                self.fold.take_back(row);
            }
        }
        let mut event = row::blank(self.book_id);
        for row in range.rows(self.number) {
            let row = row?;
            if self.leaves_out(&row) {
                continue;
            }
            row.write_over(&mut event);
            match self.fold.take(&event) {
                Ok(()) => {}
                // Money never goes on without an event; other rows do, without the partition that it belongs to.
                Err(ApplyError::Poison { position, partition, reason }) if !self.stops => {
                    self.waiting.insert(partition.id);
                    news.push(Culprit { position, partition, event_type: event.event_type.clone(), reason });
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn leaves_out(&self, row: &Row<'_>) -> bool {
        let waits = !self.waiting.is_empty() && self.waiting.contains(&row.partition_id());
        waits || !self.skipped.is_empty() && self.skipped.contains(&row.position)
    }

    /// Answers whether anybody took it.
    fn hand_over(&mut self, parts: &Sender<Part>, news: Vec<Culprit>) -> bool {
        let mut sent = true;
        self.fold.give(CHUNK, &mut |rows| {
            sent = sent && parts.blocking_send(Part::Rows(rows)).is_ok();
        });
        sent && parts.blocking_send(Part::End(news)).is_ok()
    }
}
