//! The binary, from outside: GraphQL over the wire, a real sandbox, a real PostgreSQL.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test may fail as the test itself may: at once and with what is wrong"
)]

mod acknowledged;
mod as_of;
mod audit;
mod cli;
mod demo;
mod erase;
mod export;
mod follow;
mod import;
mod kill;
mod model;
mod private_postgres;
mod projection;
mod proof;
mod rebuild;
mod refused;
mod several;
mod story;
mod stub;
mod tools;
