//! Following a session: every event in order, each once, and text while it is written.
//!
//! Each frame of events carries `prev`, the position before its first event in this session, so that the client can
//! prove that nothing is missing. Live frames have no position; those of an item all come before its event.

use std::time::Duration;

use async_graphql::{Context, Enum, ID, Json, SimpleObject, Subscription, Union};
use async_stream::stream;
use commands::bus::{Live, LiveKind as Kind};
use domain::run::RunEvent;
use domain::{BookId, RunId, SessionId};
use futures::Stream;
use projections::Reader;
use projections::feed::{self, Recorded};
use serde_json::Value;
use tokio::sync::broadcast::{self, error::TryRecvError};

use super::Session;
use crate::State;
use crate::cursor;
use crate::error::{self, Refused, not_found, read};
use crate::ids::{id, parse};
use crate::viewer::viewer;

/// How many events one frame has at most.
const FRAME_EVENTS: i64 = 500;
/// How often a quiet stream says how far it is.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// What can be followed of sessions.
#[derive(Default)]
pub struct SessionSubscription;

/// What a follower gets.
#[derive(Union)]
enum SessionFrame {
    Events(EventsFrame),
    Live(LiveFrame),
    CaughtUp(CaughtUpFrame),
    Heartbeat(HeartbeatFrame),
    FellBehind(FellBehindFrame),
}

/// Events in order.
#[derive(SimpleObject)]
struct EventsFrame {
    /// The event before the first of these in this session; null where there is none. It proves that nothing is missing.
    prev: Option<String>,
    events: Vec<Event>,
}

/// A piece of text that is being written; not in the log. The item's event, when it comes, replaces it.
#[derive(SimpleObject)]
struct LiveFrame {
    run_id: ID,
    item_id: ID,
    kind: LiveKind,
    /// Where the piece begins, in bytes of the item's text in UTF-8; 0 begins anew.
    offset: usize,
    text: String,
    /// Nothing more comes.
    done: bool,
}

/// What is being written.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
enum LiveKind {
    /// The model thinks.
    Thinking,
    /// The model speaks.
    Text,
    /// A tool prints.
    ToolOutput,
}

/// Everything up to here has been sent.
#[derive(SimpleObject)]
struct CaughtUpFrame {
    position: String,
}

/// Nothing new; the book is at this position.
#[derive(SimpleObject)]
struct HeartbeatFrame {
    position: String,
}

/// This follower was too slow for the live text; open texts are sent again from their beginning. No event is lost.
#[derive(SimpleObject)]
struct FellBehindFrame {
    position: String,
}

/// An event as it stands in the log.
#[derive(SimpleObject)]
struct Event {
    position: String,
    event_type: String,
    event_version: i16,
    stream_id: ID,
    /// 1 and up within the stream.
    sequence: i64,
    run_id: Option<ID>,
    actor_id: String,
    occurred_at: domain::Timestamp,
    recorded_at: domain::Timestamp,
    /// Null where its content was erased.
    payload: Option<Json<Value>>,
}

/// Something in the session list changed.
#[derive(SimpleObject)]
struct SessionsChanged {
    position: String,
}

#[Subscription]
impl SessionSubscription {
    /// Every event of a session, in order, after a cursor; without one from the beginning.
    async fn session_events(
        &self,
        ctx: &Context<'_>,
        session_id: ID,
        after: Option<String>,
    ) -> async_graphql::Result<impl Stream<Item = Refused<SessionFrame>> + use<>> {
        let (book_id, state) = (viewer(ctx)?.book_id, ctx.data_unchecked::<State>());
        let session_id = parse("sessionId", &session_id)?;
        let epoch = state.commands.installation().epoch;
        let after = after.as_deref().map_or(Ok(0), |after| cursor::position(epoch, after))?;
        if Session::load(ctx, book_id, session_id).await?.is_none() {
            return Err(not_found("session"));
        }
        let mut db = state.reader.book(book_id).await.map_err(read)?;
        let at = feed::session_position(&mut db, book_id, session_id, after).await.map_err(read)?;
        let follower = Follower { reader: state.reader.clone(), book_id, session_id, epoch, at };
        Ok(follower.frames(state.commands.clone(), state.runner.progress()))
    }

    /// Says that something in the session list changed: read the list again.
    async fn sessions_changed(
        &self,
        ctx: &Context<'_>,
    ) -> async_graphql::Result<impl Stream<Item = Refused<SessionsChanged>> + use<>> {
        let (book_id, state) = (viewer(ctx)?.book_id, ctx.data_unchecked::<State>());
        let epoch = state.commands.installation().epoch;
        let mut progress = state.runner.progress();
        Ok(stream! {
            let mut seen = None;
            loop {
                let reached = progress.borrow_and_update().get(&book_id).copied();
                if let Some(position) = reached && seen != reached {
                    seen = reached;
                    yield Ok(SessionsChanged { position: cursor::of(epoch, position) });
                }
                if progress.changed().await.is_err() {
                    return;
                }
            }
        })
    }
}

