//! Loads aggregates: the events of their streams, folded. What was folded once stays in memory and only grows; what is
//! not in memory begins at its snapshot.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard};

use domain::aggregate::FINGERPRINT;
use domain::{Aggregate, BookId, Event};
use lru::LruCache;
use sqlx::Row;
use sqlx::postgres::{PgPool, PgRow};
use uuid::Uuid;

use crate::error::CommandError;
use crate::log::Appended;
use crate::snapshot::{self, Place, Snapshots};

/// How many folded streams of one kind are kept.
const FOLDED: NonZeroUsize = NonZeroUsize::new(1_000).expect("not zero");
/// How many events are read at once.
const PAGE: i64 = 5_000;

/// An aggregate as it is after the event with this sequence.
#[derive(Clone)]
pub struct Loaded<A> {
    /// The folded state.
    pub state: Arc<A>,
    /// The sequence of the newest event; 0 for none.
    pub sequence: i64,
}

/// A folded stream, and how far of it is written down.
#[derive(Clone)]
struct Folded<A> {
    loaded: Loaded<A>,
    snapshot: i64,
}

/// Loads aggregates of one kind.
pub struct Loader<A> {
    pool: PgPool,
    snapshots: Option<Snapshots>,
    memory: Mutex<Memory<A>>,
}

/// What a loader keeps.
struct Memory<A> {
    folded: LruCache<(BookId, Uuid), Folded<A>>,
    /// Streams that were erased: a load that was under way meanwhile does not bring them back.
    erased: LruCache<(BookId, Uuid), ()>,
}

impl<A> Default for Memory<A> {
    fn default() -> Self {
        Self { folded: LruCache::new(FOLDED), erased: LruCache::new(FOLDED) }
    }
}

impl<A: Aggregate> Loader<A> {
    /// A loader with nothing in memory, which begins with stored snapshots and has new ones written.
    pub fn new(pool: PgPool, snapshots: Snapshots) -> Self {
        Self { pool, snapshots: Some(snapshots), memory: Mutex::default() }
    }

    /// A loader that folds every stream from its beginning.
    pub fn without_snapshots(pool: PgPool) -> Self {
        Self { pool, snapshots: None, memory: Mutex::default() }
    }

    /// The aggregate as it is now.
    pub async fn load(&self, book_id: BookId, stream_id: Uuid) -> Result<Loaded<A>, CommandError> {
        let key = (book_id, stream_id);
        let known = self.memory().folded.get(&key).cloned();
        let before = known.as_ref().map_or(0, |folded| folded.loaded.sequence);
        let (mut folded, mut page) = match known {
            Some(folded) => {
                let page = read(&self.pool, book_id, stream_id, folded.loaded.sequence).await?;
                (folded, page)
            }
            None => self.begin(book_id, stream_id).await?,
        };
        loop {
            let full = i64::try_from(page.len()).is_ok_and(|read| read == PAGE);
            folded.loaded.take_in(page);
            if !full {
                break;
            }
            page = read(&self.pool, book_id, stream_id, folded.loaded.sequence).await?;
        }
        if folded.loaded.sequence > before {
            self.write_down(key, &mut folded);
            let mut memory = self.memory();
            if !memory.erased.contains(&key) {
                memory.folded.put(key, folded.clone());
            }
        }
        Ok(folded.loaded)
    }

    /// Forgets a stream whose content was erased. From now on it is read anew each time.
    pub fn forget(&self, book_id: BookId, stream_id: Uuid) {
        let mut memory = self.memory();
        memory.erased.put((book_id, stream_id), ());
        memory.folded.pop(&(book_id, stream_id));
    }

    /// Whether a stream is in memory.
    pub fn remembers(&self, book_id: BookId, stream_id: Uuid) -> bool {
        self.memory().folded.contains(&(book_id, stream_id))
    }

    fn memory(&self) -> MutexGuard<'_, Memory<A>> {
        self.memory.lock().expect("no holder panics")
    }

    /// A stream that is not in memory: its snapshot, if there is a good one, and the first page of events after it.
    async fn begin(
        &self,
        book_id: BookId,
        stream_id: Uuid,
    ) -> Result<(Folded<A>, Vec<(i64, Option<Event>)>), CommandError> {
        let nothing = Folded { loaded: Loaded { state: Arc::new(A::default()), sequence: 0 }, snapshot: 0 };
        if self.snapshots.is_none() {
            return Ok((nothing, read(&self.pool, book_id, stream_id, 0).await?));
        }
        let rows = sqlx::query(SNAPSHOT_AND_REST)
            .bind(book_id.uuid())
            .bind(stream_id)
            .bind(FINGERPRINT)
            .bind(PAGE)
            .fetch_all(&self.pool)
            .await?;
        let (snapshot, mut rest): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.get("is_snapshot"));
        // They come in order, though nothing promises it of a union.
        rest.sort_by_key(|row| row.get::<i64, _>("sequence"));
        let Some(row) = snapshot.first() else { return Ok((nothing, events(rest)?)) };
        match snapshot::read::<A>(row) {
            Some(state) => {
                let snapshot = row.get("sequence");
                let loaded = Loaded { state: Arc::new(state), sequence: snapshot };
                Ok((Folded { loaded, snapshot }, events(rest)?))
            }
            None => {
                tracing::warn!(%stream_id, "a snapshot is damaged and not used");
                Ok((nothing, read(&self.pool, book_id, stream_id, 0).await?))
            }
        }
    }

    /// Has the state written down, where the stream has grown enough since it last was.
    fn write_down(&self, (book_id, stream_id): (BookId, Uuid), folded: &mut Folded<A>) {
        let sequence = folded.loaded.sequence;
        if let Some(snapshots) = &self.snapshots
            && sequence - folded.snapshot >= snapshot::EVERY
            && snapshots.want(Place { book_id, stream_id, sequence }, folded.loaded.state.clone())
        {
            folded.snapshot = sequence;
        }
    }
}

