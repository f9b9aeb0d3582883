//! Checks an export: the whole file, line by line, without a database.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::Context;
use domain::export::{Fault, FaultyLine, Kind, Line, Report, Verifier};
use domain::proof::VerifierKey;

use super::lines::{Lines, Place};
use crate::cli::{NO, OK};
use crate::out::say;

/// How much of a file is read at once, in bytes.
const BUFFER_BYTES: usize = 1024 * 1024;

/// Checks a file; `seen` hears of every line after the manifest that holds so far. Nothing of the file is to be
/// believed before this has answered.
pub fn check(
    file: &File,
    key: Option<&VerifierKey>,
    mut seen: impl FnMut(Line, Place) -> anyhow::Result<()>,
) -> anyhow::Result<Report> {
    let mut lines = Lines::new(BufReader::with_capacity(BUFFER_BYTES, file));
    let Some((_, first)) = lines.next()? else {
        return Err(FaultyLine { line: 1, fault: Fault::NoManifest }.into());
    };
    let mut verifier = Verifier::begin(first, key)?;
    while let Some((place, line)) = lines.next()? {
        seen(verifier.take(line)?, place)?;
    }
    Ok(verifier.finish()?)
}

/// Checks a file and says what came of it.
pub fn verify_file(path: &Path, key: Option<&VerifierKey>, json: bool) -> anyhow::Result<u8> {
    let file = File::open(path).with_context(|| format!("reading {}", path.display()))?;
    let shown = path.display();
    match check(&file, key, |_, _| Ok(())) {
        Ok(report) => {
            if json {
                say!("{}", as_json(path, &report));
            } else {
                say!("{shown}: {}", words(&report));
            }
            Ok(OK)
        }
        Err(error) => {
            let faulty = error.downcast::<FaultyLine>()?;
            if json {
                let broken = serde_json::json!({ "line": faulty.line, "reason": faulty.fault.to_string() });
                say!("{}", serde_json::json!({ "file": path, "broken": broken }));
            } else {
                say!("{shown}: BROKEN at {faulty}");
            }
            Ok(NO)
        }
    }
}

fn words(report: &Report) -> String {
    let manifest = &report.manifest;
    let (events, covered) = (manifest.events, report.checkpoint_size);
    let of = match (manifest.kind, manifest.session_id) {
        (Kind::Session, Some(session_id)) => format!("all that session:{session_id} had at position {covered}"),
        _ => format!("positions {} to {} of book:{}", manifest.from, manifest.to, manifest.book_id),
    };
    let erased = match manifest.erased {
        0 => String::new(),
        erased => format!(", {erased} without payload because it was erased"),
    };
    let vouched = if report.key_was_given {
        String::new()
    } else {
        format!(
            "\n  note: the file itself names the key that signed its checkpoint. Compare it with the one you know, or \
             give that one with --key:\n  {}",
            report.signed_by
        )
    };
    format!("{events} events{erased}: {of}. They are in the log that the checkpoint signs.{vouched}")
}

fn as_json(path: &Path, report: &Report) -> serde_json::Value {
    let manifest = &report.manifest;
    serde_json::json!({
        "file": path, "kind": manifest.kind, "bookId": format!("book:{}", manifest.book_id),
        "sessionId": manifest.session_id.map(|id| format!("session:{id}")), "from": manifest.from, "to": manifest.to,
        "events": manifest.events, "erased": manifest.erased, "blobs": manifest.blobs, "absent": manifest.absent,
        "checkpointSize": report.checkpoint_size, "signedBy": report.signed_by.to_string(),
        "keyWasGiven": report.key_was_given, "broken": null,
    })
}
