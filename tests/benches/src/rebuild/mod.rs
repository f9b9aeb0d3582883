//! The benchmark of rebuilds: each projection over one log, against a raw COPY out of the same columns in the same round,
//! and against a replay by cqrs-es and postgres-es as they come.

pub mod generate;
mod replay;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use clap::Args;
use futures::TryStreamExt;
use projections::Runner;
use projections::rebuild::{Options as How, Phase, Rebuilder, Report};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Executor};
use tokio::sync::mpsc;

use crate::cluster::{self, Cluster};
use crate::machine::Machine;
use crate::report::publish;
use crate::server::Server;
use crate::table::{Table, figure};

/// As the product's pool of connections.
const CONNECTIONS: u32 = 16;
/// Room for every report of a rebuild.
const REPORTS: usize = 100_000;
/// The share of a raw COPY out, and the multiple of a stock replay, that a rebuild is to reach.
const GOALS: (f64, f64) = (0.5, 50.0);

/// What to measure, and where.
#[derive(Args, Clone)]
pub struct Options {
    /// How many events the log has
    #[arg(long, default_value_t = 1_000_000, value_name = "N", value_parser = clap::value_parser!(i64).range(1000..))]
    events: i64,
    /// How many of them the stock replay goes through; its speed does not depend on it
    #[arg(long, default_value_t = 5_000, value_name = "N", value_parser = clap::value_parser!(i64).range(100..))]
    replayed: i64,
    /// Rounds; the table shows medians over them
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Which projections; without it all of them
    #[arg(long, value_delimiter = ',', value_name = "NAME,NAME")]
    only: Vec<String>,
    /// Also writes the tables as Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// An existing server whose role may create databases and roles; without it a temporary one is started
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: Option<String>,
    /// Where the temporary server lies; without it beside this program
    #[arg(long, value_name = "FOLDER")]
    directory: Option<PathBuf>,
}

/// One projection in one round, in events per second.
struct Measured {
    name: String,
    copy_out: f64,
    /// Until all rows are in the table.
    loaded: f64,
    /// Until it serves: with indexes, comparison and switch.
    whole: f64,
}

/// Measures everything and prints it.
pub async fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let (_cluster, connect) = match &options.database_url {
        Some(url) => (None, url.parse::<PgConnectOptions>().context("the database URL cannot be read")?),
        None => {
            let cluster = Cluster::start(&cluster::folder(options.directory.as_deref())?).await?;
            let connect = cluster.connect_options();
            (Some(cluster), connect)
        }
    };
    let mut server = Server::connect(connect).await?;
    let machine = Machine::look(&mut server).await?;
    let database = server.create_database(0, 0).await?;
    let measured = tokio::select! {
        measured = measure(options, database.connect.clone()) => measured,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    server.drop_database(&database).await?;
    let text = report(options, &machine, &measured?);
    publish(&text, options.markdown.as_deref())?;
    Ok(ExitCode::SUCCESS)
}

async fn measure(options: &Options, connect: PgConnectOptions) -> anyhow::Result<(Vec<Measured>, Vec<f64>)> {
    let writer = PgPoolOptions::new().max_connections(CONNECTIONS);
    let writer =
        writer.after_connect(|db, _| Box::pin(async move { db.execute("SET ROLE daybook_writer").await.map(|_| ()) }));
    let pool = writer.connect_with(connect.clone()).await?;
    // Before the log is filled: the builds that serve at first are empty, and cost nothing to compare with.
    let runner = Runner::open(pool.clone()).await?;
    eprintln!("writing {} events", options.events);
    let mut owner = connect.connect().await?;
    generate::fill(&mut owner, options.events).await?;
    owner.execute("VACUUM (ANALYZE) events").await?;
    owner.execute("CHECKPOINT").await?;
    let all = projections::all();
    let wanted = |name: &str| options.only.is_empty() || options.only.iter().any(|only| only == name);
    let names: Vec<_> = all.iter().map(|projection| projection.name()).filter(|name| wanted(name)).collect();
    let (mut measured, mut replayed) = (vec![], vec![]);
    // The first round only warms up.
    for round in 0..=options.rounds {
        for name in &names {
            let copy_out = copy_out(&pool, options.events).await?;
            let (loaded, whole) = rebuild(&runner, name, options.events).await?;
            eprintln!(
                "round {round}, {name}: {copy_out:.0} events/s out, {loaded:.0} loaded ({:.2}), {whole:.0} to the switch",
                loaded / copy_out
            );
            if round > 0 {
                measured.push(Measured { name: (*name).to_owned(), copy_out, loaded, whole });
            }
        }
        if round > 0 {
            replayed.push(replay::run(&mut owner, &connect, options.replayed).await?);
        }
    }
    pool.close().await;
    Ok((measured, replayed))
}

