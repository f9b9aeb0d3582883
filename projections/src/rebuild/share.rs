//! Folds one share of a book's partitions on a thread of its own, and hands over its rows at the end of each cut.

use std::collections::HashMap;
use std::sync::Arc;

use domain::BookId;
use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use tokio::sync::mpsc::{Receiver, Sender};
use uuid::Uuid;

use super::RebuildError;
use super::fold::Fold;
use super::range::{self, Range};
use super::row;
use crate::apply::ApplyError;

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
    /// That was all of this cut; and the partitions that were set aside in it.
    End(Vec<SetAside>),
}

/// A partition that could not be folded: its events are left out from a position on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAside {
    /// The book.
    pub book_id: BookId,
    /// The partition.
    pub partition_id: Uuid,
    /// The event that could not be taken in.
    pub position: i64,
    /// What is wrong with it.
    pub reason: String,
}

/// One share at work.
pub(super) struct Share {
    pub book_id: BookId,
    /// Which of how many.
    pub number: usize,
    pub shares: usize,
    /// Whether it stops at what it cannot take in.
    pub money: bool,
    pub fold: Box<dyn Fold>,
    /// The partitions that are left out, and from which position on.
    pub set_aside: HashMap<Uuid, i64>,
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

    fn take(&mut self, range: &Range, news: &mut Vec<SetAside>) -> Result<(), RebuildError> {
        for row in &range.taken_back {
            if range::share(row.get("partition_id"), self.shares) == self.number {
                self.fold.take_back(row);
            }
        }
        let mut event = row::blank(self.book_id);
        for row in range.rows(self.number) {
            let row = row?;
            if !self.set_aside.is_empty() && self.set_aside.contains_key(&row.partition_id()) {
                continue;
            }
            row.write_over(&mut event);
            match self.fold.take(&event) {
                Ok(()) => {}
                // Money never goes on without an event; other rows do, without the partition that it belongs to.
                Err(ApplyError::Poison { position, partition, reason }) if !self.money => {
                    self.set_aside.insert(partition.id, position);
                    news.push(SetAside { book_id: partition.book_id, partition_id: partition.id, position, reason });
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Answers whether anybody took it.
    fn hand_over(&mut self, parts: &Sender<Part>, news: Vec<SetAside>) -> bool {
        let mut sent = true;
        self.fold.give(CHUNK, &mut |rows| {
            sent = sent && parts.blocking_send(Part::Rows(rows)).is_ok();
        });
        sent && parts.blocking_send(Part::End(news)).is_ok()
    }
}
