//! What a follower of a session gets.
//!
//! Subscribers of one session that ask for the same fields get the same bytes: events that were handed out together are
//! rendered once for all of them.

use std::sync::{Arc, LazyLock};

use async_graphql::parser::types::Field;
use async_graphql::registry::Registry;
use async_graphql::{
    Context, ContextSelectionSet, Enum, ID, Json, Name, OutputType, Positioned, ServerError, ServerResult,
    SimpleObject, Union, Value,
};
use async_graphql_value::RAW_VALUE_TOKEN;
use commands::bus::{Live, LiveKind as Kind};
use domain::RunId;
use domain::run::RunEvent;
use projections::follow::{Batch, Logged, Rendering};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::cursor;
use crate::ids::id;

/// What a follower gets.
#[derive(Union)]
pub enum SessionFrame {
    Events(EventsFrame),
    Live(LiveFrame),
    CaughtUp(CaughtUpFrame),
    Heartbeat(HeartbeatFrame),
    FellBehind(FellBehindFrame),
}

/// Events in order.
#[derive(SimpleObject)]
pub struct EventsFrame {
    /// The event before the first of these in this session; null where there is none. It proves that nothing is missing.
    prev: Option<String>,
    events: Vec<Event>,
}

/// A piece of text that is being written; not in the log. The item's event, when it comes, replaces it.
#[derive(SimpleObject)]
pub struct LiveFrame {
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
pub enum LiveKind {
    /// The model thinks.
    Thinking,
    /// The model speaks.
    Text,
    /// A tool prints.
    ToolOutput,
}

/// Everything up to here has been sent.
#[derive(SimpleObject)]
pub struct CaughtUpFrame {
    pub position: String,
}

/// Nothing new; the book is at this position.
#[derive(SimpleObject)]
pub struct HeartbeatFrame {
    pub position: String,
}

/// This follower was too slow. What it missed of the events follows, each once and in order; open texts are sent again
/// from their beginning.
#[derive(SimpleObject)]
pub struct FellBehindFrame {
    pub position: String,
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
    /// Byte for byte; null where it was erased.
    payload: Option<Json<Box<RawValue>>>,
}

/// A frame on its way: one of a subscriber's own, or events that others get too.
pub enum Outgoing {
    Own(SessionFrame),
    Shared { batch: Arc<Batch>, prev: i64, epoch: i32, asked: Option<[u8; 32]> },
}

impl OutputType for Outgoing {
    fn type_name() -> std::borrow::Cow<'static, str> {
        SessionFrame::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        SessionFrame::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        let (batch, prev, epoch, asked) = match self {
            Self::Own(frame) => return frame.resolve(ctx, field).await,
            Self::Shared { batch, prev, epoch, asked } => (batch, *prev, *epoch, *asked),
        };
        let resolve = async || events(batch.events(), prev, epoch).resolve(ctx, field).await;
        let Some(asked) = asked else { return resolve().await };
        let rendering = Rendering { asked, prev };
        if let Some(text) = batch.rendered(&rendering) {
            return Ok(raw(&text));
        }
        let text = serde_json::to_string(&resolve().await?);
        let text: Arc<str> = text.map_err(|error| ServerError::new(error.to_string(), None))?.into();
        batch.keep(rendering, text.clone());
        Ok(raw(&text))
    }
}

/// What of a subscription decides how its frames look: the hash of what it asks for. `None` where more decides.
pub fn asked(ctx: &Context<'_>) -> Option<[u8; 32]> {
    let mut fragments: Vec<_> = ctx.query_env.fragments.iter().collect();
    fragments.sort_by(|one, other| one.0.cmp(other.0));
    let asked = format!("{:?} {fragments:?}", ctx.item.node.selection_set.node);
    // With a variable among them, frames look different from subscriber to subscriber.
    (!asked.contains("Variable(")).then(|| Sha256::digest(asked).into())
}

/// Text as it is written.
pub fn live(live: &Live) -> SessionFrame {
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
        text: live.text.clone(),
        done: live.done,
    })
}

fn events(events: &[Logged], prev: i64, epoch: i32) -> SessionFrame {
    let prev = (prev > 0).then(|| cursor::of(epoch, prev));
    SessionFrame::Events(EventsFrame { prev, events: events.iter().map(|logged| event(logged, epoch)).collect() })
}

fn event(logged: &Logged, epoch: i32) -> Event {
    let of_run = RunEvent::STORED.iter().any(|stored| stored.name == logged.event_type);
    // PostgreSQL has checked that it is JSON.
    let payload = logged.payload.clone().and_then(|payload| RawValue::from_string(payload).ok());
    Event {
        position: cursor::of(epoch, logged.position),
        event_type: logged.event_type.clone(),
        event_version: logged.event_version,
        stream_id: ID(logged.stream_id.to_string()),
        sequence: logged.sequence,
        run_id: of_run.then(|| id(RunId::new(logged.stream_id))),
        actor_id: logged.actor_id.clone(),
        occurred_at: logged.occurred_at,
        recorded_at: logged.recorded_at,
        payload: payload.map(Json),
    }
}

/// JSON that is written as it is.
fn raw(text: &str) -> Value {
    static TOKEN: LazyLock<Name> = LazyLock::new(|| Name::new(RAW_VALUE_TOKEN));
    Value::Object([(TOKEN.clone(), Value::String(text.to_owned()))].into_iter().collect())
}
