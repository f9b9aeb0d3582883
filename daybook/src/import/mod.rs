//! Recorded runs of other agents, read into what Daybook can write down: a file becomes a [`Trajectory`], a
//! trajectory becomes a [`Record`].
//!
//! Only `command` reads files, makes ids and writes; the rest is pure. Never here: anything that the record does not
//! prove. What it leaves open stays absent.

mod command;
mod error;
mod exported;
mod record;
pub mod swe_agent;
mod trajectory;

pub use command::run;
use error::MAX_FILE_BYTES;
use record::{Destination, record};
use trajectory::Trajectory;

#[cfg(test)]
mod tests;
