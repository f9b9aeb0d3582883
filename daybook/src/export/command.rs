//! `daybook export`: the file is there whole or not at all.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use domain::BookId;
use domain::export::Manifest;
use projections::export::{Scope, Seal, export};
use projections::tree::{self, Follower, SignedCheckpoint};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::cli::{Export, OK, Place};
use crate::node::Node;

/// How much is read and written at once, in bytes.
const BUFFER_BYTES: usize = 1024 * 1024;
/// The file name that stands for standard output.
const STANDARD_OUTPUT: &str = "-";

/// Writes a session or a range of a book to a file.
pub async fn run(place: &Place, wanted: &Export) -> anyhow::Result<u8> {
    let node = Node::open(place).await?;
    let trees = node.trees().await?;
    let book_id = match &wanted.book {
        Some(Some(id)) => id.parse()?,
        _ => node.commands.installation().home_book,
    };
    let checkpoint = checkpoint(&node, &trees, book_id, wanted.to).await?;
    let scope = match &wanted.session {
        Some(id) => Scope::Session(id.parse()?),
        None => Scope::Book { from: wanted.from.unwrap_or(1), to: wanted.to.unwrap_or(checkpoint.size) },
    };
    let to_standard_output = wanted.out == Path::new(STANDARD_OUTPUT);
    let folder = if to_standard_output { node.data.clone() } else { folder_of(&wanted.out) };
    let made = || format!("making a file in {}", folder.display());
    let mut spool = BufWriter::with_capacity(BUFFER_BYTES, tempfile::tempfile_in(&folder).with_context(made)?);
    let key = trees.signer().verifier(book_id);
    let seal = Seal { checkpoint: &checkpoint, key: &key, release: env!("CARGO_PKG_VERSION") };
    let manifest = export(&node.reader, book_id, scope, seal, &mut spool).await?;
    let mut spool = spool.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    if to_standard_output {
        assemble(&manifest, &mut spool, &mut std::io::stdout().lock())?;
    } else {
        let mut file = NamedTempFile::new_in(&folder).with_context(made)?;
        assemble(&manifest, &mut spool, &mut file)?;
        file.as_file().sync_all()?;
        file.persist(&wanted.out).with_context(|| format!("writing {}", wanted.out.display()))?;
        let Manifest { events, blobs, .. } = manifest;
        eprintln!("{}: {events} events and {blobs} blobs, up to position {}", wanted.out.display(), manifest.to);
    }
    node.close().await;
    Ok(OK)
}

/// The checkpoint that an export stands under: the newest one where it covers what is wanted, else one that is made
/// now. So the same range is the same file for as long as nobody signs.
async fn checkpoint(
    node: &Node,
    trees: &Follower,
    book_id: BookId,
    to: Option<i64>,
) -> anyhow::Result<SignedCheckpoint> {
    let mut db = node.reader.book(book_id).await?;
    let newest = tree::latest(&mut db, book_id).await?;
    drop(db);
    match newest.filter(|newest| to.is_some_and(|to| to <= newest.size)) {
        Some(newest) => Ok(newest),
        None => Ok(trees.sign_now(book_id).await?),
    }
}

/// Writes the manifest with the digest of all that follows it, and then all that follows it.
fn assemble(manifest: &Manifest, body: &mut File, to: &mut impl Write) -> std::io::Result<()> {
    let (before, after) = manifest.around_digest();
    let mut digest = Sha256::new_with_prefix(&after);
    pieces(body, |piece| {
        digest.update(piece);
        Ok(())
    })?;
    write!(to, "{before}{:x}{after}", digest.finalize())?;
    pieces(body, |piece| to.write_all(piece))?;
    to.flush()
}

/// Everything in a file, piece by piece.
fn pieces(file: &mut File, mut each: impl FnMut(&[u8]) -> std::io::Result<()>) -> std::io::Result<()> {
    file.rewind()?;
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, file);
    let mut piece = vec![0; BUFFER_BYTES];
    loop {
        match reader.read(&mut piece)? {
            0 => return Ok(()),
            bytes => each(&piece[..bytes])?,
        }
    }
}

/// The folder that a file is written to.
fn folder_of(file: &Path) -> PathBuf {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).map_or_else(|| ".".into(), Path::to_path_buf)
}
