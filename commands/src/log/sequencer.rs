//! The one task per process that appends: it gathers what waits, refuses what conflicts, and writes the rest at once.
//!
//! Several processes may append to one book: each takes the position after the last one that it knows, so one that was
//! overtaken misses, locks the book, looks again and appends.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use domain::BookId;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Executor, PgConnection};
use tokio::sync::{broadcast, mpsc};
use uuid::Uuid;

use super::cache::{self, Asked, BookCache, Known};
use super::failure::Failure;
use super::rows::Rows;
use super::settle::{Connector, Taken};
use super::{Append, AppendError, Appended, Clock, Job, StreamAppend, Tip, batch};

/// The most events of one batch, unless a single append has more.
const BATCH_EVENTS: usize = 1_000;
/// The longest that a batch waits for as many requests as the one before it had.
const GATHER: Duration = Duration::from_micros(500);
/// How long the database may be silent in the middle of a batch before the connection counts as broken.
const SILENCE: Duration = Duration::from_secs(60);

pub(super) struct Sequencer {
    pub(super) connector: Connector,
    tips: broadcast::Sender<Tip>,
    clock: Clock,
    pub(super) books: HashMap<BookId, BookCache>,
    last_batch: usize,
}

/// Requests to append together.
pub(super) struct Group {
    pub jobs: Vec<Job>,
    /// Whether to lock the books and look at them first, because a position was taken.
    pub locked: bool,
}

/// A group that has been looked at: rows to write, and who waits for them.
pub(super) struct Staged {
    pub rows: BTreeMap<BookId, Rows>,
    pub accepted: Vec<(Job, Appended)>,
    /// Requests with the id of another in the same batch: looked at again once that one is through.
    pub deferred: Vec<Job>,
    /// Requests that conflict with what is cached, which may be old: looked at again under a lock.
    pub doubtful: Vec<Job>,
}

impl Staged {
    /// Everybody who waits for an answer.
    fn jobs(self) -> impl Iterator<Item = Job> {
        self.accepted.into_iter().map(|(job, _)| job).chain(self.doubtful).chain(self.deferred)
    }
}

impl Sequencer {
    pub fn new(options: PgConnectOptions, tips: broadcast::Sender<Tip>, clock: Clock) -> Self {
        Self { connector: Connector::new(options), tips, clock, books: HashMap::new(), last_batch: 1 }
    }

