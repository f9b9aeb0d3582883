//! The command line: what can be asked, and the exit codes.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{ArgGroup, Args, Parser, Subcommand};
use domain::run::ApprovalPolicy;

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
    /// Take in recorded runs of other agents (SWE-agent trajectories)
    #[command(after_help = "Example:\n  daybook import docs/examples/off-by-one.traj")]
    Import(Import),
    /// List sessions, newest first
    #[command(after_help = "Example:\n  daybook sessions --limit 5")]
    Sessions(Listing),
    /// Show what happened in a session, line by line
    #[command(after_help = "Example:\n  daybook timeline session:01900000-0000-7000-8000-000000000001")]
    Timeline(Timeline),
    /// Check the log
    #[command(subcommand, after_help = "Example:\n  daybook audit verify")]
    Audit(Audit),
    /// Make read models anew from the log, while the present ones serve
    #[command(
        after_help = "Examples:\n  daybook rebuild timeline\n  daybook rebuild --all\n  daybook rebuild --undo timeline\n  \
        daybook rebuild --check"
    )]
    Rebuild(Rebuild),
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
    /// One JSON object per file
    #[arg(long)]
    pub json: bool,
}

/// What to list.
#[derive(Args, Clone)]
pub struct Listing {
    /// How many at most, 1 to 1000
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(i64).range(1..=1000))]
    pub limit: i64,
    /// One JSON object per line
    #[arg(long)]
    pub json: bool,
}

/// Whose timeline.
#[derive(Args, Clone)]
pub struct Timeline {
    /// The session's id, as `daybook sessions` shows it
    pub session: String,
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
    /// One JSON object per line
    #[arg(long)]
    pub json: bool,
}

/// How to answer.
#[derive(Args, Clone)]
pub struct Json {
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// What to check.
#[derive(Subcommand, Clone)]
enum Audit {
    /// Recompute the hash chain of every book and name the first position that does not hold
    #[command(after_help = "Example:\n  daybook audit verify --json")]
    Verify(Json),
}

fn policy(text: &str) -> Result<ApprovalPolicy, String> {
    serde_json::from_value(text.into()).map_err(|_| "expected careful, standard or trusted".to_owned())
}

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let verbose = matches!(cli.command, Command::Serve(_) | Command::Demo(_));
    log_to_stderr(verbose);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
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
        Command::Import(import) => crate::import::run(&place, &import).await,
        Command::Sessions(listing) => crate::listing::sessions(&place, &listing).await,
        Command::Timeline(timeline) => crate::listing::timeline(&place, &timeline).await,
        Command::Audit(Audit::Verify(json)) => crate::audit::verify(&place, json.json).await,
        Command::Rebuild(rebuild) => crate::rebuild::run(&place, &rebuild).await,
        Command::Doctor(json) => crate::audit::doctor(json.json).await,
    }
}

fn log_to_stderr(verbose: bool) {
    let fallback = if verbose { "info,sqlx=warn" } else { "warn" };
    let filter = tracing_subscriber::EnvFilter::try_from_env("DAYBOOK_LOG").unwrap_or_else(|_| fallback.into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).init();
}
