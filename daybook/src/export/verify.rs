//! Checks an export: the whole file, line by line, without a database.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use anyhow::Context;
use domain::BookId;
use domain::export::{Fault, FaultyLine, Kind, Line, Manifest, Report, Verifier, is_export};
use domain::proof::{CheckpointKey, VerifierKey, origin};
use serde_json::{Value, json};

use super::lines::{Lines, Place};

/// How much of a file is read at once, in bytes.
const BUFFER_BYTES: usize = 1024 * 1024;
/// How much of a file says whether it is an export, in bytes.
const BEGINNING_BYTES: u64 = 64;

/// The keys that a reader trusts.
#[derive(Default)]
pub struct Trust<'a> {
    /// Those that were named. Whoever names keys trusts those alone.
    pub named: &'a [VerifierKey],
    /// The data folder's own.
    pub own: Option<CheckpointKey>,
}

impl Trust<'_> {
    /// The key that must have signed an export; nothing where the file is left to name it.
    fn key(&self, manifest: &Manifest) -> anyhow::Result<Option<VerifierKey>> {
        let name = origin(BookId::new(manifest.book_id));
        let named = self.named.iter().find(|key| key.name() == name);
        if named.is_none() && !self.named.is_empty() {
            anyhow::bail!("there is no key for {name}: give it with --key");
        }
        let own = self.own.as_ref().and_then(|key| key.verifier(&name).ok());
        Ok(named.cloned().or(own.filter(|own| own.to_string() == manifest.key)))
    }
}

/// Opens a file if it is an export; else it is left to others.
pub fn open(path: &Path) -> anyhow::Result<Option<File>> {
    let reading = || format!("reading {}", path.display());
    let mut file = File::open(path).with_context(reading)?;
    let mut beginning = vec![];
    file.by_ref().take(BEGINNING_BYTES).read_to_end(&mut beginning).with_context(reading)?;
    file.rewind().with_context(reading)?;
    Ok(is_export(&beginning).then_some(file))
}

/// Checks a file from where it stands; `seen` hears of every line after the manifest that holds so far. Nothing of the
/// file is to be believed before this has answered.
pub fn check(
    file: &File,
    trust: &Trust<'_>,
    mut seen: impl FnMut(Line, Place) -> anyhow::Result<()>,
) -> anyhow::Result<Report> {
    let mut lines = Lines::new(BufReader::with_capacity(BUFFER_BYTES, file));
    let Some((_, first)) = lines.next()? else {
        return Err(FaultyLine { line: 1, fault: Fault::NoManifest }.into());
    };
    let manifest = Manifest::parse(first.trim_ascii_end()).map_err(|fault| FaultyLine { line: 1, fault })?;
    let mut verifier = Verifier::begin(first, trust.key(&manifest)?.as_ref())?;
    while let Some((place, line)) = lines.next()? {
        seen(verifier.take(line)?, place)?;
    }
    Ok(verifier.finish()?)
}

/// What a file that holds says, in words.
pub fn words(report: &Report) -> String {
    let (manifest, covered) = (&report.manifest, report.checkpoint_size);
    let of = match (manifest.kind, manifest.session_id) {
        (Kind::Session, Some(session_id)) => format!(" of session:{session_id}, in the log of {covered} events"),
        _ => format!(", positions {} to {}, in the log of {covered} events", manifest.from, manifest.to),
    };
    let erased = match manifest.erased {
        0 => String::new(),
        erased => format!("\n  {erased} of them have no payload: it was erased"),
    };
    let hashes = match (manifest.kind, manifest.from) {
        (Kind::Session, _) | (Kind::Book, 1) => "",
        _ => "\n  its events are proven; the hash before them, and so those of the chain, are what the file says",
    };
    let vouched = match report.key_was_given {
        true => String::new(),
        false => format!(
            "\n  only the file itself names the key that signed it; compare it, or give the one you know with --key:\
             \n  {}",
            report.signed_by
        ),
    };
    let book = origin(BookId::new(manifest.book_id));
    format!("holds: {} events{of} of {book}{erased}{hashes}{vouched}", manifest.events)
}

/// The same for programs.
pub fn as_json(report: &Report) -> Value {
    let manifest = &report.manifest;
    json!({
        "kind": "export", "of": manifest.kind, "origin": origin(BookId::new(manifest.book_id)),
        "session": manifest.session_id.map(|id| format!("session:{id}")), "from": manifest.from, "to": manifest.to,
        "events": manifest.events, "erased": manifest.erased, "blobs": manifest.blobs, "absent": manifest.absent,
        "size": report.checkpoint_size, "signedBy": report.signed_by.to_string(), "keyWasGiven": report.key_was_given,
    })
}
