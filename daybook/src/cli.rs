//! The command line: what can be asked, and the exit codes.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{ArgGroup, Args, Parser, Subcommand};
use domain::proof::VerifierKey;
use domain::run::ApprovalPolicy;
use projections::as_of::Moment;

use crate::audit::Audit;

/// Everything went well.
pub const OK: u8 = 0;
/// Something was asked and the answer is no: a broken chain, a failed run, a difference.
pub const NO: u8 = 1;
/// It could not be done.
pub const FAILED: u8 = 3;

#[derive(Parser)]
#[command(name = "daybook", version, about = "A self-hosted studio for AI coding agents on an event log.")]
#[command(
    after_help = "Examples:\n  daybook demo\n  daybook run \"Write a small Python program that converts integers to \
    Roman numerals, with unit tests\"\n  daybook import run.traj\n  daybook audit verify\n\nExit codes: 0 well, 1 the \
    answer is no (a failed run, a broken chain), 2 wrong usage, 3 it could not be done."
)]
struct Cli {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Command,
}

/// Where Daybook keeps what it owns.
#[derive(Args, Clone)]
pub struct Place {
    /// Folder for everything that Daybook owns [default: /var/lib/daybook as root, else ~/.local/share/daybook]
    #[arg(long, global = true, env = "DAYBOOK_DATA", value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// PostgreSQL 15 or later to use instead of a private one
    #[arg(long, global = true, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve, and print a link that signs in and starts a run of the scripted model
    #[command(after_help = "Example:\n  daybook demo --port 7000 --no-open")]
    Demo(Serve),
    /// Serve the web client, the API and the workers
    #[command(after_help = "Example:\n  daybook serve --bind 0.0.0.0 --allow-host daybook.example")]
    Serve(Serve),
    /// Have an agent do a task, here in the terminal
    #[command(after_help = "Example:\n  daybook run \"demo\" --yes")]
    Run(Run),
    /// Take in recorded runs of other agents (SWE-agent trajectories), and what `daybook export` wrote
    #[command(after_help = "Example:\n  daybook import docs/examples/off-by-one.traj")]
    Import(Import),
    /// Write a session or a book to a file that can be checked and taken in elsewhere
    #[command(after_help = "Example:\n  daybook export --session session:01900000-0000-7000-8000-000000000001 --out \
        session.jsonl\n  daybook export --book --out book.jsonl")]
    Export(Export),
    /// Erase the content of a session for good; its costs stay
    #[command(after_help = "Example:\n  daybook erase --session session:01900000-0000-7000-8000-000000000001 \\\n    \
        --reason \"asked for by its owner\" --dry-run")]
    Erase(Erase),
    /// List sessions, newest first
    #[command(after_help = "Example:\n  daybook sessions --limit 5")]
    Sessions(Listing),
    /// Show what happened in a session, line by line
    #[command(after_help = "Example:\n  daybook timeline session:01900000-0000-7000-8000-000000000001")]
    Timeline(Timeline),
    /// Verify the log, sign it, prove what is in it
    #[command(subcommand, after_help = "Example:\n  daybook audit verify")]
    Audit(Audit),
    /// Make read models anew from the log, while the present ones serve
    #[command(
        after_help = "Examples:\n  daybook rebuild timeline\n  daybook rebuild --all\n  daybook rebuild --undo timeline\n  \
        daybook rebuild --check"
    )]
    Rebuild(Rebuild),
    /// Show how read models fare, and what they could not take in
    #[command(after_help = "Example:\n  daybook projections --json")]
    Projections(Projections),
    /// Try the sandbox's escapes and show what holds on this machine
    #[command(after_help = "Example:\n  daybook doctor")]
    Doctor(Json),
}

/// How to serve.
#[derive(Args, Clone)]
pub struct Serve {
    /// Port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 6813)]
    pub port: u16,
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    pub bind: std::net::IpAddr,
    /// A further host name under which to answer, such as a proxy's
    #[arg(long, value_name = "HOST")]
    pub allow_host: Vec<String>,
    /// Do not open a browser
    #[arg(long)]
    pub no_open: bool,
    /// How many seconds a read model may stand still behind the log before /health says no
    #[arg(long, default_value_t = 60, env = "DAYBOOK_STALL_AFTER", value_name = "SECONDS")]
    pub stall_after: u64,
    /// The built web client [default: found beside the binary]
    #[arg(long, env = "DAYBOOK_CLIENT", value_name = "DIR")]
    pub client: Option<PathBuf>,
}

