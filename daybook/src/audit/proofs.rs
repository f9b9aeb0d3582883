//! Signs checkpoints and writes proofs. Whatever is written was verified first, as its reader will.

use anyhow::{Context, bail};
use domain::proof::{Checkpoint as Root, ConsistencyFile, ProofFile, book_of};
use projections::tree::{self, Follower, SignedCheckpoint, TreeError};
use serde_json::json;

use super::arguments::{Checkpoint, Consistency, Prove};
use super::{book, read_text, write_text};
use crate::cli::{NO, OK, Place};
use crate::node::Node;
use crate::out::say;

/// Writes a proof that an event is in the log.
pub async fn prove(place: &Place, wanted: &Prove) -> anyhow::Result<u8> {
    let node = Node::open(place).await?;
    let book_id = book(&node, wanted.book);
    let head = node.commands.head(book_id).await?;
    if wanted.position > head {
        bail!("there is no position {} in {book_id}: the newest event is at {head}", wanted.position);
    }
    let trees = node.trees().await?;
    let mut db = node.pool.acquire().await?;
    let verifier = trees.signer().verifier(book_id);
    // The newest checkpoint, if it covers the event and this key signed it; else a new one.
    let newest = tree::latest(&mut db, book_id).await?;
    let newest = newest.filter(|newest| newest.size >= wanted.position && Root::open(&newest.note, &verifier).is_ok());
    let signed = match newest {
        Some(newest) => newest,
        None => match sign(&trees, book_id).await? {
            Ok(signed) => signed,
            Err(refused) => return refuse(&refused),
        },
    };
    let leaf = tree::read_leaf(&mut db, book_id, wanted.position).await?;
    let leaf =
        leaf.with_context(|| format!("position {} is missing: `daybook audit verify` says more", wanted.position))?;
    let proof = tree::inclusions(&mut db, book_id, &[wanted.position], signed.size).await?.remove(0);
    let file = ProofFile { index: proof.index, path: proof.path, leaf, note: signed.note };
    if let Err(error) = file.verify(&verifier) {
        return refuse(&format!(
            "the proof would not hold, so it was not written: {error}; `daybook audit verify` says more"
        ));
    }
    drop(db);
    node.close().await;
    let (position, size) = (wanted.position, signed.size);
    let summary = json!({ "book": book_id, "position": position, "size": size, "verifierKey": verifier.to_string() });
    let shown = format!("position {position} of {book_id} is proven against the checkpoint of {size} events");
    write(wanted.out.as_ref(), &file.to_text(), wanted.json.then_some(summary), &shown)
}

/// Signs the log as it is now.
pub async fn checkpoint(place: &Place, wanted: &Checkpoint) -> anyhow::Result<u8> {
    let node = Node::open(place).await?;
    let book_id = book(&node, wanted.book);
    let trees = node.trees().await?;
    let signed = match sign(&trees, book_id).await? {
        Ok(signed) => signed,
        Err(refused) => return refuse(&refused),
    };
    let verifier = trees.signer().verifier(book_id).to_string();
    node.close().await;
    let size = signed.size;
    let summary = json!({ "book": book_id, "size": size, "signedAt": signed.signed_at, "verifierKey": verifier });
    let shown = format!("{book_id}: signed {size} events; others verify it with {verifier}");
    write(wanted.out.as_ref(), &signed.note, wanted.json.then_some(summary), &shown)
}

/// Proves that a newer checkpoint's log begins with an older one's.
pub async fn consistency(place: &Place, wanted: &Consistency) -> anyhow::Result<u8> {
    let old_note = read_text(&wanted.old)?;
    let new_note = wanted.new.as_deref().map(read_text).transpose()?;
    let named = |error| format!("{}: {error}", wanted.old.display());
    let old = match Root::unverified(&old_note) {
        Ok(old) => old,
        Err(error) => return refuse(&named(error)),
    };
    let book_id = book_of(&old.origin).with_context(|| format!("{} names no book of Daybook", old.origin))?;
    let node = Node::open(place).await?;
    let trees = node.trees().await?;
    let verifier = trees.signer().verifier(book_id);
    if let Err(error) = Root::open(&old_note, &verifier) {
        return refuse(&named(error));
    }
    let note = match new_note {
        Some(note) => note,
        None => match sign(&trees, book_id).await? {
            Ok(signed) => signed.note,
            Err(refused) => return refuse(&refused),
        },
    };
    let new = match Root::open(&note, &verifier) {
        Ok(new) if new.size >= old.size && old.size > 0 => new,
        Ok(new) => return refuse(&format!("a log of {} events does not begin with one of {}", new.size, old.size)),
        Err(error) => return refuse(&format!("the newer checkpoint: {error}")),
    };
    let mut db = node.pool.acquire().await?;
    let sizes = (i64::try_from(old.size)?, i64::try_from(new.size)?);
    let proof = match tree::consistency(&mut db, book_id, sizes.0, sizes.1).await {
        Ok(proof) => proof,
        Err(TreeError::Database(error)) => return Err(error.into()),
        Err(refused) => return refuse(&refused.to_string()),
    };
    drop(db);
    node.close().await;
    let file = ConsistencyFile { old_size: old.size, path: proof.path, note };
    if file.verify(&old_note, &verifier).is_err() {
        let (new, old) = (new.size, old.size);
        return refuse(&format!("the log of {new} events does NOT begin with the one of {old} that was signed before"));
    }
    let summary = json!({ "book": book_id, "oldSize": old.size, "size": new.size });
    let shown = format!("{book_id}: the log of {} events begins with the one of {}", new.size, old.size);
    write(wanted.out.as_ref(), &file.to_text(), wanted.json.then_some(summary), &shown)
}

/// Shows the public keys.
pub async fn key(place: &Place, json: bool) -> anyhow::Result<u8> {
    let node = Node::open(place).await?;
    let trees = node.trees().await?;
    for book_id in projections::audit::books(&node.pool).await? {
        let key = trees.signer().verifier(book_id).to_string();
        match json {
            true => say!("{}", json!({ "book": book_id, "verifierKey": key })),
            false => say!("{key}"),
        }
    }
    node.close().await;
    Ok(OK)
}

/// A checkpoint of a book as it is now, or why it is not signed.
async fn sign(trees: &Follower, book_id: domain::BookId) -> anyhow::Result<Result<SignedCheckpoint, String>> {
    match trees.sign_now(book_id).await {
        Ok(signed) => Ok(Ok(signed)),
        Err(refused @ (TreeError::Contradiction { .. } | TreeError::Tile(_) | TreeError::Empty(_))) => {
            Ok(Err(format!("not signed: {refused}")))
        }
        Err(error) => Err(error.into()),
    }
}

fn refuse(why: &str) -> anyhow::Result<u8> {
    eprintln!("daybook: {why}");
    Ok(NO)
}

/// Writes a proof, and says so where the proof itself does not take standard output.
fn write(
    out: Option<&std::path::PathBuf>,
    text: &str,
    summary: Option<serde_json::Value>,
    shown: &str,
) -> anyhow::Result<u8> {
    match (summary, out) {
        (Some(mut summary), None) => {
            summary["text"] = json!(text);
            say!("{summary}");
        }
        (Some(mut summary), Some(file)) => {
            write_text(out, text)?;
            summary["file"] = json!(file);
            say!("{summary}");
        }
        (None, None) => {
            write_text(None, text)?;
            eprintln!("{shown}");
        }
        (None, Some(file)) => {
            write_text(out, text)?;
            say!("{}: {shown}", file.display());
        }
    }
    Ok(OK)
}
