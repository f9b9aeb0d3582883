//! Exports of a log that grows, and what an import leaves in the log.

use std::collections::HashMap;

use commands::ids::new_id;
use commands::{CommandError, Commands, RecordedSession, SessionErase, SessionStart};
use daybook_tests::Database;
use domain::account::{
    AccountError, AccountEvent, ChargeOrigin, ReservationReleased, SpendReserved, UsageCharged, postings,
};
use domain::erasure::survives;
use domain::export::{Line, MAX_LINE_BYTES, Manifest, Recorded, Recording, Report, Stream, Verifier};
use domain::proof::{CheckpointKey, InclusionProof, Leaf, VerifierKey};
use domain::run::RunEvent;
use domain::session::{ImportSource, Origin, SessionError, SessionEvent};
use domain::text::{MessageText, Reason};
use domain::{BookId, LlmCallId, NanoUsd, SessionId, Sha256, Timestamp, Viewer};
use projections::export::{ExportError, Scope, Seal, export};
use projections::tree::{Follower, SignedCheckpoint, Signer, read_leaf};
use sqlx::{Executor, Row};

use crate::commands::begin_step;
use crate::fixture::{
    all_events, append, assert_dense, developer, in_time, marked, number, record, stream, superuser, to_stream,
};

/// What exports under checkpoints of its own.
struct Writer {
    database: Database,
    book: BookId,
    trees: Follower,
    key: VerifierKey,
    _folder: tempfile::TempDir,
}

impl Writer {
    async fn new() -> Self {
        let (database, folder) = (Database::fresh().await, tempfile::tempdir().unwrap());
        let signer = Signer::new(CheckpointKey::from_seed(&[5; 32]), folder.path().to_owned());
        let trees = Follower::new(database.pool.clone(), signer);
        let book = database.installation.home_book;
        let key = trees.signer().verifier(book);
        Self { database, book, trees, key, _folder: folder }
    }

    async fn signed(&self) -> SignedCheckpoint {
        self.trees.sign_now(self.book).await.expect("a book with events can be signed")
    }

    async fn export(&self, scope: Scope, checkpoint: &SignedCheckpoint) -> Result<Vec<u8>, ExportError> {
        let reader = self.database.reader().await;
        let seal = Seal { checkpoint, key: &self.key, release: "0" };
        let mut body = vec![];
        let manifest = export(&reader, self.book, scope, seal, &mut body).await?;
        Ok(assembled(&manifest, &body))
    }
}

fn assembled(manifest: &Manifest, body: &[u8]) -> Vec<u8> {
    let (before, after) = manifest.around_digest();
    let digest = commands::blobs::sha256(&[after.as_bytes(), body].concat()).to_string();
    let digest = digest.trim_start_matches("sha256:");
    [before.as_bytes(), digest.as_bytes(), after.as_bytes(), body].concat()
}

/// Checks a file; answers its lines.
fn checked(file: &[u8], key: &VerifierKey) -> (Report, Vec<Line>) {
    let mut lines = file.split_inclusive(|byte| *byte == b'\n');
    let mut verifier = Verifier::begin(lines.next().unwrap(), Some(key)).expect("the manifest holds");
    let lines = lines.map(|line| verifier.take(line).expect("the line holds")).collect();
    (verifier.finish().expect("the file holds"), lines)
}

#[tokio::test]
async fn every_export_of_a_log_that_grows_holds() {
    let writer = Writer::new().await;
    let log = writer.database.log().await;
    let session: SessionId = new_id();
    in_time(async {
        let growing = async {
            for round in 0..60 {
                let mut of_session = to_stream(session.uuid(), round * 2, &["a", "b"]);
                of_session.session_id = Some(session.uuid());
                let mut many = to_stream(stream(), 0, &[]);
                many.events = (0..30).map(|_| marked("x")).collect();
                log.append(append(&log, writer.book, vec![of_session, many])).await.unwrap();
            }
        };
        let exporting = async {
            let mut sizes = vec![];
            while sizes.last().is_none_or(|size| *size < 60 * 32) {
                // The first look may come before the first event.
                let Ok(checkpoint) = writer.trees.sign_now(writer.book).await else {
                    tokio::task::yield_now().await;
                    continue;
                };
                let size = checkpoint.size;
                for scope in [
                    Scope::Session(session),
                    Scope::Book { from: 1, to: size },
                    Scope::Book { from: size / 3 + 1, to: size - size / 5 },
                ] {
                    let (report, _) = checked(&writer.export(scope, &checkpoint).await.unwrap(), &writer.key);
                    let events = match scope {
                        Scope::Session(_) => size / 32 * 2,
                        Scope::Book { from, to } => to - from + 1,
                    };
                    assert_eq!(report.manifest.events, events.unsigned_abs(), "{scope:?} at {size}");
                }
                sizes.push(size);
            }
        };
        tokio::join!(growing, exporting)
    })
    .await;
}

