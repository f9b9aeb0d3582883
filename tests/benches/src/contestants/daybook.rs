//! Daybook's log as the product uses it, with parts left out, or with followers beside it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::ensure;
use commands::log::{Append, Context, Log, Request, StreamAppend};
use domain::proof::{CheckpointKey, SEED_BYTES};
use domain::{BookId, Event, RequestId};
use projections::Runner;
use projections::tree::{Follower, Signer};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::{ACTOR, Shared, event, new_uuid, now};

/// What of the log is on.
#[derive(Debug, Clone, Copy)]
pub struct Parts {
    /// As the tables call it.
    pub name: &'static str,
    /// Whether appends carry request ids.
    pub requests: bool,
    /// Whether events belong to sessions.
    pub sessions: bool,
    /// Whether this process posts the read models meanwhile.
    pub read_models: bool,
    /// Whether this process extends and signs the trees meanwhile.
    pub trees: bool,
}

impl Default for Parts {
    fn default() -> Self {
        Self { name: "Daybook", requests: true, sessions: true, read_models: false, trees: false }
    }
}

/// A log that is open, and what follows it.
pub struct Opened {
    log: Log,
    book_id: BookId,
    parts: Parts,
    followers: Vec<JoinHandle<()>>,
    /// Where checkpoints are kept meanwhile.
    _kept: Option<tempfile::TempDir>,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.followers.iter().for_each(JoinHandle::abort);
    }
}

/// Streams with a past, by their newest sequence when they were filled, and how many appends they have had since.
#[derive(Debug)]
pub struct OldStreams {
    streams: Vec<(Uuid, i64)>,
    used: AtomicUsize,
}

impl OldStreams {
    /// These streams, in this order.
    pub fn new(streams: Vec<(Uuid, i64)>) -> Self {
        Self { streams, used: AtomicUsize::new(0) }
    }

    /// Another stream, and its newest sequence.
    fn next(&self) -> (Uuid, i64) {
        let used = self.used.fetch_add(1, Ordering::Relaxed);
        let (stream_id, sequence) = self.streams[used % self.streams.len()];
        let rounds = i64::try_from(used / self.streams.len()).expect("nobody appends that often");
        (stream_id, sequence + rounds)
    }
}

/// Starts a log of its own for the slice. It ends when the slice lets go of it.
pub async fn prepare(connect: &PgConnectOptions, parts: Parts) -> anyhow::Result<Shared> {
    let pool = PgPoolOptions::new().connect_lazy_with(connect.clone());
    let book_id = commands::database::Installation::open(&pool).await?.home_book;
    pool.close().await;
    let idle = PgPoolOptions::new().connect_lazy_with(connect.clone());
    let log = Log::start(connect.clone(), idle, Arc::new(now));
    let mut followers = vec![];
    if parts.read_models {
        let pool: PgPool = commands::database::writer_pool(connect.clone()).await?;
        followers.push(tokio::spawn(Runner::open(pool).await?.run()));
    }
    let mut kept = None;
    if parts.trees {
        let pool: PgPool = commands::database::writer_pool(connect.clone()).await?;
        let folder = tempfile::tempdir()?;
        let signer = Signer::new(CheckpointKey::from_seed(&[7; SEED_BYTES]), folder.path().to_owned());
        followers.push(tokio::spawn(Follower::new(pool, signer).run()));
        kept = Some(folder);
    }
    Ok(Shared::Daybook(Opened { log, book_id, parts, followers, _kept: kept }))
}

pub struct Writer<'a> {
    opened: &'a Opened,
    stream_id: Uuid,
    session_id: Uuid,
    sequence: i64,
    events: Vec<Event>,
    old: Option<&'a OldStreams>,
}

impl<'a> Writer<'a> {
    pub fn new(opened: &'a Opened, events: usize) -> anyhow::Result<Self> {
        let events = vec![event()?; events];
        Ok(Self { opened, stream_id: new_uuid(), session_id: new_uuid(), sequence: 0, events, old: None })
    }

    /// Writes to another of these each time.
    pub fn to(self, old: &'a OldStreams) -> Self {
        Self { old: Some(old), ..self }
    }

    pub async fn append(&mut self) -> anyhow::Result<usize> {
        if let Some(old) = self.old {
            (self.stream_id, self.sequence) = old.next();
            self.session_id = self.stream_id;
        }
        let Opened { log, book_id, parts, .. } = self.opened;
        let append = Append {
            book_id: *book_id,
            request: parts.requests.then(|| Request { id: RequestId::new(new_uuid()), hash: [7; 32] }),
            context: Context { actor_id: ACTOR.to_owned(), correlation_id: Some(self.stream_id), causation_id: None },
            occurred_at: now(),
            streams: vec![StreamAppend {
                stream_id: self.stream_id,
                expected: self.sequence,
                session_id: parts.sessions.then_some(self.session_id),
                events: self.events.clone(),
            }],
        };
        let appended = log.append(append).await?;
        let written = i64::try_from(self.events.len())?;
        ensure!(appended.last - appended.first + 1 == written, "an append of {written} events stands at {appended:?}");
        self.sequence += written;
        Ok(self.events.len())
    }
}
