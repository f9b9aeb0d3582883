//! Daybook's log as the product uses it.

use std::sync::Arc;

use anyhow::ensure;
use commands::log::{Append, Context, Log, Request, StreamAppend};
use domain::{BookId, Event, RequestId};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use uuid::Uuid;

use super::{ACTOR, Shared, event, new_uuid, now};

/// Starts a log of its own for the slice. It ends when the slice lets go of it.
pub async fn prepare(connect: &PgConnectOptions) -> anyhow::Result<Shared> {
    let pool = PgPoolOptions::new().connect_lazy_with(connect.clone());
    let book_id = commands::database::Installation::open(&pool).await?.home_book;
    pool.close().await;
    let idle = PgPoolOptions::new().connect_lazy_with(connect.clone());
    Ok(Shared::Daybook(Log::start(connect.clone(), idle, Arc::new(now)), book_id))
}

pub struct Writer<'a> {
    log: &'a Log,
    book_id: BookId,
    stream_id: Uuid,
    session_id: Uuid,
    sequence: i64,
    events: Vec<Event>,
}

impl<'a> Writer<'a> {
    pub fn new(log: &'a Log, book_id: BookId, events: usize) -> anyhow::Result<Self> {
        let events = vec![event()?; events];
        Ok(Self { log, book_id, stream_id: new_uuid(), session_id: new_uuid(), sequence: 0, events })
    }

    pub async fn append(&mut self) -> anyhow::Result<usize> {
        let append = Append {
            book_id: self.book_id,
            request: Some(Request { id: RequestId::new(new_uuid()), hash: [7; 32] }),
            context: Context { actor_id: ACTOR.to_owned(), correlation_id: Some(self.stream_id), causation_id: None },
            occurred_at: now(),
            streams: vec![StreamAppend {
                stream_id: self.stream_id,
                expected: self.sequence,
                session_id: Some(self.session_id),
                events: self.events.clone(),
            }],
        };
        let appended = self.log.append(append).await?;
        let written = i64::try_from(self.events.len())?;
        ensure!(appended.last - appended.first + 1 == written, "an append of {written} events stands at {appended:?}");
        self.sequence += written;
        Ok(self.events.len())
    }
}
