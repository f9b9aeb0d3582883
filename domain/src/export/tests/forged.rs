//! Damage by somebody who knows the format: lines are numbered, counted and digested anew, and still refused.

use super::*;

/// A line, forged, in the place of another.
fn forged(file: &File, index: usize, forge: impl FnOnce(&mut EventLine)) -> File {
    let Ok(Line::Event(mut line)) = Line::parse(file.lines[index].as_bytes()) else { panic!("not an event") };
    forge(&mut line);
    let mut file = file.clone();
    file.lines[index] = line.to_json();
    file
}

/// Numbers the lines anew and counts the events.
fn renumbered(file: &File) -> File {
    let mut file = file.clone();
    let (mut events, mut blobs, mut absent) = (0, 0, 0);
    for (number, text) in (2..).zip(&mut file.lines) {
        *text = match Line::parse(text.as_bytes()).unwrap() {
            Line::Event(mut line) => {
                (line.line, events) = (number, events + 1);
                line.to_json()
            }
            Line::Blob(mut line) => {
                line.line = number;
                *(if line.bytes.is_some() { &mut blobs } else { &mut absent }) += 1;
                line.to_json()
            }
        };
    }
    (file.manifest.events, file.manifest.blobs, file.manifest.absent) = (events, blobs, absent);
    file
}

fn is_event(text: &str) -> bool {
    matches!(Line::parse(text.as_bytes()), Ok(Line::Event(_)))
}

/// The indexes of the event lines.
fn events(file: &File) -> Vec<usize> {
    (0..file.lines.len()).filter(|index| is_event(&file.lines[*index])).collect()
}

#[track_caller]
fn refused(file: &File) -> FaultyLine {
    check(&file.bytes(), Some(&verifier())).expect_err("a forged file is refused")
}

#[test]
fn every_column_of_every_event_is_bound() {
    let log = Log::new(12);
    for file in [log.session(), log.book(1, 12), log.book(4, 9)] {
        for index in events(&file) {
            let forgeries: [fn(&mut Leaf); 13] = [
                |leaf| leaf.event_id = uuid(9),
                |leaf| leaf.event_type = "tests.skippee".into(),
                |leaf| leaf.event_version = 2,
                |leaf| leaf.occurred_us += 1,
                |leaf| leaf.recorded_us += 1,
                |leaf| leaf.actor_id = "systen".into(),
                |leaf| leaf.correlation_id = Some(uuid(9)),
                |leaf| leaf.causation_id = None,
                |leaf| leaf.request_id = Some(uuid(9)),
                |leaf| leaf.request_hash = Some(to_hex(&[0; 32])),
                |leaf| leaf.metadata = "{ }".into(),
                |leaf| leaf.commitment = to_hex(&[0; 32]),
                |leaf| leaf.sequence += 100,
            ];
            for forgery in forgeries {
                let faulty = refused(&forged(&file, index, |line| forgery(&mut line.event)));
                assert_eq!(faulty.line, index as u64 + 2, "{faulty}");
            }
            let other = "{\"reason\":\"other\"}";
            let payload = forged(&file, index, |line| line.event.payload = Some(other.into()));
            assert_eq!(refused(&payload).line, index as u64 + 2);
        }
    }
}

#[test]
fn events_that_are_left_out_doubled_or_moved_are_missed() {
    let log = Log::new(12);
    for file in [log.session(), log.book(1, 12), log.book(4, 9)] {
        let last = *events(&file).last().unwrap();
        for index in events(&file) {
            let mut gone = file.clone();
            gone.lines.remove(index);
            let doubled = {
                let mut doubled = file.clone();
                doubled.lines.insert(index, file.lines[index].clone());
                doubled
            };
            refused(&renumbered(&doubled));
            // What a session's streams end with can be left out: docs/export-format.md says so.
            let tail = file.manifest.kind == Kind::Session && index + 4 > last;
            let in_account = matches!(Line::parse(file.lines[index].as_bytes()), Ok(Line::Event(line))
                if line.event.stream_id == uuid(BOOK));
            let elsewhere = file.manifest.kind == Kind::Session && in_account;
            if !(tail || elsewhere) {
                refused(&renumbered(&gone));
            }
            if index < last {
                let mut moved = file.clone();
                moved.lines.swap(index, last);
                refused(&renumbered(&moved));
            }
        }
    }
}

#[test]
fn a_payload_can_only_be_left_out_as_erased() {
    let file = Log::new(9).book(1, 9);
    let index = events(&file)[6];
    let half = forged(&file, index, |line| line.event.salt = None);
    assert_eq!(refused(&half).line, index as u64 + 2);
    let mut hidden = forged(&file, index, |line| (line.event.salt, line.event.payload) = (None, None));
    assert!(matches!(refused(&hidden).fault, Fault::Count { what: "erased events", .. }));
    // Counted, too; but no event says that it was erased.
    hidden.manifest.erased += 1;
    assert_eq!(refused(&hidden), FaultyLine { line: index as u64 + 2, fault: Fault::Unexplained(7) });
}

