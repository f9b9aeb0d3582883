//! Daybook's benchmarks: how fast it appends, compared in the same minute on the same machine with what others do.
//!
//! Read the ratios. Absolute figures move with the machine; a ratio of two slices of one round hardly does.
//! Never here: a figure without the thing it is compared with, or a server that promises less than full durability.

mod append;
mod cluster;
mod contestants;
mod disk;
mod gates;
mod machine;
mod meter;
mod rebuild;
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
    /// Rebuilds of read models, against a raw COPY out and a replay by cqrs-es
    Rebuild(rebuild::Options),
}

fn main() -> anyhow::Result<ExitCode> {
    // The runtime of the product: as many workers as there are cores.
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        match Arguments::parse().benchmark {
            Some(Benchmark::Append(options)) => append::run(&options).await,
            Some(Benchmark::Rebuild(options)) => rebuild::run(&options).await,
            None => append::run(&append::Options::default()).await,
        }
    })
}
