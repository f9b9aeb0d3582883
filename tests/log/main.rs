//! The log and its projections on a real PostgreSQL.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test may fail as the test itself may: at once and with what is wrong"
)]

mod append;
mod as_of;
mod audit;
mod commands;
mod duplicates;
mod erasure;
mod evolution;
mod export;
mod fixture;
mod follow;
mod isolation;
mod machine;
mod migrations;
mod model;
mod proofs;
mod quarantine;
mod race;
mod rebuild;
mod runner;
mod settle;
mod snapshots;
mod stock;
