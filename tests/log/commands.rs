//! Commands on a real log: what is asked again is answered again, and nothing is left open.

use commands::ids::new_id;
use commands::log::AppendError;
use commands::{CommandError, Commands, Done, MessageSend, SessionStart, Started, StepTicket};
use daybook_tests::Database;
use domain::account::{AccountError, AccountEvent};
use domain::model::{ModelPriced, Rates};
use domain::run::{Outcome, RunEvent, RunRefusal, StepRef};
use domain::session::{Delivery, Origin, SessionError, SessionEvent};
use domain::text::MessageText;
use domain::{BookId, Event, NanoUsd, RequestId, SessionId, Viewer};
use projections::Recorded;

use crate::fixture::{all_events, assert_dense, developer, in_time, record};

const MODEL: &str = "scripted/test";

/// A new database, somebody who works in its book, and the write side.
async fn fresh() -> (Database, Viewer, Commands) {
    let database = Database::fresh().await;
    let viewer = developer(database.installation.home_book);
    let commands = database.commands().await;
    (database, viewer, commands)
}

fn text(text: &str) -> MessageText {
    MessageText::parse("text", text).unwrap()
}

fn a_session(first: &str) -> SessionStart {
    SessionStart {
        text: text(first),
        title: None,
        approval_policy: Default::default(),
        origin: Origin::Web,
        model: MODEL.into(),
    }
}

fn a_message(session_id: SessionId, message: &str) -> MessageSend {
    MessageSend { session_id, text: text(message), model: MODEL.into() }
}

async fn start(commands: &Commands, viewer: &Viewer) -> Started {
    commands.session_start(viewer, new_id(), a_session("make it green")).await.unwrap().answer
}

/// The types of events, in order.
fn types(events: &[Recorded]) -> Vec<&str> {
    events.iter().map(|event| event.event_type.as_str()).collect()
}

fn reused<T>(answer: Result<Done<T>, CommandError>) -> bool {
    matches!(answer, Err(CommandError::Append(AppendError::RequestReused)))
}

#[tokio::test]
async fn a_session_begins_once_however_often_it_is_asked_for() {
    let (database, viewer, commands) = fresh().await;
    let id: RequestId = new_id();
    let first = commands.session_start(&viewer, id, a_session("make it green")).await.unwrap();
    let another_process = database.commands().await;
    for commands in [&commands, &another_process] {
        assert_eq!(commands.session_start(&viewer, id, a_session("make it green")).await.unwrap(), first);
        assert!(reused(commands.session_start(&viewer, id, a_session("make it blue")).await));
        let other = a_message(first.answer.session_id, "make it green");
        assert!(reused(commands.message_send(&viewer, id, other).await));
    }
    let events = all_events(&database, viewer.book_id).await;
    assert_eq!(
        types(&events),
        ["session.started", "message.received", "workspace.created", "run.requested", "step.requested"]
    );
    assert_eq!(first.position, 5);
    assert!(events.iter().all(|event| event.session_id == Some(first.answer.session_id)));
    assert!(events.iter().all(|event| event.actor_id == viewer.actor()));
}

#[tokio::test]
async fn one_request_to_two_processes_at_once_begins_one_session() {
    let (database, viewer, commands) = fresh().await;
    let other = database.commands().await;
    for round in 1..=20 {
        let id: RequestId = new_id();
        let left = commands.session_start(&viewer, id, a_session("go"));
        let right = other.session_start(&viewer, id, a_session("go"));
        let (left, right) = in_time(futures::future::join(left, right)).await;
        assert_eq!(left.unwrap(), right.unwrap(), "round {round}");
        assert_eq!(commands.head(viewer.book_id).await.unwrap(), 5 * round);
    }
}

#[tokio::test]
async fn one_message_to_two_processes_at_once_reaches_the_run_once() {
    let (database, viewer, commands) = fresh().await;
    let other = database.commands().await;
    let started = start(&commands, &viewer).await;
    for round in 0..20 {
        let (id, message) = (new_id(), a_message(started.session_id, "and blue"));
        let left = commands.message_send(&viewer, id, message.clone());
        let right = other.message_send(&viewer, id, message);
        let (left, right) = in_time(futures::future::join(left, right)).await;
        let wanted = Done { position: 5 + 2 * (round + 1), answer: started };
        assert_eq!((left.unwrap(), right.unwrap()), (wanted.clone(), wanted), "round {round}");
    }
}

