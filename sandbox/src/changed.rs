//! Finds what changed in a workspace since the log last knew it, and says it as events.
//!
//! The comparison is with what the log knows, not with a look before the call: what an orphaned call left behind is
//! found by the next one, and nothing that happened to a file goes unrecorded.

use std::collections::BTreeMap;
use std::path::Path;

use commands::blobs;
use domain::workspace::{FileChange, FileCreated, FileDeleted, FileModified, WorkspaceEvent};
use domain::{BookId, Content, RunId, SessionId, Sha256, ToolCallId};
use sqlx::postgres::PgPool;

use crate::files::{self, FileKind, FileState, READ_BYTES, Scan, WorkspacePath};

/// On whose account a change is recorded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cause {
    pub book_id: BookId,
    pub session_id: SessionId,
    pub run_id: RunId,
    pub tool_call_id: ToolCallId,
}

/// The changes between what the log knows and what a scan found; contents go to the blobs of the book.
pub(crate) async fn since(
    pool: &PgPool,
    root: &Path,
    known: &BTreeMap<String, Option<Sha256>>,
    scan: &Scan,
    cause: Cause,
) -> Result<Vec<WorkspaceEvent>, sqlx::Error> {
    let mut events = vec![];
    for (path, before) in known {
        if !scan.files.contains_key(path) {
            let change = change(pool, root, path, *before, None, cause).await?;
            events.push(FileDeleted(change).into());
        }
    }
    for (path, state) in &scan.files {
        let after = Sha256(state.sha256.0);
        match known.get(path) {
            Some(before) if *before == Some(after) => {}
            Some(before) => {
                events.push(FileModified(change(pool, root, path, *before, Some(state), cause).await?).into());
            }
            None => events.push(FileCreated(change(pool, root, path, None, Some(state), cause).await?).into()),
        }
    }
    Ok(events)
}

#[expect(clippy::too_many_arguments, reason = "each is a thing of its own, and the callers stand above")]
async fn change(
    pool: &PgPool,
    root: &Path,
    path: &str,
    before_sha256: Option<Sha256>,
    after: Option<&FileState>,
    cause: Cause,
) -> Result<FileChange, sqlx::Error> {
    let before = match before_sha256 {
        Some(sha256) => blobs::get(pool, cause.book_id, sha256).await?,
        None => None,
    };
    let content = after.and_then(|state| read(root, path, state));
    if let Some(content) = &content {
        blobs::put(pool, cause.book_id, cause.session_id, content).await?;
    }
    // Without both sides a diff would be invented.
    let known = (before_sha256.is_none() || before.is_some()) && (after.is_none() || content.is_some());
    let patch = if known { files::patch(before.as_deref(), content.as_deref(), path) } else { no_patch() };
    let text: Option<Content> = match patch.text {
        Some(text) => Some(blobs::content(pool, cause.book_id, cause.session_id, text).await?),
        None => None,
    };
    Ok(FileChange {
        path: path.to_owned(),
        before_sha256,
        after_sha256: after.map(|state| Sha256(state.sha256.0)),
        bytes: after.map(|state| state.bytes),
        lines_added: u32::try_from(patch.lines_added).unwrap_or(u32::MAX),
        lines_removed: u32::try_from(patch.lines_removed).unwrap_or(u32::MAX),
        patch: text,
        run_id: cause.run_id,
        tool_call_id: Some(cause.tool_call_id),
    })
}

/// The content of a file, unless it is a link, too large, or already another than was scanned.
fn read(root: &Path, path: &str, state: &FileState) -> Option<Vec<u8>> {
    if state.kind != FileKind::File || state.bytes > READ_BYTES {
        return None;
    }
    let path = WorkspacePath::parse(path).ok()?;
    let content = files::read(root, &path, None).ok()?.bytes;
    (blobs::sha256(&content).0 == state.sha256.0).then_some(content)
}

fn no_patch() -> files::Patch {
    files::Patch { text: None, lines_added: 0, lines_removed: 0 }
}
