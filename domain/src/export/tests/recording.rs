//! What becomes of a session that is taken in.

use super::*;
use crate::account::{AccountEvent, ChargeOrigin, SpendReserved, UsageCharged, postings};
use crate::aggregate::Aggregate;
use crate::event::Event;
use crate::id::{Id, LlmCallId, RunId, UserId};
use crate::money::NanoUsd;
use crate::run::{
    Limits, Mode, Purpose, Run, RunCommand, RunEvent, RunRefusal, RunRequested, StepRequested, StepStarted, Trigger,
};
use crate::session::{ContentErased, ImportSource, KeptFacts, Origin, SessionEvent, SessionStarted};
use crate::workspace::{WorkspaceCreated, WorkspaceEvent};
use crate::{Content, Role, Viewer};

const RUN: u128 = 20;
const WORKSPACE: u128 = 30;

fn viewer() -> Viewer {
    Viewer { user_id: Id::new(uuid(50)), book_id: Id::new(uuid(2)), role: Role::Developer, name: "Ada".into() }
}

fn recording() -> Recording {
    recording_of(Log::new(3).session().manifest)
}

fn recording_of(manifest: Manifest) -> Recording {
    let source = ImportSource {
        format: "daybook-export".into(),
        file_name: "a.jsonl".into(),
        sha256: Sha256([1; 32]),
        bytes: 9,
    };
    Recording::new(Id::new(uuid(SESSION)), manifest, source, &viewer())
}

fn started() -> Event {
    SessionEvent::from(SessionStarted {
        session_id: Id::new(uuid(SESSION)),
        title: "A task".into(),
        owner_user_id: UserId::new(uuid(40)),
        workspace_id: Id::new(uuid(WORKSPACE)),
        origin: Origin::Cli,
        model: None,
        approval_policy: Default::default(),
        import_source: None,
    })
    .into()
}

fn requested() -> RunRequested {
    RunRequested {
        run_id: Id::new(uuid(RUN)),
        session_id: Id::new(uuid(SESSION)),
        workspace_id: Id::new(uuid(WORKSPACE)),
        mode: Mode::Build,
        trigger: Trigger::Message,
        message_id: Id::new(uuid(31)),
        task: Content::inline("do it"),
        model: "a/b".into(),
        approval_policy: Default::default(),
        limits: Limits::default(),
        requested_at: crate::Timestamp::UNIX_EPOCH,
    }
}

fn created() -> Event {
    let (workspace_id, session_id) = (Id::new(uuid(WORKSPACE)), Id::new(uuid(SESSION)));
    WorkspaceEvent::from(WorkspaceCreated { workspace_id, session_id }).into()
}

fn of_run(event: impl Into<RunEvent>) -> Event {
    event.into().into()
}

fn step() -> [Event; 2] {
    let worker_id = Id::new(uuid(60));
    [
        of_run(StepRequested { step_no: 1, attempt: 1, purpose: Purpose::Plan, not_before: None }),
        of_run(StepStarted { step_no: 1, attempt: 1, worker_id, llm_call_id: call(), model: "a/b".into() }),
    ]
}

fn call() -> LlmCallId {
    Id::new(uuid(70))
}

fn reserved() -> Event {
    AccountEvent::from(SpendReserved {
        llm_call_id: call(),
        session_id: Id::new(uuid(SESSION)),
        run_id: Id::new(uuid(RUN)),
        model: "a/b".into(),
        price_id: Id::new(uuid(80)),
        origin: ChargeOrigin::Metered,
        est_input_tokens: 1,
        max_output_tokens: 1,
        est_nanousd: NanoUsd(7),
    })
    .into()
}

fn charged() -> Event {
    charged_with(7)
}

fn charged_with(cost: i64) -> Event {
    AccountEvent::from(UsageCharged {
        llm_call_id: call(),
        session_id: Id::new(uuid(SESSION)),
        run_id: Id::new(uuid(RUN)),
        model: Some("a/b".into()),
        price_id: None,
        origin: ChargeOrigin::Metered,
        lines: vec![],
        cost_nanousd: NanoUsd(cost),
        postings: postings(ChargeOrigin::Metered, Some("a/b"), NanoUsd(cost)).unwrap(),
    })
    .into()
}

fn line(stream: u128, sequence: i64, event: &Event) -> EventLine {
    let stored = event.stored_type();
    let event = Leaf {
        event_type: stored.name.into(),
        event_version: stored.version,
        payload: Some(event.payload()),
        ..leaf(sequence, uuid(stream), sequence, SESSION)
    };
    EventLine { line: 2, event, hash: None, proof: Some(vec![]) }
}

/// Takes in events, each in its stream; answers what they became.
fn taken(recording: &mut Recording, events: &[(u128, Event)]) -> Vec<Event> {
    let mut sequences = std::collections::HashMap::new();
    let taken = events.iter().map(|(stream, event)| {
        let sequence = sequences.entry(*stream).or_insert(0);
        *sequence += 1;
        recording.take(line(*stream, *sequence, event)).expect("it can be taken in").event
    });
    taken.collect()
}