#[tokio::test]
async fn what_is_not_there_cannot_be_exported() {
    let writer = Writer::new().await;
    let log = writer.database.log().await;
    log.append(append(&log, writer.book, vec![to_stream(stream(), 0, &["a", "b", "c"])])).await.unwrap();
    let checkpoint = writer.signed().await;
    for (from, to) in [(0, 1), (2, 1), (1, 4), (-1, 2)] {
        let refused = writer.export(Scope::Book { from, to }, &checkpoint).await;
        assert!(matches!(refused, Err(ExportError::Range { covered: 3, .. })), "{from} to {to}");
    }
    let refused = writer.export(Scope::Session(new_id()), &checkpoint).await;
    assert!(matches!(refused, Err(ExportError::NoSession(_))));
    // A reader of another book sees nothing of it.
    let reader = writer.database.reader().await;
    let seal = Seal { checkpoint: &checkpoint, key: &writer.key, release: "0" };
    let other = crate::fixture::another_book();
    assert!(export(&reader, other, Scope::Book { from: 1, to: 3 }, seal, &mut vec![]).await.is_err());
}

#[tokio::test]
async fn each_event_keeps_its_origin_and_the_origin_can_be_checked() {
    let (one, other) = (Writer::new().await, Writer::new().await);
    let viewer = developer(one.book);
    let commands = one.database.commands().await;
    let session = in_time(commands.import(&viewer, record(&viewer, 1))).await.unwrap().answer.session_id;
    let checkpoint = one.signed().await;
    let (report, lines) = checked(&one.export(Scope::Session(session), &checkpoint).await.unwrap(), &one.key);

    let viewer = developer(other.book);
    let source = ImportSource { format: "f".into(), file_name: "n".into(), sha256: Sha256([8; 32]), bytes: 1 };
    let taken = || {
        let mut recording = Recording::new(session, report.manifest.clone(), source.clone(), &viewer);
        let mut events: Vec<_> = lines
            .iter()
            .filter_map(|line| match line {
                Line::Event(event) => Some(recording.take((**event).clone()).unwrap()),
                Line::Blob(_) => None,
            })
            .collect();
        events.extend(recording.close().unwrap());
        events
    };
    // In one part, then again in several: it is the same request, part by part.
    let commands = other.database.commands().await;
    let events = taken();
    let (first, rest) = events.split_at(5);
    let mut half = RecordedSession::new(source.sha256, session);
    assert!(!commands.take_in(&viewer, &mut half, first).await.unwrap().answer);
    let mut again = RecordedSession::new(source.sha256, session);
    assert!(commands.take_in(&viewer, &mut again, first).await.unwrap().answer);
    assert!(!commands.take_in(&viewer, &mut again, rest).await.unwrap().answer);
    let mut foreign = RecordedSession::new(Sha256([7; 32]), session);
    let refused = commands.take_in(&viewer, &mut foreign, first).await.unwrap_err();
    assert!(matches!(refused, CommandError::Session(SessionError::Taken)), "{refused}");

    let there = all_events(&other.database, other.book).await;
    assert_dense(&there);
    let here: HashMap<_, _> = all_events(&one.database, one.book).await.into_iter().map(|e| (e.position, e)).collect();
    assert_eq!(there.len(), here.len());
    let rows =
        sqlx::query("SELECT position, metadata::text AS metadata FROM events WHERE book_id = $1 ORDER BY position")
            .bind(other.book.uuid())
            .fetch_all(&other.database.pool)
            .await
            .unwrap();
    for (row, event) in rows.iter().zip(&there) {
        let metadata: serde_json::Value = serde_json::from_str(row.get("metadata")).unwrap();
        let origin = &metadata["origin"];
        let leaf: Leaf = serde_json::from_value(origin["event"].clone()).unwrap();
        assert!(leaf.payload.is_none() && leaf.salt.is_none());
        let path: Vec<String> = serde_json::from_value(origin["proof"].clone()).unwrap();
        let path = path.iter().map(|hash| format!("sha256:{hash}").parse::<Sha256>().unwrap().0).collect();
        let index = leaf.position.unsigned_abs() - 1;
        let proof = InclusionProof { index, size: checkpoint.size.unsigned_abs(), path };
        proof.verify(&leaf.hash().unwrap(), &checkpoint.root).expect("the original was in the other log");
        let original = &here[&leaf.position];
        assert_eq!((original.occurred_at, &original.event_type), (event.occurred_at, &event.event_type));
        assert_eq!(event.actor_id, viewer.actor());
    }
}