impl<A: Aggregate> Loaded<A> {
    fn take_in(&mut self, events: Vec<(i64, Option<Event>)>) {
        let state = Arc::make_mut(&mut self.state);
        for (sequence, event) in events {
            if let Some(Ok(event)) = event.map(A::Event::try_from) {
                state.evolve(&event);
            }
            self.sequence = sequence;
        }
    }
}

/// `$1` book, `$2` stream, `$3` fingerprint, `$4` page. One statement, so that both are of one moment. A snapshot beyond
/// the stream, of an erased event or by other code is not found. `LIMIT 1` keeps the look at its event a look-up by
/// the whole key: as a join it was planned, on tables without statistics, as a walk through the stream.
const SNAPSHOT_AND_REST: &str = "
WITH snapshot AS MATERIALIZED (
    SELECT s.sequence, s.state, s.digest, e.hash
    FROM snapshots s CROSS JOIN LATERAL (
        SELECT hash FROM events
        WHERE book_id = s.book_id AND stream_id = s.stream_id AND sequence = s.sequence AND payload IS NOT NULL
        LIMIT 1
    ) AS e
    WHERE s.book_id = $1 AND s.stream_id = $2 AND s.fingerprint = $3
)
SELECT true AS is_snapshot, sequence, NULL AS event_type, NULL::smallint AS event_version, NULL AS payload, state,
    digest, hash
FROM snapshot
UNION ALL
(SELECT false, sequence, event_type, event_version, payload::text, NULL, NULL, NULL FROM events
 WHERE book_id = $1 AND stream_id = $2 AND sequence > coalesce((SELECT sequence FROM snapshot), 0)
 ORDER BY sequence LIMIT $4)";

/// The events of a stream after `sequence`, one page of them; `None` where one was erased.
async fn read(
    pool: &PgPool,
    book_id: BookId,
    stream_id: Uuid,
    sequence: i64,
) -> Result<Vec<(i64, Option<Event>)>, CommandError> {
    let rows = sqlx::query(
        "SELECT sequence, event_type, event_version, payload::text AS payload FROM events \
         WHERE book_id = $1 AND stream_id = $2 AND sequence > $3 ORDER BY sequence LIMIT $4",
    )
    .bind(book_id.uuid())
    .bind(stream_id)
    .bind(sequence)
    .bind(PAGE)
    .fetch_all(pool)
    .await?;
    events(&rows)
}

fn events<'r>(rows: impl IntoIterator<Item = &'r PgRow>) -> Result<Vec<(i64, Option<Event>)>, CommandError> {
    rows.into_iter().map(|row| Ok((row.get("sequence"), decode(row)?))).collect()
}

/// What happened; `None` where it was erased.
fn decode(row: &PgRow) -> Result<Option<Event>, CommandError> {
    let payload: Option<&str> = row.get("payload");
    let decoded = payload.map(|payload| Event::decode(row.get("event_type"), row.get("event_version"), payload));
    Ok(decoded.transpose()?)
}

/// All events of a stream but those that were erased.
pub async fn read_all(pool: &PgPool, book_id: BookId, stream_id: Uuid) -> Result<Vec<Event>, CommandError> {
    let mut events = vec![];
    let mut after = 0;
    loop {
        let page = read(pool, book_id, stream_id, after).await?;
        let Some((last, _)) = page.last() else { return Ok(events) };
        after = *last;
        events.extend(page.into_iter().filter_map(|(_, event)| event));
    }
}

/// The events that one append wrote; refused where one of them was erased.
pub(crate) async fn read_append(
    pool: &PgPool,
    book_id: BookId,
    appended: Appended,
) -> Result<Vec<Event>, CommandError> {
    let rows = sqlx::query(
        "SELECT event_type, event_version, payload::text AS payload FROM events \
         WHERE book_id = $1 AND position BETWEEN $2 AND $3 ORDER BY position",
    )
    .bind(book_id.uuid())
    .bind(appended.first)
    .bind(appended.last)
    .fetch_all(pool)
    .await?;
    rows.iter().map(|row| decode(row)?.ok_or(CommandError::Erased)).collect()
}
