//! The timeline of a session: one line per event.

use async_graphql::{ID, SimpleObject};
use domain::RunId;
use domain::ToolCallId;
use projections::timeline::Row;

use crate::ids::id;

/// A line of the timeline.
#[derive(SimpleObject)]
pub struct TimelineEntry {
    position: String,
    event_type: String,
    title: String,
    detail: String,
    actor_id: String,
    run_id: Option<ID>,
    tool_call_id: Option<ID>,
    occurred_at: domain::Timestamp,
    recorded_at: domain::Timestamp,
}

impl TimelineEntry {
    /// A line at a position.
    pub fn of(position: String, row: Row) -> Self {
        Self {
            position,
            event_type: row.event_type,
            title: row.title,
            detail: row.detail,
            actor_id: row.actor_id,
            run_id: row.run_id.map(|uuid| id(RunId::new(uuid))),
            tool_call_id: row.tool_call_id.map(|uuid| id(ToolCallId::new(uuid))),
            occurred_at: row.occurred_at,
            recorded_at: row.recorded_at,
        }
    }
}