#[tokio::test]
async fn an_event_that_fits_no_line_is_refused_by_its_position() {
    let writer = Writer::new().await;
    let log = writer.database.log().await;
    let long = "x".repeat(MAX_LINE_BYTES);
    log.append(append(&log, writer.book, vec![to_stream(stream(), 0, &["a", &long])])).await.unwrap();
    let checkpoint = writer.signed().await;
    let refused = writer.export(Scope::Book { from: 1, to: 2 }, &checkpoint).await;
    assert!(matches!(refused, Err(ExportError::TooLong(2))));
}

#[tokio::test]
async fn what_counts_as_erased_is_not_handed_out_while_its_bytes_are_there() {
    let one = Writer::new().await;
    let viewer = developer(one.book);
    let commands = one.database.commands().await;
    let session = commands.import(&viewer, record(&viewer, 1)).await.unwrap().answer.session_id;
    let other = commands.import(&viewer, record(&viewer, 2)).await.unwrap().answer.session_id;
    let mut db = superuser(&one.database).await;
    db.execute("REVOKE EXECUTE ON FUNCTION erase_content FROM daybook_writer").await.unwrap();
    assert!(commands.session_erase(&viewer, new_id(), erasure(session)).await.is_err());
    assert_eq!(number(&mut db, "SELECT count(*) FROM events WHERE payload IS NULL").await, 0);
    let checkpoint = one.signed().await;
    let whole = |leaf: &Leaf| leaf.session_id == Some(other.uuid()) || survives(&leaf.event_type);
    for scope in [Scope::Session(session), Scope::Book { from: 1, to: checkpoint.size }] {
        let (report, lines) = checked(&one.export(scope, &checkpoint).await.unwrap(), &one.key);
        assert!(report.manifest.erased > 5);
        for line in lines {
            let Line::Event(line) = line else { continue };
            let leaf = line.event;
            assert_eq!((leaf.payload.is_some(), leaf.salt.is_some()), (whole(&leaf), whole(&leaf)), "{leaf:?}");
        }
    }
    for position in 1..=checkpoint.size {
        let leaf = read_leaf(&mut db, one.book, position).await.unwrap().unwrap();
        assert_eq!((leaf.payload.is_some(), leaf.salt.is_some()), (whole(&leaf), whole(&leaf)), "{leaf:?}");
    }
}

fn erasure(session_id: SessionId) -> SessionErase {
    SessionErase { session_id, reason: Reason::required("reason", "asked for").unwrap() }
}

/// The beginning of a session of elsewhere, and events of its account.
fn a_recording(viewer: &Viewer, session_id: SessionId, account: Vec<AccountEvent>) -> Vec<Recorded> {
    let mut held = record(viewer, 1);
    held.session.session_id = session_id;
    held.run.request.session_id = session_id;
    let begun = [
        (Stream::Own(session_id.uuid()), SessionEvent::from(held.session).into()),
        (Stream::Own(held.run.request.run_id.uuid()), RunEvent::from(held.run.request).into()),
    ];
    let account = account.into_iter().map(|event| (Stream::Account, event.into()));
    let events = begun.into_iter().chain(account);
    events.map(|(stream, event)| Recorded { stream, event, occurred_at: Timestamp::UNIX_EPOCH, origin: None }).collect()
}