/// What to do.
#[derive(Args, Clone)]
pub struct Run {
    /// The task
    pub task: String,
    /// Approve everything that is asked
    #[arg(long, conflicts_with = "no")]
    pub yes: bool,
    /// Deny everything that is asked
    #[arg(long)]
    pub no: bool,
    /// Which tool calls ask first: careful, standard or trusted
    #[arg(long, default_value = "standard", value_parser = policy)]
    pub policy: ApprovalPolicy,
    /// One JSON object per event
    #[arg(long)]
    pub json: bool,
}

/// What to take in.
#[derive(Args, Clone)]
pub struct Import {
    /// The files
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// A public key that must have signed an export, as `daybook audit key` shows it
    #[arg(long, value_name = "VKEY")]
    pub key: Vec<VerifierKey>,
    /// One JSON object per session
    #[arg(long)]
    pub json: bool,
}

/// What to write where.
#[derive(Args, Clone)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["session", "book"]))]
pub struct Export {
    /// A session's id, as `daybook sessions` shows it
    #[arg(long, value_name = "ID")]
    pub session: Option<String>,
    /// A book's id; without one, the book of this installation's work
    #[arg(long, value_name = "ID", num_args = 0..=1)]
    pub book: Option<Option<String>>,
    /// The first position of the book [default: 1]
    #[arg(long, value_name = "POSITION", requires = "book")]
    pub from: Option<i64>,
    /// The last position of the book [default: the newest]
    #[arg(long, value_name = "POSITION", requires = "book")]
    pub to: Option<i64>,
    /// The file; - is standard output
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// What to erase.
#[derive(Args, Clone)]
pub struct Erase {
    /// The session's id, as `daybook sessions` shows it
    #[arg(long, value_name = "ID")]
    pub session: String,
    /// Why; it stays in the log, so it should say nothing that is to be erased
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Only say what would go and what would stay
    #[arg(long)]
    pub dry_run: bool,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

/// What to list.
#[derive(Args, Clone)]
pub struct Listing {
    /// How many at most, 1 to 1000
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(i64).range(1..=1000))]
    pub limit: i64,
    /// As they were at a position of the log, or at a time such as 2026-01-31T09:00:00Z
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    pub as_of: Option<Moment>,
    /// One JSON object per line
    #[arg(long)]
    pub json: bool,
}

/// Whose timeline.
#[derive(Args, Clone)]
pub struct Timeline {
    /// The session's id, as `daybook sessions` shows it
    pub session: String,
    /// As it was at a position of the log, or at a time such as 2026-01-31T09:00:00Z
    #[arg(long, value_name = "MOMENT", value_parser = moment)]
    pub as_of: Option<Moment>,
    /// One JSON object per line
    #[arg(long)]
    pub json: bool,
}

/// What to fold again.
#[derive(Args, Clone)]
#[command(group(ArgGroup::new("what").required(true).args(["names", "all", "check", "undo", "cancel"])))]
pub struct Rebuild {
    /// The read models, such as timeline or sessions
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Every read model
    #[arg(long)]
    pub all: bool,
    /// Change nothing: fold everything into a scratch build and compare it with what serves
    #[arg(long)]
    pub check: bool,
    /// Let the build serve again that served before
    #[arg(long, value_name = "NAME")]
    pub undo: Option<String>,
    /// Give up a rebuild, in whatever process it runs
    #[arg(long, value_name = "NAME")]
    pub cancel: Option<String>,
    /// Switch though rows differ from those that serve
    #[arg(long)]
    pub accept_difference: bool,
    /// Fold only what belongs to this session, where it serves
    #[arg(long, value_name = "ID", requires = "names", conflicts_with_all = ["stream", "accept_difference"])]
    pub session: Option<String>,
    /// Fold only what belongs to this stream, which is outside of any session
    #[arg(long, value_name = "ID", requires = "names", conflicts_with = "accept_difference")]
    pub stream: Option<String>,
    /// One JSON object per line
    #[arg(long)]
    pub json: bool,
}

