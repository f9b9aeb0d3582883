//! The benchmark of fan-out: the real server, and a thousand subscribers over WebSocket that each follow a session.
//!
//! Another process appends at a steady pace. Measured is the time from the acknowledgement of the commit to the moment
//! at which a subscriber has the event; what is lost or comes twice is counted.

mod client;
mod report;
mod serving;
mod socket;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Args;
use sqlx::postgres::PgConnectOptions;

use crate::machine::Machine;
use crate::place::Place;
use crate::report::publish;
use crate::server::{Database, Server};
use crate::source::{self, Source};
use client::Crowd;
use serving::Serving;

/// How long after the last append everybody must have everything.
const WATCHDOG: Duration = Duration::from_secs(60);
/// Before the slice, so that caches are filled and buffers have their size.
const WARM_UP: Duration = Duration::from_secs(1);

/// What to measure, and where.
#[derive(Args, Clone)]
pub struct Options {
    /// Subscribers, each with a connection of its own
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    subscribers: u32,
    /// Events per second
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Length of one slice in seconds
    #[arg(long, default_value_t = 10.0, value_name = "SECONDS")]
    seconds: f64,
    /// The server's program; without it `daybook` beside this program
    #[arg(long, value_name = "FILE")]
    server: Option<PathBuf>,
    /// Also writes the table as Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Ends with exit code 1 when a gate is not met
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    place: Place,
}

/// How many sessions the subscribers follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// All the same one.
    OneSession,
    /// Each their own; every event goes to one of them.
    OwnSessions,
}

/// What one scenario showed.
pub struct Measured {
    pub scenario: Scenario,
    pub deliveries: usize,
    pub lost: usize,
    pub doubled: usize,
    pub p50: Duration,
    pub p99: Duration,
    pub slowest: Duration,
    /// Events and frames, those of the warm-up included.
    pub received: usize,
    pub frames: usize,
    /// Resident memory of the server per subscriber, in bytes: once all had caught up, and after the load.
    pub idle_bytes: i64,
    pub loaded_bytes: i64,
    /// Processors kept busy by the server and by this program.
    pub server_cpu: f64,
    pub own_cpu: f64,
}

/// Measures everything and prints it.
pub async fn run(options: &Options) -> anyhow::Result<ExitCode> {
    raise_file_limit(u64::from(options.subscribers) * 2 + 256)?;
    let (measured, machine) = options.place.run("fanout", |folder, connect| measure(options, folder, connect)).await?;
    let text = report::markdown(options, &machine, &measured);
    publish(&text, options.markdown.as_deref())?;
    let missed = report::gates(&measured).iter().any(|gate| !gate.met());
    Ok(if options.strict && missed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn measure(
    options: &Options,
    _folder: PathBuf,
    connect: PgConnectOptions,
) -> anyhow::Result<(Vec<Measured>, Machine)> {
    let program = match &options.server {
        Some(program) => program.clone(),
        None => std::env::current_exe()?.with_file_name("daybook"),
    };
    ensure!(program.is_file(), "{} is missing: build it with `cargo build --release -p daybook`", program.display());
    let mut server = Server::connect(connect).await?;
    let machine = Machine::look(&mut server).await?;
    let mut all = vec![];
    for scenario in [Scenario::OneSession, Scenario::OwnSessions] {
        let database = server.create_database(options.subscribers as usize, scenario as usize).await?;
        let measured = one(options, scenario, &program, &database).await;
        server.drop_database(&database).await?;
        let measured = measured?;
        eprintln!(
            "{scenario:?}: {} deliveries, {} lost, p50 {:?}, p99 {:?}",
            measured.deliveries, measured.lost, measured.p50, measured.p99
        );
        all.push(measured);
    }
    Ok((all, machine))
}

async fn one(options: &Options, scenario: Scenario, program: &Path, database: &Database) -> anyhow::Result<Measured> {
    let (log, book_id) = source::log(&database.connect).await?;
    let subscribers = options.subscribers as usize;
    let mut sources = vec![];
    for _ in 0..if scenario == Scenario::OneSession { 1 } else { subscribers } {
        let mut source = Source::new(&log, book_id)?;
        source.append().await?;
        sources.push(source);
    }
    let serving = Serving::start(program, &database.connect).await?;
    let before = serving.resident_bytes()?;
    let sessions: Vec<_> = sources.iter().map(|source| source.session_id).collect();
    let mut crowd = Crowd::join(&serving.client, &sessions, subscribers).await?;
    let idle = serving.resident_bytes()?;

    let interval = Duration::from_secs(1) / options.rate;
    pace(&mut sources, interval, WARM_UP).await?;
    let cpu = (serving.cpu()?, crate::meter::own()?);
    let begun = Instant::now();
    let appended = pace(&mut sources, interval, Duration::try_from_secs_f64(options.seconds)?).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let busy = (serving.cpu()? - cpu.0, crate::meter::own()? - cpu.1);
    let last = newest(&appended);
    let received = crowd.until(&last, WATCHDOG).await;
    let loaded = serving.resident_bytes()?;
    let per_subscriber = |bytes: i64| (bytes - before) / i64::from(options.subscribers);
    let mut measured = client::compare(scenario, &sessions, &appended, &received)?;
    (measured.idle_bytes, measured.loaded_bytes) = (per_subscriber(idle), per_subscriber(loaded));
    (measured.server_cpu, measured.own_cpu) = (busy.0.as_secs_f64() / seconds, busy.1.as_secs_f64() / seconds);
    Ok(measured)
}

/// One append: which session, where it stands, when it was acknowledged.
pub struct Appended {
    session: usize,
    position: i64,
    at: i64,
}

/// Appends at a steady pace, in turn to all sessions.
async fn pace(sources: &mut [Source], interval: Duration, length: Duration) -> anyhow::Result<Vec<Appended>> {
    let (begun, mut appended) = (Instant::now(), vec![]);
    let mut ticks = tokio::time::interval(interval);
    while begun.elapsed() < length {
        ticks.tick().await;
        let session = appended.len() % sources.len();
        let (position, at) = sources[session].append().await?;
        appended.push(Appended { session, position, at });
    }
    Ok(appended)
}

/// The newest position of each session.
fn newest(appended: &[Appended]) -> HashMap<usize, i64> {
    appended.iter().map(|one| (one.session, one.position)).collect()
}

/// Lets this process, and those that it starts, open so many files.
fn raise_file_limit(files: u64) -> anyhow::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < files) {
        ensure!(maximum.is_none_or(|maximum| maximum >= files), "this machine allows {maximum:?} open files only");
        setrlimit(Resource::Nofile, Rlimit { current: Some(files), maximum })?;
    }
    Ok(())
}
