//! Posts events into read tables: finds books that have grown, reads each page once, and commits rows and checkpoints
//! of all projections together. Any process may run one; a lock per book makes them take turns.

use std::collections::btree_map::{BTreeMap, Entry};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use domain::{BookId, WorkerId};
use futures::StreamExt;
use sqlx::postgres::{PgListener, PgPool};
use sqlx::{Connection, PgConnection, Row};
use tokio::sync::{Notify, watch};

use crate::apply::{Apply, ApplyError};
use crate::build::{self, Build};
use crate::feed::{self, FeedError, PAGE, Partition};
pub(crate) use crate::post::post;
use crate::post::{Posting, note_error, refold};
use crate::projection::{self, Applier};
use crate::quarantine::{RELEASE, Standing};

/// How often the runner looks without having been woken. Wake-ups are hints; this look is the truth.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many books are posted at once; each takes a connection.
const BOOKS_AT_ONCE: usize = 4;
/// How many pages of a book are posted in one look: a long book does not keep the others waiting for all of it.
const PAGES_PER_LOOK: usize = 4;
/// A lock that whoever posts shares, and whoever switches builds has alone; the number only has to be always the same.
const POSTING_LOCK: i64 = 0x6461_7962_6f6f_6b02;
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
    /// Builds that failed or stopped in a book, by schema, until they have caught up with the others. Nobody waits for
    /// them.
    left_behind: Mutex<BTreeSet<(String, BookId)>>,
    /// This process's heartbeat, where it has one.
    worker_id: OnceLock<WorkerId>,
    wake: Notify,
}

/// What came of a look.
pub(crate) struct Look {
    /// Whether a book has more than was posted.
    pub more: bool,
    /// Whether every book could be read.
    pub result: Result<(), FeedError>,
}

/// Why a read model did not reach a position.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// Not in time.
    #[error("the read models have not reached position {0} yet: ask again in a moment")]
    TimedOut(i64),
}

/// Why a partition was not folded anew.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// No build of that name serves here.
    #[error("there is no projection {0} that serves in this version")]
    Unknown(String),
    /// The log could not be folded; the rows are as they were.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

impl Runner {
    /// Makes sure that every projection has a build.
    pub async fn open(pool: PgPool) -> sqlx::Result<Self> {
        Self::open_with(pool, projection::all()).await
    }

