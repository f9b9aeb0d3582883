//! Loads one book into a build: ranges are read ahead, folded by several hands, and written cut by cut. What a crash
//! leaves behind is whole up to the last cut, and the next one goes on from there.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use domain::BookId;
use futures::{StreamExt, TryStreamExt};
use sqlx::postgres::PgPool;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use super::pace::Pace;
use super::range::{self, Range, Reading};
use super::share::{Part, Share, Task};
use super::write::{Cut, Writer};
use super::{Limits, RebuildError};
use crate::apply::Apply;
use crate::quarantine::Standing;

/// How many ranges are read ahead of those that are folded.
const READ_AHEAD: usize = 2;
/// How many ranges may wait at each share.
const WAITING_RANGES: usize = 1;
/// How many pieces of a cut may wait for the database.
const WAITING_PARTS: usize = 4;
/// How many cuts may wait to be written.
const WAITING_CUTS: usize = 1;
/// How many positions the first range has, before anybody knows how large events are.
const FIRST_RANGE: i64 = 5_000;

/// What is loaded, and how.
pub(super) struct Load<'a> {
    pub pool: &'a PgPool,
    pub projection: &'a dyn Apply,
    pub schema: &'a str,
    pub limits: Limits,
    /// How many events have been folded, over all books.
    pub done: &'a AtomicI64,
    /// Set by whoever wants it to end.
    pub stop: watch::Receiver<bool>,
    /// Whether there is an index by partition.
    pub indexed: tokio::sync::Mutex<bool>,
}

/// A book to load.
#[derive(Debug, Clone, Copy)]
pub(super) struct Book {
    pub id: BookId,
    /// What the build holds already.
    pub from: i64,
    /// The frozen head.
    pub to: i64,
}

/// Loads a book up to its frozen head.
pub(super) async fn load(load: &Load<'_>, book: Book) -> Result<(), RebuildError> {
    let standing = Standing::load(&mut *load.pool.acquire().await?, book.id).await?;
    let waiting: HashSet<Uuid> = standing.entries(load.schema).map(|(partition_id, _)| partition_id).collect();
    let skipped: Arc<HashSet<i64>> = Arc::new(standing.skips(load.projection.name(), book.to).collect());
    let shares =
        if book.to - book.from <= FIRST_RANGE.min(load.limits.range_positions) { 1 } else { load.limits.shares };
    let (mut hands, mut working) = (vec![], vec![]);
    for number in 0..shares {
        let share = Share {
            book_id: book.id,
            number,
            shares,
            stops: load.projection.stops(),
            fold: load.projection.folded(book.id),
            waiting: waiting.clone(),
            skipped: skipped.clone(),
        };
        let (hand, tasks) = mpsc::channel(WAITING_RANGES);
        hands.push(hand);
        working.push(tokio::task::spawn_blocking(move || share.work(tasks)));
    }
    let (cuts, waiting) = mpsc::channel(WAITING_CUTS);
    let (written, committed) = watch::channel(book.from);
    let writer = Writer { load, book_id: book.id, shares, orders: standing.seen(), written };
    let feed = Feed { load, book: &book, shares, hands, cuts, committed, seen: HashSet::new(), taken: vec![] };
    let (fed, wrote) = tokio::join!(feed.run(), writer.run(book.from, waiting));
    // Whoever hands out or writes hears only that somebody is gone; why, a share knows best.
    for share in working {
        share.await.map_err(|_| RebuildError::Lost)??;
    }
    match wrote {
        Err(RebuildError::Lost) | Ok(()) => fed.and(wrote),
        Err(error) => Err(error),
    }
}

/// Hands out ranges.
struct Feed<'a> {
    load: &'a Load<'a>,
    book: &'a Book,
    shares: usize,
    hands: Vec<mpsc::Sender<Task>>,
    cuts: mpsc::Sender<Cut>,
    /// The position up to which cuts have been committed.
    committed: watch::Receiver<i64>,
    /// The partitions of this cut.
    seen: HashSet<Uuid>,
    /// Those of them that had rows before.
    taken: Vec<Uuid>,
}

impl Feed<'_> {
    async fn run(mut self) -> Result<(), RebuildError> {
        let names: Vec<_> = self.load.projection.unconcerned();
        let reading = Reading { book_id: self.book.id, skipped: names.into(), shares: self.shares };
        let (pool, limits, book_to) = (self.load.pool, self.load.limits, self.book.to);
        let (mut at, mut cut_from, mut cut_bytes) = (self.book.from, self.book.from, 0);
        let (mut next, wanted) = (at, AtomicI64::new(FIRST_RANGE.min(self.load.limits.range_positions)));
        // Each range is read by a task of its own, and as large as its forerunners say is right.
        let ranges = std::iter::from_fn(|| {
            let after = next;
            next = (after + wanted.load(Ordering::Relaxed)).min(book_to);
            (after < next).then(|| tokio::spawn(range::read(pool.clone(), reading.clone(), after, next)))
        });
        let mut ranges = futures::stream::iter(ranges).buffered(READ_AHEAD);
        let mut pace = Pace::begin(pool).await?;
        while let Some(range) = ranges.try_next().await.map_err(|_| RebuildError::Lost)? {
            let mut range = range?;
            if *self.load.stop.borrow() {
                return Err(RebuildError::Cancelled);
            }
            self.take_back(&mut range, cut_from).await?;
            (at, cut_bytes) = (range.to, cut_bytes + range.bytes());
            wanted.store(limits.next_range(range.events, range.bytes()), Ordering::Relaxed);
            self.fold(range).await?;
            let full = at - cut_from >= limits.cut_positions || cut_bytes >= limits.cut_bytes;
            if full || at == book_to || self.load.projection.insert_only() {
                self.cut(at).await?;
                (cut_from, cut_bytes) = (at, 0);
            }
            pace.rest().await?;
        }
        Ok(())
    }

    /// Reads the rows that were written in earlier cuts of partitions that this range is the first of its cut to touch.
    async fn take_back(&mut self, range: &mut Range, cut_from: i64) -> Result<(), RebuildError> {
        if self.load.projection.insert_only() || cut_from == 0 {
            return Ok(());
        }
        let news: Vec<Uuid> = range.partitions.iter().copied().filter(|id| self.seen.insert(*id)).collect();
        self.committed.wait_for(|position| *position >= cut_from).await.map_err(|_| RebuildError::Lost)?;
        let mut db = self.load.pool.acquire().await?;
        range.taken_back = self.load.projection.rows_of(&mut db, self.load.schema, self.book.id, &news).await?;
        self.taken.extend(range::partitions_of(&range.taken_back));
        Ok(())
    }

    async fn fold(&self, range: Range) -> Result<(), RebuildError> {
        let range = Arc::new(range);
        for hand in &self.hands {
            hand.send(Task::Fold(range.clone())).await.map_err(|_| RebuildError::Lost)?;
        }
        self.load.done.fetch_add(range.events, Ordering::Relaxed);
        Ok(())
    }

    /// Has all rows handed over.
    async fn cut(&mut self, to: i64) -> Result<(), RebuildError> {
        let (parts, rows) = mpsc::channel::<Part>(WAITING_PARTS);
        for hand in &self.hands {
            hand.send(Task::Cut(parts.clone())).await.map_err(|_| RebuildError::Lost)?;
        }
        self.seen.clear();
        let cut = Cut { to, last: to == self.book.to, rows, taken: std::mem::take(&mut self.taken) };
        self.cuts.send(cut).await.map_err(|_| RebuildError::Lost)
    }
}
