//! The log and its projections on a real PostgreSQL.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test may fail as the test itself may: at once and with what is wrong"
)]

mod append;
mod as_of;
mod audit;
mod commands;
mod evolution;
mod fixture;
mod isolation;
mod machine;
mod model;
mod quarantine;
mod race;
mod runner;
mod settle;
mod snapshots;
