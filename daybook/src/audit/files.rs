//! Verifies files offline: no database is opened, no server is asked.

use std::path::Path;

use domain::proof::{self, Checkpoint, CheckpointError, ConsistencyFile, FileError, ProofFile, VerifierKey, book_of};
use serde_json::{Value, json};

use super::arguments::Verify;
use super::{answer, read_text};
use crate::cli::Place;
use crate::export::Trust;
use crate::node::data_folder;
use crate::out::say;

/// What a file is, by its first line.
enum Kind {
    /// That an event is in the log.
    Inclusion,
    /// That one checkpoint's log begins with another's.
    Consistency,
    /// A signed checkpoint.
    Checkpoint,
}

/// What a file says, once it was verified.
struct Verified {
    shown: String,
    json: Value,
}

/// Verifies files, one after the other.
pub async fn verify(place: &Place, wanted: &Verify) -> anyhow::Result<u8> {
    let mut given = vec![];
    for file in &wanted.checkpoint {
        given.push(read_text(file)?);
    }
    let own = crate::key::existing(&data_folder(place)?)?;
    let mut whole = true;
    for file in &wanted.files {
        if let Some(export) = crate::export::open(file)? {
            let trust = Trust { named: &wanted.key, own: own.clone() };
            let checked = crate::export::check(&export, &trust, |_, _| Ok(()));
            let verified = checked
                .map(|report| Verified { shown: crate::export::words(&report), json: crate::export::as_json(&report) });
            whole &= verified.is_ok();
            show(file, verified.map_err(|error| format!("{error:#}")), wanted.json)?;
            continue;
        }
        let text = read_text(file)?;
        let keys = |name: &str| match wanted.key.iter().find(|key| key.name() == name) {
            Some(key) => Some(key.clone()),
            // Whoever names keys trusts those alone.
            None if wanted.key.is_empty() => own.as_ref().and_then(|key| key.verifier(name).ok()),
            None => None,
        };
        let result = one(&text, &given, keys);
        whole &= result.is_ok();
        show(file, result, wanted.json)?;
    }
    Ok(answer(whole))
}

fn one(text: &str, given: &[String], keys: impl Fn(&str) -> Option<VerifierKey>) -> Result<Verified, String> {
    let kind = kind(text).ok_or("this is neither a proof nor a checkpoint")?;
    let note = match kind {
        Kind::Checkpoint => text,
        _ => text.split_once("\n\n").map(|(_, note)| note).ok_or("the file is damaged: it has no checkpoint")?,
    };
    // The name says only which key to ask; nothing else of the note is believed yet.
    let name = Checkpoint::unverified(note).map_err(|error| error.to_string())?.origin;
    let key = keys(&name).ok_or_else(|| format!("there is no key for {name}: give it with --key"))?;
    let verified = match kind {
        Kind::Inclusion => inclusion(text, given, &key),
        Kind::Consistency => consistency(text, given, &key),
        Kind::Checkpoint => checkpoint(text, &key),
    };
    verified.map_err(|error| error.to_string())
}

fn kind(text: &str) -> Option<Kind> {
    let first = text.lines().next()?;
    match first {
        proof::PROOF_LINE => Some(Kind::Inclusion),
        _ if first.starts_with(proof::CONSISTENCY_WORD) => Some(Kind::Consistency),
        _ => book_of(first).map(|_| Kind::Checkpoint),
    }
}

fn inclusion(text: &str, given: &[String], key: &VerifierKey) -> Result<Verified, FileError> {
    let file = ProofFile::parse(text)?;
    let checkpoint = file.verify(key)?;
    // A checkpoint that was kept elsewhere is better than the one that came with the proof.
    for note in given {
        let kept = Checkpoint::open(note, key)?;
        if kept != checkpoint {
            return Err(CheckpointError::Other.into());
        }
    }
    let (leaf, payload) = (&file.leaf, file.leaf.payload.as_deref().unwrap_or("(not in the proof)"));
    Ok(Verified {
        shown: format!(
            "holds: {} v{} at position {} of {}, in the log of {} events\n  by {}, recorded {}\n  {payload}",
            leaf.event_type,
            leaf.event_version,
            leaf.position,
            checkpoint.origin,
            checkpoint.size,
            leaf.actor_id,
            leaf.header()?.recorded_at.format("%Y-%m-%d %H:%M:%S%.6f UTC"),
        ),
        json: json!({ "kind": "inclusion", "origin": checkpoint.origin, "size": checkpoint.size, "event": leaf }),
    })
}

fn consistency(text: &str, given: &[String], key: &VerifierKey) -> Result<Verified, FileError> {
    let file = ConsistencyFile::parse(text)?;
    let [old] = given else { return Err(FileError::OlderCheckpoint) };
    let new = file.verify(old, key)?;
    Ok(Verified {
        shown: format!("holds: the log of {} events of {} begins with that of {}", new.size, new.origin, file.old_size),
        json: json!({ "kind": "consistency", "origin": new.origin, "oldSize": file.old_size, "size": new.size }),
    })
}

fn checkpoint(text: &str, key: &VerifierKey) -> Result<Verified, FileError> {
    let checkpoint = Checkpoint::open(text, key)?;
    Ok(Verified {
        shown: format!("holds: a checkpoint of {} events of {}", checkpoint.size, checkpoint.origin),
        json: json!({ "kind": "checkpoint", "origin": checkpoint.origin, "size": checkpoint.size }),
    })
}

fn show(file: &Path, result: Result<Verified, String>, json: bool) -> anyhow::Result<()> {
    let shown = file.display();
    match (result, json) {
        (Ok(verified), false) => say!("{shown}: {}", verified.shown),
        (Err(reason), false) => say!("{shown}: DOES NOT HOLD: {reason}"),
        (Ok(verified), true) => {
            let mut line = verified.json;
            line["file"] = json!(file);
            line["holds"] = json!(true);
            say!("{line}");
        }
        (Err(reason), true) => say!("{}", json!({ "file": file, "holds": false, "reason": reason })),
    }
    Ok(())
}
