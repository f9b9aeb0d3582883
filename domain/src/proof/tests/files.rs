use super::notes::{book, key};
use super::*;
use crate::chain::{self, Header};
use crate::{EventId, Timestamp};

const SALT: [u8; chain::SALT_BYTES] = [9; chain::SALT_BYTES];
const PAYLOAD: &str = r#"{"reason":"none"}"#;

fn header() -> Header<'static> {
    let at = |micros| Timestamp::from_timestamp_micros(micros).unwrap();
    Header {
        book_id: book(),
        position: 4,
        stream_id: uuid::Uuid::from_u128(2),
        sequence: 3,
        session_id: Some(uuid::Uuid::from_u128(4)),
        event_id: EventId::new(uuid::Uuid::from_u128(0xabcd)),
        event_type: "tests.skipped",
        event_version: 1,
        occurred_at: at(1_700_000_000_000_001),
        recorded_at: at(1_700_000_000_000_002),
        actor_id: "system",
        correlation_id: None,
        causation_id: None,
        request_id: None,
        request_hash: Some([0xab; 32]),
        metadata: r#"{"events":2}"#,
    }
}

/// A log of seven events, of which this is the fourth, and a proof of it.
fn proof(leaf: &Leaf) -> (ProofFile, VerifierKey) {
    let mut leaves = leaves(7);
    leaves[3] = leaf_hash(&header(), &chain::commitment(&SALT, PAYLOAD.as_bytes()));
    let (tiles, edge) = grown(&leaves);
    let name = origin(book());
    let note = Checkpoint { origin: name.clone(), size: 7, root: edge.root() }.sign(&key()).unwrap();
    let path = prove_inclusion(3, 7, &mut |level, index| tiles.node(level, index)).unwrap().path;
    (ProofFile { index: 3, path, leaf: leaf.clone(), note }, key().verifier(&name).unwrap())
}

fn leaf(secret: Option<(&[u8], &str)>) -> Leaf {
    Leaf::new(&header(), &chain::commitment(&SALT, PAYLOAD.as_bytes()), secret)
}

fn verify(text: &str, key: &VerifierKey) -> Result<Checkpoint, FileError> {
    ProofFile::parse(text)?.verify(key)
}

#[test]
fn a_proof_file_is_read_as_it_was_written() {
    let leaf = leaf(Some((&SALT, PAYLOAD)));
    let (file, key) = proof(&leaf);
    let text = file.to_text();
    assert_eq!(ProofFile::parse(&text), Ok(file));
    assert_eq!(verify(&text, &key).map(|checkpoint| checkpoint.size), Ok(7));
    assert_eq!(Leaf::from_json(leaf.to_json().as_bytes()), Ok(leaf.clone()));
    assert_eq!(leaf.header().unwrap(), header());
}

#[test]
fn a_proof_holds_without_the_payload_that_was_erased() {
    let (file, key) = proof(&leaf(None));
    assert!(verify(&file.to_text(), &key).is_ok());
}

/// Also every bit of the header: it stands in the file.
#[test]
fn every_bit_of_a_proof_file_counts() {
    let (file, key) = proof(&leaf(Some((&SALT, PAYLOAD))));
    let text = file.to_text();
    for altered in one_bit_away(&text) {
        assert!(verify(&altered, &key).is_err(), "{altered}");
    }
    let json = file.leaf.to_json();
    for altered in one_bit_away(&json) {
        let hash = Leaf::from_json(altered.as_bytes()).and_then(|leaf| leaf.hash());
        assert!(hash.is_err() || hash != file.leaf.hash(), "{altered}");
    }
    for end in 0..text.len() {
        assert!(text.get(..end).is_none_or(|cut| verify(cut, &key).is_err()), "{end}");
    }
    assert!(verify(&format!("{text}\n"), &key).is_err());
    assert!(verify(&text.replace('\n', "\r\n"), &key).is_err());
}

#[test]
fn a_proof_of_another_event_is_refused() {
    let key_of = |file: &ProofFile, key| file.verify(key).map(|_| ());
    let (mut file, key) = proof(&leaf(Some((&SALT, PAYLOAD))));
    file.leaf.position = 5;
    assert_eq!(key_of(&file, &key), Err(FileError::OtherEvent));
    file.index = 4;
    assert_eq!(key_of(&file, &key), Err(FileError::Proof(ProofError::Root)));
    file.index = u64::MAX;
    assert_eq!(key_of(&file, &key), Err(FileError::OtherEvent));
    let (mut file, key) = proof(&leaf(Some((&SALT, PAYLOAD))));
    file.leaf.payload = Some(r#"{"reason":"nine"}"#.into());
    assert_eq!(key_of(&file, &key), Err(LeafError::Payload.into()));
    file.leaf.payload = None;
    assert_eq!(key_of(&file, &key), Err(LeafError::Payload.into()), "a salt without a payload");
    let (mut file, key) = proof(&leaf(None));
    file.leaf.book_id = uuid::Uuid::from_u128(1);
    assert_eq!(key_of(&file, &key), Err(FileError::OtherEvent));
}

#[test]
fn every_bit_of_a_consistency_file_counts() {
    let leaves = leaves(11);
    let (tiles, edge) = grown(&leaves);
    let sign = |size: u64, root| Checkpoint { origin: origin(book()), size, root }.sign(&key()).unwrap();
    let (old, note) = (sign(6, naive_root(&leaves[..6])), sign(11, edge.root()));
    let path = prove_consistency(6, 11, &mut |level, index| tiles.node(level, index)).unwrap().path;
    let file = ConsistencyFile { old_size: 6, path, note };
    let (text, key) = (file.to_text(), key().verifier(&origin(book())).unwrap());
    let verify = |text: &str, old: &str| ConsistencyFile::parse(text)?.verify(old, &key);
    assert_eq!(verify(&text, &old).map(|new| new.size), Ok(11));
    for altered in one_bit_away(&text) {
        assert!(verify(&altered, &old).is_err(), "{altered}");
    }
    for altered in one_bit_away(&old) {
        assert!(verify(&text, &altered).is_err(), "{altered}");
    }
    assert_eq!(verify(&text, &sign(6, naive_root(&leaves[..5]))), Err(ProofError::Root.into()));
    assert_eq!(verify(&text, &sign(5, naive_root(&leaves[..5]))), Err(ProofError::OutOfRange.into()));
}
