//! `daybook export`, and the check of what it wrote, which needs no database.

mod command;
mod lines;
mod verify;

pub use command::run;
pub use lines::Place;
pub use verify::{Trust, as_json, check, open, words};
