//! The write side: the only writer of events.
//!
//! Every command goes the same way: is its request id known? then the first answer; else load, decide, append; if
//! somebody else was faster, decide again. Never here: a decision (those are in `domain`), a read by position (those
//! are in `projections`), anything slow inside a transaction.

pub mod blobs;
pub mod bus;
pub mod database;
pub mod ids;
pub mod log;
pub mod secrets;
pub mod snapshot;
pub mod stream;
pub mod workers;

mod commands;
mod erasure;
mod error;
mod import;
mod quarantine;
mod rebuild;
mod recorded;
mod run;
mod session;
mod system;

pub use commands::{Commands, Done};
pub use erasure::{Erased, Erasures, SessionErase, SessionErasure};
pub use error::CommandError;
pub use import::{Imported, ImportedSession};
pub use recorded::RecordedSession;
pub use run::{StepAnswer, StepCost, StepTicket, TakenStep};
pub use session::{MessageSend, SessionStart, Started};
