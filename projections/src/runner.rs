//! Posts events into read tables: finds books that have grown, reads each page once, and commits rows and checkpoints
//! of all projections together. Any process may run one; a lock per book makes them take turns.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::BookId;
use futures::StreamExt;
use sqlx::postgres::{PgListener, PgPool};
use sqlx::{Acquire, PgConnection, Row};
use tokio::sync::{Notify, watch};

use crate::apply::{Apply, ApplyError};
use crate::build::{self, Build};
use crate::feed::{self, FeedError, PAGE, Recorded};
use crate::projection;

/// How often the runner looks without having been woken. Wake-ups are hints; this look is the truth.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many books are posted at once; each takes a connection.
const BOOKS_AT_ONCE: usize = 4;
/// The channel on which appends are announced.
const CHANNEL: &str = "daybook_log";

/// Posts events into read tables. Cheap to clone.
#[derive(Clone)]
pub struct Runner {
    shared: Arc<Shared>,
}

struct Shared {
    pool: PgPool,
    projections: Vec<Box<dyn Apply>>,
    progress: watch::Sender<HashMap<BookId, i64>>,
    /// Builds that failed in a book, by schema. They are tried again at every look.
    stopped: Mutex<BTreeSet<(String, BookId)>>,
    wake: Notify,
}

/// Why a read model did not reach a position.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// Not in time.
    #[error("the read models have not reached position {0} yet: ask again in a moment")]
    TimedOut(i64),
}

impl Runner {
    /// Makes sure that every projection has a build.
    pub async fn open(pool: PgPool) -> sqlx::Result<Self> {
        let projections = projection::all();
        let mut db = pool.acquire().await?;
        build::ensure(&mut db, &projections).await?;
        drop(db);
        let (progress, stopped, wake) = (watch::Sender::new(HashMap::new()), Mutex::default(), Notify::new());
        let shared = Shared { pool, projections, progress, stopped, wake };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Looks now: the log has grown.
    pub fn wake(&self) {
        self.shared.wake.notify_one();
    }

    /// Hears of every book whose read models moved.
    pub fn progress(&self) -> watch::Receiver<HashMap<BookId, i64>> {
        self.shared.progress.subscribe()
    }

    /// Runs until the process ends.
    pub async fn run(self) {
        let mut listener = None;
        loop {
            if listener.is_none() {
                listener = listen(&self.shared.pool).await;
            }
            if let Err(error) = self.catch_up().await {
                tracing::warn!(%error, "the read models could not be brought up to date; trying again");
            }
            tokio::select! {
                () = self.shared.wake.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                heard = hear(&mut listener) => if !heard { listener = None },
            }
        }
    }

    /// Brings every book up to date.
    pub async fn catch_up(&self) -> Result<(), FeedError> {
        let mut db = self.shared.pool.acquire().await?;
        let books = sqlx::query(
            "SELECT h.book_id, h.position, EXISTS (SELECT 1 FROM builds b \
             LEFT JOIN checkpoints c ON c.schema_name = b.schema_name AND c.book_id = h.book_id \
             WHERE b.state IN ('serving', 'following') AND coalesce(c.position, 0) < h.position) AS behind FROM book_heads h",
        )
        .fetch_all(&mut *db)
        .await?;
        drop(db);
        let (behind, done): (Vec<_>, Vec<_>) = books.into_iter().partition(|row| row.get("behind"));
        // What another process posted is published here as well: somebody may wait for it in this one.
        done.iter().for_each(|row| self.publish(BookId::new(row.get("book_id")), row.get("position")));
        // A book that cannot be read does not keep the others waiting.
        let books = behind.into_iter().map(|row| self.catch_up_book(BookId::new(row.get("book_id"))));
        let results: Vec<_> = futures::stream::iter(books).buffer_unordered(BOOKS_AT_ONCE).collect().await;
        results.into_iter().collect()
    }

    async fn catch_up_book(&self, book_id: BookId) -> Result<(), FeedError> {
        while self.post_page(book_id).await? {}
        Ok(())
    }

    /// Posts the next page of a book; answers whether there may be more.
    async fn post_page(&self, book_id: BookId) -> Result<bool, FeedError> {
        let mut db = self.shared.pool.acquire().await?;
        let mut tx = db.begin().await?;
        lock_book(&mut tx, book_id).await?;
        let mut builds = build::following(&mut tx, book_id).await?;
        // What another release serves is for that release to post.
        builds.retain(|build| self.projection(build).is_some());
        let from = self.reached(&builds, book_id);
        let events = feed::page(&mut tx, book_id, from, PAGE).await?;
        let to = events.last().map_or(from, |event| event.position);
        for build in &mut builds {
            let Some(projection) = self.projection(build) else { continue };
            let at = build.position;
            // One that stopped earlier is tried again from where it stopped.
            let own = if at < from { feed::page(&mut tx, book_id, at, PAGE).await? } else { vec![] };
            let page = if at < from { &own } else { &events };
            let news = &page[page.partition_point(|event| event.position <= at)..];
            let mut savepoint = tx.begin().await?;
            match post(&mut savepoint, projection, build, news).await {
                Ok(()) => {
                    savepoint.commit().await?;
                    build.position = news.last().map_or(at, |event| event.position);
                    self.stopped(&build.schema, book_id, build.position < from);
                }
                Err(error) => {
                    tracing::error!(%error, projection = build.projection, %book_id, after = at, "a projection stopped");
                    savepoint.rollback().await?;
                    self.stopped(&build.schema, book_id, true);
                }
            }
        }
        tx.commit().await?;
        self.publish(book_id, self.reached(&builds, book_id));
        Ok(to > from && events.len() as i64 == PAGE)
    }

    /// The projection whose rows a build holds, if this release has it.
    fn projection(&self, build: &Build) -> Option<&dyn Apply> {
        let mut own = self.shared.projections.iter().map(AsRef::as_ref);
        own.find(|projection| projection.name() == build.projection && projection.version() == build.version)
    }

    /// How far the builds that serve have come in a book; one that stopped does not hold up the others.
    fn reached(&self, builds: &[Build], book_id: BookId) -> i64 {
        let stopped = self.shared.stopped.lock().expect("no holder panics");
        let serving = || builds.iter().filter(|build| build.serving);
        let healthy = serving().filter(|build| !stopped.contains(&(build.schema.clone(), book_id)));
        let reached = healthy.map(|build| build.position).min();
        reached.or_else(|| serving().map(|build| build.position).min()).unwrap_or(0)
    }

    fn stopped(&self, schema: &str, book_id: BookId, stopped: bool) {
        let mut all = self.shared.stopped.lock().expect("no holder panics");
        let key = (schema.to_owned(), book_id);
        if stopped {
            all.insert(key)
        } else {
            all.remove(&key)
        };
    }

    fn publish(&self, book_id: BookId, position: i64) {
        self.shared.progress.send_if_modified(|progress| progress.insert(book_id, position) != Some(position));
    }

    /// Waits until every read model of a book has taken in a position.
    pub async fn wait_for(&self, book_id: BookId, position: i64, patience: Duration) -> Result<(), WaitError> {
        let mut progress = self.progress();
        self.wake();
        let reached = progress.wait_for(|reached| reached.get(&book_id).is_some_and(|at| *at >= position));
        match tokio::time::timeout(patience, reached).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(WaitError::TimedOut(position)),
        }
    }
}

