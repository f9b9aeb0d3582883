//! The binary: reads the command line and hands over.

use std::path::Path;
use std::process::ExitCode;

mod audit;
mod cli;
mod doctor;
mod erase;
mod export;
mod health;
mod import;
mod key;
mod listing;
mod metrics;
mod node;
mod out;
mod projection;
mod provider;
mod rebuild;
mod record;
mod serve;
mod task;
mod workers;

fn main() -> ExitCode {
    // The guard of the private PostgreSQL is this binary again; it must begin on the main thread.
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, first, data] = &arguments[..]
        && first == daybook_postgres::GUARD_COMMAND
    {
        return daybook_postgres::guard_main(Path::new(data));
    }
    cli::main()
}
