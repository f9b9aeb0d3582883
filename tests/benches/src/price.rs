//! What each part of the log costs its appends: with it, without it, and with followers at work beside it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use crate::cluster::{self, Cluster};
use crate::contestants::{Contestant, Parts};
use crate::machine::Machine;
use crate::report::{facts, median, publish};
use crate::round::Scenario;
use crate::server::Server;
use crate::slice::{self, Slice};
use crate::table::{Table, figure};

/// What to measure.
#[derive(Args, Clone)]
pub struct Options {
    /// Writers, each with a stream of its own
    #[arg(long, default_value_t = 32, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=500))]
    writers: u32,
    /// Length of one slice in seconds
    #[arg(long, default_value_t = 1.5, value_name = "SECONDS")]
    seconds: f64,
    /// Rounds; the table shows medians over them
    #[arg(long, default_value_t = 7, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Also writes the table as Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Where the temporary server lies; without it beside this program
    #[arg(long, value_name = "FOLDER")]
    directory: Option<PathBuf>,
}

/// The log, then the log with one thing changed.
fn variants() -> Vec<Parts> {
    let log = Parts { name: "the log", ..Parts::default() };
    vec![
        log,
        Parts { name: "without request ids", requests: false, ..log },
        Parts { name: "without sessions", sessions: false, ..log },
        Parts { name: "with read models posted beside it", read_models: true, ..log },
        Parts { name: "with trees and checkpoints beside it", trees: true, ..log },
        Parts { name: "with both", read_models: true, trees: true, ..log },
    ]
}

/// Measures and prints.
pub async fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let length = Duration::try_from_secs_f64(options.seconds).context("--seconds is no length of time")?;
    let cluster = Cluster::start(&cluster::folder(options.directory.as_deref())?).await?;
    let mut server = Server::connect(cluster.connect_options()).await?;
    let machine = Machine::look(&mut server).await?;
    let variants = variants();
    let scenario = Scenario { writers: options.writers as usize, events: 1 };
    let mut rounds: Vec<Vec<Option<Slice>>> = vec![];
    for number in 0..options.rounds as usize {
        let mut round = vec![None; variants.len()];
        for turn in 0..variants.len() {
            let which = (turn + number) % variants.len();
            // A fresh log each, so that no follower works on what another variant left.
            let database = server.create_database(scenario.writers, 1).await?;
            let contestant = Contestant::Parts(variants[which]);
            round[which] = Some(slice::run(contestant, scenario, length, (&mut server, &database)).await?);
            server.drop_database(&database).await?;
        }
        eprintln!("round {} of {}", number + 1, options.rounds);
        rounds.push(round);
    }
    let text = markdown(options, &variants, &rounds, &facts(&machine));
    publish(&text, options.markdown.as_deref())?;
    Ok(ExitCode::SUCCESS)
}

fn markdown(options: &Options, variants: &[Parts], rounds: &[Vec<Option<Slice>>], facts: &str) -> String {
    let writers = format!("{} writers", options.writers);
    let mut table = Table::new(&[writers.as_str(), "events/s", "/ the log", "CPU us per event", "/ the log"]);
    let cpu = |slice: Slice| slice.cpu_per_event.map(|cpu| cpu.as_secs_f64() * 1e6);
    for (which, parts) in variants.iter().enumerate() {
        let each = |value: &dyn Fn(Slice) -> Option<f64>| {
            figure(median(rounds.iter().map(|round| round[which].and_then(value))))
        };
        let ratio = |value: &dyn Fn(Slice) -> Option<f64>| {
            let of = |round: &Vec<Option<Slice>>| Some(value(round[which]?)? / value(round[0]?)?);
            figure(median(rounds.iter().map(of)))
        };
        let speed = |slice: Slice| Some(slice.events_per_second);
        table.row(vec![parts.name.to_owned(), each(&speed), ratio(&speed), each(&cpu), ratio(&cpu)]);
    }
    format!(
        "## What each part costs an append\n\n\
         Medians of {} round(s) of slices of {} s, one event per append. Followers share the two cores and the disk with\n\
         the appends and read what was just appended; their processor time is counted too.\n\n{}\n{facts}",
        options.rounds,
        options.seconds,
        table.markdown(),
    )
}