#[tokio::test]
async fn a_message_steers_a_run_that_works_and_begins_a_new_one_after_it() {
    let (database, viewer, commands) = fresh().await;
    let started = start(&commands, &viewer).await;
    let steer: RequestId = new_id();
    let steered = commands.message_send(&viewer, steer, a_message(started.session_id, "and blue")).await.unwrap();
    assert_eq!(steered.answer, started);
    commands.run_cancel(&viewer, new_id(), started.run_id, "enough").await.unwrap();
    let send: RequestId = new_id();
    let sent = commands.message_send(&viewer, send, a_message(started.session_id, "again")).await.unwrap();
    assert_ne!(sent.answer.run_id, started.run_id);
    // Asked again, even by another process, both get their first answers, though the first run has ended since.
    for commands in [&commands, &database.commands().await] {
        let again = commands.message_send(&viewer, steer, a_message(started.session_id, "and blue")).await.unwrap();
        assert_eq!(again, steered);
        let again = commands.message_send(&viewer, send, a_message(started.session_id, "again")).await.unwrap();
        assert_eq!(again, sent);
    }
    let events = all_events(&database, viewer.book_id).await;
    assert_dense(&events);
    assert_eq!(
        types(&events)[5..],
        ["message.received", "run.steered", "run.cancelled", "message.received", "run.requested", "step.requested",]
    );
    let deliveries: Vec<_> = events.iter().filter_map(delivery).collect();
    assert_eq!(deliveries, [Delivery::Now, Delivery::Steer, Delivery::Now]);
}

fn delivery(event: &Recorded) -> Option<Delivery> {
    match event.event()? {
        Event::Session(SessionEvent::MessageReceived(message)) => Some(message.delivery),
        _ => None,
    }
}

#[tokio::test]
async fn a_message_to_a_session_that_is_not_there_or_a_record_is_refused() {
    let (database, viewer, commands) = fresh().await;
    let nowhere = commands.message_send(&viewer, new_id(), a_message(new_id(), "hello?")).await;
    assert!(matches!(nowhere, Err(CommandError::Session(SessionError::Unknown))));
    let held = commands.import(&viewer, record(&viewer, 1)).await.unwrap();
    let told = commands.message_send(&viewer, new_id(), a_message(held.answer.session_id, "hello?")).await;
    assert!(matches!(told, Err(CommandError::Session(SessionError::Imported))));
    // A session of one book is not there for whoever works in another.
    let started = start(&commands, &viewer).await;
    let stranger = developer(crate::fixture::another_book());
    let other = commands.message_send(&stranger, new_id(), a_message(started.session_id, "hello?")).await;
    assert!(matches!(other, Err(CommandError::Session(SessionError::Unknown))));
    let other = commands.run_cancel(&stranger, new_id(), started.run_id, "no").await;
    assert!(matches!(other, Err(CommandError::Run(RunRefusal::Unknown))));
    assert!(all_events(&database, stranger.book_id).await.is_empty());
}

/// Begins the first step of a run, with money set aside for its model call.
pub async fn begin_step(commands: &Commands, book_id: BookId, run: Started) -> StepTicket {
    let nanousd_per_mtok = Rates { input: NanoUsd(3_000_000_000), output: NanoUsd(15_000_000_000), ..Rates::default() };
    let priced = ModelPriced { price_id: new_id(), model: MODEL.into(), nanousd_per_mtok, notional: false };
    commands.model_price(priced).await.unwrap();
    let ticket = StepTicket {
        book_id,
        run_id: run.run_id,
        step: StepRef { step_no: 1, attempt: 1, worker_id: new_id() },
        llm_call_id: new_id(),
        model: MODEL.into(),
        est_input_tokens: 1_000,
        max_output_tokens: 1_000,
    };
    assert!(commands.step_start(ticket.clone()).await.unwrap().answer, "there is a step to do");
    ticket
}

