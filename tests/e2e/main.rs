//! The binary, from outside: GraphQL over the wire, a real sandbox, a real PostgreSQL.

mod acknowledged;
mod cli;
mod demo;
mod follow;
mod import;
mod kill;
mod model;
mod private_postgres;
mod proof;
mod refused;
mod story;
mod stub;
mod tools;
