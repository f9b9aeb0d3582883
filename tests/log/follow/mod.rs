//! Following the log: every subscriber gets its session, each event once and in order, whatever the others do.

mod crowd;
mod heal;

use commands::ids::new_id;
use commands::log::{Appended, Log};
use daybook_tests::Database;
use domain::{BookId, SessionId};
use projections::follow::{Follower, Logged, News, Subscriber};
use sqlx::Executor;
use uuid::Uuid;

use crate::fixture::{append, in_time, marked, stream, superuser, to_stream};

/// More appends than are held for a subscriber that does not come for them.
const MORE_THAN_HELD: usize = 200;

/// One stream of one session that a test writes to.
pub struct Story {
    pub session_id: SessionId,
    stream_id: Uuid,
    sequence: i64,
}

impl Story {
    pub fn new() -> Self {
        Self::of(new_id())
    }

    /// A stream of its own in a session that others write to as well.
    pub fn of(session_id: SessionId) -> Self {
        Self { session_id, stream_id: stream(), sequence: 0 }
    }

    /// Appends so many events at once.
    pub async fn write(&mut self, log: &Log, book: BookId, events: usize) -> Appended {
        let mut one = append(log, book, vec![to_stream(self.stream_id, self.sequence, &[])]);
        one.streams[0].session_id = Some(self.session_id.uuid());
        one.streams[0].events = (0..events).map(|_| marked("x")).collect();
        let appended = in_time(log.append(one)).await.unwrap();
        self.sequence += events as i64;
        appended
    }
}

/// What a subscriber got; checks that each frame joins on to the one before it.
pub struct Reading {
    pub subscriber: Subscriber,
    pub events: Vec<Logged>,
    pub fell_behind: usize,
    last: i64,
}

impl Reading {
    pub fn after(follower: &Follower, book: BookId, session_id: SessionId, after: i64) -> Self {
        let subscriber = follower.subscribe(book, session_id, after);
        Self { subscriber, events: vec![], fell_behind: 0, last: after }
    }

    /// A subscriber that has all of the past.
    pub async fn caught_up(follower: &Follower, book: BookId, session_id: SessionId) -> Self {
        let mut reading = Self::after(follower, book, session_id, 0);
        reading.until_caught_up().await;
        reading
    }

    pub async fn next(&mut self) -> News {
        let news = in_time(self.subscriber.next()).await.unwrap();
        self.take_in(&news);
        news
    }

    pub fn take_in(&mut self, news: &News) {
        match news {
            News::Events { prev, batch } => {
                assert_eq!(*prev, self.last, "nothing is missing before these");
                self.events.extend(batch.events().iter().cloned());
                self.last = self.events.last().unwrap().position;
                assert_eq!(self.last, self.subscriber.at());
            }
            News::FellBehind => self.fell_behind += 1,
            News::CaughtUp => {}
        }
    }

    pub async fn until_caught_up(&mut self) {
        while !matches!(self.next().await, News::CaughtUp) {}
    }

    /// Reads until it has the event at a position.
    pub async fn until(&mut self, position: i64) {
        while self.last < position {
            self.next().await;
        }
    }

    pub fn positions(&self) -> Vec<i64> {
        self.events.iter().map(|event| event.position).collect()
    }
}

#[tokio::test]
async fn a_subscriber_gets_the_past_then_what_is_new_and_nothing_of_other_sessions() {
    let database = Database::fresh().await;
    let (log, follower, book) = (database.log().await, database.follower().await, database.installation.home_book);
    let (mut ours, mut theirs) = (Story::new(), Story::new());
    ours.write(&log, book, 1_201).await;
    theirs.write(&log, book, 2).await;
    let mut reading = Reading::caught_up(&follower, book, ours.session_id).await;
    assert_eq!(reading.positions(), (1..=1_201).collect::<Vec<_>>());
    theirs.write(&log, book, 1).await;
    let last = ours.write(&log, book, 3).await.last;
    reading.until(last).await;
    assert_eq!(reading.positions()[1_201..], [1_205, 1_206, 1_207]);
    assert_eq!(reading.subscriber.position(), Some(last));

    let mut rest = Reading::after(&follower, book, ours.session_id, 1_205);
    rest.until_caught_up().await;
    assert_eq!(rest.events, reading.events[1_202..]);
    assert_eq!(reading.fell_behind, 0);
}

