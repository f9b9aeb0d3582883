//! Appends while somebody holds a snapshot for long, as `pg_dump` does, against the same with a row for the head.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Executor};

use crate::contestants::Contestant;
use crate::machine::Machine;
use crate::place::Place;
use crate::report::{facts, median, publish};
use crate::round::Scenario;
use crate::server::{Database, Server};
use crate::slice;
use crate::table::{Table, figure};

/// A lone writer: whatever each append has to pass, nobody shares it.
const SCENARIO: Scenario = Scenario { writers: 1, events: 1 };
const CONTESTANTS: [Contestant; 2] = [Contestant::Daybook, Contestant::HeadRow];
/// The share of their speed before that appends are to keep.
const GATE: f64 = 0.8;

/// What to measure, and where.
#[derive(Args, Clone)]
pub struct Options {
    /// How long the snapshot is held, and appended beside, before it is measured
    #[arg(long, default_value_t = 30.0, value_name = "SECONDS")]
    held: f64,
    /// Length of one slice in seconds
    #[arg(long, default_value_t = 2.0, value_name = "SECONDS")]
    seconds: f64,
    /// Rounds; the table shows medians over them
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
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

/// Events per second of one contestant.
#[derive(Clone, Copy)]
struct Speeds {
    before: f64,
    beside: f64,
    after: f64,
}

/// Measures everything and prints it.
pub async fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let (rounds, machine) = options.place.run("backup", |_, connect| measure(options, connect)).await?;
    let text = markdown(options, &machine, &rounds);
    publish(&text, options.markdown.as_deref())?;
    let missed = share(&rounds, 0).is_none_or(|share| share < GATE);
    Ok(if options.strict && missed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// One round: the speeds in the order of `CONTESTANTS`.
async fn measure(
    options: &Options,
    connect: PgConnectOptions,
) -> anyhow::Result<(Vec<[Speeds; CONTESTANTS.len()]>, Machine)> {
    let mut server = Server::connect(connect).await?;
    let machine = Machine::look(&mut server).await?;
    let mut rounds = vec![];
    for number in 0..options.rounds as usize {
        let database = server.create_database(SCENARIO.writers, 1).await?;
        let mut round = [Speeds { before: 0.0, beside: 0.0, after: 0.0 }; CONTESTANTS.len()];
        for turn in 0..CONTESTANTS.len() {
            let which = (turn + number) % CONTESTANTS.len();
            round[which] = one(options, &CONTESTANTS[which], &mut server, &database).await?;
            let Speeds { before, beside, .. } = round[which];
            let name = CONTESTANTS[which].name();
            eprintln!("round {} of {}, {name}: {:.2} of before", number + 1, options.rounds, beside / before);
        }
        server.drop_database(&database).await?;
        rounds.push(round);
    }
    Ok((rounds, machine))
}

async fn one(
    options: &Options,
    contestant: &Contestant,
    server: &mut Server,
    database: &Database,
) -> anyhow::Result<Speeds> {
    let length = Duration::try_from_secs_f64(options.seconds).context("--seconds is no length of time")?;
    let held = Duration::try_from_secs_f64(options.held).context("--held is no length of time")?;
    server.settle(database).await?;
    let before = slice::run(contestant.clone(), SCENARIO, length, (&mut *server, database)).await?;
    // Not under the name of what is measured: this connection stays.
    let mut holder = database.connect.clone().application_name("daybook-bench").connect().await?;
    // The snapshot of a transaction is taken by its first query.
    holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").await?;
    slice::run(contestant.clone(), SCENARIO, held, (&mut *server, database)).await?;
    let beside = slice::run(contestant.clone(), SCENARIO, length, (&mut *server, database)).await?;
    holder.execute("COMMIT").await?;
    let after = slice::run(contestant.clone(), SCENARIO, length, (&mut *server, database)).await?;
    let [before, beside, after] = [before, beside, after].map(|slice| slice.events_per_second);
    Ok(Speeds { before, beside, after })
}

/// What a contestant kept of its speed while the snapshot was held.
fn share(rounds: &[[Speeds; CONTESTANTS.len()]], which: usize) -> Option<f64> {
    median(rounds.iter().map(|round| Some(round[which].beside / round[which].before)))
}

fn markdown(options: &Options, machine: &Machine, rounds: &[[Speeds; CONTESTANTS.len()]]) -> String {
    let mut table = Table::new(&["who", "events/s before", "beside the snapshot", "after it", "beside / before"]);
    for (which, contestant) in CONTESTANTS.iter().enumerate() {
        let of = |speed: fn(&Speeds) -> f64| figure(median(rounds.iter().map(|round| Some(speed(&round[which])))));
        table.row(vec![
            contestant.name().to_owned(),
            of(|speeds| speeds.before),
            of(|speeds| speeds.beside),
            of(|speeds| speeds.after),
            figure(share(rounds, which)),
        ]);
    }
    let share = share(rounds, 0);
    let verdict = if share.is_some_and(|share| share >= GATE) { "met" } else { "NOT met" };
    format!(
        "## Appends during a backup\n\n\
         One writer, one event per append; medians of {} round(s). A slice of {} s, then another transaction takes a snapshot and\n\
         holds it; {} s of appends later a second slice; a third when the snapshot is gone.\n\n{}\n\
         - **{}**: a plain INSERT that takes its position from a row for the head, without gaps and in the order of commits.\n\
         - Daybook's share: {}, at least {GATE} wanted: **{verdict}**\n\n{}",
        options.rounds,
        options.seconds,
        options.held,
        table.markdown(),
        CONTESTANTS[1].name(),
        figure(share),
        facts(machine),
    )
}
