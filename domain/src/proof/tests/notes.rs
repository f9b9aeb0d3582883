use super::*;
use crate::BookId;

/// The example in the documentation of Go's package `sumdb/note`.
const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const WORDS: &str =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const SIGNATURE: &str = "\u{2014} PeterNeumann \
    x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
/// The key of Go's checksum database.
const GO: &str = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";

pub(super) fn key() -> CheckpointKey {
    CheckpointKey::from_seed(&[7; SEED_BYTES])
}

pub(super) fn book() -> BookId {
    BookId::new(uuid::Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001))
}

fn checkpoint() -> Checkpoint {
    Checkpoint { origin: origin(book()), size: 300, root: naive_root(&leaves(300)) }
}

fn verifier() -> VerifierKey {
    key().verifier(&origin(book())).unwrap()
}

#[test]
fn a_note_signed_by_another_program_verifies() {
    let key: VerifierKey = PETER.parse().unwrap();
    assert_eq!((key.to_string().as_str(), key.name()), (PETER, "PeterNeumann"));
    let note = format!("{WORDS}\n{SIGNATURE}");
    assert_eq!(SignedNote::parse(&note).unwrap().verify(&key), Ok(WORDS));
    let go: VerifierKey = GO.parse().unwrap();
    assert_eq!(go.to_string(), GO);
    assert_eq!(SignedNote::parse(&note).unwrap().verify(&go), Err(NoteError::Unsigned));
}

#[test]
fn what_is_signed_is_written_as_others_write_it() {
    let note = checkpoint().sign(&key()).unwrap();
    let lines: Vec<&str> = note.lines().collect();
    assert_eq!(lines[..2], ["daybook/01900000-0000-7000-8000-000000000001", "300"]);
    assert_eq!((lines.len(), lines[3]), (5, ""));
    assert!(lines[4].starts_with("\u{2014} daybook/01900000-0000-7000-8000-000000000001 "));
    assert_eq!(Checkpoint::open(&note, &verifier()), Ok(checkpoint()));
    assert_eq!(Checkpoint::unverified(&note), Ok(checkpoint()));
    assert_eq!((book_of(&origin(book())), book_of("daybook/1"), book_of("else")), (Some(book()), None, None));
}

#[test]
fn signatures_of_witnesses_are_passed_over() {
    let note = checkpoint().sign(&key()).unwrap();
    let witness = CheckpointKey::from_seed(&[9; SEED_BYTES]);
    let other = checkpoint().sign(&witness).unwrap();
    let (_, line) = other.split_once("\n\n").unwrap();
    let both = format!("{note}{line}");
    assert_eq!(Checkpoint::open(&both, &verifier()), Ok(checkpoint()));
    assert_eq!(Checkpoint::open(&both, &witness.verifier(&origin(book())).unwrap()), Ok(checkpoint()));
    assert_eq!(Checkpoint::open(&other, &verifier()), Err(NoteError::Unsigned.into()));
    let crowd = format!("{note}{}", line.repeat(16));
    assert_eq!(Checkpoint::open(&crowd, &verifier()), Err(NoteError::Form.into()), "at most 16 signatures");
}

#[test]
fn a_note_of_another_book_is_refused() {
    let mut other = checkpoint();
    other.origin = "daybook/else".into();
    let note = note::sign(&format!("daybook/else\n1\n{}\n", "A".repeat(43) + "="), &origin(book()), &key());
    assert_eq!(Checkpoint::open(&note.unwrap(), &verifier()), Err(CheckpointError::Origin));
    assert_eq!(Checkpoint::open(&other.sign(&key()).unwrap(), &verifier()), Err(NoteError::Unsigned.into()));
}

#[test]
fn every_bit_of_a_checkpoint_counts() {
    let note = checkpoint().sign(&key()).unwrap();
    for altered in one_bit_away(&note) {
        assert!(Checkpoint::open(&altered, &verifier()).is_err(), "{altered}");
    }
    for cut in (0..note.len()).filter_map(|end| note.get(..end)) {
        assert!(Checkpoint::open(cut, &verifier()).is_err(), "{cut}");
    }
}

#[test]
fn every_bit_of_a_verifier_key_counts() {
    let key = verifier().to_string();
    assert_eq!(key.parse(), Ok(verifier()));
    for altered in one_bit_away(&key) {
        assert!(altered.parse::<VerifierKey>().is_err(), "{altered}");
    }
}

#[test]
fn a_text_that_is_no_checkpoint_is_refused_though_it_is_signed() {
    let root = "A".repeat(43) + "=";
    let name = origin(book());
    let texts = [
        format!("{name}\n01\n{root}\n"),
        format!("{name}\n+1\n{root}\n"),
        format!("{name}\n18446744073709551616\n{root}\n"),
        format!("{name}\n1\n{root}\nmore\n"),
        format!("{name}\n1\nAAAA\n"),
        format!("{name}\n1\n"),
        format!("\n1\n{root}\n"),
    ];
    for text in texts {
        let note = note::sign(&text, &name, &key()).unwrap();
        assert_eq!(Checkpoint::open(&note, &verifier()), Err(CheckpointError::Form), "{text:?}");
    }
}

#[test]
fn a_key_that_verifies_anything_is_refused() {
    let neutral = {
        let mut point = [0; 32];
        point[0] = 1;
        point
    };
    assert_eq!(VerifierKey::new("daybook/1", &neutral), Err(KeyError::Key));
    assert_eq!(VerifierKey::new("day book", &key().public()), Err(KeyError::Form));
    assert_eq!(format!("{:?}", key()), "CheckpointKey", "the secret is not shown");
}

#[test]
fn a_secret_key_is_read_as_it_was_written() {
    let text = key().to_text();
    assert_eq!(CheckpointKey::from_text(&text).unwrap().public(), key().public());
    assert_eq!(CheckpointKey::from_text("daybook-checkpoint-key-v1 AAAA\n").err(), Some(KeyError::Secret));
    assert_eq!(CheckpointKey::from_text("").err(), Some(KeyError::Secret));
}
