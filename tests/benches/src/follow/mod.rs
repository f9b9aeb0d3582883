//! The benchmark of following: how long after an append was acknowledged does a follower have the event in its hands.
//!
//! Everybody appends at the same pace to the same PostgreSQL and reads the event from there; they differ in how the
//! reader hears of it.

mod contestant;
mod reader;
mod redis;
mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use sqlx::postgres::PgConnectOptions;

use crate::machine::Machine;
use crate::place::Place;
use crate::report::publish;
use crate::server::{Database, Server};
use contestant::Contestant;
pub use reader::{Reader, read};
use redis::Redis;

/// What to measure, and where.
#[derive(Args, Clone)]
pub struct Options {
    /// Appends of each contestant in each round
    #[arg(long, default_value_t = 500, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    appends: u32,
    /// Appends per second
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Rounds; the table shows medians over them
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Also writes the table as Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Ends with exit code 1 when a gate is not met
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    place: Place,
}

/// One contestant's delays of one round, in order of size; a reader that was faster than the answer counts as 0.
pub struct Delays(Vec<Duration>);

impl Delays {
    fn of(appended: &[(i64, i64)], received: &[(i64, i64)]) -> anyhow::Result<Self> {
        anyhow::ensure!(
            appended.iter().map(|(position, _)| position).eq(received.iter().map(|(position, _)| position)),
            "what was read is not what was appended"
        );
        let both = appended.iter().zip(received);
        let nanos = both.map(|((_, from), (_, to))| u64::try_from(to - from).unwrap_or(0));
        let mut delays: Vec<_> = nanos.map(Duration::from_nanos).collect();
        delays.sort_unstable();
        Ok(Self(delays))
    }

    fn rank(&self, share: f64) -> Duration {
        crate::slice::rank(&self.0, share).unwrap_or_default()
    }
}

/// One round: each contestant's delays, in the order of `Contestant::ALL`; none where it is not installed.
pub type Round = Vec<Option<Delays>>;

/// Measures everything and prints it.
pub async fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let (rounds, machine) = options.place.run("follow", |folder, connect| measure(options, folder, connect)).await?;
    let text = report::markdown(options, &machine, &rounds);
    publish(&text, options.markdown.as_deref())?;
    let missed = report::gates(&rounds).iter().any(|gate| !gate.met());
    Ok(if options.strict && missed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn measure(
    options: &Options,
    folder: PathBuf,
    connect: PgConnectOptions,
) -> anyhow::Result<(Vec<Round>, Machine)> {
    let mut server = Server::connect(connect).await?;
    let machine = Machine::look(&mut server).await?;
    let database = server.create_database(1, 1).await?;
    let rounds = all(options, &folder, &database).await;
    server.drop_database(&database).await?;
    Ok((rounds?, machine))
}

async fn all(options: &Options, folder: &Path, database: &Database) -> anyhow::Result<Vec<Round>> {
    let redis = Redis::start(folder).await?;
    if redis.is_none() {
        eprintln!("redis-server is not installed: Redis is left out");
    }
    let mut rounds = vec![];
    for number in 0..options.rounds as usize {
        let mut order: Vec<_> = Contestant::ALL.into_iter().enumerate().collect();
        order.rotate_left(number % Contestant::ALL.len());
        let mut round: Round = Contestant::ALL.iter().map(|_| None).collect();
        for (place, contestant) in order {
            let pace = contestant::Pace { appends: options.appends, interval: Duration::from_secs(1) / options.rate };
            round[place] = contestant.measure(&pace, &database.connect, redis.as_ref()).await?;
            if let Some(delays) = &round[place] {
                eprintln!(
                    "round {} of {}, {}: p50 {:?}, p99 {:?}",
                    number + 1,
                    options.rounds,
                    contestant.name(),
                    delays.rank(0.5),
                    delays.rank(0.99)
                );
            }
        }
        rounds.push(round);
    }
    Ok(rounds)
}
