//! What people ordered about events that a projection could not take in.

use serde::{Deserialize, Serialize};

use crate::event::events;

/// A projection is to try again to take an event in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct QuarantineRetried {
    /// The projection.
    pub projection: String,
    /// Where the event stands in this book.
    pub position: i64,
}

/// A projection is to go on as if an event of this book had not happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct QuarantineSkipped {
    /// The projection.
    pub projection: String,
    /// Where the event stands in this book.
    pub position: i64,
    /// Why.
    pub reason: String,
}

events! {
    /// What was ordered about quarantine.
    QuarantineEvent in Quarantine {
        QuarantineRetried = "quarantine.retried" v 1,
        QuarantineSkipped = "quarantine.skipped" v 1,
    }
}
