//! Fills a log through the log itself, so that chain, sequences and ids are those of the product.

use std::sync::Arc;
use std::time::{Duration, Instant};

use commands::log::{Append, Context, Log, StreamAppend};
use domain::BookId;
use sqlx::postgres::PgPoolOptions;
use uuid::Uuid;

use crate::contestants::{ACTOR, event, new_uuid, now};
use crate::server::Database;

/// So many streams of so many events in one append.
const STREAMS: usize = 25;
const EVENTS: usize = 40;
/// How many appends fill at once.
const FILLERS: usize = 8;
/// How often filling says how far it is.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// Fills a log through the log, and answers its streams with their newest sequences.
pub async fn fill(database: &Database, events: u64) -> anyhow::Result<Vec<(Uuid, i64)>> {
    let pool = PgPoolOptions::new().connect_lazy_with(database.connect.clone());
    let book_id = commands::database::Installation::open(&pool).await?.home_book;
    let log = Log::start(database.connect.clone(), pool, Arc::new(now));
    let appends = usize::try_from(events)?.div_ceil(STREAMS * EVENTS);
    let (begun, mut said) = (Instant::now(), Instant::now());
    let mut streams = vec![];
    let mut left = appends;
    while left > 0 {
        let now = left.min(FILLERS);
        let batch = (0..now).map(|_| fill_once(&log, book_id));
        for filled in futures::future::try_join_all(batch).await? {
            streams.extend(filled);
        }
        left -= now;
        if said.elapsed() > SAY_EVERY {
            said = Instant::now();
            let done = (appends - left) * STREAMS * EVENTS;
            eprintln!("{done} of {events} events, {:.0}/s", done as f64 / begun.elapsed().as_secs_f64());
        }
    }
    Ok(streams)
}

async fn fill_once(log: &Log, book_id: BookId) -> anyhow::Result<Vec<(Uuid, i64)>> {
    let streams: Vec<Uuid> = (0..STREAMS).map(|_| new_uuid()).collect();
    let event = event()?;
    let to = |stream_id: &Uuid| StreamAppend {
        stream_id: *stream_id,
        expected: 0,
        session_id: Some(*stream_id),
        events: vec![event.clone(); EVENTS],
    };
    let context = Context { actor_id: ACTOR.to_owned(), correlation_id: None, causation_id: None };
    let append =
        Append { book_id, request: None, context, occurred_at: now(), streams: streams.iter().map(to).collect() };
    log.append(append).await?;
    Ok(streams.into_iter().map(|stream_id| (stream_id, EVENTS as i64)).collect())
}