#[tokio::test]
async fn a_session_whose_import_was_interrupted_can_be_erased() {
    let one = Writer::new().await;
    let (viewer, commands) = (developer(one.book), one.database.commands().await);
    let session_id: SessionId = new_id();
    let mut half = RecordedSession::new(Sha256([8; 32]), session_id);
    commands.take_in(&viewer, &mut half, &a_recording(&viewer, session_id, vec![])).await.unwrap();
    let erased = commands.session_erase(&viewer, new_id(), erasure(session_id)).await.unwrap();
    assert!(erased.answer.is_some());
    // What would have come next finds that the session has moved on.
    let rest = [Recorded {
        stream: Stream::Own(session_id.uuid()),
        event: SessionEvent::from(record(&viewer, 1).message).into(),
        occurred_at: Timestamp::UNIX_EPOCH,
        origin: None,
    }];
    let refused = commands.take_in(&viewer, &mut half, &rest).await.unwrap_err();
    assert!(matches!(refused, CommandError::Session(SessionError::Taken)), "{refused}");
}

#[tokio::test]
async fn a_record_settles_nothing_that_is_reserved_here_and_posts_nothing_that_a_balance_cannot_hold() {
    let one = Writer::new().await;
    let (viewer, commands) = (developer(one.book), one.database.commands().await);
    let input = SessionStart {
        text: MessageText::parse("text", "hello").unwrap(),
        title: None,
        approval_policy: Default::default(),
        origin: Origin::Cli,
        model: "scripted/test".into(),
    };
    let started = commands.session_start(&viewer, new_id(), input).await.unwrap().answer;
    let foreign = begin_step(&commands, one.book, started).await.llm_call_id;
    let session_id: SessionId = new_id();
    let own = SpendReserved { llm_call_id: new_id(), session_id, ..reserved_in(&commands, one.book, foreign).await };
    let release = |llm_call_id| {
        let reason = "over".to_owned();
        ReservationReleased { llm_call_id, session_id, reserved_nanousd: own.est_nanousd, reason }.into()
    };
    let mut session = RecordedSession::new(Sha256([8; 32]), session_id);
    let first = a_recording(&viewer, session_id, vec![own.clone().into()]);
    commands.take_in(&viewer, &mut session, &first).await.unwrap();
    // Its own comes first, and hides nothing.
    let account = a_recording(&viewer, session_id, vec![release(own.llm_call_id), release(foreign)]).split_off(2);
    let refused = commands.take_in(&viewer, &mut session, &account).await.unwrap_err();
    assert!(matches!(refused, CommandError::Account(AccountError::Taken(call)) if call == foreign), "{refused}");

    let charge = |cost: i64| UsageCharged {
        llm_call_id: new_id(),
        session_id,
        run_id: started.run_id,
        model: None,
        price_id: None,
        origin: ChargeOrigin::Imported,
        lines: vec![],
        cost_nanousd: NanoUsd(cost),
        postings: postings(ChargeOrigin::Imported, None, NanoUsd(cost)).unwrap(),
    };
    let most = a_recording(&viewer, session_id, vec![charge(i64::MAX).into()]).split_off(2);
    commands.take_in(&viewer, &mut session, &most).await.unwrap();
    let more = a_recording(&viewer, session_id, vec![charge(1).into()]).split_off(2);
    let refused = commands.take_in(&viewer, &mut session, &more).await.unwrap_err();
    assert!(matches!(refused, CommandError::Account(AccountError::Overflow(_))), "{refused}");
    one.database.commands().await.account(one.book).await.unwrap();
}

/// What is set aside for a call.
async fn reserved_in(commands: &Commands, book: BookId, call: LlmCallId) -> SpendReserved {
    commands.account(book).await.unwrap().state.reserved(call).unwrap().clone()
}
