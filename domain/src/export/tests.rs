//! Files that hold, and every kind of damage to them.

mod damage;
mod forged;
mod recording;

use sha2::Digest;

use super::*;
use crate::chain::{self, GENESIS, Hash};
use crate::content::Sha256;
use crate::proof::{
    Checkpoint, CheckpointKey, Leaf, VerifierKey, node_hash, origin, prove_consistency, prove_inclusion, to_hex,
};
use crate::{BookId, SessionId};

/// The ids of everything here are small numbers.
fn uuid(number: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(number)
}

const BOOK: u128 = 1;
const SESSION: u128 = 7;
const ERASED: i64 = 2;
const ERASURE: i64 = 4;

fn key() -> CheckpointKey {
    CheckpointKey::from_seed(&[3; 32])
}

fn verifier() -> VerifierKey {
    key().verifier(&origin(BookId::new(uuid(BOOK)))).unwrap()
}

/// A blob that some events refer to.
fn blob() -> Vec<u8> {
    (0..1_000u32).flat_map(u32::to_be_bytes).collect()
}

fn sha256(bytes: &[u8]) -> Sha256 {
    Sha256(sha2::Sha256::digest(bytes).into())
}

/// A small log: two sessions that take turns, each with a stream of its own, and both in the account's.
struct Log {
    leaves: Vec<Leaf>,
    hashes: Vec<Hash>,
    tree: Vec<Hash>,
}

impl Log {
    fn new(events: i64) -> Self {
        let mut log = Self { leaves: vec![], hashes: vec![], tree: vec![] };
        let mut sequences = std::collections::HashMap::new();
        for position in 1..=events {
            let session = if position % 3 == 0 { SESSION + 1 } else { SESSION };
            let stream_id = uuid(if position % 5 == 0 { BOOK } else { session });
            let sequence = sequences.entry(stream_id).or_insert(0);
            *sequence += 1;
            let mut leaf = leaf(position, stream_id, *sequence, session);
            // The second event was erased, and the fourth says so.
            if position == ERASED && events >= ERASURE {
                (leaf.salt, leaf.payload) = (None, None);
            }
            log.push(leaf);
        }
        log
    }

    fn push(&mut self, leaf: Leaf) {
        let commitment: Hash = crate::proof::from_hex(&leaf.commitment).unwrap();
        let before = self.hashes.last().copied().unwrap_or(GENESIS);
        self.hashes.push(chain::hash(&before, &leaf.header().unwrap(), &commitment));
        self.tree.push(leaf.hash().unwrap());
        self.leaves.push(leaf);
    }

    fn node(&self, level: u32, index: u64) -> Hash {
        if level == 0 {
            return self.tree[usize::try_from(index).unwrap()];
        }
        node_hash(&self.node(level - 1, 2 * index), &self.node(level - 1, 2 * index + 1))
    }

    fn sealed(&self, manifest: Manifest) -> Manifest {
        let mut frontier = Frontier::default();
        self.tree.iter().for_each(|leaf| frontier.push(*leaf));
        let (size, root) = (frontier.size(), frontier.root());
        let checkpoint = Checkpoint { origin: origin(BookId::new(uuid(BOOK))), size, root };
        let note = checkpoint.sign(&key()).unwrap();
        Manifest { checkpoint: note, key: verifier().to_string(), daybook: "0.1.0".into(), ..manifest }
    }

    fn session(&self) -> File {
        let size = self.tree.len() as u64;
        let manifest = Manifest::session(BookId::new(uuid(BOOK)), SessionId::new(uuid(SESSION)), size as i64);
        let own = self.leaves.iter().filter(|leaf| leaf.session_id == Some(uuid(SESSION)));
        File::write(self.sealed(manifest), own, |line, leaf| {
            let index = leaf.position as u64 - 1;
            let proof = prove_inclusion::<()>(index, size, &mut |level, index| Ok(self.node(level, index))).unwrap();
            EventLine::proven(line, leaf.clone(), &proof.path)
        })
    }

    fn book(&self, from: i64, to: i64) -> File {
        let before: Vec<Hash> = Frontier::places(from as u64 - 1).map(|(l, i)| self.node(l, i)).collect();
        let node = &mut |level, index| Ok::<_, ()>(self.node(level, index));
        let consistency = prove_consistency(to as u64, self.tree.len() as u64, node).unwrap().path;
        let previous = if from == 1 { GENESIS } else { self.hashes[from as usize - 2] };
        let before = Frontier::new(from as u64 - 1, before).unwrap();
        let manifest = Manifest::book(BookId::new(uuid(BOOK)), (from, to), &Ties { previous, before, consistency });
        let range = self.leaves[from as usize - 1..to as usize].iter();
        File::write(self.sealed(manifest), range, |line, leaf| {
            EventLine::chained(line, leaf.clone(), &self.hashes[leaf.position as usize - 1])
        })
    }
}

