//! Daybook's benchmarks: how fast it appends, compared in the same minute on the same machine with what others do.
//!
//! Read the ratios. Absolute figures move with the machine; a ratio of two slices of one round hardly does.
//! Never here: a figure without the thing it is compared with, or a server that promises less than full durability.

mod append;
mod cluster;
mod contestants;
mod disk;
mod gates;
mod load;
mod machine;
mod meter;
mod report;
mod round;
mod server;
mod slice;
mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures Daybook.
#[derive(Parser)]
#[command(name = "daybook-benches", about)]
struct Arguments {
    #[command(subcommand)]
    benchmark: Option<Benchmark>,
}

#[derive(Subcommand)]
enum Benchmark {
    /// Appends to the log, against single INSERTs and postgres-es (the default)
    Append(append::Options),
    /// Loads of aggregates that are not in memory, with snapshots and without
    Load(load::Options),
}

fn main() -> anyhow::Result<ExitCode> {
    // The runtime of the product: as many workers as there are cores.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match Arguments::parse().benchmark {
        Some(Benchmark::Append(options)) => runtime.block_on(append::run(&options)),
        Some(Benchmark::Load(options)) => runtime.block_on(load::run(&options)),
        None => runtime.block_on(append::run(&append::Options::default())),
    }
}
