//! The benchmark of appends: for each number of writers a fresh database, several rounds, then the tables.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser};
use sqlx::postgres::PgConnectOptions;

use crate::cluster::{self, Cluster};
use crate::machine::Machine;
use crate::report::{Report, publish};
use crate::round::{self, Scenario};
use crate::server::Server;
use crate::{gates, slice};

/// Appends are also compared in batches of this many events.
const BATCH_EVENTS: usize = 10;
const BATCH_WRITERS: usize = 32;

/// What to measure, and where.
#[derive(Args, Clone)]
pub struct Options {
    /// Length of one slice in seconds; every contestant gets one per round
    #[arg(long, default_value_t = 1.5, value_name = "SECONDS")]
    seconds: f64,
    /// Rounds per number of writers; the tables show medians over them
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Numbers of concurrent writers; 32 also stands for appends of 10 events
    #[arg(long, default_value = "1,8,32,256", value_delimiter = ',', value_name = "N,N")]
    writers: Vec<usize>,
    /// Also writes the tables as Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Ends with exit code 1 when a gate is not met
    #[arg(long)]
    strict: bool,
    /// An existing server whose role may create databases and roles; without it a temporary one is started
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: Option<String>,
    /// Where the temporary server and the file of the disk's baseline lie; without it beside this program
    #[arg(long, value_name = "FOLDER")]
    directory: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        #[derive(Parser)]
        struct Defaults {
            #[command(flatten)]
            options: Options,
        }
        Defaults::parse_from(["daybook-benches"]).options
    }
}

impl Options {
    fn length(&self) -> anyhow::Result<Duration> {
        let length = Duration::try_from_secs_f64(self.seconds).context("--seconds is no length of time")?;
        anyhow::ensure!(length >= slice::SHORTEST, "--seconds must be at least {:?}", slice::SHORTEST);
        Ok(length)
    }

    fn scenarios(&self) -> Vec<Scenario> {
        let single = self.writers.iter().map(|&writers| Scenario { writers, events: 1 });
        let batched = self.writers.contains(&BATCH_WRITERS);
        single.chain(batched.then_some(Scenario { writers: BATCH_WRITERS, events: BATCH_EVENTS })).collect()
    }
}

/// Measures everything and prints it. A run that is interrupted leaves no server behind.
pub async fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let folder = cluster::folder(options.directory.as_deref())?;
    let (cluster, connect) = match &options.database_url {
        Some(url) => (None, url.parse::<PgConnectOptions>().context("the database URL cannot be read")?),
        None => {
            let cluster = Cluster::start(&folder).await?;
            let connect = cluster.connect_options();
            (Some(cluster), connect)
        }
    };
    let report = tokio::select! {
        report = measure(options, &folder, connect) => report,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
        _ = terminate.recv() => Err(anyhow::anyhow!("terminated")),
    };
    drop(cluster);
    finish(options, &report?)
}

async fn measure(options: &Options, folder: &std::path::Path, connect: PgConnectOptions) -> anyhow::Result<Report> {
    let length = options.length()?;
    let mut server = Server::connect(connect).await?;
    let machine = Machine::look(&mut server).await?;
    let mut measured = vec![];
    for scenario in options.scenarios() {
        let database = server.create_database(scenario.writers, scenario.events).await?;
        let plan = round::Plan { scenario, rounds: options.rounds as usize, length, folder };
        let rounds = round::measure(&plan, &mut server, &database).await;
        server.drop_database(&database).await?;
        measured.push((scenario, rounds?));
    }
    Ok(Report { machine, measured, rounds: options.rounds, length })
}

fn finish(options: &Options, report: &Report) -> anyhow::Result<ExitCode> {
    let gates = gates::judge(&report.measured);
    let text = report.markdown(&gates);
    publish(&text, options.markdown.as_deref())?;
    let failed = options.strict && gates.iter().any(|gate| !gate.met());
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
