//! Runs.

mod mutation;
mod object;

pub use mutation::{PATIENCE, RunMutation};
pub use object::{ApprovalPolicy, Run, RunLoader, RunQuery, loader};
