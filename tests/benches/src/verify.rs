//! The benchmark of verification: the product's own `audit verify`, of a database and of an export, against `sha256sum`
//! over the same bytes in the same round.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, ensure};
use clap::Args;
use futures::TryStreamExt;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgPoolCopyExt, PgPoolOptions};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::fill::fill;
use crate::machine::Machine;
use crate::place::Place;
use crate::report::{facts, median, publish};
use crate::server::Server;
use crate::table::{Table, figure};

/// The share of `sha256sum`'s speed that a verification is to reach.
const GOAL: f64 = 0.3;

/// What to measure, and where.
#[derive(Args, Clone)]
pub struct Options {
    /// How many events the log has
    #[arg(long, default_value_t = 1_000_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1000..))]
    events: u64,
    /// Rounds; the table shows medians over them
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Daybook's program; without it `daybook` beside this program
    #[arg(long, value_name = "FILE")]
    daybook: Option<PathBuf>,
    /// Also writes the table as Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Ends with exit code 1 when the goal is not met
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    place: Place,
}

/// What is verified.
#[derive(Clone, Copy)]
enum What {
    Database,
    Export,
}

/// One round, in seconds.
struct Round {
    verify: [f64; 2],
    sha256sum: [f64; 2],
}

/// What was measured, and over how many bytes.
struct Measured {
    rounds: Vec<Round>,
    bytes: [u64; 2],
}

/// Measures everything and prints it.
pub async fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let (measured, machine) = options.place.run("verify", |folder, connect| measure(options, folder, connect)).await?;
    let text = markdown(options, &machine, &measured);
    publish(&text, options.markdown.as_deref())?;
    let missed =
        [What::Database, What::Export].iter().any(|what| measured.share(*what).is_none_or(|share| share < GOAL));
    Ok(if options.strict && missed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn measure(options: &Options, folder: PathBuf, connect: PgConnectOptions) -> anyhow::Result<(Measured, Machine)> {
    let program = match &options.daybook {
        Some(program) => program.clone(),
        None => std::env::current_exe()?.with_file_name("daybook"),
    };
    ensure!(program.is_file(), "{} is missing: build it with `cargo build --release -p daybook`", program.display());
    let mut server = Server::connect(connect).await?;
    let machine = Machine::look(&mut server).await?;
    let database = server.create_database(1, 1).await?;
    fill(&database, options.events).await?;
    server.settle(&database).await?;
    let files = tempfile::tempdir_in(folder)?;
    let daybook = Daybook::new(program, &database.connect, &files);
    let (rows, export) = (files.path().join("rows"), files.path().join("book.jsonl"));
    let export_name = export.to_str().context("the folder's name is text")?;
    daybook.run(&["audit", "checkpoint", "--out", files.path().join("checkpoint").to_str().context("text")?]).await?;
    daybook.run(&["export", "--book", "--out", export_name]).await?;
    copy_rows(&database.connect, &rows).await?;
    let mut rounds = vec![];
    // The first round only warms up.
    for number in 0..=options.rounds {
        let round = Round {
            verify: [daybook.run(&["audit", "verify"]).await?, daybook.run(&["audit", "verify", export_name]).await?],
            sha256sum: [sha256sum(&rows).await?, sha256sum(&export).await?],
        };
        eprintln!(
            "round {number}: database {:.2} s (sha256sum {:.2}), export {:.2} s (sha256sum {:.2})",
            round.verify[0], round.sha256sum[0], round.verify[1], round.sha256sum[1]
        );
        if number > 0 {
            rounds.push(round);
        }
    }
    server.drop_database(&database).await?;
    let size = |file: &Path| std::fs::metadata(file).map(|file| file.len());
    Ok((Measured { rounds, bytes: [size(&rows)?, size(&export)?] }, machine))
}

/// Every byte that the log keeps of its events, as the database sends it, in a file.
async fn copy_rows(connect: &PgConnectOptions, to: &Path) -> anyhow::Result<()> {
    let pool = PgPoolOptions::new().max_connections(1).connect_with(connect.clone()).await?;
    let mut rows =
        pool.copy_out_raw("COPY (SELECT * FROM events ORDER BY book_id, position) TO STDOUT (FORMAT binary)").await?;
    let mut file = tokio::io::BufWriter::new(tokio::fs::File::create(to).await?);
    while let Some(piece) = rows.try_next().await? {
        file.write_all(&piece).await?;
    }
    file.flush().await?;
    drop(rows);
    pool.close().await;
    Ok(())
}

/// The product's program on the database that is measured.
struct Daybook {
    program: PathBuf,
    url: String,
    data: PathBuf,
}

impl Daybook {
    fn new(program: PathBuf, connect: &PgConnectOptions, files: &TempDir) -> Self {
        let url = connect.clone().application_name("daybook").to_url_lossy().to_string();
        Self { program, url, data: files.path().join("data") }
    }

    /// Runs a command as a person would; answers its seconds.
    async fn run(&self, arguments: &[&str]) -> anyhow::Result<f64> {
        let mut command = Command::new(&self.program);
        command.arg("--data").arg(&self.data).args(["--database", &self.url]).args(arguments);
        timed(command).await
    }
}

async fn sha256sum(file: &Path) -> anyhow::Result<f64> {
    let mut command = Command::new("sha256sum");
    command.arg(file);
    timed(command).await
}

async fn timed(mut command: Command) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let output = command.kill_on_drop(true).output().await.with_context(|| format!("{command:?} cannot be run"))?;
    let took = begun.elapsed().as_secs_f64();
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(took)
}

impl Measured {
    /// The speed of `sha256sum` that a verification reaches: the median of the rounds' ratios.
    fn share(&self, what: What) -> Option<f64> {
        let at = what as usize;
        median(self.rounds.iter().map(|round| Some(round.sha256sum[at] / round.verify[at])))
    }
}

fn markdown(options: &Options, machine: &Machine, measured: &Measured) -> String {
    let mut table = Table::new(&["verified", "MB", "events/s", "seconds", "sha256sum, seconds", "/ sha256sum"]);
    let mut verdicts = vec![];
    for (what, name) in [(What::Database, "the database"), (What::Export, "an export of the book")] {
        let at = what as usize;
        let each =
            |value: &dyn Fn(&Round) -> f64| figure(median(measured.rounds.iter().map(|round| Some(value(round)))));
        let share = measured.share(what);
        table.row(vec![
            name.to_owned(),
            format!("{:.0}", measured.bytes[at] as f64 / 1e6),
            each(&|round| options.events as f64 / round.verify[at]),
            each(&|round| round.verify[at]),
            each(&|round| round.sha256sum[at]),
            figure(share),
        ]);
        let verdict = if share.is_some_and(|share| share >= GOAL) { "met" } else { "NOT met" };
        verdicts.push(format!("- {name} / sha256sum: {}, at least {GOAL} wanted: **{verdict}**\n", figure(share)));
    }
    format!(
        "## Verification\n\n\
         {} events; medians of {} round(s), whole processes from start to end. `daybook audit verify` recomputes every\n\
         commitment, the chain, every stream's sequence and the tree, and compares with every signed checkpoint; of an export also\n\
         its blobs and its digest. `sha256sum` reads a file of the same bytes: all columns of all events as the database sends\n\
         them, and the export.\n\n{}\n{}\n{}",
        options.events,
        options.rounds,
        table.markdown(),
        verdicts.concat(),
        facts(machine),
    )
}
