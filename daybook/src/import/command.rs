//! `daybook import`: every file is read and understood before the first one is written. What a file is, it says itself.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use commands::blobs;
use commands::ids::new_id;
use domain::content::INLINE_MAX_BYTES;
use domain::{BlobRef, Content};

use super::exported::ExportFile;
use super::{Destination, MAX_FILE_BYTES, Trajectory, record, swe_agent};
use crate::cli::{Import, OK, Place};
use crate::export::Trust;
use crate::node::{Node, data_folder};
use crate::out::say;

/// A file that is understood.
enum Understood {
    /// A run of another agent.
    Trajectory(PathBuf, Box<Trajectory>),
    /// What Daybook exported.
    Export(Box<ExportFile>),
}

/// Takes in recorded runs and exports.
pub async fn run(place: &Place, wanted: &Import) -> anyhow::Result<u8> {
    let mut read = vec![];
    let trust = Trust { named: &wanted.key, own: crate::key::existing(&data_folder(place)?)? };
    for file in &wanted.files {
        read.push(match ExportFile::open(file, &trust)? {
            Some(export) => Understood::Export(Box::new(export)),
            None => Understood::Trajectory(file.clone(), Box::new(understand(file)?)),
        });
    }
    let node = Node::open(place).await?;
    for file in &mut read {
        if let Understood::Export(export) = file {
            export.rehearse(&node)?;
        }
    }
    for file in read {
        match file {
            Understood::Trajectory(file, trajectory) => take_in(&node, &file, *trajectory, wanted.json).await?,
            Understood::Export(export) => export.take_in(&node, wanted.json).await?,
        }
    }
    node.runner.catch_up().await?;
    node.sign().await;
    node.close().await;
    Ok(OK)
}

fn understand(file: &Path) -> anyhow::Result<Trajectory> {
    let shown = file.display();
    let size = std::fs::metadata(file).with_context(|| format!("reading {shown}"))?.len();
    if size > MAX_FILE_BYTES {
        bail!("{shown}: the file has {size} bytes: at most {MAX_FILE_BYTES} are read; nothing was written");
    }
    let bytes = std::fs::read(file).with_context(|| format!("reading {shown}"))?;
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    swe_agent::parse(&name, &bytes).with_context(|| format!("{shown} was not imported, and nothing was written"))
}

async fn take_in(node: &Node, file: &Path, trajectory: Trajectory, json: bool) -> anyhow::Result<()> {
    let viewer = node.access.demo_user();
    let notes = trajectory.notes.clone();
    let to = Destination { owner: viewer.user_id, worker_id: new_id(), now: node.commands.log().now() };
    let mut long_texts = vec![];
    let record = record(trajectory, &to, &mut || new_id::<()>().uuid(), &mut |text| held(text, &mut long_texts));
    // Blobs are there before the event that names them. Those of a file that was imported before were, or are erased.
    if !node.commands.has_imported(viewer, record.sha256).await? {
        for text in long_texts {
            blobs::put(&node.pool, viewer.book_id, record.session.session_id, text.as_bytes()).await?;
        }
    }
    let done = node.commands.import(viewer, record).await?;
    let (session_id, before) = (done.answer.session_id, done.answer.before);
    if json {
        say!(
            "{}",
            serde_json::json!({ "file": file, "session": session_id, "before": before, "events": done.answer.events, "notes": notes })
        );
    } else if before {
        say!("{}: imported before, as {session_id}; nothing changed", file.display());
    } else {
        say!("{}: {} events, as {session_id}", file.display(), done.answer.events);
        for note in notes {
            say!("  note: {note}");
        }
    }
    Ok(())
}

/// A text as an event carries it; long ones are kept for the blob store.
fn held(text: String, long_texts: &mut Vec<String>) -> Content {
    if text.len() <= INLINE_MAX_BYTES {
        return Content::inline(text);
    }
    let blob = BlobRef { sha256: blobs::sha256(text.as_bytes()), bytes: text.len() as u64 };
    let content = Content::in_blob(&text, blob);
    long_texts.push(text);
    content
}
