//! Faults under load, against real processes and a real PostgreSQL: each is injected while appends are acknowledged,
//! and afterwards nothing acknowledged is lost, nothing is there twice, and all that must hold of a log holds.
//!
//! `cargo test --test faults` runs the short form, `-- --full` the long one; `-- paused` those whose name says so. It
//! prints a scoreboard and fails unless there are no losses and no duplicates, and every fault was really met.

mod driver;
mod load;
mod oracle;
mod place;
mod proxy;
mod scenarios;
mod scoreboard;

use std::process::ExitCode;

use crate::scenarios::Form;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Runtime::new().expect("threads can be had");
    if arguments.first().is_some_and(|first| first == load::COMMAND) {
        return runtime.block_on(load::run(&arguments[1..]));
    }
    // Asked by tools what tests there are: none that they could run by name.
    if arguments.iter().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    let form = if arguments.iter().any(|argument| argument == "--full") { Form::Full } else { Form::Short };
    let only = arguments.iter().find(|argument| !argument.starts_with('-'));
    runtime.block_on(scenarios::run(form, only.map(String::as_str)))
}