    pub async fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        while let Some(first) = queue.recv().await {
            let jobs = self.gather(first, &mut queue).await;
            let mut groups = VecDeque::from([Group { jobs, locked: false }]);
            while let Some(group) = groups.pop_front() {
                for next in self.attempt(group).await.into_iter().rev() {
                    groups.push_front(next);
                }
            }
        }
    }

    /// Waits, yielding and never sleeping, until as many requests as the last batch had have come.
    async fn gather(&mut self, first: Job, queue: &mut mpsc::Receiver<Job>) -> Vec<Job> {
        let mut events = size(&first.append);
        let mut jobs = vec![first];
        let deadline = Instant::now() + GATHER;
        loop {
            while events < BATCH_EVENTS
                && let Ok(job) = queue.try_recv()
            {
                events += size(&job.append);
                jobs.push(job);
            }
            if jobs.len() >= self.last_batch || events >= BATCH_EVENTS || Instant::now() >= deadline {
                break;
            }
            tokio::task::yield_now().await;
        }
        self.last_batch = jobs.len();
        jobs
    }

    /// The connection. What is known of the books was learned over it: over a new one, it is learned anew.
    async fn connection(&mut self) -> Option<PgConnection> {
        let Taken { db, new } = self.connector.take().await?;
        if new {
            self.books.clear();
        }
        Some(db)
    }

    /// Tries to append a group; answers what is left to do.
    async fn attempt(&mut self, group: Group) -> Vec<Group> {
        let Some(mut db) = self.connection().await else {
            group.jobs.into_iter().for_each(|job| refuse(job, AppendError::Unavailable));
            return vec![];
        };
        if let Err(error) = in_time(self.prepare(&mut db, &group)).await {
            return self.failed(db, group.jobs, &error).await;
        }
        let staged = self.stage(group);
        if staged.rows.is_empty() {
            return self.leave(db, staged, &[]).await;
        }
        let (locked, rows): (bool, Vec<&Rows>) = (self.connector.in_transaction(), staged.rows.values().collect());
        let mut result = in_time(batch::append(&mut db, &rows)).await;
        if locked && result.is_ok() {
            result = in_time(self.connector.commit(&mut db)).await.and(result);
        }
        match result {
            Ok(books) => self.leave(db, staged, &books).await,
            Err(error) if Failure::of(&error) != Failure::Lost => {
                self.failed(db, staged.jobs().collect(), &error).await
            }
            Err(error) => {
                tracing::warn!(%error, "the connection broke during an append; settling what became of it");
                drop(db);
                self.settle(staged).await
            }
        }
    }

    /// Looks at each request: answers what is known, refuses what conflicts, chains the rest.
    fn stage(&mut self, group: Group) -> Staged {
        let now = (self.clock)();
        let mut staged = Staged { rows: BTreeMap::new(), accepted: vec![], deferred: vec![], doubtful: vec![] };
        let mut moved: HashMap<(BookId, Uuid), i64> = HashMap::new();
        let mut requests = BTreeSet::new();
        for job in group.jobs {
            let book_id = job.append.book_id;
            let book = self.books.get_mut(&book_id).expect("`prepare` loaded every book of the group");
            if let Some(request) = job.append.request {
                if let Some(known) = book.requests.get(&request.id) {
                    let same = known.is(&request.hash);
                    let appended = known.appended;
                    answer(job, if same { Ok(appended) } else { Err(AppendError::RequestReused) });
                    continue;
                }
                if !requests.insert((book_id, request.id)) {
                    staged.deferred.push(job);
                    continue;
                }
            }
            if let Some(stream_id) = conflict(&job.append, book, &moved) {
                if group.locked {
                    refuse(job, AppendError::Conflict(stream_id));
                } else {
                    staged.doubtful.push(job);
                }
                continue;
            }
            for stream in &job.append.streams {
                moved.insert((book_id, stream.stream_id), stream.expected + length(stream.events.len()));
            }
            let rows = staged.rows.entry(book_id).or_insert_with(|| Rows::after(book_id, book.head));
            let first = rows.after.position + 1;
            rows.push(&job, now);
            let appended = Appended { first, last: rows.after.position, repeated: false };
            staged.accepted.push((job, appended));
        }
        staged
    }

    /// Loads what must be known of the group's books and streams, under a lock where one is wanted.
    async fn prepare(&mut self, db: &mut PgConnection, group: &Group) -> sqlx::Result<()> {
        if group.locked {
            self.connector.begin(db).await?;
        }
        // A set is in order of book, the order in which every process takes its locks.
        let books: BTreeSet<BookId> = group.jobs.iter().map(|job| job.append.book_id).collect();
        for book_id in books {
            match self.books.get_mut(&book_id) {
                Some(book) if group.locked => {
                    let head = cache::read_head(db, book_id, true).await?;
                    book.refresh(db, book_id, head).await?;
                }
                Some(_) => {}
                None => {
                    let head = cache::read_head(db, book_id, group.locked).await?;
                    self.books.insert(book_id, BookCache::new(head));
                }
            }
            let book = self.books.get_mut(&book_id).expect("it was just put there");
            let unknown: BTreeSet<Uuid> = group
                .jobs
                .iter()
                .filter(|job| job.append.book_id == book_id)
                .flat_map(|job| &job.append.streams)
                .filter(|stream| stream.expected > 0 && !book.streams.contains(&stream.stream_id))
                .map(|stream| stream.stream_id)
                .collect();
            if !unknown.is_empty() {
                for (stream_id, sequence) in cache::look_up_streams(db, book_id, &Vec::from_iter(unknown)).await? {
                    book.streams.put(stream_id, sequence);
                }
            }
            if group.locked {
                book.recall(db, book_id, &group.jobs).await?;
            }
        }
        Ok(())
    }

    /// Answers the requests of the books that were written; the others missed and are tried again under a lock, and
    /// so is what seems to conflict.
    async fn leave(&mut self, db: PgConnection, staged: Staged, written: &[Uuid]) -> Vec<Group> {
        let mut db = db;
        if self.connector.in_transaction() && in_time(self.connector.rollback(&mut db)).await.is_err() {
            drop(db);
        } else {
            self.connector.put_back(db);
        }
        let mut missed = vec![];
        let written: BTreeSet<Uuid> = written.iter().copied().collect();
        for rows in staged.rows.values().filter(|rows| written.contains(&rows.book_id.uuid())) {
            if let Some(book) = self.books.get_mut(&rows.book_id) {
                book.head = rows.after;
            }
            let _ = self.tips.send(Tip { book_id: rows.book_id, position: rows.after.position });
        }
        for (job, appended) in staged.accepted {
            if written.contains(&job.append.book_id.uuid()) {
                self.remember(&job.append, appended);
                answer(job, Ok(appended));
            } else {
                missed.push(job);
            }
        }
        missed.extend(staged.doubtful);
        let mut left = vec![];
        if !missed.is_empty() {
            left.push(Group { jobs: missed, locked: true });
        }
        if !staged.deferred.is_empty() {
            left.push(Group { jobs: staged.deferred, locked: false });
        }
        left
    }

    fn remember(&mut self, append: &Append, appended: Appended) {
        let Some(book) = self.books.get_mut(&append.book_id) else { return };
        for stream in &append.streams {
            book.streams.put(stream.stream_id, stream.expected + length(stream.events.len()));
        }
        if let Some(request) = append.request {
            let appended = Appended { repeated: true, ..appended };
            book.requests.put(request.id, Known { asked: Asked::Input(request.hash), appended });
        }
    }

    /// The group was not written: a row that the database refuses is split off until it stands alone.
    async fn failed(&mut self, mut db: PgConnection, mut jobs: Vec<Job>, error: &sqlx::Error) -> Vec<Group> {
        let mut failure = Failure::of(error);
        if failure != Failure::Lost
            && self.connector.in_transaction()
            && in_time(self.connector.rollback(&mut db)).await.is_err()
        {
            failure = Failure::Lost;
        }
        match failure {
            Failure::Row => {}
            Failure::Contention => {
                self.connector.put_back(db);
                return vec![Group { jobs, locked: true }];
            }
            Failure::Lost => return vec![Group { jobs, locked: true }],
            Failure::Unable => {
                tracing::error!(%error, appends = jobs.len(), "the database cannot write");
                jobs.into_iter().for_each(|job| refuse(job, AppendError::Unavailable));
                return vec![];
            }
        }
        if jobs.len() > 1 {
            self.connector.put_back(db);
            let rest = jobs.split_off(jobs.len() / 2);
            return vec![Group { jobs, locked: true }, Group { jobs: rest, locked: true }];
        }
        if let Some(job) = jobs.pop() {
            let verdict = self.verdict(&mut db, &job.append, error).await;
            answer(job, verdict);
        }
        self.connector.put_back(db);
        vec![]
    }

    /// What a refusal of the database means for the one append that caused it.
    async fn verdict(
        &mut self,
        db: &mut PgConnection,
        append: &Append,
        error: &sqlx::Error,
    ) -> Result<Appended, AppendError> {
        let constraint = error.as_database_error().and_then(|e| e.constraint());
        // A request that was answered before breaks both rules, and PostgreSQL names the one that it looked at first.
        if let (Some("events_request" | "events_stream"), Some(request)) = (constraint, append.request) {
            match in_time(cache::look_up_request(db, append.book_id, request.id)).await {
                Ok(Some(known)) if known.is(&request.hash) => return Ok(known.appended),
                Ok(Some(_)) => return Err(AppendError::RequestReused),
                Ok(None) => {}
                Err(_) => return Err(AppendError::Unavailable),
            }
        }
        match constraint {
            Some("events_request") => Err(AppendError::Unavailable),
            Some("events_stream") => Err(self.culprit(db, append).await),
            _ => Err(AppendError::Refused(error.to_string())),
        }
    }

    /// The stream of an append that has moved on, though it was not known here. Streams only grow, so it still shows.
    async fn culprit(&self, db: &mut PgConnection, append: &Append) -> AppendError {
        let streams: Vec<Uuid> = append.streams.iter().map(|stream| stream.stream_id).collect();
        let Ok(newest) = in_time(cache::look_up_streams(db, append.book_id, &streams)).await else {
            return AppendError::Unavailable;
        };
        let newest: HashMap<Uuid, i64> = newest.into_iter().collect();
        // Where a stream comes several times, its first stretch is the one that the decision saw.
        let mut seen = BTreeSet::new();
        let first = append.streams.iter().filter(|stream| seen.insert(stream.stream_id));
        let moved = |stream: &&StreamAppend| newest.get(&stream.stream_id).is_some_and(|at| *at != stream.expected);
        match { first }.find(moved) {
            Some(stream) => AppendError::Conflict(stream.stream_id),
            None => AppendError::Refused("the stretches of a stream in one append follow on each other".into()),
        }
    }

    /// The connection broke while a batch was under way: find out what became of it before anything is answered.
    async fn settle(&mut self, staged: Staged) -> Vec<Group> {
        let Some(mut db) = self.connection().await else {
            staged.jobs().for_each(|job| refuse(job, AppendError::Unavailable));
            return vec![];
        };
        match in_time(self.connector.landed(&mut db, &staged.rows)).await {
            Ok(written) => {
                tracing::info!(landed = written.len(), "settled what became of a batch");
                self.leave(db, staged, &written).await
            }
            Err(error) => {
                tracing::warn!(%error, "the connection broke again while settling");
                drop(db);
                Box::pin(self.settle(staged)).await
            }
        }
    }
}

