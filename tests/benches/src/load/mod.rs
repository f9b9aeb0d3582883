//! The benchmark of loads: an aggregate that is not in memory, with its snapshot and without, by length of its stream.

mod streams;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::ensure;
use clap::Args;
use commands::database::{self, Installation};
use commands::log::Log;
use commands::snapshot::{self, EVERY, Place, Snapshots};
use commands::stream::Loader;
use domain::BookId;
use domain::account::Account;
use domain::aggregate::fold;
use domain::session::Session;
use domain::workspace::Workspace;
use sqlx::postgres::{PgConnectOptions, PgPool};
use uuid::Uuid;

use crate::cluster::{self, Cluster};
use crate::contestants::now;
use crate::machine::{self, Machine};
use crate::report::{median, publish};
use crate::server::Server;
use crate::table::{Table, figure};
use streams::{Kind, write};

/// The lengths of streams; the first is what the others are compared with.
const LENGTHS: [usize; 3] = [100, 1_000, 10_000];
/// How many events stand behind a snapshot: half of what may.
const BEHIND: usize = EVERY as usize / 2;
/// The longest stream may take this many times as long as the shortest.
const GATE: f64 = 3.0;

/// What to measure, and where.
#[derive(Args, Clone)]
pub struct Options {
    /// Rounds; each loads every stream once in both ways, and the table shows medians over them
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Also writes the table as Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Ends with exit code 1 when the gate is not met
    #[arg(long)]
    strict: bool,
    /// Where the temporary server lies; without it beside this program
    #[arg(long, value_name = "FOLDER")]
    directory: Option<PathBuf>,
}

/// What the loads of one stream took, in milliseconds, one entry per round.
#[derive(Default)]
struct Seen {
    folded: Vec<f64>,
    from_snapshot: Vec<f64>,
}

/// One kind of stream: its figures by length.
struct Measured {
    kind: &'static str,
    seen: Vec<Seen>,
}

/// Measures everything and prints it.
pub async fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let folder = cluster::folder(options.directory.as_deref())?;
    let cluster = Cluster::start(&folder).await?;
    let measured = tokio::select! {
        measured = measure(options, cluster.connect_options()) => measured,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    drop(cluster);
    let (machine, measured) = measured?;
    let worst = measured.iter().filter_map(Measured::growth).fold(0.0, f64::max);
    let text = markdown(options, &machine, &measured, worst);
    publish(&text, options.markdown.as_deref())?;
    Ok(if options.strict && worst > GATE { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn measure(options: &Options, connect: PgConnectOptions) -> anyhow::Result<(Machine, Vec<Measured>)> {
    let mut server = Server::connect(connect).await?;
    let machine = Machine::look(&mut server).await?;
    let base = server.create_database(0, 0).await?;
    let pool = database::writer_pool(base.connect.clone()).await?;
    let book_id = Installation::open(&pool).await?.home_book;
    let log = Log::start(base.connect.clone(), pool.clone(), Arc::new(now));
    let measured = vec![
        loads::<Account>(options, &log, &pool, book_id).await?,
        loads::<Workspace>(options, &log, &pool, book_id).await?,
        loads::<Session>(options, &log, &pool, book_id).await?,
    ];
    Ok((machine, measured))
}

async fn loads<A: Kind>(options: &Options, log: &Log, pool: &PgPool, book_id: BookId) -> anyhow::Result<Measured> {
    eprintln!("loading streams of the kind {}", A::NAME);
    let mut streams = vec![];
    for length in LENGTHS {
        let stream_id = write::<A>(log, book_id, length).await?;
        // As the product does: a stream that has not grown by `EVERY` has none.
        let folded = length - BEHIND;
        if folded >= usize::try_from(EVERY)? {
            let state: A = fold(&(0..folded).map(A::event).collect::<Vec<_>>());
            let place = Place { book_id, stream_id, sequence: i64::try_from(folded)? };
            snapshot::write(pool, place, &serde_json::to_vec(&state)?).await?;
        }
        streams.push((stream_id, length));
    }
    // Nothing grows, so nothing is written while the clock runs.
    let snapshots = Snapshots::start(pool.clone());
    let mut seen: Vec<Seen> = LENGTHS.iter().map(|_| Seen::default()).collect();
    for round in 0..options.rounds as usize {
        for turn in 0..streams.len() {
            let at = (turn + round) % streams.len();
            let stream = streams[at];
            let both = [Loader::<A>::without_snapshots(pool.clone()), Loader::new(pool.clone(), snapshots.clone())];
            let mut took = [0.0; 2];
            for way in [round % 2, 1 - round % 2] {
                took[way] = load(&both[way], book_id, stream).await?;
            }
            seen[at].folded.push(took[0]);
            seen[at].from_snapshot.push(took[1]);
        }
    }
    Ok(Measured { kind: A::NAME, seen })
}

/// The milliseconds of one load by a process that has nothing in memory.
async fn load<A: Kind>(loader: &Loader<A>, book_id: BookId, (stream_id, length): (Uuid, usize)) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let loaded = loader.load(book_id, stream_id).await?;
    let took = begun.elapsed().as_secs_f64() * 1e3;
    ensure!(loaded.sequence == i64::try_from(length)?, "a stream of {length} events was loaded to {}", loaded.sequence);
    Ok(took)
}

impl Measured {
    /// The longest stream against the shortest, both as the product loads them: the median of the rounds' ratios.
    fn growth(&self) -> Option<f64> {
        ratio(&self.seen.last()?.from_snapshot, &self.seen.first()?.from_snapshot)
    }
}

fn ratio(left: &[f64], right: &[f64]) -> Option<f64> {
    median(left.iter().zip(right).map(|(left, right)| Some(left / right)))
}

fn markdown(options: &Options, machine: &Machine, measured: &[Measured], worst: f64) -> String {
    let mut table = Table::new(&[
        "stream, events",
        "folded whole ms",
        "as the product loads it ms",
        "/ folded whole",
        "/ 100 events",
    ]);
    for Measured { kind, seen } in measured {
        for (one, length) in seen.iter().zip(LENGTHS) {
            let middle = |values: &[f64]| figure(median(values.iter().copied().map(Some)));
            table.row(vec![
                format!("{kind}, {length}"),
                middle(&one.folded),
                middle(&one.from_snapshot),
                figure(ratio(&one.from_snapshot, &one.folded)),
                figure(ratio(&one.from_snapshot, &seen[0].from_snapshot)),
            ]);
        }
    }
    let Machine { cores, processor, kernel, postgres, load, .. } = machine;
    let (rounds, after) = (options.rounds, machine::load());
    let verdict = if worst <= GATE { "met" } else { "NOT met" };
    format!(
        "## Loads\n\n\
         Medians of {rounds} rounds. In each round a process that has nothing in memory loads every stream in both ways, in an\n\
         order that rotates. A snapshot stands {BEHIND} events before the end of its stream; the stream of 100 events has none, as\n\
         in the product. Rows of a stream stand in runs of 50 among those of another. Ratios are medians of the rounds' ratios.\n\n\
         {}\n\
         {cores} cores ({processor}), Linux {kernel}, PostgreSQL {postgres}. Load average {load} before the run, {after} after it.\n\n\
         - 10,000 events against 100, the worst of these kinds: {worst:.2}, at most {GATE} wanted: **{verdict}**\n",
        table.markdown()
    )
}
