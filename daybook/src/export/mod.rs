//! `daybook export`, and the check of what it wrote, which needs no database.

mod command;
mod lines;
mod verify;

pub use command::run;
pub use lines::{Lines, Place};
pub use verify::{check, verify_file};
