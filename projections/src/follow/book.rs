//! One followed book: the task that reads it while anybody follows anything in it.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use domain::BookId;
use sqlx::postgres::PgPool;
use tokio::sync::Notify;

use super::logged;
use super::routes::Routes;

/// How often a book is read without having been told that it has grown. Wake-ups are hints; this look is the truth.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many events are read at once.
const PAGE: i64 = 500;
/// How long reading a page may take before the connection is given up.
const READ_LIMIT: Duration = Duration::from_secs(30);

/// One followed book.
pub(super) struct Book {
    pub book_id: BookId,
    routes: Mutex<Routes>,
    /// The newest position that anybody spoke of.
    announced: AtomicI64,
    /// Whether announcements may have been missed.
    missed: AtomicBool,
    wake: Notify,
}

impl Book {
    /// A book that will be read from a position on.
    pub fn from(book_id: BookId, position: i64) -> Self {
        let routes = Mutex::new(Routes::from(position));
        let (announced, missed) = (AtomicI64::new(position), AtomicBool::new(false));
        Self { book_id, routes, announced, missed, wake: Notify::new() }
    }

    /// Who follows what; never held while anything is awaited.
    pub fn routes(&self) -> MutexGuard<'_, Routes> {
        self.routes.lock().expect("no holder panics")
    }

    /// The book has grown to this position.
    pub fn grown(&self, position: i64) {
        if self.announced.fetch_max(position, Ordering::AcqRel) < position {
            self.wake.notify_one();
        }
    }

    /// Reads at once, whatever was announced: announcements may have been missed.
    pub fn look(&self) {
        self.missed.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    /// A subscriber left: it may have been the last.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Reads and hands out until `over` says that nobody follows any more.
    pub async fn run(&self, pool: &PgPool, over: impl Fn() -> bool) {
        let mut look = true;
        loop {
            while look {
                look = self.read(pool).await;
            }
            if over() || pool.is_closed() {
                return;
            }
            let due = self.routes().next_due();
            look = tokio::select! {
                () = self.wake.notified() => self.has_news(),
                () = until(due) => false,
                () = tokio::time::sleep(LOOK_EVERY) => true,
            };
            self.routes().hand_out_due(Instant::now());
        }
    }

    fn has_news(&self) -> bool {
        let missed = self.missed.swap(false, Ordering::AcqRel);
        missed || self.announced.load(Ordering::Acquire) > self.routes().position()
    }

    /// Reads a page and hands it out; answers whether there may be more. A book that cannot be read is tried again at
    /// the next wake-up, the latest at the next look.
    async fn read(&self, pool: &PgPool) -> bool {
        let from = self.routes().position();
        let reading = async {
            let mut db = pool.acquire().await?;
            logged::page(&mut db, self.book_id, from, PAGE).await
        };
        match tokio::time::timeout(READ_LIMIT, reading).await {
            Ok(Ok(events)) => {
                let full = events.len() as i64 == PAGE;
                self.routes().take_in(events, Instant::now());
                full
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, book_id = %self.book_id, after = from, "a book cannot be followed; trying again");
                false
            }
            Err(_) => {
                tracing::warn!(book_id = %self.book_id, after = from, "reading a book takes too long; trying again");
                false
            }
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
