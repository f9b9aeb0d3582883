//! The same thing asked of several processes at once has one effect and one answer, and nobody waits in a circle.

use commands::ids::new_id;
use commands::log::AppendError;
use commands::{Commands, MessageSend, SessionStart};
use daybook_tests::Database;
use domain::session::Origin;
use domain::text::MessageText;
use domain::{RequestId, Viewer};
use futures::future::join_all;

use crate::fixture::{
    Random, all_events, another_book, append, assert_dense, developer, in_time, number, stream, superuser, to_stream,
};

const PROCESSES: usize = 3;
/// How often each command is raced.
const RACES: usize = 60;
/// How many books the batches go over, and how many batches each process sends.
const BOOKS: usize = 8;
const BATCHES: usize = 60;
const SEED: u64 = 77;

async fn processes(database: &Database) -> Vec<Commands> {
    join_all((0..PROCESSES).map(|_| database.commands())).await
}

fn start() -> SessionStart {
    SessionStart {
        text: MessageText::parse("text", "make it green").unwrap(),
        title: None,
        approval_policy: Default::default(),
        origin: Origin::Web,
        model: "scripted/test".into(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_reaches_three_processes_at_once_has_one_effect_and_one_answer() {
    let database = Database::fresh().await;
    let viewer = developer(database.installation.home_book);
    let all = processes(&database).await;
    in_time(async {
        for race in 0..RACES {
            let id = new_id();
            let begun = agreed(&all, async |process| process.session_start(&viewer, id, start()).await.unwrap()).await;
            let text = MessageText::parse("text", "and soon").unwrap();
            let (session_id, model) = (begun.answer.session_id, "scripted/test".to_owned());
            let message = MessageSend { session_id, text, model };
            let id = new_id();
            agreed(&all, async |process| process.message_send(&viewer, id, message.clone()).await.unwrap()).await;
            stop(&all, &viewer, begun.answer.run_id, new_id(), race).await;
        }
    })
    .await;
    let events = all_events(&database, viewer.book_id).await;
    assert_dense(&events);
    let count = |name: &str| {
        events.iter().filter(|one| one.event().is_some_and(|event| event.stored_type().name == name)).count()
    };
    assert_eq!((count("session.started"), count("run.requested"), count("run.cancelled")), (RACES, RACES, RACES));
    assert_eq!((count("message.received"), count("run.steered")), (2 * RACES, RACES));
}

/// Stops a run from all processes at once: half of the time as one request, half of the time as one request each, of
/// which the first stops it and the others find it stopped.
async fn stop(all: &[Commands], viewer: &Viewer, run_id: domain::RunId, id: RequestId, race: usize) {
    if race.is_multiple_of(2) {
        agreed(all, async |process| process.run_cancel(viewer, id, run_id, "enough").await.unwrap()).await;
    } else {
        let stopping = all.iter().map(|process| process.run_cancel(viewer, new_id(), run_id, "enough"));
        join_all(stopping).await.into_iter().for_each(|stopped| assert!(stopped.is_ok(), "{stopped:?}"));
    }
}

/// Asks all processes the same at once; answers the one answer.
async fn agreed<T: PartialEq + std::fmt::Debug>(all: &[Commands], ask: impl AsyncFn(&Commands) -> T) -> T {
    let mut answers = join_all(all.iter().map(|process| ask(process))).await;
    let answer = answers.pop().expect("there are processes");
    assert!(answers.iter().all(|other| *other == answer), "{answer:?} and {answers:?}");
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_of_three_processes_over_eight_books_never_wait_in_a_circle() {
    let database = Database::fresh().await;
    let books: Vec<_> = (0..BOOKS).map(|_| another_book()).collect();
    let mut random = Random::seeded(SEED);
    let mut senders = vec![];
    for _ in 0..PROCESSES {
        let (log, mut random, books) = (database.log().await, random.fork(), books.clone());
        senders.push(tokio::spawn(async move {
            for _ in 0..BATCHES {
                // As many as are waiting go into one batch, in the order in which they came.
                let mut shuffled = books.clone();
                (1..BOOKS).rev().for_each(|last| shuffled.swap(last, random.below(last + 1)));
                let appends = shuffled.iter().map(|book| append(&log, *book, vec![to_stream(stream(), 0, &["x"])]));
                let answers = join_all(appends.map(|one| log.append(one))).await;
                answers.into_iter().for_each(|answer| assert!(answer.is_ok(), "{answer:?}"));
            }
        }));
    }
    for sender in senders {
        in_time(sender).await.expect("nothing waits in a circle");
    }
    for book in books {
        let events = all_events(&database, book).await;
        assert_dense(&events);
        assert_eq!(events.len(), PROCESSES * BATCHES);
    }
    let mut db = superuser(&database).await;
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(number(&mut db, deadlocks).await, 0);
}

#[tokio::test]
async fn a_conflict_names_the_stream_that_moved_also_to_a_process_that_never_saw_it() {
    let database = Database::fresh().await;
    let (one, book) = (database.log().await, database.installation.home_book);
    let (new, known) = (stream(), stream());
    in_time(one.append(append(&one, book, vec![to_stream(known, 0, &["a", "b"])]))).await.unwrap();
    for expected in [0, 1, 5] {
        let fresh = database.log().await;
        let late = append(&fresh, book, vec![to_stream(new, 0, &["no"]), to_stream(known, expected, &["no"])]);
        assert_eq!(in_time(fresh.append(late)).await, Err(AppendError::Conflict(known)), "expected {expected}");
    }
    assert_eq!(all_events(&database, book).await.len(), 2);
}

#[tokio::test]
async fn an_append_without_events_or_with_a_stream_that_does_not_follow_on_itself_is_refused_and_harms_nobody() {
    let database = Database::fresh().await;
    let (log, book) = (database.log().await, database.installation.home_book);
    let twice = stream();
    for bad in
        [vec![], vec![to_stream(stream(), 0, &[])], vec![to_stream(twice, 0, &["a"]), to_stream(twice, 0, &["b"])]]
    {
        let (refused, good) = in_time(futures::future::join(
            log.append(append(&log, book, bad)),
            log.append(append(&log, book, vec![to_stream(stream(), 0, &["good"])])),
        ))
        .await;
        let sayable = matches!(refused, Err(AppendError::Refused(_))) || refused == Err(AppendError::Conflict(twice));
        assert!(sayable, "{refused:?}");
        assert!(good.is_ok(), "{good:?}");
    }
    assert_eq!(all_events(&database, book).await.len(), 3);
}