#[tokio::test]
async fn a_quiet_session_moves_its_cursor_with_the_book() {
    let database = Database::fresh().await;
    let (log, follower, book) = (database.log().await, database.follower().await, database.installation.home_book);
    let (mut ours, mut theirs) = (Story::new(), Story::new());
    let first = ours.write(&log, book, 1).await.last;
    let reading = Reading::caught_up(&follower, book, ours.session_id).await;
    let mut beside = Reading::caught_up(&follower, book, theirs.session_id).await;
    let head = theirs.write(&log, book, 50).await.last;
    beside.until(head).await;
    assert_eq!((reading.subscriber.at(), reading.subscriber.position()), (first, Some(head)));
    ours.write(&log, book, 1).await;
    let head = theirs.write(&log, book, 1).await.last;
    beside.until(head).await;
    assert_eq!(reading.subscriber.position(), None, "an event waits: no position beyond it may be told");
}

#[tokio::test]
async fn a_stalled_subscriber_slows_nobody_and_ends_complete() {
    let database = Database::fresh().await;
    let (log, follower, book) = (database.log().await, database.follower().await, database.installation.home_book);
    let mut story = Story::new();
    story.write(&log, book, 1).await;
    let mut stalled = Reading::caught_up(&follower, book, story.session_id).await;
    let mut quick = Reading::caught_up(&follower, book, story.session_id).await;
    for _ in 0..MORE_THAN_HELD {
        let last = story.write(&log, book, 1).await.last;
        quick.until(last).await;
    }
    assert_eq!(quick.fell_behind, 0);
    assert!(matches!(stalled.next().await, News::FellBehind));
    stalled.until_caught_up().await;
    assert_eq!(stalled.events, quick.events);
    let last = story.write(&log, book, 1).await.last;
    stalled.until(last).await;
    quick.until(last).await;
    assert_eq!((stalled.events, stalled.fell_behind), (quick.events, 1));
}

#[tokio::test]
async fn an_event_that_this_release_cannot_read_and_one_that_was_erased_stop_nobody() {
    let database = Database::fresh().await;
    let (log, follower, book) = (database.log().await, database.follower().await, database.installation.home_book);
    let mut story = Story::new();
    story.write(&log, book, 1).await;
    let mut reading = Reading::caught_up(&follower, book, story.session_id).await;
    let mut db = superuser(&database).await;
    for (kind, payload) in [("later.invented", "'{\"a\": 1}'"), ("tests.skipped", "NULL")] {
        let sql = format!(
            "WITH head AS (SELECT book_id, position + 1 AS position FROM book_heads), \
             added AS (INSERT INTO events SELECT e.book_id, h.position, stream_id, h.position, session_id, event_id, \
               '{kind}', 7, occurred_at, e.recorded_at, actor_id, correlation_id, causation_id, NULL, NULL, {payload}, \
               metadata, salt, commitment, hash FROM events e JOIN head h USING (book_id) WHERE e.position = 1) \
             SELECT pg_notify('daybook_log', book_id || ' ' || position) FROM head"
        );
        db.execute(sql.as_str()).await.unwrap();
    }
    reading.until(3).await;
    let mut late = Reading::caught_up(&follower, book, story.session_id).await;
    late.until(3).await;
    assert_eq!(late.events, reading.events);
    let seen: Vec<_> =
        late.events[1..].iter().map(|e| (e.event_type.as_str(), e.event_version, e.payload.as_deref())).collect();
    assert_eq!(seen, [("later.invented", 7, Some("{\"a\": 1}")), ("tests.skipped", 7, None)]);
}

#[tokio::test]
async fn a_book_is_read_only_while_somebody_follows_it() {
    let database = Database::fresh().await;
    let (log, follower) = (database.log().await, database.follower().await);
    let books = [database.installation.home_book, crate::fixture::another_book()];
    let mut stories = [Story::new(), Story::new()];
    let mut readings = vec![];
    for (story, book) in stories.iter_mut().zip(books) {
        story.write(&log, book, 1).await;
        readings.push(Reading::caught_up(&follower, book, story.session_id).await);
        readings.push(Reading::caught_up(&follower, book, story.session_id).await);
    }
    assert_eq!(follower.books(), 2);
    readings.truncate(3);
    let last = stories[1].write(&log, books[1], 1).await.last;
    readings[2].until(last).await;
    readings.clear();
    let over = async {
        while follower.books() > 0 {
            tokio::task::yield_now().await;
        }
    };
    in_time(over).await;
    // And it can be followed again.
    let reading = Reading::caught_up(&follower, books[1], stories[1].session_id).await;
    assert_eq!(reading.positions(), [1, 2]);
}
