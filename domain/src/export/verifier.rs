//! Checks an export line by line and names the first one that does not hold. Needs no database, and memory for one
//! line, for the streams' sequences and for the names of the blobs.

use std::collections::{BTreeMap, HashMap, HashSet};

use sha2::Digest;
use uuid::Uuid;

use super::MAX_LINE_BYTES;
use super::blob::Blob;
use super::erased::ErasedEvents;
use super::fault::{Fault, FaultyLine};
use super::frontier::Frontier;
use super::line::{BlobLine, EventLine, Line};
use super::manifest::{Kind, Manifest, Ties};
use super::references::references;
use crate::chain::{self, Hash};
use crate::content::Sha256;
use crate::proof::{Checkpoint, InclusionProof, VerifierKey, from_hex};

/// What a whole export holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The first line.
    pub manifest: Manifest,
    /// Up to which position the checkpoint speaks.
    pub checkpoint_size: u64,
    /// Who signed the checkpoint.
    pub signed_by: VerifierKey,
    /// Whether the reader named that key, or only the file did.
    pub key_was_given: bool,
}

/// An export that is being checked.
pub struct Verifier {
    manifest: Manifest,
    checkpoint: Checkpoint,
    key: VerifierKey,
    key_was_given: bool,
    line: u64,
    digest: sha2::Sha256,
    evidence: Evidence,
    position: i64,
    sequences: HashMap<Uuid, i64>,
    blobs: Blobs,
    /// The line after the last event.
    blobs_from: u64,
    events: u64,
    erased: ErasedEvents,
}

/// What the events are checked against.
enum Evidence {
    /// The chain, and the tree as it grows.
    Book { hash: Hash, tree: Frontier, ties: Ties },
    /// A proof per event.
    Session,
}

/// The blobs so far.
#[derive(Default)]
struct Blobs {
    open: Option<Blob>,
    known: HashSet<Sha256>,
    /// Those that the next event has to refer to, with their sizes.
    fresh: BTreeMap<Sha256, Option<u64>>,
    kept: u64,
    absent: u64,
}

impl Verifier {
    /// Begins with the first line of a file, its end included; `key` is the one that the reader trusts.
    pub fn begin(first: &[u8], key: Option<&VerifierKey>) -> Result<Self, FaultyLine> {
        Self::begun(first, key).map_err(|fault| FaultyLine { line: 1, fault })
    }

    fn begun(first: &[u8], key: Option<&VerifierKey>) -> Result<Self, Fault> {
        let manifest = Manifest::parse(whole(first)?)?;
        manifest.digest()?;
        let (checkpoint, signed_by) = manifest.checkpoint(key)?;
        let evidence = match manifest.kind {
            Kind::Session => Evidence::Session,
            Kind::Book => {
                let ties = manifest.ties()?;
                Evidence::Book { hash: ties.previous, tree: ties.before.clone(), ties }
            }
        };
        Ok(Self {
            position: manifest.from - 1,
            checkpoint,
            key: signed_by,
            key_was_given: key.is_some(),
            line: 1,
            digest: sha2::Sha256::new().chain_update(&first[Manifest::undigested()..]),
            evidence,
            sequences: HashMap::new(),
            blobs: Blobs::default(),
            blobs_from: 2,
            events: 0,
            erased: ErasedEvents::default(),
            manifest,
        })
    }

    /// What the file says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Checks the next line, its end included, and answers what it holds.
    pub fn take(&mut self, line: &[u8]) -> Result<Line, FaultyLine> {
        self.line += 1;
        let read = self.taken(line).map_err(|fault| self.faulty(fault))?;
        if let Line::Event(_) = read {
            self.blobs_from = self.line + 1;
        }
        Ok(read)
    }

    /// Blobs are what the event after them makes of them, so it is where they begin that is not to be believed.
    fn faulty(&self, fault: Fault) -> FaultyLine {
        let line = if fault.is_of_blobs() { self.blobs_from } else { self.line };
        FaultyLine { line, fault }
    }

    fn taken(&mut self, line: &[u8]) -> Result<Line, Fault> {
        self.digest.update(line);
        let read = Line::parse(whole(line)?)?;
        if read.number() != self.line {
            return Err(Fault::OutOfTurn(read.number()));
        }
        match &read {
            Line::Blob(blob) => self.blobs.take(blob)?,
            Line::Event(event) => self.take_event(event)?,
        }
        Ok(read)
    }

    fn take_event(&mut self, line: &EventLine) -> Result<(), Fault> {
        if self.events == self.manifest.events {
            return Err(Fault::TooMany);
        }
        let event = &line.event;
        if event.book_id != self.manifest.book_id {
            return Err(Fault::Elsewhere("book"));
        }
        if self.manifest.kind == Kind::Session && event.session_id != self.manifest.session_id {
            return Err(Fault::Elsewhere("session"));
        }
        self.in_turn(event.position, event.stream_id, event.sequence)?;
        let leaf = event.hash()?;
        match &mut self.evidence {
            Evidence::Book { hash, tree, .. } => {
                *hash = chain::hash(hash, &event.header()?, &from_hex(&event.commitment)?);
                if *hash != line.hash()? {
                    return Err(Fault::Chain);
                }
                tree.push(leaf);
            }
            Evidence::Session => {
                let index = u64::try_from(event.position - 1).map_err(|_| Fault::Beyond(event.position))?;
                let proof = InclusionProof { index, size: self.checkpoint.size, path: line.path()? };
                proof.verify(&leaf, &self.checkpoint.root).map_err(Fault::Inclusion)?;
            }
        }
        self.blobs.referred(event.payload.as_deref().unwrap_or_default())?;
        (self.position, self.events) = (event.position, self.events + 1);
        self.erased.take(self.line, event);
        self.sequences.insert(event.stream_id, event.sequence);
        Ok(())
    }