/// A raw COPY of the columns that a rebuild reads, thrown away as it comes.
async fn copy_out(pool: &PgPool, events: i64) -> anyhow::Result<f64> {
    let mut db = pool.acquire().await?;
    let begun = Instant::now();
    let sql = format!(
        "COPY (SELECT position, stream_id, sequence, session_id, event_id, event_type, event_version, occurred_at, \
         recorded_at, actor_id, payload FROM events WHERE book_id = '{}' ORDER BY position) TO STDOUT (FORMAT binary)",
        generate::BOOK
    );
    let mut rows = db.copy_out_raw(&sql).await?;
    let mut bytes = 0;
    while let Some(row) = rows.try_next().await? {
        bytes += row.len();
    }
    anyhow::ensure!(bytes > 0, "the log is empty");
    Ok(events as f64 / begun.elapsed().as_secs_f64())
}

async fn rebuild(runner: &Runner, name: &str, events: i64) -> anyhow::Result<(f64, f64)> {
    let (reports, mut heard) = mpsc::channel(REPORTS);
    let rebuilder = Rebuilder::new(runner.clone(), reports);
    let begun = Instant::now();
    let listening = tokio::spawn(async move {
        while let Some(report) = heard.recv().await {
            if matches!(&report, Report::Progress(progress) if progress.phase == Phase::Indexing) {
                return Some(begun.elapsed());
            }
        }
        None
    });
    let accept = How { accept_difference: true, ..How::default() };
    for (name, result) in rebuilder.rebuild(&[name], accept).await? {
        result.with_context(|| format!("rebuilding {name}"))?;
    }
    let whole = begun.elapsed();
    drop(rebuilder);
    let loaded = listening.await?.context("no end of loading was told")?;
    Ok((events as f64 / loaded.as_secs_f64(), events as f64 / whole.as_secs_f64()))
}

fn report(options: &Options, machine: &Machine, (measured, replayed): &(Vec<Measured>, Vec<f64>)) -> String {
    let replayed = median(replayed.clone());
    let mut table = Table::new(&[
        "projection",
        "loaded / COPY out",
        "serving / COPY out",
        "serving / cqrs-es",
        "events/s to serving",
    ]);
    let mut names: Vec<_> = measured.iter().map(|one| one.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let of =
            |value: fn(&Measured) -> f64| median(measured.iter().filter(|one| one.name == name).map(value).collect());
        let whole = of(|one| one.whole);
        table.row(vec![
            name.to_owned(),
            figure(of(|one| one.loaded / one.copy_out)),
            figure(of(|one| one.whole / one.copy_out)),
            figure(whole.zip(replayed).map(|(whole, replayed)| whole / replayed)),
            figure(whole),
        ]);
    }
    let copy_out = median(measured.iter().map(|one| one.copy_out).collect());
    format!(
        "## Rebuilds\n\n\
         {} events, medians of {} round(s); before each rebuild a raw COPY out of the same columns over the same driver, one\n\
         connection: {} events/s. Stock replay (postgres-es streams {} events, cqrs-es dispatches each to a GenericQuery over\n\
         its PostgresViewRepository, a small row per stream): {} events/s. Goals: {} of COPY out, {} times the replay.\n\n{}\n\
         `serving` is everything: load, indexes, catching up, comparison with the build before, switch.\n\n\
         {} cores ({}), PostgreSQL {}; load average {} before the run, {} after it.\n",
        options.events,
        options.rounds,
        figure(copy_out),
        options.replayed,
        figure(replayed),
        GOALS.0,
        GOALS.1,
        table.markdown(),
        machine.cores,
        machine.processor,
        machine.postgres,
        machine.load,
        crate::machine::load(),
    )
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
