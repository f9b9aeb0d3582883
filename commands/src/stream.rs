//! Loads aggregates: the events of their streams, folded. What was folded once stays in memory and only grows.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use domain::{Aggregate, BookId, Event};
use lru::LruCache;
use sqlx::Row;
use sqlx::postgres::PgPool;
use uuid::Uuid;

use crate::error::CommandError;
use crate::log::Appended;

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

/// Loads aggregates of one kind.
pub struct Loader<A> {
    pool: PgPool,
    folded: Mutex<LruCache<(BookId, Uuid), Loaded<A>>>,
}

impl<A: Aggregate> Loader<A> {
    /// A loader with nothing in memory.
    pub fn new(pool: PgPool) -> Self {
        Self { pool, folded: Mutex::new(LruCache::new(FOLDED)) }
    }

    /// The aggregate as it is now.
    pub async fn load(&self, book_id: BookId, stream_id: Uuid) -> Result<Loaded<A>, CommandError> {
        let key = (book_id, stream_id);
        let known = self.folded.lock().expect("no holder panics").get(&key).cloned();
        let before = known.as_ref().map_or(0, |loaded| loaded.sequence);
        let mut loaded = known.unwrap_or_else(|| Loaded { state: Arc::new(A::default()), sequence: 0 });
        loop {
            let events = read(&self.pool, book_id, stream_id, loaded.sequence).await?;
            let full = i64::try_from(events.len()).is_ok_and(|read| read == PAGE);
            let state = Arc::make_mut(&mut loaded.state);
            for (sequence, event) in events {
                if let Ok(event) = A::Event::try_from(event) {
                    state.evolve(&event);
                }
                loaded.sequence = sequence;
            }
            if !full {
                break;
            }
        }
        if loaded.sequence > before {
            self.folded.lock().expect("no holder panics").put(key, loaded.clone());
        }
        Ok(loaded)
    }
}

/// The events of a stream after `sequence`, one page of them.
pub async fn read(
    pool: &PgPool,
    book_id: BookId,
    stream_id: Uuid,
    sequence: i64,
) -> Result<Vec<(i64, Event)>, CommandError> {
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
    rows.into_iter()
        .map(|row| {
            let event = Event::decode(row.get("event_type"), row.get("event_version"), row.get("payload"))?;
            Ok((row.get("sequence"), event))
        })
        .collect()
}

/// All events of a stream.
pub async fn read_all(pool: &PgPool, book_id: BookId, stream_id: Uuid) -> Result<Vec<Event>, CommandError> {
    let mut events = vec![];
    let mut after = 0;
    loop {
        let page = read(pool, book_id, stream_id, after).await?;
        let Some((last, _)) = page.last() else { return Ok(events) };
        after = *last;
        events.extend(page.into_iter().map(|(_, event)| event));
    }
}

/// The events that one append wrote.
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
    rows.into_iter()
        .map(|row| Ok(Event::decode(row.get("event_type"), row.get("event_version"), row.get("payload"))?))
        .collect()
}
