//! What every command shares: the aggregates' loaders, and the loop around load, decide, append.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use domain::account::Account;
use domain::checkpoint_key::CheckpointKeys;
use domain::model::PriceList;
use domain::quarantine::Quarantine;
use domain::rebuild::Rebuild;
use domain::run::Run;
use domain::sandbox::Sandbox;
use domain::session::Session;
use domain::user::User;
use domain::workspace::Workspace;
use domain::{BookId, Content, Event, SessionId};
use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::bus::Bus;
use crate::database::Installation;
use crate::error::CommandError;
use crate::log::{Append, AppendError, Appended, Context, Log, Request, StreamAppend};
use crate::snapshot::Snapshots;
use crate::stream::{Loaded, Loader};

/// How often a command is decided again because somebody else was faster.
const ATTEMPTS: usize = 32;

/// Loading and deciding: what a command would append.
pub(crate) type Drafting<'d> = Pin<Box<dyn Future<Output = Result<Vec<StreamAppend>, CommandError>> + Send + 'd>>;

/// The write side. Cheap to clone.
#[derive(Clone)]
pub struct Commands {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub log: Log,
    pub bus: Bus,
    pub installation: Installation,
    pub sessions: Loader<Session>,
    pub runs: Loader<Run>,
    pub workspaces: Loader<Workspace>,
    pub accounts: Loader<Account>,
    pub prices: Loader<PriceList>,
    pub users: Loader<User>,
    pub sandboxes: Loader<Sandbox>,
    pub checkpoint_keys: Loader<CheckpointKeys>,
    pub snapshots: Snapshots,
    pub rebuilds: Loader<Rebuild>,
    pub quarantines: Loader<Quarantine>,
    /// One at a time changes a book's account in this process, so that they do not overtake each other in vain.
    account_turns: Mutex<HashMap<BookId, Arc<tokio::sync::Mutex<()>>>>,
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done<T = ()> {
    /// The position at which its effect is in the book.
    pub position: i64,
    /// What it answers.
    pub answer: T,
}

impl Commands {
    /// Opens the write side on a log.
    pub fn new(log: Log, installation: Installation) -> Self {
        let pool = log.pool().clone();
        let snapshots = Snapshots::start(pool.clone());
        let inner = Inner {
            sessions: Loader::new(pool.clone(), snapshots.clone()),
            runs: Loader::new(pool.clone(), snapshots.clone()),
            workspaces: Loader::new(pool.clone(), snapshots.clone()),
            accounts: Loader::new(pool.clone(), snapshots.clone()),
            prices: Loader::new(pool.clone(), snapshots.clone()),
            users: Loader::new(pool.clone(), snapshots.clone()),
            rebuilds: Loader::new(pool.clone(), snapshots.clone()),
            sandboxes: Loader::new(pool.clone(), snapshots.clone()),
            checkpoint_keys: Loader::new(pool.clone(), snapshots.clone()),
            quarantines: Loader::new(pool, snapshots.clone()),
            snapshots,
            bus: Bus::default(),
            account_turns: Mutex::default(),
            log,
            installation,
        };
        Self { inner: Arc::new(inner) }
    }

    /// The log.
    pub fn log(&self) -> &Log {
        &self.inner.log
    }

    /// Live frames.
    pub fn bus(&self) -> &Bus {
        &self.inner.bus
    }

    /// Folded states that are written down.
    pub fn snapshots(&self) -> &Snapshots {
        &self.inner.snapshots
    }

    /// Facts of this installation.
    pub fn installation(&self) -> Installation {
        self.inner.installation
    }

    /// A text as an event of a session carries it.
    pub async fn content(&self, book_id: BookId, session: SessionId, text: String) -> Result<Content, CommandError> {
        Ok(crate::blobs::content(self.log().pool(), book_id, session, text).await?)
    }

    /// The run as it is now.
    pub async fn run(&self, book_id: BookId, run_id: domain::RunId) -> Result<Loaded<Run>, CommandError> {
        self.inner.runs.load(book_id, run_id.uuid()).await
    }

