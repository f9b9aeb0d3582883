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
mod price;
mod report;
mod round;
mod scale;
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
    /// What each part of the log costs its appends
    Price(price::Options),
    /// Appends to a grown log, against a fresh one
    Scale(scale::Options),
}

fn main() -> anyhow::Result<ExitCode> {
    // The runtime of the product: one core is left to PostgreSQL.
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    runtime.block_on(async {
        match Arguments::parse().benchmark {
            Some(Benchmark::Append(options)) => append::run(&options).await,
            Some(Benchmark::Price(options)) => price::run(&options).await,
            Some(Benchmark::Scale(options)) => scale::run(&options).await,
            None => append::run(&append::Options::default()).await,
        }
    })
}
