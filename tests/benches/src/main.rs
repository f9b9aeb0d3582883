//! Daybook's benchmarks: how fast it appends, compared in the same minute on the same machine with what others do.
//!
//! Read the ratios. Absolute figures move with the machine; a ratio of two slices of one round hardly does.
//! Never here: a figure without the thing it is compared with, or a server that promises less than full durability.

mod append;
mod backup;
mod beside;
mod cluster;
mod contestants;
mod disk;
mod fanout;
mod fill;
mod follow;
mod gates;
mod load;
mod machine;
mod meter;
mod place;
mod price;
mod rebuild;
mod report;
mod round;
mod scale;
mod server;
mod slice;
mod source;
mod table;
mod verify;

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
    /// Rebuilds of read models, against a raw COPY out and a replay by cqrs-es
    Rebuild(rebuild::Options),
    /// Appends while read models are rebuilt beside them, against appends alone
    Beside(beside::Options),
    /// Appends while somebody holds a snapshot, as a backup does, against appends before it
    Backup(backup::Options),
    /// `audit verify` of a database and of an export, against sha256sum over the same bytes
    Verify(verify::Options),
    /// Loads of aggregates that are not in memory, with snapshots and without
    Load(load::Options),
    /// From an append to a follower, against bare LISTEN and bare Redis
    Follow(follow::Options),
    /// From an append to a thousand subscribers over WebSocket
    Fanout(fanout::Options),
    /// The reading side of `follow`, in a process of its own
    #[command(hide = true)]
    FollowReader {
        url: String,
        events: usize,
        #[command(subcommand)]
        reader: follow::Reader,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    let benchmark = Arguments::parse().benchmark.unwrap_or_else(|| Benchmark::Append(append::Options::default()));
    // The runtime of the product: one core is left to PostgreSQL.
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1));
    tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?.block_on(run(benchmark))
}

async fn run(benchmark: Benchmark) -> anyhow::Result<ExitCode> {
    match benchmark {
        Benchmark::Append(options) => append::run(&options).await,
        Benchmark::Price(options) => price::run(&options).await,
        Benchmark::Scale(options) => scale::run(&options).await,
        Benchmark::Rebuild(options) => rebuild::run(&options).await,
        Benchmark::Beside(options) => beside::run(&options).await,
        Benchmark::Backup(options) => backup::run(&options).await,
        Benchmark::Verify(options) => verify::run(&options).await,
        Benchmark::Load(options) => load::run(&options).await,
        Benchmark::Follow(options) => follow::run(&options).await,
        Benchmark::Fanout(options) => fanout::run(&options).await,
        Benchmark::FollowReader { url, events, reader } => {
            follow::read(&reader, &url, events).await.map(|()| ExitCode::SUCCESS)
        }
    }
}