#[test]
fn a_session_is_marked_as_a_record_of_its_new_owner() {
    let events = taken(&mut recording(), &[(SESSION, started()), (RUN, of_run(requested()))]);
    let Event::Session(SessionEvent::SessionStarted(session)) = &events[0] else { panic!("{events:?}") };
    assert_eq!((session.origin, session.owner_user_id, &*session.title), (Origin::Import, viewer().user_id, "A task"));
    assert_eq!(session.import_source.as_ref().unwrap().file_name, "a.jsonl");
    assert_eq!(events[1], of_run(RunRequested { trigger: Trigger::Import, ..requested() }));
}

#[test]
fn its_money_goes_to_memo_accounts() {
    let events = taken(&mut recording(), &[(SESSION, started()), (BOOK, reserved()), (BOOK, charged())]);
    let Event::Account(AccountEvent::SpendReserved(reserved)) = &events[1] else { panic!("{events:?}") };
    let Event::Account(AccountEvent::UsageCharged(charged)) = &events[2] else { panic!("{events:?}") };
    assert_eq!((reserved.origin, charged.origin), (ChargeOrigin::Imported, ChargeOrigin::Imported));
    assert_eq!((reserved.est_nanousd, charged.cost_nanousd), (NanoUsd(7), NanoUsd(7)));
    assert!(charged.postings.iter().all(|posting| posting.account.starts_with("memo:imported:")));
    assert_eq!(NanoUsd::sum(charged.postings.iter().map(|posting| posting.nanousd)), Ok(NanoUsd::ZERO));
}

#[test]
fn an_origin_holds_the_header_and_the_proof_but_no_content() {
    let mut recording = recording();
    let recorded = recording.take(line(SESSION, 1, &started())).unwrap();
    assert_eq!(recorded.occurred_at.timestamp_micros(), 1_700_000_000_000_001);
    let origin: serde_json::Value = serde_json::from_str(&recorded.origin.unwrap()).unwrap();
    assert_eq!((&origin["line"], &origin["event"]["event_id"]), (&2.into(), &uuid(1_001).to_string().into()));
    assert!(origin["proof"].is_array() && origin["manifest"]["checkpoint"].is_string());
    assert!(origin["event"]["payload"].is_null() && origin["event"]["salt"].is_null());
    let second = recording.take(line(RUN, 1, &of_run(requested()))).unwrap().origin.unwrap();
    assert!(!second.contains("checkpoint"), "the manifest stands in the first event only");
}

#[test]
fn what_was_under_way_is_over() {
    let mut recording = recording();
    let [wanted, begun] = step();
    let events = [
        (SESSION, started()),
        (WORKSPACE, created()),
        (RUN, of_run(requested())),
        (RUN, wanted),
        (BOOK, reserved()),
        (RUN, begun),
    ];
    let mut events = taken(&mut recording, &events);
    let closing = recording.close().unwrap();
    assert!(closing.iter().all(|recorded| recorded.origin.is_none()));
    let names: Vec<_> = closing.iter().map(|recorded| recorded.event.stored_type().name).collect();
    assert_eq!(names, ["reservation.released", "step.interrupted", "run.cancelled"]);
    events.extend(closing.into_iter().map(|recorded| recorded.event));
    let mut run = Run::default();
    for event in events {
        if let Event::Run(event) = event {
            run.evolve(&event);
        }
    }
    // Nothing that a worker or a person asks of it is done.
    let retry = RunCommand::Retry { requested_by: "user".into() };
    let cancel = RunCommand::Cancel { cancelled_by: "user".into(), reason: String::new(), cost_nanousd: NanoUsd::ZERO };
    for command in [retry, cancel] {
        assert_eq!(run.decide(&command).unwrap_err(), RunRefusal::Imported);
    }
}

#[test]
fn a_record_is_not_worked_on_even_while_it_is_taken_in() {
    let mut run = Run::default();
    run.evolve(&RunRequested { trigger: Trigger::Import, ..requested() }.into());
    for event in step() {
        let Event::Run(event) = event else { panic!("it is a run's") };
        run.evolve(&event);
    }
    let step = crate::run::StepRef { step_no: 1, attempt: 1, worker_id: Id::new(uuid(60)) };
    let interrupt = RunCommand::InterruptStep { step, reason: "gone".into(), cost_nanousd: NanoUsd::ZERO };
    assert_eq!(run.decide(&interrupt).unwrap_err(), RunRefusal::Imported);
    let own = Run::default();
    let end = RunCommand::EndRecord { ended_by: "user".into(), reason: String::new() };
    assert_eq!(own.decide(&end).unwrap_err(), RunRefusal::Unknown);
}