/// The stream that has moved on since the decision looked, if any.
fn conflict(append: &Append, book: &mut BookCache, moved: &HashMap<(BookId, Uuid), i64>) -> Option<Uuid> {
    // Where a stream comes several times in one append, each expects what came before.
    let mut own = HashMap::new();
    let stale = append.streams.iter().find(|stream| {
        let known = own.get(&stream.stream_id).or_else(|| moved.get(&(append.book_id, stream.stream_id)));
        let known = known.or_else(|| book.streams.get(&stream.stream_id)).copied().unwrap_or(0);
        // A lone stream, which is what most appends have, need not be remembered.
        if append.streams.len() > 1 {
            own.insert(stream.stream_id, stream.expected + length(stream.events.len()));
        }
        known != stream.expected
    });
    stale.map(|stream| stream.stream_id)
}

/// A database that says nothing for too long is as good as gone.
async fn in_time<T>(work: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    let silent = || Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()));
    tokio::time::timeout(SILENCE, work).await.unwrap_or_else(|_| silent())
}

fn size(append: &Append) -> usize {
    append.streams.iter().map(|stream| stream.events.len()).sum()
}

fn length(events: usize) -> i64 {
    i64::try_from(events).expect("no append has 2^63 events")
}

fn answer(job: Job, answer: Result<Appended, AppendError>) {
    // Whoever asked may have gone; what is written stays written.
    let _ = job.answer.send(answer);
}

fn refuse(job: Job, error: AppendError) {
    answer(job, Err(error));
}

/// Runs a plain statement.
pub(super) async fn execute(db: &mut PgConnection, sql: &'static str) -> sqlx::Result<()> {
    db.execute(sql).await.map(|_| ())
}
