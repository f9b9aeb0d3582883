//! What these tests share: a watchdog, numbers from a seed, small appends, people, records and a superuser.

use std::time::Duration;

use commands::ImportedSession;
use commands::ids::new_id;
use commands::log::{Append, Context, Log, StreamAppend};
use daybook_tests::Database;
use domain::account::{ImportedUsage, TokenCounts};
use domain::run::{
    ImportedCall, ImportedOutcome, ImportedRun, ImportedStep, Limits, Mode, RunEvent, RunRequested, TestsSkipped,
    Trigger,
};
use domain::session::{Delivery, ImportSource, MessageReceived, Origin, SessionStarted};
use domain::workspace::{FileChange, FileCreated};
use domain::{BookId, Content, Event, NanoUsd, Role, Sha256, Timestamp, Viewer, chain};
use projections::Recorded;
use sqlx::{ConnectOptions, PgConnection, Row};
use uuid::Uuid;

/// How long anything here may take before the test fails instead of hanging: many times what it takes, also on a machine
/// that has other work.
const PATIENCE: Duration = Duration::from_secs(600);

/// Fails when `work` does not end.
pub async fn in_time<F: Future>(work: F) -> F::Output {
    tokio::time::timeout(PATIENCE, work).await.expect("the work ends long before the watchdog")
}

/// Numbers that look random and follow from a seed (xorshift64*).
pub struct Random(u64);

impl Random {
    /// The seed is printed, so that a failure can be told from its output.
    pub fn seeded(seed: u64) -> Self {
        println!("seed {seed}");
        Self(seed | 1)
    }

