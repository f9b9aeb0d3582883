//! Read models: how they fare, what they could not take in, and what is to be done about it.

mod mutation;
mod quarantine;
mod status;

pub use mutation::ProjectionMutation;
pub use quarantine::QuarantineQuery;
pub use status::ProjectionQuery;
