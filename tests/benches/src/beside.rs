//! Appends while read models are rebuilt in the same process, against appends alone, slice by slice on one server.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Args;
use projections::Runner;
use projections::rebuild::{Options as How, Phase, Rebuilder, Report};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Executor};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::contestants::Contestant;
use crate::machine::Machine;
use crate::place::Place;
use crate::rebuild::generate;
use crate::report::{facts, median, publish};
use crate::round::Scenario;
use crate::server::Server;
use crate::slice::{self, Slice};
use crate::table::{Table, figure};

/// Enough for a closed loop to keep the log busy.
const SCENARIO: Scenario = Scenario { writers: 32, events: 1 };
/// Room for the reports between two looks.
const REPORTS: usize = 1_000;
/// The share of their speed alone that appends are to keep.
const GATE: f64 = 0.8;

/// What to measure, and where.
#[derive(Args, Clone)]
pub struct Options {
    /// How many events the log has from which is rebuilt
    #[arg(long, default_value_t = 1_000_000, value_name = "N", value_parser = clap::value_parser!(i64).range(1000..))]
    events: i64,
    /// Length of one slice in seconds
    #[arg(long, default_value_t = 2.0, value_name = "SECONDS")]
    seconds: f64,
    /// Rounds; the table shows medians over them
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Also writes the table as Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Ends with exit code 1 when the gate is not met
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    place: Place,
}

struct Round {
    /// What was rebuilt meanwhile.
    rebuilt: &'static str,
    alone: Slice,
    beside: Slice,
    /// Events per second that the rebuild took in meanwhile.
    rate: f64,
}

/// Measures everything and prints it.
pub async fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let (rounds, machine) = options.place.run("beside", |_, connect| measure(options, connect)).await?;
    let text = markdown(options, &machine, &rounds);
    publish(&text, options.markdown.as_deref())?;
    let missed = share(&rounds).is_none_or(|share| share < GATE);
    Ok(if options.strict && missed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn measure(options: &Options, connect: PgConnectOptions) -> anyhow::Result<(Vec<Round>, Machine)> {
    let length = Duration::try_from_secs_f64(options.seconds).context("--seconds is no length of time")?;
    let mut server = Server::connect(connect).await?;
    let machine = Machine::look(&mut server).await?;
    let database = server.create_database(SCENARIO.writers, 1).await?;
    // Not under the name of what is measured: these connections stay.
    let own = database.connect.clone().application_name("daybook-bench");
    let runner = Runner::open(commands::database::writer_pool(own.clone()).await?).await?;
    eprintln!("writing {} events", options.events);
    let mut owner = own.connect().await?;
    generate::fill(&mut owner, options.events).await?;
    server.settle(&database).await?;
    let all = projections::all();
    let mut rounds = vec![];
    for number in 0..options.rounds as usize {
        // In turn: what they cost differs.
        let name = all[number % all.len()].name();
        let alone = slice::run(Contestant::Daybook, SCENARIO, length, (&mut server, &database)).await?;
        owner.execute("CHECKPOINT").await?;
        let rebuilding = Rebuilding::start(&runner, name).await?;
        let beside = slice::run(Contestant::Daybook, SCENARIO, length, (&mut server, &database)).await?;
        let rate = rebuilding.stop().await?;
        owner.execute("CHECKPOINT").await?;
        let share = beside.events_per_second / alone.events_per_second;
        eprintln!("round {} of {}, {name}: {share:.2} of alone, rebuild {rate:.0}/s", number + 1, options.rounds);
        rounds.push(Round { rebuilt: name, alone, beside, rate });
    }
    server.drop_database(&database).await?;
    Ok((rounds, machine))
}

/// Rebuilds one projection over and over.
struct Rebuilding {
    rebuilder: Rebuilder,
    name: &'static str,
    rebuilds: JoinHandle<anyhow::Result<()>>,
    hearing: JoinHandle<Vec<f64>>,
}

impl Rebuilding {
    /// Starts, and waits until it reads the log.
    async fn start(runner: &Runner, name: &'static str) -> anyhow::Result<Self> {
        let (reports, mut heard) = mpsc::channel(REPORTS);
        let rebuilder = Rebuilder::new(runner.clone(), reports);
        let mut rebuilds = tokio::spawn({
            let rebuilder = rebuilder.clone();
            async move {
                loop {
                    let accept = How { accept_difference: true, ..How::default() };
                    for (name, result) in rebuilder.rebuild(&[name], accept).await? {
                        result.with_context(|| format!("rebuilding {name}"))?;
                    }
                }
            }
        });
        loop {
            let report = tokio::select! {
                report = heard.recv() => report.context("the rebuild tells nothing")?,
                ended = &mut rebuilds => bail!("the rebuild ended: {ended:?}"),
            };
            if matches!(report, Report::Progress(progress) if progress.events_done > 0) {
                break;
            }
        }
        let hearing = tokio::spawn(async move {
            let mut rates = vec![];
            while let Some(report) = heard.recv().await {
                if let Report::Progress(progress) = report
                    && progress.phase == Phase::Reading
                {
                    rates.push(progress.events_per_second);
                }
            }
            rates
        });
        Ok(Self { rebuilder, name, rebuilds, hearing })
    }

    /// Ends it; answers its middle rate.
    async fn stop(self) -> anyhow::Result<f64> {
        ensure!(!self.rebuilds.is_finished(), "the rebuild ended: {:?}", self.rebuilds.await);
        self.rebuilder.cancel(self.name, How::default()).await?;
        // It ends by an error that says so, unless it was between two rebuilds.
        self.rebuilds.abort();
        drop(self.rebuilds.await);
        self.rebuilder.cancel(self.name, How::default()).await?;
        drop(self.rebuilder);
        let rates = self.hearing.await?;
        Ok(median(rates.into_iter().map(Some)).unwrap_or_default())
    }
}

fn share(rounds: &[Round]) -> Option<f64> {
    median(rounds.iter().map(|round| Some(round.beside.events_per_second / round.alone.events_per_second)))
}

fn markdown(options: &Options, machine: &Machine, rounds: &[Round]) -> String {
    let mut table =
        Table::new(&["rebuilt meanwhile", "events/s", "/ alone", "p99 ms", "p99 alone", "rebuild, events/s"]);
    for Round { rebuilt, alone, beside, rate } in rounds {
        table.row(vec![
            (*rebuilt).to_owned(),
            figure(Some(beside.events_per_second)),
            figure(Some(beside.events_per_second / alone.events_per_second)),
            figure(Some(beside.p99.as_secs_f64() * 1e3)),
            figure(Some(alone.p99.as_secs_f64() * 1e3)),
            figure(Some(*rate)),
        ]);
    }
    let share = share(rounds);
    let verdict = if share.is_some_and(|share| share >= GATE) { "met" } else { "NOT met" };
    format!(
        "## Appends during a rebuild\n\n\
         {} writers, one event per append, slices of {} s; the rebuild reads a log of {} events, in the same process and on the\n\
         same server. Each row is one round of a slice alone and a slice beside a rebuild.\n\n{}\n\
         - median of the shares: {}, at least {GATE} wanted: **{verdict}**\n\n{}",
        SCENARIO.writers,
        options.seconds,
        options.events,
        table.markdown(),
        figure(share),
        facts(machine),
    )
}