#[tokio::test]
async fn a_run_that_is_cancelled_in_a_step_leaves_no_money_set_aside() {
    let (database, viewer, commands) = fresh().await;
    let run = start(&commands, &viewer).await;
    let ticket = begin_step(&commands, viewer.book_id, run).await;
    assert!(commands.step_start(ticket.clone()).await.unwrap().answer, "asked again, the first answer");
    let reserved = commands.account(viewer.book_id).await.unwrap();
    assert_eq!(reserved.state.reserved_for(run.run_id).count(), 1);

    let id: RequestId = new_id();
    let cancelled = commands.run_cancel(&viewer, id, run.run_id, "enough").await.unwrap();
    let head = commands.head(viewer.book_id).await.unwrap();
    assert_eq!(cancelled.position, head);
    for commands in [&commands, &database.commands().await] {
        assert_eq!(commands.run_cancel(&viewer, id, run.run_id, "enough").await.unwrap(), cancelled);
        assert!(reused(commands.run_cancel(&viewer, id, run.run_id, "other words").await));
        // Somebody else who stops it too finds it stopped.
        commands.run_cancel(&viewer, new_id(), run.run_id, "me too").await.unwrap();
        assert!(commands.step_start(StepTicket { llm_call_id: new_id(), ..ticket.clone() }).await.is_err());
    }
    assert_eq!(commands.head(viewer.book_id).await.unwrap(), head, "nothing more was written");

    let state = commands.run(viewer.book_id, run.run_id).await.unwrap().state;
    assert_eq!(state.state().unwrap().outcome(), Some(Outcome::Cancelled));
    let account = commands.account(viewer.book_id).await.unwrap().state;
    assert_eq!(account.reserved_for(run.run_id).count(), 0);
    // The thousand tokens that were sent, at three dollars a million.
    assert_eq!(account.balances().values().map(|balance| balance.0).max(), Some(3_000_000));
    assert_eq!(account.balances().values().map(|balance| balance.0).sum::<i64>(), 0);
    let events = all_events(&database, viewer.book_id).await;
    let count = |wanted: fn(&Event) -> bool| events.iter().filter(|event| event.event().is_some_and(wanted)).count();
    assert_eq!(count(|event| matches!(event, Event::Account(AccountEvent::UsageCharged(_)))), 1);
    assert_eq!(count(|event| matches!(event, Event::Account(AccountEvent::ReservationSettled(_)))), 1);
    assert_eq!(count(|event| matches!(event, Event::Run(RunEvent::StepInterrupted(_)))), 1);
}

#[tokio::test]
async fn the_same_record_is_taken_in_once() {
    let (database, viewer, commands) = fresh().await;
    let first = commands.import(&viewer, record(&viewer, 7)).await.unwrap();
    assert!(!first.answer.before);
    // The importer makes new ids each time; the file's hash is what says that it is the same.
    for commands in [&commands, &database.commands().await] {
        let again = commands.import(&viewer, record(&viewer, 7)).await.unwrap();
        assert!(again.answer.before);
        assert_eq!(again.answer.session_id, first.answer.session_id);
        assert_eq!((again.position, again.answer.events), (first.position, first.answer.events));
    }
    assert_eq!(commands.head(viewer.book_id).await.unwrap(), first.position);
    let other = commands.import(&viewer, record(&viewer, 8)).await.unwrap();
    assert_ne!(other.answer.session_id, first.answer.session_id);
    let elsewhere = developer(crate::fixture::another_book());
    assert!(!commands.import(&elsewhere, record(&elsewhere, 7)).await.unwrap().answer.before);
}

#[tokio::test]
async fn many_commands_on_one_account_at_once_all_get_through() {
    let (database, viewer, commands) = fresh().await;
    let other = database.commands().await;
    let runs = futures::future::join_all((0..16).map(|_| start(&commands, &viewer))).await;
    begin_step(&commands, viewer.book_id, start(&commands, &viewer).await).await;
    let steps = runs.iter().zip([&commands, &other].into_iter().cycle()).map(|(run, commands)| {
        commands.step_start(StepTicket {
            book_id: viewer.book_id,
            run_id: run.run_id,
            step: StepRef { step_no: 1, attempt: 1, worker_id: new_id() },
            llm_call_id: new_id(),
            model: MODEL.into(),
            est_input_tokens: 10,
            max_output_tokens: 10,
        })
    });
    for step in in_time(futures::future::join_all(steps)).await {
        assert!(step.unwrap().answer);
    }
    let account = commands.account(viewer.book_id).await.unwrap().state;
    assert!(runs.iter().all(|run| account.reserved_for(run.run_id).count() == 1));
}

#[tokio::test]
async fn what_an_account_cannot_hold_is_refused_and_the_account_goes_on() {
    let (database, viewer, commands) = fresh().await;
    let costing = |file, cost| {
        let mut held = record(&viewer, file);
        held.usage.as_mut().unwrap().cost_nanousd = Some(NanoUsd(cost));
        held
    };
    commands.import(&viewer, costing(1, i64::MAX)).await.unwrap();
    let refused = commands.import(&viewer, costing(2, 1)).await;
    assert!(matches!(refused, Err(CommandError::Account(AccountError::Overflow(_)))), "{refused:?}");
    for commands in [&commands, &database.commands().await] {
        let run = start(commands, &viewer).await;
        begin_step(commands, viewer.book_id, run).await;
        commands.run_cancel(&viewer, new_id(), run.run_id, "enough").await.unwrap();
    }
}