/// What of read models.
#[derive(Args, Clone)]
#[command(args_conflicts_with_subcommands = true)]
struct Projections {
    #[command(subcommand)]
    command: Option<ProjectionsCommand>,
    /// One JSON object per build and book
    #[arg(long)]
    json: bool,
}

/// What is to be done about events in quarantine.
#[derive(Subcommand, Clone)]
enum ProjectionsCommand {
    /// List the events that could not be taken in
    #[command(after_help = "Example:\n  daybook projections quarantine --json")]
    Quarantine(Json),
    /// Try again to take an event in
    #[command(after_help = "Example:\n  daybook projections retry timeline 42")]
    Retry(EventInQuarantine),
    /// Go on for good as if an event had not happened
    #[command(after_help = "Example:\n  daybook projections skip timeline 42 --reason \"written by mistake\"")]
    Skip {
        #[command(flatten)]
        event: EventInQuarantine,
        /// Why it may be left out; recorded
        #[arg(long)]
        reason: String,
    },
}

/// An event in quarantine.
#[derive(Args, Clone)]
pub struct EventInQuarantine {
    /// The projection that waits
    pub projection: String,
    /// The position of the event
    pub position: i64,
    /// Of the system book, and not of the one that holds the work
    #[arg(long)]
    pub system: bool,
}

/// How to answer.
#[derive(Args, Clone)]
pub struct Json {
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

fn moment(text: &str) -> Result<Moment, String> {
    if let Ok(position) = text.parse() {
        return Ok(Moment::Position(position));
    }
    let time = chrono::DateTime::parse_from_rfc3339(text);
    time.map(|time| Moment::Time(time.into())).map_err(|_| "expected a position or a time with its zone".to_owned())
}

fn policy(text: &str) -> Result<ApprovalPolicy, String> {
    serde_json::from_value(text.into()).map_err(|_| "expected careful, standard or trusted".to_owned())
}

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let verbose = matches!(cli.command, Command::Serve(_) | Command::Demo(_));
    log_to_stderr(verbose);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads(verbose)).enable_all().build();
    let result = runtime.context("starting the runtime").and_then(|runtime| runtime.block_on(dispatch(cli)));
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) if crate::out::nobody_reads(&error) => ExitCode::from(OK),
        Err(error) => {
            eprintln!("daybook: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}

async fn dispatch(cli: Cli) -> anyhow::Result<u8> {
    let place = cli.place;
    match cli.command {
        Command::Demo(serve) => crate::serve::demo(&place, &serve).await,
        Command::Serve(serve) => crate::serve::serve(&place, &serve).await,
        Command::Run(run) => crate::task::run(&place, &run).await,
        Command::Export(export) => crate::export::run(&place, &export).await,
        Command::Import(import) => crate::import::run(&place, &import).await,
        Command::Erase(erase) => crate::erase::run(&place, &erase).await,
        Command::Sessions(listing) => crate::listing::sessions(&place, &listing).await,
        Command::Timeline(timeline) => crate::listing::timeline(&place, &timeline).await,
        Command::Audit(audit) => crate::audit::run(&place, audit).await,
        Command::Rebuild(rebuild) if rebuild.session.is_some() || rebuild.stream.is_some() => {
            crate::projection::rebuild_partition(&place, &rebuild).await
        }
        Command::Rebuild(rebuild) => crate::rebuild::run(&place, &rebuild).await,
        Command::Projections(wanted) => match wanted.command {
            None => crate::projection::list(&place, wanted.json).await,
            Some(ProjectionsCommand::Quarantine(json)) => crate::projection::list_quarantine(&place, json.json).await,
            Some(ProjectionsCommand::Retry(event)) => crate::projection::retry(&place, &event).await,
            Some(ProjectionsCommand::Skip { event, reason }) => crate::projection::skip(&place, &event, &reason).await,
        },
        Command::Doctor(json) => crate::doctor::doctor(json.json).await,
    }
}

/// A server leaves one core to PostgreSQL, which does the greater part of every append: threads that share its core
/// only wake each other and wait. A command that ends has the machine to itself.
fn threads(serving: bool) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if serving { (cores - 1).max(1) } else { cores }
}

fn log_to_stderr(verbose: bool) {
    let fallback = if verbose { "info,sqlx=warn" } else { "warn" };
    let filter = tracing_subscriber::EnvFilter::try_from_env("DAYBOOK_LOG").unwrap_or_else(|_| fallback.into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).init();
}
