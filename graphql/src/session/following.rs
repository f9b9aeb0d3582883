//! One subscription to a session: events from the log, live text from the bus, in the order in which they belong.

use std::sync::Arc;
use std::time::Duration;

use async_stream::stream;
use commands::bus::{Bus, Live};
use domain::SessionId;
use futures::Stream;
use projections::follow::{FollowError, News, Subscriber};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::frame::{self, CaughtUpFrame, FellBehindFrame, HeartbeatFrame, Outgoing, SessionFrame};
use crate::cursor;
use crate::error::{Refused, read};

/// How often a quiet stream says how far it is.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// One subscription to a session.
pub struct Following {
    pub subscriber: Subscriber,
    pub bus: Bus,
    pub session_id: SessionId,
    pub epoch: i32,
    /// The hash of what was asked for.
    pub asked: Option<[u8; 32]>,
}

/// What can happen to a subscription.
enum Happened {
    News(Result<News, FollowError>),
    Live(Result<Arc<Live>, RecvError>),
    Beat,
}

impl Following {
    /// Every frame until the subscription ends.
    pub fn frames(mut self) -> impl Stream<Item = Refused<Outgoing>> {
        stream! {
            // Live text is of interest once the past was sent.
            let mut live: Option<Receiver<Arc<Live>>> = None;
            let mut beat = tokio::time::interval(HEARTBEAT);
            beat.reset();
            loop {
                let happened = match &mut live {
                    None => Happened::News(self.subscriber.next().await),
                    Some(live) => tokio::select! {
                        biased;
                        news = self.subscriber.next() => Happened::News(news),
                        frame = live.recv() => Happened::Live(frame),
                        _ = beat.tick() => Happened::Beat,
                    },
                };
                let mut behind = false;
                match happened {
                    Happened::News(Ok(News::Events { prev, batch })) => {
                        // What was written live before an event was appended is here by now, and goes first.
                        let (frames, missed) = live.as_mut().map_or((vec![], false), drain);
                        behind = missed;
                        for frame in frames {
                            yield Ok(Outgoing::Own(frame::live(&frame)));
                        }
                        yield Ok(Outgoing::Shared { batch, prev, epoch: self.epoch, asked: self.asked });
                    }
                    Happened::News(Ok(News::CaughtUp)) => {
                        let (open, frames) = self.bus.listen(self.session_id);
                        live = Some(frames);
                        for frame in open {
                            yield Ok(Outgoing::Own(frame::live(&frame)));
                        }
                        let position = self.cursor(self.subscriber.at());
                        yield Ok(Outgoing::Own(SessionFrame::CaughtUp(CaughtUpFrame { position })));
                    }
                    Happened::News(Ok(News::FellBehind)) => {
                        live = None;
                        yield Ok(self.fell_behind());
                    }
                    Happened::News(Err(FollowError::Database(error))) => {
                        yield Err(read(error));
                        return;
                    }
                    Happened::Live(Ok(frame)) => yield Ok(Outgoing::Own(frame::live(&frame))),
                    Happened::Live(Err(RecvError::Lagged(_))) => behind = true,
                    Happened::Live(Err(RecvError::Closed)) => return,
                    Happened::Beat => if let Some(position) = self.subscriber.position() {
                        let position = self.cursor(position);
                        yield Ok(Outgoing::Own(SessionFrame::Heartbeat(HeartbeatFrame { position })));
                    },
                }
                if behind {
                    yield Ok(self.fell_behind());
                    let (open, frames) = self.bus.listen(self.session_id);
                    live = Some(frames);
                    for frame in open {
                        yield Ok(Outgoing::Own(frame::live(&frame)));
                    }
                }
            }
        }
    }

    fn fell_behind(&self) -> Outgoing {
        let position = self.cursor(self.subscriber.at());
        Outgoing::Own(SessionFrame::FellBehind(FellBehindFrame { position }))
    }

    fn cursor(&self, position: i64) -> String {
        cursor::of(self.epoch, position)
    }
}

/// Live frames that have come; whether some were missed.
fn drain(live: &mut Receiver<Arc<Live>>) -> (Vec<Arc<Live>>, bool) {
    let mut frames = vec![];
    loop {
        match live.try_recv() {
            Ok(frame) => frames.push(frame),
            Err(TryRecvError::Lagged(_)) => return (vec![], true),
            Err(TryRecvError::Empty | TryRecvError::Closed) => return (frames, false),
        }
    }
}