#[test]
fn an_erasure_explains_events_of_its_own_session_only() {
    for (session, explained) in [(SESSION, true), (SESSION + 1, false)] {
        let mut log = Log { leaves: vec![], hashes: vec![], tree: vec![] };
        let mut sequences = std::collections::HashMap::new();
        for position in 1..=ERASURE {
            let session = if position == ERASED { session } else { SESSION };
            let sequence = sequences.entry(session).or_insert(0);
            *sequence += 1;
            let mut leaf = leaf(position, uuid(session), *sequence, session);
            if position == ERASED {
                (leaf.salt, leaf.payload) = (None, None);
            }
            log.push(leaf);
        }
        let checked = check(&log.book(1, ERASURE).bytes(), Some(&verifier()));
        let fault = checked.err().map(|faulty| faulty.fault);
        assert_eq!(fault, (!explained).then_some(Fault::Unexplained(ERASED)));
    }
}

#[test]
fn blobs_are_those_that_events_refer_to() {
    let file = Log::new(9).book(1, 9);
    let at = file.lines.iter().position(|line| !is_event(line) && line.contains("\"content\"")).unwrap();
    let mut gone = file.clone();
    gone.lines.remove(at);
    assert_eq!(refused(&renumbered(&gone)).fault, Fault::BlobMissing(sha256(&blob())));
    let mut never_kept = file.clone();
    never_kept.lines[at] = blob_lines(at as u64 + 2, sha256(&blob()), None).next().unwrap().to_json();
    assert_eq!(refused(&renumbered(&never_kept)).fault, Fault::BlobMissing(sha256(&blob())));
    let mut other = file.clone();
    other.lines[at] = blob_lines(at as u64 + 2, sha256(&blob()), Some(b"other")).next().unwrap().to_json();
    assert_eq!(refused(&other).fault, Fault::BlobContent(sha256(&blob())));
    let mut stray = file.clone();
    stray.lines.insert(at, blob_lines(0, sha256(b"stray"), Some(b"stray")).next().unwrap().to_json());
    assert!(matches!(refused(&renumbered(&stray)).fault, Fault::BlobStray(_)));
    let mut early = file.clone();
    let line = early.lines.remove(at);
    early.lines.insert(0, line);
    assert!(matches!(refused(&renumbered(&early)).fault, Fault::BlobStray(_)));
}

#[test]
fn a_checkpoint_of_somebody_else_is_refused() {
    let log = Log::new(9);
    for file in [log.session(), log.book(2, 7)] {
        let other = CheckpointKey::from_seed(&[4; 32]).verifier(&origin(BookId::new(uuid(BOOK)))).unwrap();
        let faulty = check(&file.bytes(), Some(&other)).unwrap_err();
        assert!(matches!(faulty, FaultyLine { line: 1, fault: Fault::Checkpoint(_) }), "{faulty}");
        let mut unsigned = file.clone();
        unsigned.manifest.key = other.to_string();
        assert!(check(&unsigned.bytes(), None).is_err());
        assert!(check(&unsigned.bytes(), Some(&verifier())).is_ok(), "whoever knows the key needs no other");
        // The checkpoint of another log, or of another moment.
        for log in [Log::new(8), Log::new(10)] {
            let mut moved = file.clone();
            moved.manifest.checkpoint = log.session().manifest.checkpoint;
            refused(&moved);
        }
    }
}

#[test]
fn a_manifest_that_contradicts_itself_is_refused() {
    let log = Log::new(9);
    let (session, book) = (log.session(), log.book(2, 7));
    let manifests = [
        Manifest { kind: Kind::Book, ..session.manifest.clone() },
        Manifest { session_id: None, ..session.manifest.clone() },
        Manifest { session_id: Some(uuid(99)), ..session.manifest.clone() },
        Manifest { from: 2, ..session.manifest.clone() },
        Manifest { to: 8, ..session.manifest.clone() },
        Manifest { book_id: uuid(99), ..session.manifest.clone() },
    ];
    for manifest in manifests {
        refused(&File { manifest, ..session.clone() });
    }
    let manifests = [
        Manifest { from: 1, ..book.manifest.clone() },
        Manifest { to: 8, ..book.manifest.clone() },
        Manifest { events: 5, ..book.manifest.clone() },
        Manifest { erased: 0, ..book.manifest.clone() },
        Manifest { blobs: 7, ..book.manifest.clone() },
    ];
    for manifest in manifests {
        refused(&File { manifest, ..book.clone() });
    }
}
