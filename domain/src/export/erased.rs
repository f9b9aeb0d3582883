//! Events without a payload, and the events that say why.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::erasure::PositionRange;
use crate::proof::Leaf;

/// The type of the event that names erased positions.
const ERASURE: &str = "content.erased";

/// What is known of erased events so far.
#[derive(Debug, Default)]
pub(super) struct ErasedEvents {
    /// Their positions, and the lines that they stand in.
    gone: BTreeMap<i64, u64>,
    named: Vec<PositionRange>,
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
                self.gone.insert(event.position, line);
            }
            Some(payload) if event.event_type == ERASURE => {
                let erasure: Option<Erasure> = serde_json::from_str(payload).ok();
                self.named.extend(erasure.into_iter().flat_map(|erasure| erasure.positions));
            }
            Some(_) => {}
        }
    }

    /// How many events have no payload.
    pub fn count(&self) -> u64 {
        self.gone.len() as u64
    }

    /// The first position without a payload that no event names.
    pub fn unexplained(&self) -> Option<i64> {
        let named = |position: &i64| self.named.iter().any(|range| (range.first..=range.last).contains(position));
        self.gone.keys().copied().find(|position| !named(position))
    }

    /// The line in which an erased position stands.
    pub fn line(&self, position: i64) -> u64 {
        self.gone.get(&position).copied().unwrap_or(1)
    }
}
