//! `daybook audit`: verifies the log and what was proven of it, signs checkpoints, writes proofs.

mod arguments;
mod files;
mod proofs;
mod verify;

pub use arguments::Audit;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use domain::BookId;

use crate::cli::{NO, OK, Place};
use crate::node::Node;

/// How large a file may be that is read whole, in bytes: a proof carries one event.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// Does what was asked.
pub async fn run(place: &Place, wanted: Audit) -> anyhow::Result<u8> {
    match wanted {
        Audit::Verify(wanted) if wanted.files.is_empty() => verify::database(place, &wanted).await,
        Audit::Verify(wanted) => files::verify(place, &wanted).await,
        Audit::Prove(wanted) => proofs::prove(place, &wanted).await,
        Audit::Checkpoint(wanted) => proofs::checkpoint(place, &wanted).await,
        Audit::Consistency(wanted) => proofs::consistency(place, &wanted).await,
        Audit::Key(json) => proofs::key(place, json.json).await,
    }
}

/// The exit code of an answer.
fn answer(holds: bool) -> u8 {
    if holds { OK } else { NO }
}

/// The book that is meant: the one that holds all work unless another one is named.
fn book(node: &Node, wanted: Option<BookId>) -> BookId {
    wanted.unwrap_or(node.commands.installation().home_book)
}

fn read_text(file: &Path) -> anyhow::Result<String> {
    let size = std::fs::metadata(file).with_context(|| format!("reading {}", file.display()))?.len();
    if size > MAX_FILE_BYTES {
        bail!("{}: {size} bytes are too many for a proof or a checkpoint", file.display());
    }
    std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))
}

/// Writes a text to a file, or to standard output where none is named.
fn write_text(file: Option<&PathBuf>, text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    match file {
        Some(file) => std::fs::write(file, text).with_context(|| format!("writing {}", file.display())),
        None => Ok(std::io::stdout().write_all(text.as_bytes())?),
    }
}
