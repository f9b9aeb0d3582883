//! The inference worker: takes open steps of runs, asks a model, and comes back with commands.
//!
//! Never here: a decision about what a run does next, a write to the log but by command, a wait inside a transaction.

pub mod collect;
pub mod conversation;
pub mod estimate;
pub mod provider;
pub mod request;
pub mod worker;