/// One follower of one session.
struct Follower {
    reader: Reader,
    book_id: BookId,
    session_id: SessionId,
    epoch: i32,
    /// The position of the session's newest event that was sent, or that the client has.
    at: i64,
}

type Progress = tokio::sync::watch::Receiver<std::collections::HashMap<BookId, i64>>;

impl Follower {
    fn frames(
        mut self,
        commands: commands::Commands,
        mut progress: Progress,
    ) -> impl Stream<Item = Refused<SessionFrame>> {
        stream! {
            // Listening begins before reading, so that nothing falls between the two.
            let (mut open, mut live) = commands.bus().listen(self.session_id);
            let mut caught_up = false;
            let mut beat = tokio::time::interval(HEARTBEAT);
            beat.reset();
            loop {
                progress.borrow_and_update();
                // What was written live before an event was appended is here by now, and goes first.
                let (frames, behind) = self.drain(&mut live);
                if caught_up {
                    for frame in frames {
                        yield Ok(frame);
                    }
                }
                loop {
                    match self.next_page().await {
                        Ok(Some(frame)) => yield Ok(frame),
                        Ok(None) => break,
                        Err(error) => {
                            yield Err(error);
                            return;
                        }
                    }
                }
                if behind {
                    (open, live) = commands.bus().listen(self.session_id);
                    yield Ok(SessionFrame::FellBehind(FellBehindFrame { position: self.cursor(self.at) }));
                }
                if !caught_up || behind {
                    for frame in open.drain(..) {
                        yield Ok(live_frame(frame));
                    }
                }
                if !caught_up {
                    caught_up = true;
                    yield Ok(SessionFrame::CaughtUp(CaughtUpFrame { position: self.cursor(self.at) }));
                }
                tokio::select! {
                    changed = progress.changed() => if changed.is_err() { return },
                    frame = live.recv() => match frame {
                        Ok(frame) if frame.session_id == self.session_id => yield Ok(live_frame(frame)),
                        Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                        Err(broadcast::error::RecvError::Closed) => return,
                    },
                    _ = beat.tick() => match self.head().await {
                        Ok(position) => yield Ok(SessionFrame::Heartbeat(HeartbeatFrame { position })),
                        Err(error) => {
                            yield Err(error);
                            return;
                        }
                    },
                }
            }
        }
    }

    /// Live frames of this session that have come; whether some were missed.
    fn drain(&self, live: &mut broadcast::Receiver<Live>) -> (Vec<SessionFrame>, bool) {
        let mut frames = vec![];
        loop {
            match live.try_recv() {
                Ok(frame) if frame.session_id == self.session_id => frames.push(live_frame(frame)),
                Ok(_) => {}
                Err(TryRecvError::Lagged(_)) => return (vec![], true),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return (frames, false),
            }
        }
    }

    async fn next_page(&mut self) -> Refused<Option<SessionFrame>> {
        let mut db = self.reader.book(self.book_id).await.map_err(read)?;
        let page = feed::session_page(&mut db, self.book_id, self.session_id, self.at, FRAME_EVENTS).await;
        let page = page.map_err(error::feed)?;
        let Some(last) = page.last().map(|event| event.position) else { return Ok(None) };
        let prev = (self.at > 0).then(|| self.cursor(self.at));
        self.at = last;
        let events = page.into_iter().map(|event| self.event(event)).collect();
        Ok(Some(SessionFrame::Events(EventsFrame { prev, events })))
    }

    async fn head(&self) -> Refused<String> {
        let mut db = self.reader.book(self.book_id).await.map_err(read)?;
        let (position, _) = feed::head(&mut db, self.book_id).await.map_err(read)?;
        Ok(self.cursor(position))
    }

    fn cursor(&self, position: i64) -> String {
        cursor::of(self.epoch, position)
    }

    fn event(&self, recorded: Recorded) -> Event {
        let run_id = RunEvent::stores(&recorded.event_type).then(|| id(RunId::new(recorded.stream_id)));
        Event {
            position: self.cursor(recorded.position),
            event_type: recorded.event_type,
            event_version: recorded.event_version,
            stream_id: ID(recorded.stream_id.to_string()),
            sequence: recorded.sequence,
            run_id,
            actor_id: recorded.actor_id,
            occurred_at: recorded.occurred_at,
            recorded_at: recorded.recorded_at,
            payload: recorded.payload.and_then(|text| serde_json::from_str(&text).ok()).map(Json),
        }
    }
}

fn live_frame(live: Live) -> SessionFrame {
    let kind = match live.kind {
        Kind::Thinking => LiveKind::Thinking,
        Kind::Text => LiveKind::Text,
        Kind::ToolOutput => LiveKind::ToolOutput,
    };
    SessionFrame::Live(LiveFrame {
        run_id: id(live.run_id),
        item_id: ID(live.item_id.to_string()),
        kind,
        offset: live.offset,
        text: live.text,
        done: live.done,
    })
}