/// An event; some refer to the blob, one says that another was erased.
fn leaf(position: i64, stream_id: uuid::Uuid, sequence: i64, session: u128) -> Leaf {
    let payload = match position % 4 {
        _ if position == ERASURE => format!(r#"{{"positions":[{{"first":{ERASED},"last":{ERASED}}}]}}"#),
        0 => format!(r#"{{"output":{{"text":"…","blob":{{"sha256":"{}","bytes":4000}}}}}}"#, sha256(&blob())),
        1 => format!(r#"{{"before_sha256":"{}","path":"a"}}"#, sha256(&[position as u8])),
        _ => format!(r#"{{"reason":"\u00e4 {position}"}}"#),
    };
    let salt = [position as u8; chain::SALT_BYTES];
    let commitment = chain::commitment(&salt, payload.as_bytes());
    Leaf {
        book_id: uuid(BOOK),
        position,
        stream_id,
        sequence,
        session_id: Some(uuid(session)),
        event_id: uuid(1_000 + position as u128),
        event_type: if position == ERASURE { "content.erased" } else { "tests.skipped" }.into(),
        event_version: 1,
        occurred_us: 1_700_000_000_000_000 + position,
        recorded_us: 1_700_000_000_000_000 + position,
        actor_id: "system".into(),
        correlation_id: None,
        causation_id: Some(uuid(6)),
        request_id: None,
        request_hash: None,
        metadata: "{}".into(),
        commitment: to_hex(&commitment),
        salt: Some(to_hex(&salt)),
        payload: Some(payload),
    }
}

/// A file, line by line, without the ends.
#[derive(Debug, Clone)]
struct File {
    manifest: Manifest,
    lines: Vec<String>,
}

impl File {
    fn write<'a>(
        mut manifest: Manifest,
        leaves: impl Iterator<Item = &'a Leaf>,
        line_of: impl Fn(u64, &Leaf) -> EventLine,
    ) -> Self {
        let (mut lines, mut known) = (vec![], std::collections::HashSet::new());
        for leaf in leaves {
            for sha in references(leaf.payload.as_deref().unwrap_or_default()).into_keys() {
                if known.insert(sha) {
                    let content = (sha == sha256(&blob())).then(blob);
                    *(if content.is_some() { &mut manifest.blobs } else { &mut manifest.absent }) += 1;
                    lines.extend(blob_lines(lines.len() as u64 + 2, sha, content.as_deref()).map(|l| l.to_json()));
                }
            }
            lines.push(line_of(lines.len() as u64 + 2, leaf).to_json());
            manifest.events += 1;
            manifest.erased += u64::from(leaf.payload.is_none());
        }
        Self { manifest, lines }
    }

    fn bytes(&self) -> Vec<u8> {
        let (before, after) = self.manifest.around_digest();
        let body: String = self.lines.iter().map(|line| format!("{line}\n")).collect();
        let digest = sha2::Sha256::new().chain_update(&after).chain_update(&body).finalize();
        format!("{before}{digest:x}{after}{body}").into_bytes()
    }
}

/// Checks a file as a reader does.
fn check(bytes: &[u8], key: Option<&VerifierKey>) -> Result<Report, FaultyLine> {
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let mut verifier = Verifier::begin(lines.next().unwrap_or_default(), key)?;
    for line in lines {
        verifier.take(line)?;
    }
    verifier.finish()
}

#[test]
fn what_was_written_holds() {
    for size in [1, 2, 7, 8, 13] {
        let log = Log::new(size);
        let report = check(&log.session().bytes(), Some(&verifier())).unwrap();
        assert_eq!(report.manifest.events, log.session().manifest.events);
        for from in 1..=size {
            for to in from..=size {
                let report = check(&log.book(from, to).bytes(), None).unwrap();
                assert_eq!((report.manifest.events, report.key_was_given), ((to - from + 1) as u64, false));
            }
        }
    }
}

#[test]
fn a_frontier_has_the_root_of_its_tree() {
    let log = Log::new(70);
    let mut frontier = Frontier::default();
    assert_eq!(frontier.root(), crate::proof::empty_root());
    for (size, leaf) in (1..).zip(&log.tree) {
        frontier.push(*leaf);
        let root = crate::proof::root::<()>(size, &mut |level, index| Ok(log.node(level, index))).unwrap();
        assert_eq!(frontier.root(), root);
        let places = Frontier::places(size).map(|(level, index)| log.node(level, index)).collect();
        assert_eq!(Frontier::new(size, places), Some(frontier.clone()));
    }
}

#[test]
fn blobs_come_in_pieces() {
    let whole = vec![5; CHUNK_BYTES + 1];
    for content in [&whole[..], &whole[1..], &[], b"x"] {
        let lines: Vec<_> = blob_lines(9, sha256(content), Some(content)).collect();
        assert_eq!(lines.len(), if content.len() > CHUNK_BYTES { 2 } else { 1 });
        let mut blob = Blob::begin(&lines[0]);
        let read: Vec<u8> = lines.iter().flat_map(|line| blob.take(line).unwrap()).collect();
        assert!(blob.is_whole() && read == content);
    }
    let lines: Vec<_> = blob_lines(9, sha256(&whole), Some(&whole)).collect();
    let mut blob = Blob::begin(&lines[1]);
    assert_eq!(blob.take(&lines[1]).unwrap_err(), Fault::BlobPiece(sha256(&whole)));
}