/// Makes whoever posts to a book take turns, across processes, until the transaction ends.
pub(crate) async fn lock_book(db: &mut PgConnection, book_id: BookId) -> sqlx::Result<()> {
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1::text, 0))")
        .bind(book_id.uuid())
        .execute(db)
        .await
        .map(|_| ())
}

/// Takes events into one build and moves its checkpoint from where it was, or fails whole.
pub(crate) async fn post(
    db: &mut PgConnection,
    projection: &dyn Apply,
    build: &Build,
    events: &[Recorded],
) -> Result<(), ApplyError> {
    let Some(Recorded { position: last, book_id, .. }) = events.last() else { return Ok(()) };
    let (last, book_id) = (*last, *book_id);
    projection.apply(db, &build.schema, book_id, events).await?;
    // What an erased session left in the rows goes: they are folded anew from what is left of it.
    for erased in events.iter().filter(|event| event.erases()) {
        projection.refold(db, &build.schema, erased.partition(), last).await?;
    }
    let moved = sqlx::query(
        "INSERT INTO checkpoints (schema_name, book_id, position) VALUES ($1, $2, $4) \
         ON CONFLICT (schema_name, book_id) DO UPDATE SET position = EXCLUDED.position WHERE checkpoints.position = $3",
    )
    .bind(&build.schema)
    .bind(book_id.uuid())
    .bind(build.position)
    .bind(last)
    .execute(db)
    .await?
    .rows_affected();
    if moved == 1 { Ok(()) } else { Err(ApplyError::Database(sqlx::Error::RowNotFound)) }
}

async fn listen(pool: &PgPool) -> Option<PgListener> {
    let mut listener = PgListener::connect_with(pool).await.ok()?;
    listener.listen(CHANNEL).await.ok()?;
    Some(listener)
}

/// Waits for an announcement; false when the connection broke.
async fn hear(listener: &mut Option<PgListener>) -> bool {
    match listener {
        Some(listener) => listener.recv().await.is_ok(),
        None => std::future::pending().await,
    }
}