#[test]
fn events_that_a_session_cannot_have_are_refused() {
    let refusal = |stream, sequence, event: &Event| recording().take(line(stream, sequence, event)).unwrap_err();
    let other = RunRequested { run_id: RunId::new(uuid(99)), ..requested() };
    assert!(matches!(refusal(RUN, 1, &of_run(other)), RecordingError::Misplaced("run.requested")));
    let foreign = RunRequested { session_id: Id::new(uuid(99)), ..requested() };
    assert!(matches!(refusal(RUN, 1, &of_run(foreign)), RecordingError::Misplaced(_)));
    assert!(matches!(refusal(RUN, 1, &reserved()), RecordingError::Misplaced("spend.reserved")));
    assert!(matches!(refusal(BOOK, 1, &started()), RecordingError::Misplaced(_)));
    assert!(matches!(refusal(RUN, 4, &step()[0]), RecordingError::Unbegun));
    let mut unknown = line(SESSION, 1, &started());
    unknown.event.event_version = 99;
    assert!(matches!(recording().take(unknown).unwrap_err(), RecordingError::Decode(_)));
    let mut erased = line(SESSION, 1, &started());
    (erased.event.payload, erased.event.salt) = (None, None);
    assert!(matches!(recording().take(erased).unwrap_err(), RecordingError::Erased));
    let mut nothing = recording();
    nothing.take(line(RUN, 1, &of_run(requested()))).unwrap();
    assert!(matches!(nothing.close().unwrap_err(), RecordingError::NoSession));
    // A run in the stream of a session, after its beginning.
    let mut mixed = recording();
    mixed.take(line(SESSION, 1, &started())).unwrap();
    assert!(matches!(mixed.take(line(SESSION, 2, &step()[0])).unwrap_err(), RecordingError::Misplaced(_)));
}

#[test]
fn what_says_that_a_session_was_erased_is_refused() {
    let erased = ContentErased {
        session_id: Id::new(uuid(SESSION)),
        // Positions of whatever else the book holds.
        positions: vec![crate::erasure::PositionRange { first: 2, last: 1 }],
        payload_bytes: 0,
        blobs: 0,
        reason: "asked for".into(),
        requested_by: UserId::new(uuid(40)),
        kept: KeptFacts {
            origin: Origin::Cli,
            owner_user_id: UserId::new(uuid(40)),
            workspace_id: Id::new(uuid(WORKSPACE)),
        },
    };
    let marks: [(u128, Event); 3] = [
        (SESSION, SessionEvent::from(erased).into()),
        (RUN, of_run(crate::run::RunErased { run_id: Id::new(uuid(RUN)) })),
        (
            WORKSPACE,
            WorkspaceEvent::from(crate::workspace::WorkspaceErased { workspace_id: Id::new(uuid(WORKSPACE)) }).into(),
        ),
    ];
    for (stream, mark) in marks {
        let mut recording = recording();
        taken(&mut recording, &[(SESSION, started()), (WORKSPACE, created()), (RUN, of_run(requested()))]);
        let refused = recording.take(line(stream, 2, &mark)).unwrap_err();
        assert!(matches!(refused, RecordingError::Mark(name) if name == mark.stored_type().name), "{refused}");
    }
}

#[test]
fn a_session_has_one_workspace_and_it_is_its_own() {
    let other = RunRequested { workspace_id: Id::new(uuid(31)), ..requested() };
    let mut recording = recording();
    taken(&mut recording, &[(SESSION, started())]);
    let refused = recording.take(line(RUN, 1, &of_run(other.clone()))).unwrap_err();
    assert!(matches!(refused, RecordingError::Workspace("run.requested")), "{refused}");
    // Whichever comes first.
    let mut recording = recording_of(Log::new(3).session().manifest);
    taken(&mut recording, &[(RUN, of_run(other))]);
    let refused = recording.take(line(SESSION, 1, &started())).unwrap_err();
    assert!(matches!(refused, RecordingError::Workspace("session.started")), "{refused}");
    // Where the file does not hold its beginning, it may be anybody's.
    let mut recording = recording_of(Log::new(3).session().manifest);
    taken(&mut recording, &[(SESSION, started()), (RUN, of_run(requested()))]);
    assert!(matches!(recording.close().unwrap_err(), RecordingError::NoWorkspace));
}

#[test]
fn charges_that_no_balance_can_hold_are_refused() {
    let mut recording = recording();
    taken(&mut recording, &[(SESSION, started()), (BOOK, charged_with(i64::MAX))]);
    let refused = recording.take(line(BOOK, 2, &charged())).unwrap_err();
    assert!(matches!(refused, RecordingError::Account(_)), "{refused}");
}

#[test]
fn a_null_byte_in_a_header_is_refused() {
    let mut with_null = line(SESSION, 1, &started());
    with_null.event.actor_id = "a\0b".into();
    assert!(matches!(recording().take(with_null).unwrap_err(), RecordingError::NullByte));
    // A backslash and what looks like an escape, but is none.
    let mut without = line(SESSION, 1, &started());
    without.event.actor_id = r"a\u0000b".into();
    recording().take(without).unwrap();
}

#[test]
fn a_hash_that_nothing_proves_is_not_kept() {
    let log = Log::new(3);
    let chained = EventLine { hash: Some("0".repeat(64)), proof: None, ..line(SESSION, 1, &started()) };
    for (from, kept) in [(1, true), (2, false)] {
        let recorded = recording_of(log.book(from, 3).manifest).take(chained.clone()).unwrap();
        let origin: serde_json::Value = serde_json::from_str(&recorded.origin.unwrap()).unwrap();
        assert_eq!(origin["hash"].is_string(), kept, "a range from {from}");
    }
}
