//! Appends to Daybook's log as the product makes them, and the moment at which each was acknowledged.

use std::sync::Arc;

use commands::database::Installation;
use commands::log::{Append, Context, Log, Request, StreamAppend};
use domain::{BookId, Event, RequestId, SessionId};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use uuid::Uuid;

use crate::contestants::{ACTOR, new_uuid, now};

/// As long as what the other benchmarks append.
const REASON_BYTES: usize = 370;

/// One session of a log, written to through one stream.
pub struct Source {
    log: Log,
    book_id: BookId,
    /// The session.
    pub session_id: SessionId,
    stream_id: Uuid,
    sequence: i64,
    event: Event,
}

/// Now, in nanoseconds since 1970: the one clock that processes share.
pub fn nanos() -> i64 {
    now().timestamp_nanos_opt().expect("this century fits")
}

/// A log of this process, and the book to write to.
pub async fn log(connect: &PgConnectOptions) -> anyhow::Result<(Log, BookId)> {
    let pool = PgPoolOptions::new().max_connections(2).connect_with(connect.clone()).await?;
    let book_id = Installation::open(&pool).await?.home_book;
    Ok((Log::start(connect.clone(), pool, Arc::new(now)), book_id))
}

impl Source {
    /// A new session.
    pub fn new(log: &Log, book_id: BookId) -> anyhow::Result<Self> {
        let payload = serde_json::json!({ "reason": "x".repeat(REASON_BYTES) }).to_string();
        Ok(Self {
            log: log.clone(),
            book_id,
            session_id: SessionId::new(new_uuid()),
            stream_id: new_uuid(),
            sequence: 0,
            event: Event::decode("tests.skipped", 1, &payload)?,
        })
    }

    /// Appends an event; answers where it stands and when that was acknowledged.
    pub async fn append(&mut self) -> anyhow::Result<(i64, i64)> {
        let append = Append {
            book_id: self.book_id,
            request: Some(Request { id: RequestId::new(new_uuid()), hash: [7; 32] }),
            context: Context { actor_id: ACTOR.to_owned(), correlation_id: None, causation_id: None },
            occurred_at: now(),
            streams: vec![StreamAppend {
                stream_id: self.stream_id,
                expected: self.sequence,
                session_id: Some(self.session_id.uuid()),
                events: vec![self.event.clone()],
            }],
        };
        let appended = self.log.append(append).await?;
        self.sequence += 1;
        Ok((appended.last, nanos()))
    }
}
