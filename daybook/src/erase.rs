//! `daybook erase`, and the task of every process that carries erasures out wherever they were asked for.

use std::path::{Path, PathBuf};
use std::time::Duration;

use commands::ids::new_id;
use commands::{Commands, Erased, Erasures, SessionErase, SessionErasure};
use domain::SessionId;
use domain::text::Reason;
use projections::erasure;
use projections::feed::Partition;

use crate::cli::{Erase, OK, Place};
use crate::node::Node;
use crate::out::say;

/// How often a process looks for erasures that others asked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Erases the content of a session, or says what that would do.
pub async fn run(place: &Place, wanted: &Erase) -> anyhow::Result<u8> {
    let session_id: SessionId = wanted.session.parse()?;
    let reason = Reason::required("reason", wanted.reason.as_str())?;
    let node = Node::open(place).await?;
    node.runner.catch_up().await?;
    let viewer = node.access.demo_user().clone();
    let plan = node.commands.session_erasure(&viewer, session_id).await?;
    let mut db = node.reader.book(viewer.book_id).await?;
    let rows = erasure::rows(&mut db, Partition { book_id: viewer.book_id, id: session_id.uuid() }).await?;
    drop(db);
    let mut position = None;
    if !wanted.dry_run {
        let done = node.commands.session_erase(&viewer, new_id(), SessionErase { session_id, reason }).await?;
        node.runner.catch_up().await?;
        remove_folders(&node.workspaces(), &look(&mut Erasures::new(node.commands.clone())).await);
        node.sign().await;
        position = Some(done.position);
    }
    if wanted.json {
        let rows: serde_json::Map<_, _> = rows.iter().map(|(name, rows)| (name.to_string(), (*rows).into())).collect();
        say!(
            "{}",
            serde_json::json!({ "erased": position.is_some(), "position": position, "plan": plan, "rows": rows })
        );
    } else {
        tell(&plan, &rows, position)?;
    }
    node.close().await;
    Ok(OK)
}

fn tell(plan: &SessionErasure, rows: &[(&str, i64)], position: Option<i64>) -> anyhow::Result<()> {
    let (lose, go) = if position.is_some() { ("lost", "go") } else { ("would lose", "would go") };
    say!("{} events {lose} their content ({} bytes of payload)", plan.events, plan.payload_bytes);
    let later = if plan.blobs > 0 { "; those of the last 10 minutes when these are over" } else { "" };
    say!("{} blobs {go} ({} bytes{later})", plan.blobs, plan.blob_bytes);
    for blob in &plan.shared_blobs {
        say!("  {} stays: the event at position {} names it too", blob.sha256, blob.position);
    }
    let rows: Vec<_> = rows.iter().map(|(name, rows)| format!("{name} {rows}")).collect();
    say!("rows of read models that are folded anew: {}", rows.join(", "));
    say!("its costs stay");
    Ok(())
}

/// Carries out erasures until the process ends.
pub async fn watch(commands: Commands, workspaces: PathBuf) {
    let mut erasures = Erasures::new(commands);
    let mut before = vec![];
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    loop {
        ticks.tick().await;
        let erased = look(&mut erasures).await;
        // Once more at the next look: what still ran in a cancelled call may have written meanwhile.
        remove_folders(&workspaces, &before);
        remove_folders(&workspaces, &erased);
        before = erased;
    }
}

async fn look(erasures: &mut Erasures) -> Vec<Erased> {
    erasures.look().await.unwrap_or_else(|error| {
        tracing::warn!(%error, "erasures could not be looked for; trying again");
        vec![]
    })
}

fn remove_folders(workspaces: &Path, erased: &[Erased]) {
    for erased in erased {
        let folder = workspaces.join(erased.workspace_id.uuid().to_string());
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(%error, folder = %folder.display(), "the files of an erased session could not be removed");
            }
            _ => {}
        }
    }
}
