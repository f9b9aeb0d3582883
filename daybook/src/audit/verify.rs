//! Verifies the log in the database: chain, tree, and every checkpoint that is known.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use domain::BookId;
use domain::proof;
use projections::audit::{self, Report};
use projections::tree::{Expected, KEPT_FOLDER, Signer};

use super::arguments::Verify;
use super::{answer, read_text};
use crate::cli::Place;
use crate::node::Node;
use crate::out::say;

/// How often a long verification says how far it is.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Verifies every book.
pub async fn database(place: &Place, wanted: &Verify) -> anyhow::Result<u8> {
    let mut given = vec![];
    for file in &wanted.checkpoint {
        given.push((file.display().to_string(), read_text(file)?));
    }
    let node = Node::open(place).await?;
    let signer = crate::key::existing(&node.data)?.map(|key| Signer::new(key, node.data.join(KEPT_FOLDER)));
    let mut whole = true;
    for book_id in audit::books(&node.pool).await? {
        let expected = expected(book_id, wanted, signer.as_ref(), &mut given)?;
        let head = node.commands.head(book_id).await?;
        let report = audit::verify_against(&node.pool, book_id, &expected, teller(book_id, head)).await?;
        whole &= report.holds();
        show(&report, wanted.json)?;
    }
    for (file, note) in given {
        whole = false;
        let why = match proof::Checkpoint::unverified(&note) {
            Ok(checkpoint) => format!("is of {}, which is not in this database", checkpoint.origin),
            Err(error) => error.to_string(),
        };
        match wanted.json {
            true => say!("{}", serde_json::json!({ "file": file, "holds": false, "reason": why })),
            false => say!("{file}: {why}"),
        }
    }
    node.close().await;
    Ok(answer(whole))
}

/// What is known of a book from elsewhere. Takes the checkpoints of this book out of those that were given.
fn expected(
    book_id: BookId,
    wanted: &Verify,
    signer: Option<&Signer>,
    given: &mut Vec<(String, String)>,
) -> anyhow::Result<Expected> {
    let name = proof::origin(book_id);
    let of_book = |(_, note): &mut (String, String)| {
        proof::Checkpoint::unverified(note).is_ok_and(|checkpoint| checkpoint.origin == name)
    };
    let mut checkpoints: Vec<_> = given.extract_if(.., of_book).collect();
    let mut keys: Vec<_> = wanted.key.iter().filter(|key| key.name() == name).cloned().collect();
    // Whoever names a key trusts that one alone.
    if let Some(signer) = signer.filter(|_| keys.is_empty()) {
        keys.push(signer.verifier(book_id));
        let kept = signer.kept(book_id)?;
        checkpoints
            .extend(kept.map(|note| (format!("{} of the data folder", signer.kept_file(book_id).display()), note)));
    }
    Ok(Expected { keys, checkpoints })
}

fn show(report: &Report, json: bool) -> anyhow::Result<()> {
    if json {
        say!("{}", serde_json::to_string(report)?);
        return Ok(());
    }
    let (book_id, protection) = (report.book_id, &report.protection);
    let covered = match protection.protected {
        n if n == report.verified && n > 0 => "all of it is covered by a signed checkpoint".to_owned(),
        n => format!("unprotected after position {n}"),
    };
    let erased = if report.erased > 0 { format!(", {} of them erased", report.erased) } else { String::new() };
    match &report.broken {
        None => {
            say!("{book_id}: {} events{erased}, the chain holds, the tree holds; {covered}", report.verified);
        }
        Some(broken) => say!("{book_id}: BROKEN at position {}: {}; {covered}", broken.position, broken.reason),
    }
    if report.unfinished > 0 {
        say!("{book_id}: {} erased events still have content: not yet completed", report.unfinished);
    }
    for fault in &protection.faults {
        say!("{book_id}: BROKEN: {fault}");
    }
    if protection.foreign > 0 {
        let count = protection.foreign;
        say!("{book_id}: {count} checkpoints are signed with other keys than the trusted one, and count for nothing");
    }
    Ok(())
}

/// Says once a second how far a verification is, where somebody looks on.
fn teller(book_id: BookId, head: i64) -> impl FnMut(i64) {
    let (begun, mut told) = (Instant::now(), 0);
    let looked_at = std::io::stderr().is_terminal();
    move |verified| {
        let ticks = begun.elapsed().as_secs() / TELL_EVERY.as_secs();
        if looked_at && ticks > told {
            told = ticks;
            eprintln!("{book_id}: {verified} of {head} events");
        }
    }
}
