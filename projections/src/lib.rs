//! The read side: the only reader of the log by position and the only writer of read tables.
//!
//! A projection is pure: it names the rows that an event touches and folds the event into them. The runner alone does
//! SQL, and moves rows and checkpoint in one transaction. Never here: a write to the log, a decision, a side effect. The
//! one file that is written is the newest signed checkpoint of a book, which must lie outside the database (`tree`).

pub mod as_of;
pub mod audit;
pub mod check;
pub mod column;
pub mod erasure;
pub mod export;
pub mod feed;
pub mod file;
pub mod follow;
pub mod ledger;
pub mod projection;
pub mod quarantine;
pub mod reader;
pub mod rebuild;
pub mod run;
pub mod session;
pub mod status;
pub mod timeline;
pub mod tool_call;
pub mod tree;
pub mod usage;
pub mod work;

mod apply;
mod build;
mod header;
mod post;
mod runner;
mod view;

pub use feed::Recorded;
pub use follow::Follower;
pub use projection::{Applier, Projection, all, applier};
pub use reader::Reader;
pub use runner::{RebuildError, Runner, WaitError};
