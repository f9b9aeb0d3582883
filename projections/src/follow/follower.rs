//! The follower of this process: which books are followed, and who wakes them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use domain::{BookId, SessionId};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPool, PgPoolOptions};
use sqlx::{Connection, Executor};

use super::book::Book;
use super::routes::Place;
use super::subscriber::{FollowError, Subscriber};
use crate::{Reader, feed};

/// How many books are read at once, and one connection that listens.
const CONNECTIONS: u32 = 5;
/// A connection that was used less long ago than this is taken to be alive.
const SURELY_ALIVE: Duration = Duration::from_millis(500);
/// How long after a failure to listen it is tried again. The books are looked at every second meanwhile.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);
/// The channel on which appends are announced, as `book position`.
const CHANNEL: &str = "daybook_log";

/// The follower of this process. Cheap to clone.
#[derive(Clone)]
pub struct Follower {
    shared: Arc<Shared>,
}

struct Shared {
    pool: PgPool,
    reader: Reader,
    books: Mutex<HashMap<BookId, Arc<Book>>>,
}

impl Follower {
    /// Opens its connections. `reader` is for subscribers that read by themselves.
    pub async fn connect(options: PgConnectOptions, reader: Reader) -> sqlx::Result<Self> {
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .after_connect(|db, _| Box::pin(async move { db.execute("SET ROLE daybook_writer").await.map(|_| ()) }))
            .test_before_acquire(false)
            .before_acquire(|db, about| {
                Box::pin(async move {
                    if about.idle_for >= SURELY_ALIVE {
                        db.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_with(options)
            .await?;
        Ok(Self { shared: Arc::new(Shared { pool, reader, books: Mutex::default() }) })
    }

    /// Hears of appends of other processes until the process ends.
    pub async fn run(self) {
        loop {
            if let Err(error) = self.listen().await {
                tracing::warn!(%error, "appends of other processes are seen a second later; listening again");
            }
            tokio::time::sleep(LISTEN_AGAIN).await;
        }
    }

    /// A book has grown to this position. Callable by whoever knows first; a hint, like every wake-up.
    pub fn grown(&self, book_id: BookId, position: i64) {
        let book = self.shared.books.lock().expect("no holder panics").get(&book_id).cloned();
        if let Some(book) = book {
            book.grown(position);
        }
    }

    /// Follows a session after a position; 0 is before everything.
    pub fn subscribe(&self, book_id: BookId, session_id: SessionId, after: i64) -> Subscriber {
        Subscriber::new(self.clone(), book_id, session_id, after)
    }

    /// How many books are read here just now.
    pub fn books(&self) -> usize {
        self.shared.books.lock().expect("no holder panics").len()
    }

    /// Closes its connections.
    pub async fn close(&self) {
        self.shared.pool.close().await;
    }

    pub(super) fn reader(&self) -> &Reader {
        &self.shared.reader
    }

    /// A place among the subscribers of a session; from then on the book is read.
    pub(super) async fn join(&self, book_id: BookId, session_id: SessionId) -> Result<(Arc<Book>, Place), FollowError> {
        if let Some(joined) = self.join_followed(book_id, session_id, None) {
            return Ok(joined);
        }
        let mut db = self.shared.reader.book(book_id).await?;
        let (head, _) = feed::head(&mut db, book_id).await?;
        drop(db);
        Ok(self.join_followed(book_id, session_id, Some(head)).expect("a book with a position can be followed"))
    }

    /// Joins a book that is followed already, or one that is read from a position on.
    fn join_followed(&self, book_id: BookId, session_id: SessionId, from: Option<i64>) -> Option<(Arc<Book>, Place)> {
        // The books stay locked, so that the book's task cannot end between finding it and joining it.
        let mut books = self.shared.books.lock().expect("no holder panics");
        let book = match (books.get(&book_id), from) {
            (Some(book), _) => book.clone(),
            (None, None) => return None,
            (None, Some(position)) => {
                let book = Arc::new(Book::from(book_id, position));
                books.insert(book_id, book.clone());
                let (shared, running) = (self.shared.clone(), book.clone());
                tokio::spawn(async move { running.run(&shared.pool, || shared.let_go(&running)).await });
                book
            }
        };
        let place = book.routes().join(session_id, Instant::now());
        Some((book, place))
    }

    async fn listen(&self) -> sqlx::Result<()> {
        let mut listener = PgListener::connect_with(&self.shared.pool).await?;
        listener.listen(CHANNEL).await?;
        loop {
            // What was announced before this began to listen is not announced again.
            let all: Vec<_> = self.shared.books.lock().expect("no holder panics").values().cloned().collect();
            all.iter().for_each(|book| book.look());
            while let Some(heard) = listener.try_recv().await? {
                if let Some((book_id, position)) = parse(heard.payload()) {
                    self.grown(book_id, position);
                }
            }
        }
    }
}

impl Shared {
    /// Forgets a book if nobody follows it; answers whether it did.
    fn let_go(&self, book: &Book) -> bool {
        let mut books = self.books.lock().expect("no holder panics");
        let over = book.routes().is_empty();
        if over {
            books.remove(&book.book_id);
        }
        over
    }
}

/// `book position`, as appends are announced.
fn parse(payload: &str) -> Option<(BookId, i64)> {
    let (book, position) = payload.split_once(' ')?;
    Some((BookId::new(book.parse().ok()?), position.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announcement_names_a_book_and_a_position() {
        let book = "01900000-0000-7000-8000-000000000001";
        assert_eq!(parse(&format!("{book} 42")), Some((BookId::new(book.parse().unwrap()), 42)));
        for wrong in ["", book, "a 42", &format!("{book} x")] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
