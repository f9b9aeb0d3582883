//! A crowd of subscribers that come, go, resume and stall while several processes write.

use std::collections::BTreeMap;
use std::sync::Arc;

use commands::ids::new_id;
use commands::log::Log;
use daybook_tests::Database;
use domain::{BookId, SessionId};
use projections::Recorded;
use projections::follow::Follower;
use tokio::sync::watch;

use super::{Reading, Story};
use crate::fixture::{Random, all_events, assert_dense, in_time};

const SESSIONS: usize = 4;
const WRITERS: usize = 8;
const APPENDS: usize = 150;
const SUBSCRIBERS: usize = 48;
/// How many appends a stalled subscriber lets pass: more than are held for it.
const STALL: usize = 700;
const SEED: u64 = 20_261_121;

/// What all share. Appends are counted so that subscribers can stall without a clock.
struct Field {
    book: BookId,
    sessions: Vec<SessionId>,
    followers: [Follower; 2],
    appended: watch::Sender<usize>,
    /// The last position of each session, once nobody writes any more.
    ends: watch::Sender<Option<BTreeMap<SessionId, i64>>>,
}

/// What one subscriber got of one session, over all the times that it came.
struct Got {
    session_id: SessionId,
    after: i64,
    positions: Vec<i64>,
    resumed: usize,
    fell_behind: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_gets_their_session_whole_whoever_comes_goes_or_stalls() {
    let database = Database::fresh().await;
    let logs = [database.log().await, database.log().await];
    let field = Arc::new(Field {
        book: database.installation.home_book,
        sessions: (0..SESSIONS).map(|_| new_id()).collect(),
        followers: [database.follower().await, database.follower().await],
        appended: watch::Sender::new(0),
        ends: watch::Sender::new(None),
    });
    // One process tells its follower of its own appends; the other one only listens.
    let (follower, mut tips) = (field.followers[0].clone(), logs[0].tips());
    let waking = tokio::spawn(async move {
        while let Ok(tip) = tips.recv().await {
            follower.grown(tip.book_id, tip.position);
        }
    });
    let mut random = Random::seeded(SEED);
    let subscribers: Vec<_> =
        (0..SUBSCRIBERS).map(|number| tokio::spawn(subscribe(field.clone(), number, random.fork()))).collect();
    let writers: Vec<_> =
        (0..WRITERS).map(|n| tokio::spawn(write(field.clone(), logs[n % 2].clone(), random.fork()))).collect();
    for writer in writers {
        in_time(writer).await.unwrap();
    }
    let events = all_events(&database, field.book).await;
    assert_dense(&events);
    let ends = field.sessions.iter().map(|session| (*session, positions(&events, *session).pop().unwrap_or(0)));
    field.ends.send_replace(Some(ends.collect()));

    let (mut resumed, mut fell_behind) = (0, 0);
    for subscriber in subscribers {
        let got = in_time(subscriber).await.unwrap();
        let mut expected = positions(&events, got.session_id);
        expected.retain(|position| *position > got.after);
        assert_eq!(got.positions, expected, "after {}", got.after);
        resumed += got.resumed;
        fell_behind += got.fell_behind;
    }
    waking.abort();
    println!("{} events, {resumed} times resumed, {fell_behind} times fallen behind", events.len());
    assert!(resumed > SUBSCRIBERS && fell_behind > 0, "what is to be survived did happen");
}

fn positions(events: &[Recorded], session_id: SessionId) -> Vec<i64> {
    events.iter().filter(|event| event.session_id == Some(session_id)).map(|event| event.position).collect()
}

async fn write(field: Arc<Field>, log: Log, mut random: Random) {
    let mut stories: Vec<_> = field.sessions.iter().map(|session| Story::of(*session)).collect();
    for _ in 0..APPENDS {
        let story = &mut stories[random.below(SESSIONS)];
        story.write(&log, field.book, 1 + random.below(3)).await;
        field.appended.send_modify(|count| *count += 1);
    }
}

/// Follows a session to its end, and now and then leaves and comes back, or does not come for what is there.
async fn subscribe(field: Arc<Field>, number: usize, mut random: Random) -> Got {
    let session_id = field.sessions[random.below(SESSIONS)];
    // Some come later, and some from somewhere in the middle.
    pass(&field, random.below(APPENDS * WRITERS / 2)).await;
    let after = if number.is_multiple_of(3) { random.below(500) as i64 } else { 0 };
    let mut got = Got { session_id, after, positions: vec![], resumed: 0, fell_behind: 0 };
    let mut ends = field.ends.subscribe();
    let (mut at, mut stalls) = (after, number % 4 == 1);
    loop {
        let follower = &field.followers[random.below(2)];
        // `Reading` checks the chain of `prev`; the first one must be what it comes with.
        let mut reading = Reading::after(follower, field.book, session_id, at);
        let visits = 1 + random.below(60);
        let over = read(&field, &mut reading, &mut ends, visits, &mut stalls).await;
        got.positions.extend(reading.positions());
        got.fell_behind += reading.fell_behind;
        at = reading.subscriber.at();
        if over {
            return got;
        }
        got.resumed += 1;
    }
}

/// Reads so many news; answers whether the session is over.
async fn read(
    field: &Field,
    reading: &mut Reading,
    ends: &mut watch::Receiver<Option<BTreeMap<SessionId, i64>>>,
    news: usize,
    stalls: &mut bool,
) -> bool {
    let session_id = reading.subscriber.session_id();
    for _ in 0..news {
        let end = ends.borrow_and_update().as_ref().map(|ends| ends[&session_id]);
        if end.is_some_and(|end| reading.subscriber.at() >= end) {
            return true;
        }
        tokio::select! {
            news = reading.subscriber.next() => {
                let caught_up = matches!(news, Ok(projections::follow::News::CaughtUp));
                reading.take_in(&news.unwrap());
                if caught_up && std::mem::take(stalls) {
                    pass(field, STALL).await;
                }
            }
            changed = ends.changed() => changed.unwrap(),
        }
    }
    false
}

/// Lets so many appends pass, or all there are.
async fn pass(field: &Field, appends: usize) {
    let mut appended = field.appended.subscribe();
    let until = (*appended.borrow() + appends).min(WRITERS * APPENDS);
    appended.wait_for(|count| *count >= until).await.unwrap();
}
