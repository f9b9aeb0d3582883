//! Events without a payload, and the events that say why.

use std::collections::BTreeMap;

use serde::Deserialize;
use uuid::Uuid;

use crate::erasure::{Named, PositionRange};
use crate::proof::Leaf;

/// The type of the event that names erased positions.
const ERASURE: &str = "content.erased";

/// What is known of erased events so far.
#[derive(Debug, Default)]
pub(super) struct ErasedEvents {
    /// Their positions, the lines that they stand in, and their sessions.
    gone: BTreeMap<i64, (u64, Option<Uuid>)>,
    named: Named,
}

/// What is read of an erasure; of whatever version it is.
#[derive(Deserialize)]
struct Erasure {
    positions: Vec<PositionRange>,
}

impl ErasedEvents {
    /// Takes the event of a line.
    pub fn take(&mut self, line: u64, event: &Leaf) {
        match &event.payload {
            None => {
                self.gone.insert(event.position, (line, event.session_id));
            }
            Some(payload) if event.event_type == ERASURE => {
                let erasure: Option<Erasure> = serde_json::from_str(payload).ok();
                if let (Some(erasure), Some(session_id)) = (erasure, event.session_id) {
                    self.named.add(session_id, event.position, erasure.positions);
                }
            }
            Some(_) => {}
        }
    }

    /// How many events have no payload.
    pub fn count(&self) -> u64 {
        self.gone.len() as u64
    }

    /// The first position without a payload that no erasure of its session names.
    pub fn unexplained(&self) -> Option<i64> {
        let unnamed = |(position, (_, session)): (&i64, &(u64, Option<Uuid>))| {
            (!self.named.contains(*session, *position)).then_some(*position)
        };
        self.gone.iter().find_map(unnamed)
    }

    /// The line in which an erased position stands.
    pub fn line(&self, position: i64) -> u64 {
        self.gone.get(&position).map_or(1, |(line, _)| *line)
    }
}
