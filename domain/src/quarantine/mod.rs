//! Quarantine: an event that a projection cannot take in sets its partition aside there. People order it to be tried
//! again, or to be skipped for good. One stream per book; what is in quarantine stands beside the read models.

mod event;
pub use event::*;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::aggregate::Aggregate;
use crate::id::BookId;

/// The most events that may be skipped in a book: each is asked for whenever something is posted there.
pub const SKIPPED_MAX: usize = 1_000;

/// The stream of a book's orders.
pub fn stream(book_id: BookId) -> Uuid {
    let digest = Sha256::new().chain_update(b"quarantine").chain_update(book_id.uuid().as_bytes()).finalize();
    Uuid::new_v8(*digest.first_chunk().expect("a digest has 32 bytes"))
}

/// What can be ordered. `standing` says whether the event is in quarantine now.
#[derive(Debug, Clone)]
pub enum QuarantineCommand {
    /// Try again.
    Retry { order: QuarantineRetried, standing: bool },
    /// Go on without it.
    Skip { order: QuarantineSkipped, standing: bool },
}

/// Why an order is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuarantineError {
    /// It is not in quarantine.
    #[error("{projection} has no event in quarantine at position {position}")]
    Unknown { projection: String, position: i64 },
    /// It was skipped for good.
    #[error("{projection} skips the event at position {position} already")]
    Skipped { projection: String, position: i64 },
    /// Each skipped event costs something for ever.
    #[error("{SKIPPED_MAX} events of this book are skipped already: mend the rest with a release that can read them")]
    TooMany,
    /// Nobody would know later why the event is missing.
    #[error("reason: say why the event may be left out")]
    NoReason,
}

/// What was ordered so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Quarantine {
    skipped: BTreeSet<(String, i64)>,
}

impl Aggregate for Quarantine {
    type Command = QuarantineCommand;
    type Event = QuarantineEvent;
    type Error = QuarantineError;

    fn decide(&self, command: &QuarantineCommand) -> Result<Vec<QuarantineEvent>, QuarantineError> {
        match command {
            QuarantineCommand::Retry { order, standing } => {
                let (projection, position) = (order.projection.clone(), order.position);
                if self.skipped.contains(&(projection.clone(), position)) {
                    return Err(QuarantineError::Skipped { projection, position });
                }
                if !standing {
                    return Err(QuarantineError::Unknown { projection, position });
                }
                Ok(vec![order.clone().into()])
            }
            QuarantineCommand::Skip { order, standing } => {
                let (projection, position) = (order.projection.clone(), order.position);
                if self.skipped.contains(&(projection.clone(), position)) {
                    return Ok(vec![]);
                }
                if order.reason.trim().is_empty() {
                    return Err(QuarantineError::NoReason);
                }
                if !standing {
                    return Err(QuarantineError::Unknown { projection, position });
                }
                if self.skipped.len() >= SKIPPED_MAX {
                    return Err(QuarantineError::TooMany);
                }
                Ok(vec![order.clone().into()])
            }
        }
    }

    fn evolve(&mut self, event: &QuarantineEvent) {
        match event {
            QuarantineEvent::QuarantineRetried(_) => {}
            QuarantineEvent::QuarantineSkipped(order) => {
                self.skipped.insert((order.projection.clone(), order.position));
            }
        }
    }
}

#[cfg(test)]
mod tests;
