//! The log: events by book and position, appended by one sequencer per process.
//!
//! Invariants: positions of a book are dense from 1 and in commit order; sequences of a stream are dense from 1;
//! an append is in whole or not at all; it is acknowledged only once durable; a request id has one effect.
//! Never here: a reader by position. Followers and projections read the log in `projections`.

mod batch;
mod cache;
mod failure;
mod rows;
mod sequencer;
mod settle;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::chain::Hash;
use domain::{BookId, DecodeError, Event, RequestId, Timestamp};
use sqlx::postgres::{PgConnectOptions, PgPool};
use tokio::sync::{broadcast, mpsc, oneshot};
use uuid::Uuid;

use crate::error::CommandError;

/// How many appends may wait for the sequencer before callers wait for it.
const QUEUE: usize = 4_096;
/// How many tips a slow listener may lag behind before it is told so.
const TIPS: usize = 4_096;

/// One caller's request: its id, and the hash of its input, never of ids or times made at the edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// The caller's id for it.
    pub id: RequestId,
    /// What was asked.
    pub hash: Hash,
}

/// Who acts, and in which connection; the same for every event of an append.
#[derive(Debug, Clone)]
pub struct Context {
    /// Who.
    pub actor_id: String,
    /// The run, or other undertaking, that it belongs to.
    pub correlation_id: Option<Uuid>,
    /// The event that caused it.
    pub causation_id: Option<Uuid>,
}

/// Events for one stream.
#[derive(Debug, Clone)]
pub struct StreamAppend {
    /// The stream.
    pub stream_id: Uuid,
    /// The sequence of its newest event as the decision saw it; 0 for none.
    pub expected: i64,
    /// The session that the events belong to.
    pub session_id: Option<Uuid>,
    /// What happened.
    pub events: Vec<Event>,
}

/// One atomic append to one book.
#[derive(Debug, Clone)]
pub struct Append {
    /// The book.
    pub book_id: BookId,
    /// The request it answers.
    pub request: Option<Request>,
    /// Who acts.
    pub context: Context,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// The events, stream by stream. A stream may come several times, each time expecting what came before.
    pub streams: Vec<StreamAppend>,
}

/// What an event brings along from the log that it was first written in.
#[derive(Debug, Clone)]
pub struct Provenance {
    /// When it happened; instead of the append's time.
    pub occurred_at: Timestamp,
    /// JSON that its row keeps as `metadata.origin`, chained with its header. Nothing that a person wrote.
    pub origin: Option<String>,
}

/// Where an append stands in the log. A repeated answer equals the first one.
#[derive(Debug, Clone, Copy)]
pub struct Appended {
    /// The position of its first event.
    pub first: i64,
    /// The position of its last event.
    pub last: i64,
    /// Whether the request had been answered before: then nothing of this append was written.
    pub repeated: bool,
}

impl PartialEq for Appended {
    fn eq(&self, other: &Self) -> bool {
        (self.first, self.last) == (other.first, other.last)
    }
}
impl Eq for Appended {}

/// Why an append was refused. Nothing of it is in the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Somebody else appended to the stream since the decision looked.
    #[error("stream {0} has moved on")]
    Conflict(Uuid),
    /// The request id was used for something else.
    #[error("this request id was used before, with other input")]
    RequestReused,
    /// A type or version that this release does not know: it could neither read nor fold it.
    #[error("event type {name} version {version} is unknown to this release: it is not appended")]
    Unknown {
        /// `noun.verb_past`.
        name: String,
        /// 1 and up.
        version: i16,
    },
    /// A payload that does not have the shape of its type.
    #[error("{0}: it is not appended")]
    Malformed(String),
    /// The database refuses the row itself.
    #[error("the database refuses an event: {0}")]
    Refused(String),
    /// The database cannot be reached, or cannot write; whether the append is in is unknown until it can.
    #[error("the database cannot be reached or cannot write: ask again with the same request id")]
    Unavailable,
}

/// The door for an event that comes as text, such as from an export: what this release does not know stays outside, and
/// what is of an older version comes in the present shape.
pub fn admit(name: &str, version: i16, payload: &str) -> Result<Event, AppendError> {
    Event::decode(name, version, payload).map_err(|error| match error {
        DecodeError::Unknown { name, version } => AppendError::Unknown { name, version },
        malformed @ DecodeError::Malformed { .. } => AppendError::Malformed(malformed.to_string()),
    })
}

/// A book has grown to this position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    /// The book.
    pub book_id: BookId,
    /// Its newest position.
    pub position: i64,
}

/// The door to the log. Cheap to clone.
#[derive(Clone)]
pub struct Log {
    jobs: mpsc::Sender<Job>,
    tips: broadcast::Sender<Tip>,
    pool: PgPool,
    clock: Clock,
    appends: Arc<AtomicU64>,
}

/// Where the present moment comes from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What the sequencer is handed.
struct Job {
    append: Append,
    /// Its events, in its order.
    sealed: Vec<rows::Sealed>,
    answer: oneshot::Sender<Result<Appended, AppendError>>,
}

impl Log {
    /// Starts the sequencer. `pool` is for look-ups; the sequencer keeps a connection of its own.
    pub fn start(options: PgConnectOptions, pool: PgPool, clock: Clock) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (tips, _) = broadcast::channel(TIPS);
        let sequencer = sequencer::Sequencer::new(options, tips.clone(), clock.clone());
        tokio::spawn(sequencer.run(queue));
        Self { jobs, tips, pool, clock, appends: Arc::default() }
    }

    /// Appends, and answers when the events are durable.
    pub async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.append_with(append, vec![]).await
    }

    /// Appends events that happened elsewhere; there is a provenance for each, in the append's order.
    pub async fn append_recorded(&self, append: Append, provenances: Vec<Provenance>) -> Result<Appended, AppendError> {
        let events: usize = append.streams.iter().map(|stream| stream.events.len()).sum();
        assert_eq!(events, provenances.len(), "each event has a provenance");
        self.append_with(append, provenances).await
    }

    async fn append_with(&self, append: Append, provenances: Vec<Provenance>) -> Result<Appended, AppendError> {
        let (answer, answered) = oneshot::channel();
        let sealed = rows::seal(&append, provenances, self.now());
        if sealed.is_empty() {
            return Err(AppendError::Refused("an append has at least one event".into()));
        }
        self.jobs.send(Job { append, sealed, answer }).await.map_err(|_| AppendError::Unavailable)?;
        let answer = answered.await.unwrap_or(Err(AppendError::Unavailable));
        if answer.as_ref().is_ok_and(|appended| !appended.repeated) {
            self.appends.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    /// How many appends of this process are in the log.
    pub fn appends(&self) -> u64 {
        self.appends.load(Ordering::Relaxed)
    }

    /// Hears of every append of this process. Hints only: the truth is read by position.
    pub fn tips(&self) -> broadcast::Receiver<Tip> {
        self.tips.subscribe()
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// The pool for look-ups.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Where the events of a request stand, if it was answered before; an error if it had other input.
    pub async fn answered(&self, book_id: BookId, request: Request) -> Result<Option<Appended>, CommandError> {
        let mut connection = self.pool.acquire().await?;
        match cache::look_up_request(&mut connection, book_id, request.id).await? {
            None => Ok(None),
            Some(known) if known.is(&request.hash) => Ok(Some(known.appended)),
            Some(_) => Err(AppendError::RequestReused.into()),
        }
    }
}
