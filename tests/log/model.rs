//! Any order of commands and retries, through two processes, has the effect that a plain model in memory has.

use std::collections::BTreeMap;

use commands::ids::new_id;
use commands::log::AppendError;
use commands::{CommandError, Commands, Done, MessageSend, SessionStart, Started};
use daybook_tests::Database;
use domain::run::Outcome;
use domain::session::Origin;
use domain::text::MessageText;
use domain::{RequestId, RunId, SessionId, Viewer};

use crate::fixture::{Random, all_events, assert_dense, developer, in_time};

const COMMANDS: usize = 400;
const SEED: u64 = 4_021;

/// What can be asked.
#[derive(Debug, Clone)]
enum Ask {
    Start(String),
    Send(SessionId, String),
    Cancel(SessionId, RunId),
}

/// What is expected of the book.
#[derive(Default)]
struct Model {
    /// The runs of each session, oldest first, and whether each is over.
    sessions: BTreeMap<SessionId, Vec<(RunId, bool)>>,
    /// How many events of each type there are.
    events: BTreeMap<&'static str, usize>,
    /// Every request and its answer.
    answered: Vec<(RequestId, Ask, Done<Option<Started>>)>,
}

impl Model {
    /// Takes in a request that was asked for the first time.
    fn take(&mut self, ask: &Ask, answer: Option<Started>) {
        let mut count = |types: &[&'static str]| types.iter().for_each(|of| *self.events.entry(of).or_default() += 1);
        match (ask, answer) {
            (Ask::Start(_), Some(started)) => {
                count(&["session.started", "workspace.created", "message.received", "run.requested", "step.requested"]);
                let before = self.sessions.insert(started.session_id, vec![(started.run_id, false)]);
                assert!(before.is_none(), "a new session has a new id");
            }
            (Ask::Send(session_id, _), Some(sent)) => {
                assert_eq!(sent.session_id, *session_id);
                count(&["message.received"]);
                let runs = self.sessions.get_mut(session_id).expect("only known sessions are written to");
                match *runs.last().expect("every session has a run") {
                    (open, false) => {
                        assert_eq!(sent.run_id, open, "the message reaches the run that works");
                        count(&["run.steered"]);
                    }
                    (over, true) => {
                        assert_ne!(sent.run_id, over, "a run that is over takes no messages");
                        count(&["run.requested", "step.requested"]);
                        runs.push((sent.run_id, false));
                    }
                }
            }
            (Ask::Cancel(session_id, run_id), None) => {
                let runs = self.sessions.get_mut(session_id).expect("only known runs are stopped");
                let run = runs.iter_mut().find(|run| run.0 == *run_id).expect("only known runs are stopped");
                if !run.1 {
                    count(&["run.cancelled"]);
                }
                run.1 = true;
            }
            (ask, answer) => panic!("{ask:?} was answered {answer:?}"),
        }
    }

    fn any_session(&self, random: &mut Random) -> Option<(SessionId, &[(RunId, bool)])> {
        let nth = random.below(self.sessions.len().max(1));
        self.sessions.iter().nth(nth).map(|(id, runs)| (*id, &runs[..]))
    }
}

async fn carry_out(
    commands: &Commands,
    viewer: &Viewer,
    id: RequestId,
    ask: &Ask,
) -> Result<Done<Option<Started>>, CommandError> {
    let parse = |text: &str| MessageText::parse("text", text).expect("the texts here are short");
    let model = "scripted/test".to_owned();
    let done = match ask {
        Ask::Start(text) => {
            let (approval_policy, origin) = (Default::default(), Origin::Web);
            let input = SessionStart { text: parse(text), title: None, approval_policy, origin, model };
            commands.session_start(viewer, id, input).await?
        }
        Ask::Send(session_id, text) => {
            let input = MessageSend { session_id: *session_id, text: parse(text), model };
            commands.message_send(viewer, id, input).await?
        }
        Ask::Cancel(_, run_id) => {
            let done = commands.run_cancel(viewer, id, *run_id, "enough").await?;
            return Ok(Done { position: done.position, answer: None });
        }
    };
    Ok(Done { position: done.position, answer: Some(done.answer) })
}

/// The next thing to ask; a session first, where there is none.
fn next(model: &Model, random: &mut Random, round: usize) -> Ask {
    let text = format!("message {round}");
    match (random.below(6), model.any_session(random)) {
        (0, _) | (_, None) => Ask::Start(text),
        (1 | 2, Some((session_id, runs))) => Ask::Cancel(session_id, runs[random.below(runs.len())].0),
        (_, Some((session_id, _))) => Ask::Send(session_id, text),
    }
}

#[tokio::test]
async fn any_order_of_commands_and_retries_has_the_effect_that_the_model_says() {
    let database = Database::fresh().await;
    let viewer = developer(database.installation.home_book);
    let processes = [database.commands().await, database.commands().await];
    let mut random = Random::seeded(SEED);
    let mut model = Model::default();
    for round in 0..COMMANDS {
        let commands = &processes[random.below(2)];
        let before = processes[0].head(viewer.book_id).await.unwrap();
        if random.once_in(3) && !model.answered.is_empty() {
            let (id, ask, answer) = &model.answered[random.below(model.answered.len())];
            ask_again(commands, &viewer, *id, ask, answer).await;
            let other = carry_out(commands, &viewer, *id, &Ask::Start(format!("other {round}"))).await;
            let wrote =
                answer.position <= before && matches!(other, Err(CommandError::Append(AppendError::RequestReused)));
            assert!(wrote, "{ask:?} and then something else: {other:?}");
            assert_eq!(processes[0].head(viewer.book_id).await.unwrap(), before, "a retry writes nothing");
            continue;
        }
        let (id, ask) = (new_id(), next(&model, &mut random, round));
        let done = in_time(carry_out(commands, &viewer, id, &ask)).await.unwrap_or_else(|e| panic!("{ask:?}: {e}"));
        model.take(&ask, done.answer);
        // A command that found everything done already wrote nothing, so its request id is not in the log.
        if done.position > before {
            model.answered.push((id, ask, done));
        }
    }
    assert_same(&model, &database, &viewer).await;
}

async fn ask_again(commands: &Commands, viewer: &Viewer, id: RequestId, ask: &Ask, answer: &Done<Option<Started>>) {
    let again = in_time(carry_out(commands, viewer, id, ask)).await;
    assert_eq!(&again.unwrap_or_else(|error| panic!("{ask:?} again: {error}")), answer, "{ask:?} again");
}

/// The log, the runs and the read models are what the model says.
async fn assert_same(model: &Model, database: &Database, viewer: &Viewer) {
    let events = all_events(database, viewer.book_id).await;
    assert_dense(&events);
    let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
    events.iter().for_each(|event| *counted.entry(event.event_type.as_str()).or_default() += 1);
    assert_eq!(counted, model.events);
    // A process that begins now folds everything from the log.
    let commands = database.commands().await;
    for (run_id, over) in model.sessions.values().flatten() {
        let run = commands.run(viewer.book_id, *run_id).await.unwrap();
        let outcome = run.state.state().expect("the run is known").outcome();
        assert_eq!(outcome, over.then_some(Outcome::Cancelled));
    }
    in_time(database.runner().await.catch_up()).await.unwrap();
    let mut db = database.reader().await.book(viewer.book_id).await.unwrap();
    let count = |table: &str| format!("SELECT count(*) FROM serving.{table}");
    let runs: usize = model.sessions.values().map(Vec::len).sum();
    assert_eq!(crate::fixture::number(&mut db, &count("sessions")).await, model.sessions.len() as i64);
    assert_eq!(crate::fixture::number(&mut db, &count("runs")).await, runs as i64);
    let comparisons = projections::check::check(&database.pool, |_| {}).await.unwrap();
    assert!(comparisons.iter().all(|one| one.equal), "{comparisons:?}");
}