    /// Positions and sequences are dense, but for what a session leaves to others: positions in between, and events of
    /// other sessions in the stream of the book's account, which has the book's own id.
    fn in_turn(&self, position: i64, stream_id: Uuid, sequence: i64) -> Result<(), Fault> {
        let session = self.manifest.kind == Kind::Session;
        let expected = self.position + 1;
        if position < expected || (position > expected && !session) {
            return Err(Fault::Position { expected, got: position });
        }
        if position > self.manifest.to {
            return Err(Fault::Beyond(position));
        }
        let known = self.sequences.get(&stream_id).map(|last| last + 1);
        let sparse = session && stream_id == self.manifest.book_id;
        // Where a range begins later, so may its streams.
        let (expected, free) = (known.unwrap_or(1), sparse || (known.is_none() && self.manifest.from > 1));
        if sequence < expected || (sequence > expected && !free) {
            return Err(Fault::Sequence { stream_id, expected, got: sequence });
        }
        Ok(())
    }

    /// The file ends here: is everything there?
    pub fn finish(mut self) -> Result<Report, FaultyLine> {
        self.line += 1;
        match self.finished() {
            // The digest stands in the first line, and no line after it was found wrong.
            Err(fault @ (Fault::Digest | Fault::Root(_))) => Err(FaultyLine { line: 1, fault }),
            Err(fault @ Fault::Unexplained(position)) => Err(FaultyLine { line: self.erased.line(position), fault }),
            Err(fault) => Err(self.faulty(fault)),
            Ok(()) => Ok(Report {
                checkpoint_size: self.checkpoint.size,
                manifest: self.manifest,
                signed_by: self.key,
                key_was_given: self.key_was_given,
            }),
        }
    }

    fn finished(&mut self) -> Result<(), Fault> {
        self.blobs.settled()?;
        if let Some((sha256, _)) = self.blobs.fresh.first_key_value() {
            return Err(Fault::BlobStray(*sha256));
        }
        let manifest = &self.manifest;
        let counts = [
            ("events", manifest.events, self.events),
            ("erased events", manifest.erased, self.erased.count()),
            ("blobs", manifest.blobs, self.blobs.kept),
            ("absent blobs", manifest.absent, self.blobs.absent),
        ];
        if let Some((what, expected, got)) = counts.into_iter().find(|(_, expected, got)| expected != got) {
            return Err(Fault::Count { what, expected, got });
        }
        if self.digest.clone().finalize()[..] != manifest.digest()?[..] {
            return Err(Fault::Digest);
        }
        // Where a range ends early, the events that say what was erased may come after it.
        let open_end = manifest.to.unsigned_abs() < self.checkpoint.size;
        if let Some(position) = self.erased.unexplained().filter(|_| !open_end) {
            return Err(Fault::Unexplained(position));
        }
        match &self.evidence {
            Evidence::Book { tree, ties, .. } => manifest.ends(tree, ties, &self.checkpoint),
            Evidence::Session => Ok(()),
        }
    }
}

impl Blobs {
    fn take(&mut self, line: &BlobLine) -> Result<(), Fault> {
        let mut blob = match self.open.take() {
            Some(open) => open,
            // Those of one event stand in the order of their names.
            None if self.known.contains(&line.blob) => return Err(Fault::BlobStray(line.blob)),
            None if self.fresh.last_key_value().is_some_and(|(last, _)| *last > line.blob) => {
                return Err(Fault::BlobStray(line.blob));
            }
            None => Blob::begin(line),
        };
        blob.take(line)?;
        if blob.is_whole() {
            self.known.insert(blob.sha256);
            self.fresh.insert(blob.sha256, blob.bytes);
            *(if blob.bytes.is_some() { &mut self.kept } else { &mut self.absent }) += 1;
        } else {
            self.open = Some(blob);
        }
        Ok(())
    }

    fn settled(&self) -> Result<(), Fault> {
        self.open.as_ref().map_or(Ok(()), |blob| Err(Fault::BlobPiece(blob.sha256)))
    }

    /// An event comes: it refers to every blob since the event before, and to none that is not there.
    fn referred(&mut self, payload: &str) -> Result<(), Fault> {
        self.settled()?;
        for (sha256, reference) in references(payload) {
            match self.fresh.remove(&sha256) {
                None if self.known.contains(&sha256) => {}
                None => return Err(Fault::BlobMissing(sha256)),
                Some(None) if reference.kept => return Err(Fault::BlobMissing(sha256)),
                Some(bytes) if bytes.is_some() && reference.bytes.is_some() && bytes != reference.bytes => {
                    return Err(Fault::BlobContent(sha256));
                }
                Some(_) => {}
            }
        }
        self.fresh.first_key_value().map_or(Ok(()), |(sha256, _)| Err(Fault::BlobStray(*sha256)))
    }
}

/// The line without its end.
fn whole(line: &[u8]) -> Result<&[u8], Fault> {
    if line.len() > MAX_LINE_BYTES {
        return Err(Fault::TooLong);
    }
    line.strip_suffix(b"\n").ok_or(Fault::CutOff)
}
