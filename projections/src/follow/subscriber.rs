//! One subscriber of one session: reads the log by itself until it has joined the others, and again when it fell behind.

use std::sync::Arc;

use domain::{BookId, SessionId};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::book::Book;
use super::routes::Place;
use super::{Batch, Follower, logged};

/// How many events a subscriber reads at once by itself.
const PAGE: i64 = 500;

/// A subscriber of a session.
pub struct Subscriber {
    follower: Follower,
    book_id: BookId,
    session_id: SessionId,
    /// The session's newest event that was given out, or that the subscriber came with.
    at: i64,
    state: State,
}

enum State {
    /// Reads the log; has no place among the others. It takes one once it is near the head.
    Alone { near_head: bool },
    /// Has a place, and reads what is below it.
    Joining(Joined, i64),
    /// Gets what everybody gets.
    Joined(Joined),
}

struct Joined {
    book: Arc<Book>,
    session_id: SessionId,
    /// `None` only while it is being dropped.
    batches: Option<Receiver<Arc<Batch>>>,
}

/// What a subscriber hears.
#[derive(Debug)]
pub enum News {
    /// The next events of the session; `prev` is the position of the one before them, 0 for none.
    Events { prev: i64, batch: Arc<Batch> },
    /// All of the past was given out; what comes now is new.
    CaughtUp,
    /// The subscriber was too slow and reads the log by itself until it has caught up. Nothing is lost.
    FellBehind,
}

/// Why a session cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
}

impl Subscriber {
    pub(super) fn new(follower: Follower, book_id: BookId, session_id: SessionId, after: i64) -> Self {
        Self { follower, book_id, session_id, at: after, state: State::Alone { near_head: false } }
    }

    /// The position of the session's newest event that was given out.
    pub fn at(&self) -> i64 {
        self.at
    }

    /// The session that it follows.
    pub fn session_id(&self) -> SessionId {
        self.session_id
    }

    /// Waits for what is next. It may be dropped while it waits: nothing is lost.
    pub async fn next(&mut self) -> Result<News, FollowError> {
        loop {
            match &mut self.state {
                State::Alone { near_head: false } => {
                    let read = self.read(i64::MAX).await?;
                    let full = read.as_ref().is_some_and(|batch| batch.events().len() as i64 == PAGE);
                    self.state = State::Alone { near_head: !full };
                    if let Some(batch) = read {
                        return Ok(self.give(batch));
                    }
                }
                State::Alone { near_head: true } => {
                    let (book, Place { batches, after }) = self.follower.join(self.book_id, self.session_id).await?;
                    let joined = Joined { book, session_id: self.session_id, batches: Some(batches) };
                    self.state = State::Joining(joined, after);
                }
                State::Joining(_, after) => {
                    let after = *after;
                    if let Some(batch) = self.read(after).await? {
                        return Ok(self.give(batch));
                    }
                    let alone = State::Alone { near_head: false };
                    if let State::Joining(joined, _) = std::mem::replace(&mut self.state, alone) {
                        self.state = State::Joined(joined);
                    }
                    return Ok(News::CaughtUp);
                }
                State::Joined(joined) => match joined.next().await {
                    // Read from the log before it came here; the page went further than where we joined.
                    Ok(batch) if batch.last() <= self.at => {}
                    Ok(batch) => return Ok(self.give(batch)),
                    Err(RecvError::Lagged(_) | RecvError::Closed) => {
                        self.state = State::Alone { near_head: false };
                        return Ok(News::FellBehind);
                    }
                },
            }
        }
    }

    /// A position of the book such that everything of the session up to it was given out; `None` where more waits.
    pub fn position(&self) -> Option<i64> {
        let State::Joined(joined) = &self.state else { return None };
        // In this order: what is handed out after the look at the position is above it.
        let position = joined.book.routes().handed_out(self.session_id);
        joined.batches.as_ref().is_some_and(Receiver::is_empty).then(|| position.max(self.at))
    }

    /// The next page of the log up to a position; none where there is nothing.
    async fn read(&self, to: i64) -> Result<Option<Arc<Batch>>, FollowError> {
        if self.at >= to {
            return Ok(None);
        }
        let mut db = self.follower.reader().book(self.book_id).await?;
        let session = (self.book_id, self.session_id);
        let events = logged::session_page(&mut db, session, self.at + 1..=to, PAGE).await?;
        Ok((!events.is_empty()).then(|| Arc::new(Batch::new(events))))
    }

    /// Gives out what of a batch was not given out yet.
    fn give(&mut self, batch: Arc<Batch>) -> News {
        let (prev, last) = (self.at, batch.last());
        let batch = if batch.first() > prev {
            batch
        } else {
            let new = batch.events().iter().filter(|event| event.position > prev);
            Arc::new(Batch::new(new.cloned().collect()))
        };
        self.at = last;
        News::Events { prev, batch }
    }
}

impl Joined {
    async fn next(&mut self) -> Result<Arc<Batch>, RecvError> {
        match &mut self.batches {
            Some(batches) => batches.recv().await,
            None => Err(RecvError::Closed),
        }
    }
}

/// The last to leave a session takes its channel along, and the last of a book its task.
impl Drop for Joined {
    fn drop(&mut self) {
        drop(self.batches.take());
        self.book.routes().leave(self.session_id);
        self.book.wake();
    }
}
