//! Appending: one answer, all or nothing, whatever else is in the batch.

use commands::ids::{new_id, request};
use commands::log::{AppendError, Appended};
use daybook_tests::Database;
use futures::future::join_all;
use sqlx::Executor;

use crate::fixture::{all_events, another_book, append, assert_dense, in_time, marker, stream, superuser, to_stream};

/// The positions of the first and of the last event.
fn place(appended: Appended) -> (i64, i64) {
    (appended.first, appended.last)
}

#[tokio::test]
async fn an_append_answers_its_position() {
    let database = Database::fresh().await;
    let (log, book) = (database.log().await, database.installation.home_book);
    let one = append(&log, book, vec![to_stream(stream(), 0, &["a"])]);
    assert_eq!(in_time(log.append(one)).await.map(place), Ok((1, 1)));
    let three = append(&log, book, vec![to_stream(stream(), 0, &["b", "c", "d"])]);
    assert_eq!(in_time(log.append(three)).await.map(place), Ok((2, 4)));
}

#[tokio::test]
async fn an_append_over_several_streams_is_all_or_nothing() {
    let database = Database::fresh().await;
    let (log, book) = (database.log().await, database.installation.home_book);
    let (moved, new) = (stream(), stream());
    in_time(log.append(append(&log, book, vec![to_stream(moved, 0, &["1", "2"])]))).await.unwrap();
    let stale = append(&log, book, vec![to_stream(new, 0, &["no"]), to_stream(moved, 1, &["no"])]);
    assert_eq!(in_time(log.append(stale)).await, Err(AppendError::Conflict(moved)));
    let good = append(&log, book, vec![to_stream(new, 0, &["3"]), to_stream(moved, 2, &["4", "5"])]);
    assert_eq!(in_time(log.append(good)).await.map(place), Ok((3, 5)));
    let events = all_events(&database, book).await;
    assert_dense(&events);
    assert_eq!(events.iter().map(marker).collect::<Vec<_>>(), ["1", "2", "3", "4", "5"]);
}

#[tokio::test]
async fn a_decision_on_what_another_process_wrote_is_not_refused() {
    let database = Database::fresh().await;
    let (one, two, book) = (database.log().await, database.log().await, database.installation.home_book);
    let shared = stream();
    for (sequence, log) in (0..).zip([&one, &two, &one, &two, &two, &one, &one, &two]) {
        let next = append(log, book, vec![to_stream(shared, sequence, &["x"])]);
        assert_eq!(in_time(log.append(next)).await.map(|appended| appended.last), Ok(sequence + 1));
    }
}

#[tokio::test]
async fn a_stale_decision_is_refused_whichever_process_it_reaches() {
    let database = Database::fresh().await;
    let (one, two, book) = (database.log().await, database.log().await, database.installation.home_book);
    let shared = stream();
    in_time(one.append(append(&one, book, vec![to_stream(shared, 0, &["1", "2"])]))).await.unwrap();
    for log in [&one, &two] {
        for stale in [0, 1, 3] {
            let late = append(log, book, vec![to_stream(shared, stale, &["no"])]);
            assert_eq!(in_time(log.append(late)).await, Err(AppendError::Conflict(shared)), "expected {stale}");
        }
    }
    assert_eq!(all_events(&database, book).await.len(), 2);
}

#[tokio::test]
async fn a_request_that_reaches_two_processes_at_once_has_one_effect_and_one_answer() {
    const ROUNDS: i64 = 300;
    let database = Database::fresh().await;
    let (one, two, book) = (database.log().await, database.log().await, database.installation.home_book);
    for round in 0..ROUNDS {
        let mut first = append(&one, book, vec![to_stream(stream(), 0, &["a", "b"])]);
        first.request = Some(request(new_id(), &round));
        let mut second = first.clone();
        // Half of the time each process has made ids of its own for what the request begins.
        if round % 2 == 0 {
            second.streams[0].stream_id = stream();
        }
        let (left, right) = in_time(futures::future::join(one.append(first), two.append(second))).await;
        let wanted = Ok((2 * round + 1, 2 * round + 2));
        assert_eq!((left.map(place), right.map(place)), (wanted.clone(), wanted), "round {round}");
    }
    let events = all_events(&database, book).await;
    assert_dense(&events);
    assert_eq!(events.len() as i64, 2 * ROUNDS);
}

#[tokio::test]
async fn a_request_asked_again_gets_its_first_answer_and_another_under_its_id_none() {
    let database = Database::fresh().await;
    let (one, book) = (database.log().await, database.installation.home_book);
    let mut first = append(&one, book, vec![to_stream(stream(), 0, &["a", "b"])]);
    first.request = Some(request(new_id(), &"this"));
    let answer = in_time(one.append(first.clone())).await.unwrap();
    // The process that wrote it, another one that was there, and one that began later.
    for log in [one, database.log().await] {
        assert_eq!(in_time(log.append(first.clone())).await, Ok(answer));
        let mut other = first.clone();
        other.request = Some(request(first.request.unwrap().id, &"that"));
        assert_eq!(in_time(log.append(other.clone())).await, Err(AppendError::RequestReused));
        other.streams = vec![to_stream(stream(), 0, &["c"])];
        assert_eq!(in_time(log.append(other)).await, Err(AppendError::RequestReused));
    }
    assert_eq!(all_events(&database, book).await.len(), 2);
}

#[tokio::test]
async fn batches_over_several_books_in_opposite_order_do_not_wait_for_each_other_in_a_circle() {
    const ROUNDS: usize = 100;
    let database = Database::fresh().await;
    // Here PostgreSQL opens no circle that somebody made: one is enough to stand still for good.
    let name = database.options.get_database().unwrap();
    let never = format!("ALTER DATABASE {name} SET deadlock_timeout = '1h'");
    superuser(&database).await.execute(never.as_str()).await.unwrap();
    let (one, two) = (database.log().await, database.log().await);
    let books: Vec<_> = (0..8).map(|_| another_book()).collect();
    let load = async {
        for _ in 0..ROUNDS {
            let up = books.iter().map(|book| one.append(append(&one, *book, vec![to_stream(stream(), 0, &["up"])])));
            let down =
                books.iter().rev().map(|book| two.append(append(&two, *book, vec![to_stream(stream(), 0, &["down"])])));
            let (up, down) = futures::future::join(join_all(up), join_all(down)).await;
            up.into_iter().chain(down).for_each(|appended| assert!(appended.is_ok(), "{appended:?}"));
        }
    };
    in_time(load).await;
    for book in books {
        let events = all_events(&database, book).await;
        assert_dense(&events);
        assert_eq!(events.len(), 2 * ROUNDS);
    }
}

#[tokio::test]
async fn an_event_that_the_database_refuses_fails_alone() {
    let database = Database::fresh().await;
    let (log, book) = (database.log().await, database.installation.home_book);
    for bad in [0, 7, 19] {
        let appends = (0..20).map(|i| {
            let mut one = append(&log, book, vec![to_stream(stream(), 0, &["good"])]);
            if i == bad {
                one.context.actor_id = "null\0byte".into();
            }
            log.append(one)
        });
        let answers = in_time(join_all(appends)).await;
        for (i, answer) in answers.into_iter().enumerate() {
            match answer {
                Err(AppendError::Refused(_)) => assert_eq!(i, bad),
                other => assert!(other.is_ok() && i != bad, "{i}: {other:?}"),
            }
        }
    }
    let events = all_events(&database, book).await;
    assert_dense(&events);
    assert_eq!(events.len(), 3 * 19);
}
