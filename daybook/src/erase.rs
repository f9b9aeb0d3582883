//! `daybook erase`, and the task of every process that carries erasures out wherever they were asked for.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use commands::ids::new_id;
use commands::{Commands, Erasures, SessionErase, SessionErasure};
use domain::text::Reason;
use domain::{SessionId, WorkspaceId};
use projections::erasure;
use projections::feed::Partition;
use uuid::Uuid;

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
        remove_folders(&node.commands, &node.workspaces()).await?;
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
pub async fn watch(commands: Commands, mut erasures: Erasures, workspaces: PathBuf) {
    // What was erased while no process looked after this folder is found in it.
    let mut again = true;
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    loop {
        ticks.tick().await;
        let looked = erasures.look().await;
        if let Err(error) = &looked {
            tracing::warn!(%error, "erasures could not be looked for; trying again");
        }
        // Once more at the next look: what still ran in a cancelled call may have written meanwhile.
        let news = looked.map_or(true, |erased| !erased.is_empty());
        let removed = if again || news { remove_folders(&commands, &workspaces).await } else { Ok(()) };
        if let Err(error) = &removed {
            tracing::warn!("the folders of erased sessions could not be looked for; trying again: {error:#}");
        }
        again = news || removed.is_err();
    }
}

/// Removes the folders of erased workspaces. Which those are, their own streams say, so that nothing else has one
/// removed.
async fn remove_folders(commands: &Commands, workspaces: &Path) -> anyhow::Result<()> {
    let there = match folders(workspaces) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        there => there.with_context(|| format!("looking through {}", workspaces.display()))?,
    };
    for workspace_id in commands.erased_workspaces(&there).await? {
        let folder = workspaces.join(workspace_id.uuid().to_string());
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(%error, folder = %folder.display(), "the files of an erased session could not be removed");
            }
            _ => {}
        }
    }
    Ok(())
}

/// The workspaces that have a folder.
fn folders(workspaces: &Path) -> std::io::Result<Vec<WorkspaceId>> {
    let names = std::fs::read_dir(workspaces)?.map(|entry| Ok(entry?.file_name()));
    let names = names.collect::<std::io::Result<Vec<_>>>()?;
    let ids = names.iter().filter_map(|name| Uuid::try_parse(name.to_str()?).ok());
    Ok(ids.map(WorkspaceId::new).collect())
}