    /// The same with projections of one's own.
    pub async fn open_with(pool: PgPool, projections: Vec<Applier>) -> sqlx::Result<Self> {
        let mut db = pool.acquire().await?;
        build::ensure(&mut db, &projections).await?;
        drop(db);
        let shared = Shared {
            pool,
            projections,
            progress: watch::Sender::new(HashMap::new()),
            left_behind: Mutex::default(),
            worker_id: OnceLock::new(),
            wake: Notify::new(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The pool that it works with.
    pub(crate) fn pool(&self) -> &PgPool {
        &self.shared.pool
    }

    /// The projections of this release.
    pub(crate) fn projections(&self) -> &[Applier] {
        &self.shared.projections
    }

    /// Says whose heartbeat is this process's: what it posts carries this id.
    pub fn works_as(&self, worker_id: WorkerId) {
        // A process has one heartbeat; the first one stays.
        let _ = self.shared.worker_id.set(worker_id);
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
            let look = self.look().await;
            if let Err(error) = look.result {
                tracing::warn!(%error, "the read models could not be brought up to date; trying again");
            }
            if look.more {
                continue;
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
        loop {
            let look = self.look().await;
            if !look.more {
                return look.result;
            }
        }
    }

    /// Brings every book that is behind some pages further.
    pub(crate) async fn look(&self) -> Look {
        let books = match self.behind().await {
            Ok(books) => books,
            Err(error) => return Look { more: false, result: Err(error.into()) },
        };
        // A book that cannot be read does not keep the others waiting.
        let books = books.into_iter().map(|book_id| self.post_pages(book_id));
        let results: Vec<_> = futures::stream::iter(books).buffer_unordered(BOOKS_AT_ONCE).collect().await;
        let more = results.iter().any(|more| matches!(more, Ok(true)));
        Look { more, result: results.into_iter().try_for_each(|more| more.map(|_| ())) }
    }

    /// The books that have events which some build here has not taken in.
    async fn behind(&self) -> sqlx::Result<Vec<BookId>> {
        let mut db = self.shared.pool.acquire().await?;
        let own = self.shared.projections.iter();
        let (names, versions): (Vec<_>, Vec<_>) = own.map(|own| (own.name(), own.version())).unzip();
        // What stopped waits for an order, which is an event, or for a release that has not tried it yet.
        let books = sqlx::query(
            "SELECT h.book_id, h.position, EXISTS (SELECT 1 FROM builds b \
               LEFT JOIN checkpoints c ON c.schema_name = b.schema_name AND c.book_id = h.book_id \
               LEFT JOIN LATERAL (SELECT bool_or(q.stops) AS stops, bool_or(NOT q.tried_by @> ARRAY[$3::text]) AS due \
                 FROM quarantine q WHERE q.schema_name = b.schema_name AND q.book_id = h.book_id) q ON true \
               WHERE b.state IN ('serving', 'following') \
               AND (b.projection, b.version) IN (SELECT * FROM unnest($1::text[], $2::integer[])) \
               AND (q.due OR coalesce(c.position, 0) < h.position AND NOT coalesce(q.stops, false))) AS behind \
             FROM book_heads h",
        )
        .bind(names)
        .bind(versions)
        .bind(RELEASE)
        .fetch_all(&mut *db)
        .await?;
        let (behind, done): (Vec<_>, Vec<_>) = books.into_iter().partition(|row| row.get("behind"));
        // What another process posted is published here as well: somebody may wait for it in this one.
        done.iter().for_each(|row| self.publish(BookId::new(row.get("book_id")), row.get("position")));
        Ok(behind.into_iter().map(|row| BookId::new(row.get("book_id"))).collect())
    }

    /// Posts the next pages of a book; answers whether there may be more.
    async fn post_pages(&self, book_id: BookId) -> Result<bool, FeedError> {
        for _ in 0..PAGES_PER_LOOK {
            if !self.post_page(book_id).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Posts the next page of a book; answers whether there may be more.
    async fn post_page(&self, book_id: BookId) -> Result<bool, FeedError> {
        let mut db = self.shared.pool.acquire().await?;
        let mut tx = db.begin().await?;
        lock_book(&mut tx, book_id).await?;
        let mut builds = build::following(&mut tx, book_id).await?;
        // What another release serves is for that release to post.
        builds.retain(|build| self.projection(build).is_some());
        // Builds that stand at one position read one page together; who fell behind has one of its own.
        let mut pages = BTreeMap::new();
        for build in &builds {
            if let Entry::Vacant(page) = pages.entry(build.position) {
                page.insert(feed::page(&mut tx, book_id, build.position, PAGE).await?);
            }
        }
        // The log grows while pages are read one after the other; those that reach its end stop at the same one.
        let ended = pages.iter().filter(|(_, page)| (page.len() as i64) < PAGE);
        if let Some(end) = ended.map(|(at, page)| page.last().map_or(*at, |last| last.position)).min() {
            pages.values_mut().for_each(|page| page.truncate(page.partition_point(|event| event.position <= end)));
        }
        // Orders are read after the pages: none of those in a page is unknown here, or the builds that go on would pass
        // it, and the one that stopped would never hear of it.
        let mut standing = Standing::load(&mut tx, book_id).await?;
        let mut failed = self.try_again(&mut tx, book_id, &builds, &mut standing).await?;
        let mut more = false;
        for build in &mut builds {
            let Some(projection) = self.projection(build).filter(|_| !failed.contains(&build.schema)) else { continue };
            let page = &pages[&build.position];
            let posting =
                Posting { projection, build, standing: &standing, worker_id: self.shared.worker_id.get().copied() };
            match posting.post(&mut tx, page).await {
                Ok(reached) => {
                    let stopped = page.last().is_some_and(|last| reached < last.position);
                    more |= !stopped && page.len() as i64 == PAGE;
                    build.position = reached;
                    if stopped {
                        failed.insert(build.schema.clone());
                    }
                }
                Err(error) => {
                    tracing::error!(%error, projection = build.projection, %book_id, after = build.position, "a projection failed");
                    note_error(&mut tx, &build.schema, book_id, &error.to_string()).await?;
                    failed.insert(build.schema.clone());
                }
            }
        }
        tx.commit().await?;
        self.publish(book_id, self.reached(&builds, book_id, failed));
        Ok(more)
    }

    /// Tries again what waits and is due; answers the builds that stay where they are.
    async fn try_again(
        &self,
        db: &mut PgConnection,
        book_id: BookId,
        builds: &[Build],
        standing: &mut Standing,
    ) -> sqlx::Result<BTreeSet<String>> {
        let mut stay = BTreeSet::new();
        for build in builds {
            let Some(projection) = self.projection(build) else { continue };
            let due = standing.due(&build.projection, &build.schema);
            if standing.stop(&build.schema).is_some() && !due.iter().any(|(_, stops)| *stops) {
                stay.insert(build.schema.clone());
            }
            // A build that stopped is tried by posting on; a partition is folded anew.
            for (id, _) in due.into_iter().filter(|(_, stops)| !stops) {
                let mut savepoint = db.begin().await?;
                let partition = Partition { book_id, id };
                match refold(&mut savepoint, projection, &build.schema, partition, build.position).await {
                    Ok(waits) => {
                        savepoint.commit().await?;
                        if waits.is_none() {
                            standing.forget(&build.schema, id);
                        }
                    }
                    Err(error) => {
                        savepoint.rollback().await?;
                        tracing::error!(%error, build = build.schema, partition = %id, "trying again failed");
                        stay.insert(build.schema.clone());
                    }
                }
            }
        }
        Ok(stay)
    }

    /// Folds one partition of a serving build anew from the log; whoever reads meanwhile sees the old rows or the new
    /// ones. Answers the event at which it waits in quarantine, if it does.
    pub async fn rebuild_partition(&self, name: &str, partition: Partition) -> Result<Option<i64>, RebuildError> {
        let mut tx = self.shared.pool.begin().await.map_err(ApplyError::Database)?;
        lock_book(&mut tx, partition.book_id).await.map_err(ApplyError::Database)?;
        let builds = build::following(&mut tx, partition.book_id).await.map_err(ApplyError::Database)?;
        let serving = builds.iter().find(|build| build.serving && build.projection == name);
        let found = serving.and_then(|build| Some((build, self.projection(build)?)));
        let (build, projection) = found.ok_or_else(|| RebuildError::Unknown(name.to_owned()))?;
        let waits = refold(&mut tx, projection, &build.schema, partition, build.position).await?;
        tx.commit().await.map_err(ApplyError::Database)?;
        Ok(waits)
    }

    /// The projection whose rows a build holds, if this release has it.
    fn projection(&self, build: &Build) -> Option<&dyn Apply> {
        let mut own = self.shared.projections.iter().map(AsRef::as_ref);
        own.find(|projection| projection.name() == build.projection && projection.version() == build.version)
    }

    /// How far the builds that serve have come in a book. Those that failed or stopped hold nobody up, nor do they
    /// until they have caught up with the others.
    fn reached(&self, builds: &[Build], book_id: BookId, failed: BTreeSet<String>) -> i64 {
        let mut left_behind = self.shared.left_behind.lock().expect("no holder panics");
        let serving = || builds.iter().filter(|build| build.serving);
        let front = serving().map(|build| build.position).max().unwrap_or(0);
        for build in serving().filter(|build| build.position >= front && !failed.contains(&build.schema)) {
            left_behind.remove(&(build.schema.clone(), book_id));
        }
        left_behind.extend(failed.into_iter().map(|schema| (schema, book_id)));
        let healthy = serving().filter(|build| !left_behind.contains(&(build.schema.clone(), book_id)));
        healthy.map(|build| build.position).min().unwrap_or(front)
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

/// Makes whoever posts to a book take turns, across processes, until the transaction ends; and keeps builds from being
/// switched meanwhile.
pub(crate) async fn lock_book(db: &mut PgConnection, book_id: BookId) -> sqlx::Result<()> {
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1::text, 0)), pg_advisory_xact_lock_shared($2)")
        .bind(book_id.uuid())
        .bind(POSTING_LOCK)
        .execute(db)
        .await
        .map(|_| ())
}

/// Keeps everybody from posting until the transaction ends.
pub(crate) async fn lock_posting(db: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(POSTING_LOCK).execute(db).await.map(|_| ())
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
