//! The log itself under the steps of the model, and the comparison of the two.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use commands::ids::{new_id, request};
use commands::log::{Append, AppendError, Appended, StreamAppend};
use daybook_tests::Database;
use domain::{BookId, RequestId};
use futures::future::join_all;
use projections::{Recorded, feed};
use sqlx::{Executor, PgConnection};
use tokio::runtime::Runtime;
use tokio::task::JoinError;
use uuid::Uuid;

use super::process::{Process, SEQUENCER};
use super::reference::{Answer, Asked, BOOKS, Burst, How, Model, Moment, PROCESSES, Step};
use crate::fixture::{
    all_events, another_book, append, assert_dense, in_time, marker, number, stream, superuser, to_stream,
};

/// What came back from a process; an error when it died.
type Answered = Result<Result<Appended, AppendError>, JoinError>;

/// How many events a follower reads at once while a burst is under way.
const SIP: i64 = 3;
/// How often connections are cut in one burst.
const CUTS: usize = 3;

/// The database of all cases; each has books of its own.
pub struct Field {
    runtime: Runtime,
    database: Database,
}

thread_local! {
    /// The state machine is begun by a function without arguments, so this stands here.
    static FIELD: RefCell<Option<Rc<Field>>> = const { RefCell::new(None) };
}

impl Field {
    pub fn open() -> Rc<Self> {
        let runtime = Runtime::new().expect("threads can be had");
        let database = runtime.block_on(Database::fresh());
        let field = Rc::new(Self { runtime, database });
        FIELD.set(Some(field.clone()));
        field
    }

    pub fn close(self: Rc<Self>) {
        FIELD.take();
    }
}

/// The log, in books of its own.
pub struct System {
    field: Rc<Field>,
    processes: Vec<Option<Process>>,
    books: Vec<BookId>,
    streams: BTreeMap<(usize, usize), Uuid>,
    requests: RefCell<BTreeMap<usize, RequestId>>,
    /// What was answered to the append with each marker.
    told: BTreeMap<usize, Told>,
    /// What a follower of each book has seen.
    followed: Vec<Vec<Recorded>>,
}

/// Where an append was said to stand, and what its events may say.
struct Told {
    book: usize,
    appended: Appended,
    says: BTreeSet<usize>,
}

impl System {
    pub fn new() -> Self {
        let field = FIELD.with_borrow(|field| field.clone()).expect("the test has opened it");
        let options = field.database.options.clone();
        let start = async || {
            let starting = (0..PROCESSES).map(|_| Process::start(&options, Arc::default()));
            join_all(starting).await.into_iter().map(Some).collect()
        };
        Self {
            processes: field.runtime.block_on(start()),
            books: (0..BOOKS).map(|_| another_book()).collect(),
            streams: BTreeMap::new(),
            requests: RefCell::default(),
            told: BTreeMap::new(),
            followed: vec![vec![]; BOOKS],
            field,
        }
    }

    /// Does a step, and compares each answer with the model's.
    pub fn take(&mut self, model: &Model, step: &Step) {
        let field = self.field.clone();
        field.runtime.block_on(in_time(async {
            match step {
                Step::Append { process, .. } | Step::Again { process, .. } | Step::Reuse { process, .. } => {
                    for (asked, answer) in &model.now {
                        self.ask(*process, asked, answer, model).await;
                    }
                }
                Step::Burst(burst) => self.burst(burst, model).await,
                Step::Follow { book, limit } => self.follow(*book, *limit).await,
                Step::Crash { process } => self.replace(*process).await,
                Step::Cut => self.cut().await,
                Step::Jump { process, by } => {
                    let clock = &self.process(*process).clock;
                    clock.fetch_add(*by, std::sync::atomic::Ordering::Relaxed);
                }
            }
        }));
    }

    fn process(&self, process: usize) -> &Process {
        self.processes[process].as_ref().expect("the dead are replaced at once")
    }

    async fn replace(&mut self, process: usize) {
        let old = self.processes[process].take().expect("the dead are replaced at once");
        let clock = old.clock.clone();
        old.kill();
        self.processes[process] = Some(Process::start(&self.field.database.options, clock).await);
    }

