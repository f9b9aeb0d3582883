//! How appends cost as a log grows: a grown log against a fresh one, slice by slice, to new streams and to old ones.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use rand::seq::SliceRandom;

use crate::cluster::{self, Cluster};
use crate::contestants::{Contestant, OldStreams};
use crate::fill::fill;
use crate::machine::Machine;
use crate::report::{facts, median, publish};
use crate::round::Scenario;
use crate::server::Server;
use crate::slice::{self, Slice};
use crate::table::{Table, figure};

/// Enough for a closed loop to keep the log busy.
const WRITERS: usize = 32;

/// What to measure.
#[derive(Args, Clone)]
pub struct Options {
    /// How many events the grown log has
    #[arg(long, default_value_t = 10_000_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1000..))]
    events: u64,
    /// Length of one slice in seconds
    #[arg(long, default_value_t = 2.0, value_name = "SECONDS")]
    seconds: f64,
    /// Rounds; the table shows medians over them
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Also writes the table as Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Where the temporary server lies; without it beside this program
    #[arg(long, value_name = "FOLDER")]
    directory: Option<PathBuf>,
}

/// One round: a fresh log, the grown one with new streams, and the grown one with streams that nobody touched lately.
struct Round {
    fresh: Slice,
    grown: Slice,
    cold: Slice,
}

/// Measures and prints.
pub async fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let length = Duration::try_from_secs_f64(options.seconds).context("--seconds is no length of time")?;
    let cluster = Cluster::start(&cluster::folder(options.directory.as_deref())?).await?;
    let mut server = Server::connect(cluster.connect_options()).await?;
    let machine = Machine::look(&mut server).await?;
    let scenario = Scenario { writers: WRITERS, events: 1 };
    let grown = server.create_database(WRITERS, 0).await?;
    let mut old = fill(&grown, options.events).await?;
    old.shuffle(&mut rand::rng());
    let old = Arc::new(OldStreams::new(old));
    server.settle(&grown).await?;
    let mut rounds = vec![];
    for round in 0..options.rounds {
        let fresh = server.create_database(WRITERS, 1).await?;
        let slices = Round {
            fresh: slice::run(Contestant::Daybook, scenario, length, (&mut server, &fresh)).await?,
            grown: slice::run(Contestant::Daybook, scenario, length, (&mut server, &grown)).await?,
            cold: slice::run(Contestant::Cold(old.clone()), scenario, length, (&mut server, &grown)).await?,
        };
        server.drop_database(&fresh).await?;
        let share = slices.grown.events_per_second / slices.fresh.events_per_second;
        eprintln!("round {} of {}: {share:.2} of fresh", round + 1, options.rounds);
        rounds.push(slices);
    }
    let text = markdown(options, &rounds, &facts(&machine));
    publish(&text, options.markdown.as_deref())?;
    Ok(ExitCode::SUCCESS)
}

fn markdown(options: &Options, rounds: &[Round], facts: &str) -> String {
    let mut table = Table::new(&["log", "events/s", "/ fresh", "p50 ms", "p99 ms", "CPU us per event", "/ fresh"]);
    let mut row = |name: String, of: fn(&Round) -> &Slice| {
        let each = |value: fn(&Slice) -> f64| figure(median(rounds.iter().map(|round| Some(value(of(round))))));
        let share = rounds.iter().map(|round| Some(of(round).events_per_second / round.fresh.events_per_second));
        let cpu = |slice: &Slice| slice.cpu_per_event.map(|cpu| cpu.as_secs_f64() * 1e6);
        let cost = rounds.iter().map(|round| Some(cpu(of(round))? / cpu(&round.fresh)?));
        table.row(vec![
            name,
            each(|slice| slice.events_per_second),
            figure(median(share)),
            each(|slice| slice.p50.as_secs_f64() * 1e3),
            each(|slice| slice.p99.as_secs_f64() * 1e3),
            figure(median(rounds.iter().map(|round| cpu(of(round))))),
            figure(median(cost)),
        ]);
    };
    row("fresh, new streams".into(), |round| &round.fresh);
    row(format!("{} events, new streams", options.events), |round| &round.grown);
    row(format!("{} events, streams untouched since", options.events), |round| &round.cold);
    format!(
        "## Appends as the log grows\n\n\
         Medians of {} round(s) of slices of {} s, {WRITERS} writers, one event per append. The third row appends each\n\
         event to another old stream, picked at random, so that nothing of it is in any cache.\n\n{}\n{facts}",
        options.rounds,
        options.seconds,
        table.markdown(),
    )
}
