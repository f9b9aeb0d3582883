//! Exports of a log that grows, and what an import leaves in the log.

use std::collections::HashMap;

use commands::RecordedSession;
use commands::ids::new_id;
use daybook_tests::Database;
use domain::export::{Line, MAX_LINE_BYTES, Manifest, Recording, Report, Verifier};
use domain::proof::{CheckpointKey, InclusionProof, Leaf, VerifierKey};
use domain::session::{ImportSource, SessionError};
use domain::{BookId, SessionId, Sha256};
use projections::export::{ExportError, Scope, Seal, export};
use projections::tree::{Follower, SignedCheckpoint, Signer};
use sqlx::Row;

use crate::fixture::{all_events, append, assert_dense, developer, in_time, marked, record, stream, to_stream};

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
    assert!(matches!(refused, commands::CommandError::Session(SessionError::Taken)), "{refused}");

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
        assert_eq!(
            (original.occurred_at, original.event().map(domain::Event::stored_type)),
            (event.occurred_at, event.event().map(domain::Event::stored_type))
        );
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