    async fn cut(&self) {
        let end = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND application_name = '{SEQUENCER}'"
        );
        superuser(&self.field.database).await.execute(end.as_str()).await.expect("the database answers");
    }

    /// Stops every append in the server, and waits until one stands there. They go on when the connection goes.
    async fn hold(&self) -> PgConnection {
        let mut holder = superuser(&self.field.database).await;
        holder.execute("BEGIN").await.expect("the database answers");
        holder.execute("LOCK TABLE events IN EXCLUSIVE MODE").await.expect("the lock can be had");
        holder
    }

    async fn until_held(&self) {
        let waiting = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
             AND application_name = '{SEQUENCER}' AND wait_event_type = 'Lock'"
        );
        let mut db = superuser(&self.field.database).await;
        while number(&mut db, &waiting).await == 0 {
            tokio::task::yield_now().await;
        }
    }

    /// Does to a burst what is to be done to it while it is under way.
    async fn disturb(&mut self, how: How) {
        match how {
            How::Cut(_) => {
                for _ in 0..CUTS {
                    self.cut().await;
                }
            }
            How::Crash(process, _) => self.replace(process).await,
            How::Calm | How::Twins | How::Duels => {}
        }
    }

    fn stream(&mut self, book: usize, number: usize) -> Uuid {
        *self.streams.entry((book, number)).or_insert_with(stream)
    }

    fn request(&self, number: usize) -> RequestId {
        *self.requests.borrow_mut().entry(number).or_insert_with(new_id)
    }

    fn append_of(&mut self, asked: &Asked) -> Append {
        let says = asked.marker.to_string();
        let streams = asked.writes.iter().map(|(number, expected, events)| {
            to_stream(self.stream(asked.book, *number), *expected, &vec![says.as_str(); *events])
        });
        let streams = streams.collect();
        let request = asked.request.map(|(id, body)| request(self.request(id), &body));
        Append { request, ..append(&self.process(0).log, self.books[asked.book], streams) }
    }

    /// Asks alone: the answer is exactly the model's.
    async fn ask(&mut self, process: usize, asked: &Asked, wanted: &Answer, model: &Model) {
        let append = self.append_of(asked);
        let answer = self.process(process).append(append).await.expect("the process lives");
        match (wanted, answer) {
            (Answer::Appended, Ok(appended)) => {
                let size: usize = asked.writes.iter().map(|(.., events)| events).sum();
                let last = model.size(asked.book) as i64;
                assert_eq!((appended.first, appended.last), (last - size as i64 + 1, last), "{asked:?}");
                assert!(!appended.repeated, "{asked:?}");
                self.told.insert(asked.marker, Told { book: asked.book, appended, says: [asked.marker].into() });
            }
            (Answer::AsBefore(marker), Ok(appended)) => {
                assert_eq!((appended, appended.repeated), (self.told[marker].appended, true), "{asked:?}");
            }
            (Answer::Reused, Err(AppendError::RequestReused)) => {}
            (Answer::Conflict(stale), Err(AppendError::Conflict(stream_id))) => {
                let named = stale.iter().any(|number| self.stream(asked.book, *number) == stream_id);
                assert!(named, "{asked:?} names a stream that has not moved");
            }
            (wanted, answer) => panic!("{asked:?}: {wanted:?} was to be answered, and {answer:?} was"),
        }
        self.remembers(process, asked, wanted).await;
    }

    /// The look-up that commands begin with says the same.
    async fn remembers(&self, process: usize, asked: &Asked, answer: &Answer) {
        let Some((id, body)) = asked.request else { return };
        let asking = request(self.request(id), &body);
        let looked_up = self.process(process).log.answered(self.books[asked.book], asking).await;
        match (answer, looked_up) {
            (Answer::Appended | Answer::AsBefore(_), Ok(Some(_))) => {}
            (Answer::Conflict(_), Ok(None)) | (Answer::Reused, Err(_)) => {}
            (answer, looked_up) => panic!("{asked:?} was answered {answer:?} and is remembered as {looked_up:?}"),
        }
    }

    async fn burst(&mut self, burst: &Burst, model: &Model) {
        let held = match burst.how {
            How::Cut(Moment::Underway) | How::Crash(_, Moment::Underway) => Some(self.hold().await),
            _ => None,
        };
        let mut sent = vec![];
        for ((asked, _), (_, process, _)) in model.now.iter().zip(&burst.appends) {
            let append = self.append_of(asked);
            let mut asking = vec![self.process(*process).append(append.clone())];
            let other = self.process((process + 1) % PROCESSES);
            match burst.how {
                How::Twins => asking.push(other.append(append.clone())),
                How::Duels => asking.push(other.append(rival(asked, &append, model))),
                _ => {}
            }
            sent.push((asked, append, asking));
        }
        if held.is_some() {
            self.until_held().await;
        }
        self.disturb(burst.how).await;
        drop(held);
        let answering = sent.into_iter().map(async |(asked, append, asking)| (asked, append, join_all(asking).await));
        let answers = join_all(answering).await;
        for (asked, append, answers) in answers {
            self.settle(burst.how, (asked, append), answers, model).await;
        }
        self.watch(model).await;
    }

    /// Compares the answers to one append of a burst with what may come of it.
    async fn settle(&mut self, how: How, (asked, append): (&Asked, Append), answers: Vec<Answered>, model: &Model) {
        let mut appended = vec![];
        for answer in answers {
            match answer {
                Ok(Ok(done)) => appended.push(done),
                Ok(Err(AppendError::Conflict(_))) if how == How::Duels => {}
                Ok(Err(error)) => panic!("{asked:?}: {error}"),
                // The process died before it answered; whoever asked asks another.
                Err(_) => {
                    let again = self.process(0).append(append.clone()).await.expect("the process lives");
                    appended.push(again.unwrap_or_else(|error| panic!("{asked:?} again: {error}")));
                }
            }
        }
        assert!(appended.windows(2).all(|pair| pair[0] == pair[1]), "{asked:?}: {appended:?}");
        assert_eq!(appended.len(), if how == How::Twins { 2 } else { 1 }, "{asked:?} under {how:?}");
        let says = allowed(asked, model).clone();
        self.told.insert(asked.marker, Told { book: asked.book, appended: appended[0], says });
    }

    /// Follows the books from their beginning, in sips: what is seen is dense and all there is.
    async fn watch(&self, model: &Model) {
        let mut db = superuser(&self.field.database).await;
        for (number, book) in self.books.iter().enumerate() {
            let mut at = 0;
            while at < model.size(number) as i64 {
                let page = feed::page(&mut db, *book, at, SIP).await.expect("the log can be read");
                let dense = page.iter().map(|event| event.position).eq(at + 1..=at + page.len() as i64);
                assert!(dense && !page.is_empty(), "a follower misses nothing");
                at += page.len() as i64;
            }
        }
    }

    async fn follow(&mut self, book: usize, limit: i64) {
        let at = self.followed[book].last().map_or(0, |event| event.position);
        let mut db = self.field.database.pool.acquire().await.expect("the database answers");
        let page = feed::page(&mut db, self.books[book], at, limit).await.expect("the log can be read");
        self.followed[book].extend(page);
    }

    /// The log holds exactly what the model says: streams, order, density, and each append where its answer said.
    pub fn compare(&self, model: &Model) {
        self.field.runtime.block_on(in_time(async {
            for (number, book) in self.books.iter().enumerate() {
                let events = all_events(&self.field.database, *book).await;
                assert_eq!(events.len(), model.size(number), "book {number}");
                assert_dense(&events);
                for ((of, stream), wanted) in &model.streams {
                    if *of == number {
                        let id = self.streams[&(*of, *stream)];
                        let own = events.iter().filter(|event| event.stream_id == id).map(said);
                        let same = own.clone().count() == wanted.len()
                            && own.zip(wanted).all(|(said, any)| any.contains(&said));
                        assert!(same, "stream {stream} of book {number} is not {wanted:?}");
                    }
                }
                let seen = &self.followed[number];
                assert_eq!(&events[..seen.len()], &seen[..], "what was read stays as it was read");
                self.stand_where_said(number, &events);
            }
        }));
    }

    /// Each append stands where its answer said, and every event belongs to one that was answered.
    fn stand_where_said(&self, book: usize, events: &[Recorded]) {
        let own = self.told.values().filter(|told| told.book == book);
        let mut answered = 0;
        for Told { appended, says, .. } in own {
            let places = events.iter().filter(|event| (appended.first..=appended.last).contains(&event.position));
            let markers: BTreeSet<usize> = places.clone().map(said).collect();
            assert!(markers.len() == 1 && markers.is_subset(says), "{says:?} was said to stand at {appended:?}");
            answered += places.count();
        }
        assert_eq!(answered, events.len(), "every event of book {book} was acknowledged, once");
    }

    /// The chain holds.
    pub fn finish(self, model: &Model) {
        self.field.runtime.block_on(in_time(async {
            for (number, book) in self.books.iter().enumerate() {
                let report = projections::audit::verify(&self.field.database.pool, *book, |_| {}).await.unwrap();
                assert_eq!((report.verified, report.broken), (model.size(number) as i64, None));
            }
        }));
        for process in self.processes.into_iter().flatten() {
            process.kill();
        }
    }
}

/// What the events of an append of a burst may say.
fn allowed<'m>(asked: &Asked, model: &'m Model) -> &'m BTreeSet<usize> {
    model.streams[&(asked.book, asked.writes[0].0)].last().expect("the model has taken it in")
}

/// Another decision on the same state, that says something else.
fn rival(asked: &Asked, append: &Append, model: &Model) -> Append {
    let says = allowed(asked, model).last().expect("there are two").to_string();
    let to_rival = |own: &StreamAppend| to_stream(own.stream_id, own.expected, &vec![says.as_str(); own.events.len()]);
    let streams = append.streams.iter().map(to_rival).collect();
    Append { request: Some(request(new_id(), &says)), streams, ..append.clone() }
}

fn said(event: &Recorded) -> usize {
    marker(event).parse().expect("every marker is a number")
}
