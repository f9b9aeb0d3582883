//! Blobs in an export: written in pieces, put together and checked again.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::Digest;

use super::fault::Fault;
use super::line::BlobLine;
use crate::content::Sha256;

/// How much of a blob stands in one line, in bytes.
pub const CHUNK_BYTES: usize = 3 * 1024 * 1024;

/// The lines of a blob from a line on; one line, without a content, for a blob that is not kept.
pub fn blob_lines(line: u64, sha256: Sha256, content: Option<&[u8]>) -> impl Iterator<Item = BlobLine> {
    let whole = content.unwrap_or_default();
    // An empty blob has one piece, as an absent one has one line.
    let pieces = (0..whole.len().max(1)).step_by(CHUNK_BYTES);
    (line..).zip(pieces).map(move |(line, offset)| {
        let piece = &whole[offset..whole.len().min(offset + CHUNK_BYTES)];
        BlobLine {
            line,
            blob: sha256,
            bytes: content.map(|whole| whole.len() as u64),
            offset: content.map(|_| offset as u64),
            content: content.map(|_| BASE64_STANDARD.encode(piece)),
        }
    })
}

/// A blob whose pieces come in.
#[derive(Debug, Clone)]
pub struct Blob {
    /// Its name.
    pub sha256: Sha256,
    /// Its size; `None` where it is not kept.
    pub bytes: Option<u64>,
    read: u64,
    digest: sha2::Sha256,
}

impl Blob {
    /// A blob that begins with this line; none of it is taken in yet.
    pub fn begin(line: &BlobLine) -> Self {
        Self { sha256: line.blob, bytes: line.bytes, read: 0, digest: sha2::Sha256::new() }
    }

    /// Takes a piece in; answers its bytes.
    pub fn take(&mut self, line: &BlobLine) -> Result<Vec<u8>, Fault> {
        let (Some(bytes), Some(offset), Some(content)) = (line.bytes, line.offset, &line.content) else {
            // A blob that is not kept says nothing at all.
            let nothing = line.bytes.is_none() && line.offset.is_none() && line.content.is_none();
            return if nothing && line.blob == self.sha256 { Ok(vec![]) } else { Err(Fault::Form) };
        };
        let piece = BASE64_STANDARD.decode(content).map_err(|_| Fault::BlobContent(self.sha256))?;
        let in_turn = line.blob == self.sha256 && Some(bytes) == self.bytes && offset == self.read;
        let rest = bytes.checked_sub(self.read);
        if !in_turn || rest.map(|rest| rest.min(CHUNK_BYTES as u64)) != Some(piece.len() as u64) {
            return Err(Fault::BlobPiece(self.sha256));
        }
        self.digest.update(&piece);
        self.read += piece.len() as u64;
        if self.is_whole() && self.digest.clone().finalize()[..] != self.sha256.0[..] {
            return Err(Fault::BlobContent(self.sha256));
        }
        Ok(piece)
    }

    /// Whether all pieces have come in.
    pub fn is_whole(&self) -> bool {
        self.bytes.is_none_or(|bytes| self.read == bytes)
    }
}