    /// The workspace as it is now.
    pub async fn workspace(&self, book_id: BookId, id: domain::WorkspaceId) -> Result<Loaded<Workspace>, CommandError> {
        self.inner.workspaces.load(book_id, id.uuid()).await
    }

    /// The account of a book as it is now.
    pub async fn account(&self, book_id: BookId) -> Result<Loaded<Account>, CommandError> {
        self.inner.accounts.load(book_id, account_stream(book_id)).await
    }

    /// Waits for this process's turn at a book's account.
    pub(crate) async fn account_turn(&self, book_id: BookId) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = self.inner.account_turns.lock().expect("no holder panics").entry(book_id).or_default().clone();
        turn.lock_owned().await
    }

    /// Decides and appends; decides again when somebody else was faster. `draft` loads and decides, and answers what
    /// to append; it may be called several times. Answers the events that this request wrote, now or the first time.
    pub(crate) async fn carry_out<'d>(
        &self,
        book_id: BookId,
        request: Request,
        context: Context,
        draft: impl Fn() -> Drafting<'d> + Send + Sync,
    ) -> Result<Done<Vec<Event>>, CommandError> {
        for _ in 0..ATTEMPTS {
            if let Some(before) = self.log().answered(book_id, request).await? {
                return self.first_answer(book_id, before).await;
            }
            let mut drafted = draft().await;
            if let Ok(streams) = &mut drafted {
                streams.retain(|stream| !stream.events.is_empty());
            }
            // Refused or already so may be because this very request was carried out since it was looked up.
            if drafted.as_ref().map_or(true, Vec::is_empty)
                && let Some(before) = self.log().answered(book_id, request).await?
            {
                return self.first_answer(book_id, before).await;
            }
            let streams = drafted?;
            if streams.is_empty() {
                return Ok(Done { position: self.head(book_id).await?, answer: vec![] });
            }
            let answer: Vec<Event> = streams.iter().flat_map(|stream| stream.events.clone()).collect();
            let occurred_at = self.log().now();
            let append = Append { book_id, request: Some(request), context: context.clone(), occurred_at, streams };
            match self.log().append(append).await {
                Ok(appended) if !appended.repeated => {
                    return Ok(Done { position: appended.last, answer });
                }
                // The same request was faster in another task or process: its answer is the answer.
                Ok(appended) => return self.first_answer(book_id, appended).await,
                Err(AppendError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(CommandError::Contended)
    }

    async fn first_answer(&self, book_id: BookId, before: Appended) -> Result<Done<Vec<Event>>, CommandError> {
        let answer = crate::stream::read_append(self.log().pool(), book_id, before).await?;
        Ok(Done { position: before.last, answer })
    }

    /// The newest position of a book.
    pub async fn head(&self, book_id: BookId) -> Result<i64, CommandError> {
        Ok(head(self.log().pool(), book_id).await?)
    }
}

/// The newest position of a book; 0 where it has no events.
pub(crate) async fn head(pool: &PgPool, book_id: BookId) -> sqlx::Result<i64> {
    let last = "SELECT position FROM events WHERE book_id = $1 ORDER BY position DESC LIMIT 1";
    let row = sqlx::query(last).bind(book_id.uuid()).fetch_optional(pool).await?;
    Ok(row.map_or(0, |row| row.get("position")))
}

/// The stream of a book's one account.
pub(crate) fn account_stream(book_id: BookId) -> Uuid {
    book_id.uuid()
}

/// What to append to the stream of a loaded aggregate.
pub(crate) fn to_stream<A, E: Into<Event>>(
    stream_id: Uuid,
    loaded: &Loaded<A>,
    session_id: Option<SessionId>,
    events: Vec<E>,
) -> StreamAppend {
    StreamAppend {
        stream_id,
        expected: loaded.sequence,
        session_id: session_id.map(SessionId::uuid),
        events: events.into_iter().map(Into::into).collect(),
    }
}
