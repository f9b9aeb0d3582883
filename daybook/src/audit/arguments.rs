//! What can be asked of `daybook audit`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use domain::BookId;
use domain::proof::VerifierKey;

use crate::cli::Json;

/// What to check or to prove.
#[derive(Subcommand, Clone)]
pub enum Audit {
    /// Verify the log, with its tree and checkpoints; or, offline, files that prove something of it
    #[command(
        after_help = "Examples:\n  daybook audit verify\n  daybook audit verify --checkpoint kept.checkpoint\n  \
        daybook audit verify 42.tlog-proof --key daybook/0190…+1a2b3c4d+AQID…\n\nA file may be a proof of an event, a \
        consistency proof (with the older checkpoint as --checkpoint) or a\ncheckpoint. Nothing but the file and the \
        key is needed; without --key the data folder's own key is taken."
    )]
    Verify(Verify),
    /// Write a file that proves that an event is in the log
    #[command(after_help = "Example:\n  daybook audit prove 42 --out 42.tlog-proof")]
    Prove(Prove),
    /// Sign the log as it is now
    #[command(after_help = "Example:\n  daybook audit checkpoint --out today.checkpoint")]
    Checkpoint(Checkpoint),
    /// Prove that a newer checkpoint's log begins with an older one's
    #[command(after_help = "Example:\n  daybook audit consistency old.checkpoint --out old-to-now.consistency")]
    Consistency(Consistency),
    /// Show the public keys with which others verify checkpoints of each book
    #[command(after_help = "Example:\n  daybook audit key")]
    Key(Json),
}

/// What to verify, and with what.
#[derive(Args, Clone)]
pub struct Verify {
    /// Proofs or checkpoints, to be verified without a database [default: the whole log in the database]
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// A signed checkpoint that was kept elsewhere
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Vec<PathBuf>,
    /// A public key to trust, as `daybook audit key` shows it
    #[arg(long, value_name = "VKEY")]
    pub key: Vec<VerifierKey>,
    /// One JSON object per book or file
    #[arg(long)]
    pub json: bool,
}

/// What to prove.
#[derive(Args, Clone)]
pub struct Prove {
    /// The event's position
    #[arg(value_parser = clap::value_parser!(i64).range(1..))]
    pub position: i64,
    /// The book [default: the one that holds all work]
    #[arg(long, value_name = "ID")]
    pub book: Option<BookId>,
    /// Where to write the proof [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Say as JSON what was proven
    #[arg(long)]
    pub json: bool,
}

/// What to sign.
#[derive(Args, Clone)]
pub struct Checkpoint {
    /// The book [default: the one that holds all work]
    #[arg(long, value_name = "ID")]
    pub book: Option<BookId>,
    /// Where to write the checkpoint [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Say as JSON what was signed
    #[arg(long)]
    pub json: bool,
}

/// Between which checkpoints.
#[derive(Args, Clone)]
pub struct Consistency {
    /// The older checkpoint
    #[arg(value_name = "OLD.checkpoint")]
    pub old: PathBuf,
    /// The newer one [default: one of the log as it is now]
    #[arg(value_name = "NEW.checkpoint")]
    pub new: Option<PathBuf>,
    /// Where to write the proof [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Say as JSON what was proven
    #[arg(long)]
    pub json: bool,
}
