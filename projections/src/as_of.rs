//! The past: rows of one session, or of one stream outside of any, as they were at a position. The same folds as those
//! of the read models, in memory, from the log. What was erased since stays erased.

use std::collections::BTreeMap;

use domain::{BookId, SessionId, Timestamp};
use sqlx::{PgConnection, Row as _};

use crate::apply::{guarded, readable};
use crate::feed::{self, FeedError, Partition, Recorded};
use crate::file::Files;
use crate::projection::Projection;
use crate::quarantine::Standing;
use crate::run::Runs;
use crate::session::Sessions;
use crate::tool_call::ToolCalls;
use crate::usage::Usage;

/// How many events are folded at most for one answer.
pub const EVENTS_MAX: usize = 100_000;

/// A moment of a book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// After the event at this position.
    Position(i64),
    /// After the last event that was written down by then.
    Time(Timestamp),
}

/// Why the past cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum AsOfError {
    /// The book is not there yet.
    #[error("position {position} is beyond the newest one, {head}")]
    Beyond { position: i64, head: i64 },
    /// It would take too long.
    #[error("more than {EVENTS_MAX} events lie before that moment: follow the events instead")]
    TooMany,
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
}

impl From<FeedError> for AsOfError {
    fn from(FeedError::Database(error): FeedError) -> Self {
        Self::Database(error)
    }
}

/// The position of a moment; 0 before the first event. Recorded times rise strictly, so a time is found by halving.
pub async fn position(db: &mut PgConnection, book_id: BookId, moment: Moment) -> Result<i64, AsOfError> {
    let (head, _) = feed::head(db, book_id).await?;
    let time = match moment {
        Moment::Position(position) if position > head => return Err(AsOfError::Beyond { position, head }),
        Moment::Position(position) => return Ok(position),
        Moment::Time(time) => time,
    };
    let (mut before, mut after) = (0, head + 1);
    while before + 1 < after {
        let middle = before + (after - before) / 2;
        match recorded_at(db, book_id, middle).await? {
            Some(at) if at <= time => before = middle,
            _ => after = middle,
        }
    }
    Ok(before)
}

/// When the event at a position was written down.
pub async fn recorded_at(db: &mut PgConnection, book_id: BookId, position: i64) -> sqlx::Result<Option<Timestamp>> {
    let row = sqlx::query("SELECT recorded_at FROM events WHERE book_id = $1 AND position = $2")
        .bind(book_id.uuid())
        .bind(position)
        .fetch_optional(db)
        .await?;
    Ok(row.map(|row| row.get("recorded_at")))
}

/// Sessions as they were at a moment, newest first.
pub async fn sessions(
    db: &mut PgConnection,
    book_id: BookId,
    moment: Moment,
    limit: i64,
) -> Result<Vec<(SessionId, crate::session::Row)>, AsOfError> {
    let position = position(db, book_id, moment).await?;
    let Some(time) = recorded_at(db, book_id, position).await? else { return Ok(vec![]) };
    let mut sessions = vec![];
    for session_id in crate::session::begun(db, book_id, time, limit).await? {
        let partition = Partition { book_id, id: session_id.uuid() };
        sessions.extend(rows::<Sessions>(db, partition, position).await?);
    }
    Ok(sessions)
}

/// The rows of one projection that belong to a partition, as they were at a position.
pub async fn rows<P: Projection>(
    db: &mut PgConnection,
    partition: Partition,
    position: i64,
) -> Result<BTreeMap<P::Key, P::Row>, AsOfError> {
    let mut rows = Folded::<P>::default();
    fold(db, partition, position, &mut [&mut rows]).await?;
    Ok(rows.rows)
}

/// A session with everything that belongs to it, as it was at a position.
#[derive(Debug)]
pub struct Past {
    /// The position.
    pub position: i64,
    /// The session.
    pub session: Option<crate::session::Row>,
    /// Its runs.
    pub runs: BTreeMap<domain::RunId, crate::run::Row>,
    /// Their calls of tools.
    pub tool_calls: BTreeMap<domain::ToolCallId, crate::tool_call::Row>,
    /// Its files.
    pub files: BTreeMap<(domain::WorkspaceId, String), crate::file::Row>,
    /// Its calls of models.
    pub usage: BTreeMap<domain::LlmCallId, crate::usage::Row>,
}

impl Past {
    /// Folds a session up to a position.
    pub async fn read(
        db: &mut PgConnection,
        book_id: BookId,
        session_id: SessionId,
        position: i64,
    ) -> Result<Self, AsOfError> {
        let partition = Partition { book_id, id: session_id.uuid() };
        let (mut sessions, mut runs) = (Folded::<Sessions>::default(), Folded::<Runs>::default());
        let (mut tool_calls, mut files) = (Folded::<ToolCalls>::default(), Folded::<Files>::default());
        let mut usage = Folded::<Usage>::default();
        let all: &mut [&mut dyn Fold] = &mut [&mut sessions, &mut runs, &mut tool_calls, &mut files, &mut usage];
        fold(db, partition, position, all).await?;
        Ok(Self {
            position,
            session: sessions.rows.remove(&session_id),
            runs: runs.rows,
            tool_calls: tool_calls.rows,
            files: files.rows,
            usage: usage.rows,
        })
    }
}

async fn fold(
    db: &mut PgConnection,
    partition: Partition,
    position: i64,
    all: &mut [&mut dyn Fold],
) -> Result<(), AsOfError> {
    let standing = Standing::load(db, partition.book_id).await?;
    let (mut at, mut count) = (0, 0);
    loop {
        let events = feed::partition_page(db, partition, at..position).await?;
        let Some(last) = events.last() else { return Ok(()) };
        at = last.position;
        count += events.len();
        if count > EVENTS_MAX {
            return Err(AsOfError::TooMany);
        }
        for event in &events {
            all.iter_mut().for_each(|one| one.take(event, &standing, position));
        }
    }
}

/// Rows of one projection on their way through the events.
struct Folded<P: Projection> {
    rows: BTreeMap<P::Key, P::Row>,
    /// At an event that cannot be taken in. What follows waits, as it does in the read model.
    waits: bool,
}

impl<P: Projection> Default for Folded<P> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), waits: false }
    }
}

/// A projection without its types.
trait Fold: Send {
    /// Takes in the next event; `to` is the position whose orders are known.
    fn take(&mut self, event: &Recorded, standing: &Standing, to: i64);
}

impl<P: Projection> Fold for Folded<P> {
    fn take(&mut self, event: &Recorded, standing: &Standing, to: i64) {
        // What was ordered later was not known then, not even to a projection that looks ahead now.
        let mut skips = standing.skips(P::NAME, to);
        if self.waits || skips.any(|position| position == event.position) {
            return;
        }
        let folded = readable::<P>(event).and_then(|()| {
            guarded(event, || {
                let rows = P::keys(event).into_iter().map(|key| {
                    let mut row = self.rows.get(&key).cloned();
                    P::fold(&mut row, &key, event);
                    (key, row)
                });
                rows.collect::<Vec<_>>()
            })
        });
        let Ok(rows) = folded else {
            self.waits = true;
            return;
        };
        for (key, row) in rows {
            match row {
                Some(row) => self.rows.insert(key, row),
                None => self.rows.remove(&key),
            };
        }
    }
}