    /// A generator of its own, for a task of its own.
    pub fn fork(&mut self) -> Self {
        Self(self.next() | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number from 0 to `bound`, without `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 33).expect("31 bits fit") % bound
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// A new stream's id.
pub fn stream() -> Uuid {
    new_id::<()>().uuid()
}

/// An event that says `marker` and nothing else.
pub fn marked(marker: &str) -> Event {
    RunEvent::from(TestsSkipped { reason: marker.into() }).into()
}

/// Events of one stream, one for each marker.
pub fn to_stream(stream_id: Uuid, expected: i64, markers: &[&str]) -> StreamAppend {
    let events = markers.iter().map(|marker| marked(marker)).collect();
    StreamAppend { stream_id, expected, session_id: None, events }
}

/// An append without a request.
pub fn append(log: &Log, book_id: BookId, streams: Vec<StreamAppend>) -> Append {
    let context = Context { actor_id: "test".into(), correlation_id: None, causation_id: None };
    Append { book_id, request: None, context, occurred_at: log.now(), streams }
}

/// The superuser of the cluster, whom no grant and no policy holds back.
pub async fn superuser(database: &Database) -> PgConnection {
    database.options.connect().await.expect("the database answers")
}

/// A number that a query without parameters answers.
pub async fn number(db: &mut PgConnection, sql: &str) -> i64 {
    sqlx::query(sql).fetch_one(db).await.expect("the query is right").get(0)
}

/// Every event of a book, in order.
pub async fn all_events(database: &Database, book_id: BookId) -> Vec<Recorded> {
    let mut db = database.pool.acquire().await.expect("the database answers");
    let (mut events, mut after) = (vec![], 0);
    loop {
        let page = projections::feed::page(&mut db, book_id, after, 5_000).await.expect("the log can be read");
        let Some(last) = page.last() else { return events };
        after = last.position;
        events.extend(page);
    }
}

/// What a marked event says.
pub fn marker(event: &Recorded) -> &str {
    match event.event() {
        Some(Event::Run(RunEvent::TestsSkipped(skipped))) => &skipped.reason,
        other => panic!("{other:?} is not a marked event"),
    }
}

/// The positions of a book are 1, 2, 3 and so on, and so are the sequences of each of its streams.
pub fn assert_dense(events: &[Recorded]) {
    let mut sequences = std::collections::HashMap::new();
    for (position, event) in (1..).zip(events) {
        assert_eq!(event.position, position, "positions are dense");
        let sequence = sequences.entry(event.stream_id).or_insert(0);
        *sequence += 1;
        assert_eq!(event.sequence, *sequence, "sequences are dense at position {position}");
    }
    let in_order = events.windows(2).all(|pair| pair[0].recorded_at < pair[1].recorded_at);
    assert!(in_order, "recorded times go up with positions");
}

/// Somebody who works in a book.
pub fn developer(book_id: BookId) -> Viewer {
    Viewer { user_id: new_id(), book_id, role: Role::Developer, name: "Ada".into() }
}

/// A record of another agent's run, small, with something for every read model: a call, a file, usage and a bill.
pub fn record(viewer: &Viewer, file: u8) -> ImportedSession {
    let (session_id, workspace_id, run_id, message_id) = (new_id(), new_id(), new_id(), new_id());
    let sha256 = Sha256([file; 32]);
    let task = Content::inline("fix the parser");
    let model = Some("other/model".to_owned());
    let call = ImportedCall {
        tool_call_id: new_id(),
        provider_call_id: "1".into(),
        tool: "bash".into(),
        arguments: Content::inline(r#"{"command":"ls"}"#),
        observation: Some(Content::inline("parser.py")),
        duration_ms: None,
    };
    let said = Some((new_id(), Content::inline("I look around.")));
    let step = ImportedStep { llm_call_id: new_id(), thinking: None, text: said, call: Some(call) };
    let change = FileChange {
        path: "parser.py".into(),
        before_sha256: None,
        after_sha256: None,
        bytes: None,
        lines_added: 3,
        lines_removed: 0,
        patch: None,
        run_id,
        tool_call_id: None,
    };
    let tokens = TokenCounts { input_tokens: Some(10), output_tokens: Some(2), ..TokenCounts::default() };
    ImportedSession {
        sha256,
        session: SessionStarted {
            session_id,
            title: "A record".into(),
            owner_user_id: viewer.user_id,
            workspace_id,
            origin: Origin::Import,
            model: model.clone(),
            approval_policy: Default::default(),
            import_source: Some(ImportSource { format: "test".into(), file_name: "a".into(), sha256, bytes: 1 }),
        },
        message: MessageReceived { message_id, content: task.clone(), delivery: Delivery::Record, run_id },
        run: ImportedRun {
            request: requested(run_id, session_id, workspace_id, message_id, task),
            worker_id: new_id(),
            steps: vec![step],
            outcome: ImportedOutcome::Succeeded("done".into()),
        },
        changes: vec![FileCreated(change).into()],
        usage: Some(ImportedUsage {
            llm_call_id: new_id(),
            session_id,
            run_id,
            model,
            calls: 1,
            tokens,
            cost_nanousd: Some(NanoUsd(1_234)),
        }),
    }
}

fn requested(
    run_id: domain::RunId,
    session_id: domain::SessionId,
    workspace_id: domain::WorkspaceId,
    message_id: domain::MessageId,
    task: Content,
) -> RunRequested {
    RunRequested {
        run_id,
        session_id,
        workspace_id,
        mode: Mode::Build,
        trigger: Trigger::Import,
        message_id,
        task,
        model: "other/model".into(),
        approval_policy: Default::default(),
        limits: Limits::default(),
        requested_at: domain::Timestamp::UNIX_EPOCH,
    }
}

/// An event as another release might write it.
pub struct Foreign<'a> {
    pub stream_id: Uuid,
    pub session_id: Option<Uuid>,
    pub event_type: &'a str,
    pub event_version: i16,
    pub payload: &'a str,
}

/// Writes what this release would not: the chain holds, and the head moves. Answers its position.
pub async fn write_foreign(database: &Database, book_id: BookId, event: Foreign<'_>) -> i64 {
    let mut db = superuser(database).await;
    let mut tx = sqlx::Connection::begin(&mut db).await.expect("the database answers");
    let lock = sqlx::query("SELECT pg_advisory_xact_lock(append_lock($1))").bind(book_id.uuid());
    lock.execute(&mut *tx).await.expect("the lock can be had");
    let head = sqlx::query("SELECT position, hash, recorded_at FROM book_heads WHERE book_id = $1");
    let head = head.bind(book_id.uuid()).fetch_one(&mut *tx).await.expect("the book has events");
    let at: Timestamp = head.get::<Timestamp, _>("recorded_at") + chrono::TimeDelta::microseconds(1);
    let last = sqlx::query("SELECT coalesce(max(sequence), 0) FROM events WHERE book_id = $1 AND stream_id = $2");
    let last: i64 =
        last.bind(book_id.uuid()).bind(event.stream_id).fetch_one(&mut *tx).await.expect("it counts").get(0);
    let header = chain::Header {
        book_id,
        position: head.get::<i64, _>("position") + 1,
        stream_id: event.stream_id,
        sequence: last + 1,
        session_id: event.session_id,
        event_id: new_id(),
        event_type: event.event_type,
        event_version: event.event_version,
        occurred_at: at,
        recorded_at: at,
        actor_id: "a later release",
        correlation_id: None,
        causation_id: None,
        request_id: None,
        request_hash: None,
        metadata: "{}",
    };
    let salt = [7; chain::SALT_BYTES];
    let commitment = chain::commitment(&salt, event.payload.as_bytes());
    let before: Vec<u8> = head.get("hash");
    let hash = chain::hash(&before.try_into().expect("a hash has 32 bytes"), &header, &commitment);
    sqlx::query(
        "INSERT INTO events (book_id, position, stream_id, sequence, session_id, event_id, event_type, event_version, \
           occurred_at, recorded_at, actor_id, payload, metadata, salt, commitment, hash) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10, $11::text::json, '{}', $12, $13, $14)",
    )
    .bind(book_id.uuid())
    .bind(header.position)
    .bind(header.stream_id)
    .bind(header.sequence)
    .bind(header.session_id)
    .bind(header.event_id.uuid())
    .bind(header.event_type)
    .bind(header.event_version)
    .bind(at)
    .bind(header.actor_id)
    .bind(event.payload)
    .bind(&salt[..])
    .bind(&commitment[..])
    .bind(&hash[..])
    .execute(&mut *tx)
    .await
    .expect("the row is right");
    tx.commit().await.expect("the event is durable");
    header.position
}

/// A book beside the one of the installation.
pub fn another_book() -> BookId {
    BookId::new(stream())
}
