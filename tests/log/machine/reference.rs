//! The plain model in memory: what the log must answer and hold, and the steps that are tried on both.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

pub const PROCESSES: usize = 2;
pub const BOOKS: usize = 3;
const STREAMS: usize = 4;
/// How far a wrong expectation is off at most.
const OFF: i64 = 2;
/// The most events of one stream in one append.
const EVENTS: usize = 3;
/// How many appends one burst sends at once at most.
const BURST: usize = 8;
/// How far a clock jumps at most, in seconds.
const JUMP: i64 = 100_000;

/// A stream of one of the books.
pub type Stream = (usize, usize);

/// One append as it is asked, with all that decides about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub book: usize,
    /// Stream, expected sequence, number of events.
    pub writes: Vec<(usize, i64, usize)>,
    /// The number of its request, and of what it asks for.
    pub request: Option<(usize, usize)>,
    /// What its events say.
    pub marker: usize,
}

/// What the log must answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Appended,
    /// The same as to the append with this marker.
    AsBefore(usize),
    Reused,
    /// One of these streams has moved on.
    Conflict(BTreeSet<usize>),
}

/// What to write to a stream: how far the expectation is off, and how many events.
type Write = (usize, i64, usize);

/// What is tried. Numbers of earlier appends count from the oldest, and around.
#[derive(Debug, Clone)]
pub enum Step {
    Append {
        process: usize,
        book: usize,
        writes: Vec<Write>,
        keyed: bool,
    },
    /// Something that was asked before, right or wrong, is asked again word for word.
    Again {
        process: usize,
        nth: usize,
    },
    /// A request id is used for something else.
    Reuse {
        process: usize,
        nth: usize,
        writes: Vec<Write>,
    },
    Burst(Burst),
    /// A follower reads so many events of a book at most, from where it stopped.
    Follow {
        book: usize,
        limit: i64,
    },
    /// The process dies without a word and another takes its place.
    Crash {
        process: usize,
    },
    /// The server ends all connections.
    Cut,
    /// The clock of a process jumps by so many seconds.
    Jump {
        process: usize,
        by: i64,
    },
}

/// Appends to different streams, all at once and from all processes.
#[derive(Debug, Clone)]
pub struct Burst {
    /// Stream, process and number of events of each.
    pub appends: Vec<(Stream, usize, usize)>,
    pub how: How,
}

/// What is done to a burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Nothing.
    Calm,
    /// Each is sent by two processes under one request id.
    Twins,
    /// Each is sent by two processes as two different decisions on the same state. One of them wins.
    Duels,
    /// The server ends all connections meanwhile.
    Cut(Moment),
    /// This process dies meanwhile; what it did not answer is asked again of another.
    Crash(usize, Moment),
}

/// When something is done to a burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// As soon as it is sent.
    AtOnce,
    /// When a statement is known to be under way in the server, waiting for a lock.
    Underway,
}

/// What is expected of the log.
#[derive(Debug, Clone, Default)]
pub struct Model {
    /// The events of each stream: each says one of these markers.
    pub streams: BTreeMap<Stream, Vec<BTreeSet<usize>>>,
    /// Everything that was asked one by one, and the answer.
    pub asked: Vec<(Asked, Answer)>,
    /// What was appended under each request: what it asked for, and the marker.
    requests: BTreeMap<usize, (usize, usize)>,
    next: usize,
    /// The appends of the newest step, and their answers. One answer may be that of any one of several.
    pub now: Vec<(Asked, Answer)>,
}

impl Model {
    pub fn sequence(&self, stream: Stream) -> i64 {
        self.streams.get(&stream).map_or(0, |events| events.len() as i64)
    }

    /// How many events a book has.
    pub fn size(&self, book: usize) -> usize {
        self.streams.iter().filter(|((of, _), _)| *of == book).map(|(_, events)| events.len()).sum()
    }

    fn number(&mut self) -> usize {
        self.next += 1;
        self.next
    }

    /// What the log must answer to this now.
    fn judge(&self, asked: &Asked) -> Answer {
        if let Some((known, marker)) = asked.request.and_then(|(id, _)| self.requests.get(&id)) {
            let same = asked.request.is_some_and(|(_, body)| body == *known);
            return if same { Answer::AsBefore(*marker) } else { Answer::Reused };
        }
        let stale = |(stream, expected, _): &&(usize, i64, usize)| self.sequence((asked.book, *stream)) != *expected;
        let stale: BTreeSet<usize> = asked.writes.iter().filter(stale).map(|(stream, ..)| *stream).collect();
        if stale.is_empty() { Answer::Appended } else { Answer::Conflict(stale) }
    }

    /// Asks; `markers` are what the events may say.
    fn ask(&mut self, asked: Asked, markers: &BTreeSet<usize>) {
        let answer = self.judge(&asked);
        if answer == Answer::Appended {
            for (stream, _, events) in &asked.writes {
                let stream = self.streams.entry((asked.book, *stream)).or_default();
                stream.extend(std::iter::repeat_n(markers.clone(), *events));
            }
            if let Some((id, body)) = asked.request {
                self.requests.insert(id, (body, asked.marker));
            }
        }
        self.now.push((asked, answer));
    }

    fn ask_one(&mut self, asked: Asked) {
        let marker = asked.marker;
        self.ask(asked, &[marker].into());
        self.asked.extend(self.now.last().cloned());
    }

    /// Writes with expectations that are so far off; each stream once.
    fn aim(&self, book: usize, writes: &[Write]) -> Vec<(usize, i64, usize)> {
        let once: BTreeMap<usize, &Write> = writes.iter().map(|write| (write.0, write)).collect();
        let aimed = once.into_values().map(|(stream, off, events)| {
            let expected = (self.sequence((book, *stream)) + off).max(0);
            (*stream, expected, *events)
        });
        aimed.collect()
    }

    fn burst(&mut self, burst: &Burst) {
        for (stream, _, events) in &burst.appends {
            let marker = self.number();
            let writes = vec![(stream.1, self.sequence(*stream), *events)];
            let asked = Asked { book: stream.0, writes, request: Some((marker, marker)), marker };
            let mut markers = BTreeSet::from([marker]);
            if burst.how == How::Duels {
                markers.insert(self.number());
            }
            self.ask(asked, &markers);
            // Who wins a duel is not known here, so it is not asked again.
            if burst.how != How::Duels {
                self.asked.extend(self.now.last().cloned());
            }
        }
    }
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Step> {
        let process = || 0..PROCESSES;
        let writes = || prop::collection::vec((0..STREAMS, off(), 1..=EVENTS), 1..=2);
        prop_oneof![
            8 => (process(), 0..BOOKS, writes(), any::<bool>())
                .prop_map(|(process, book, writes, keyed)| Step::Append { process, book, writes, keyed }),
            3 => (process(), any::<usize>()).prop_map(|(process, nth)| Step::Again { process, nth }),
            2 => (process(), any::<usize>(), writes())
                .prop_map(|(process, nth, writes)| Step::Reuse { process, nth, writes }),
            4 => burst().prop_map(Step::Burst),
            2 => (0..BOOKS, 1_i64..20).prop_map(|(book, limit)| Step::Follow { book, limit }),
            1 => process().prop_map(|process| Step::Crash { process }),
            1 => Just(Step::Cut),
            1 => (process(), -JUMP..JUMP).prop_map(|(process, by)| Step::Jump { process, by }),
        ]
        .boxed()
    }

    fn apply(mut model: Self, step: &Step) -> Self {
        model.now.clear();
        match step {
            Step::Append { book, writes, keyed, .. } => {
                let marker = model.number();
                let asked = Asked {
                    book: *book,
                    writes: model.aim(*book, writes),
                    request: keyed.then_some((marker, marker)),
                    marker,
                };
                model.ask_one(asked);
            }
            Step::Again { nth, .. } if !model.asked.is_empty() => {
                let again = model.asked[nth % model.asked.len()].0.clone();
                // What has no request id is another append, and is told apart by what it says.
                let marker = if again.request.is_some() { again.marker } else { model.number() };
                model.ask_one(Asked { marker, ..again });
            }
            Step::Reuse { nth, writes, .. } if !model.asked.is_empty() => {
                let before = model.asked[nth % model.asked.len()].0.clone();
                let marker = model.number();
                let request = before.request.map(|(id, _)| (id, marker));
                let writes = model.aim(before.book, writes);
                model.ask_one(Asked { writes, request, marker, ..before });
            }
            Step::Burst(burst) => model.burst(burst),
            _ => {}
        }
        model
    }
}

/// Most expectations are right.
fn off() -> impl Strategy<Value = i64> {
    prop_oneof![4 => Just(0), 1 => -OFF..=OFF]
}

fn burst() -> impl Strategy<Value = Burst> {
    let streams: Vec<Stream> = (0..BOOKS).flat_map(|book| (0..STREAMS).map(move |stream| (book, stream))).collect();
    let appends = prop::sample::subsequence(streams, 1..=BURST).prop_flat_map(|streams| {
        let each: Vec<_> = streams.into_iter().map(|stream| (Just(stream), 0..PROCESSES, 1..=EVENTS)).collect();
        each
    });
    let moment = || prop_oneof![Just(Moment::AtOnce), Just(Moment::Underway)];
    let how = prop_oneof![
        Just(How::Calm),
        Just(How::Twins),
        Just(How::Duels),
        moment().prop_map(How::Cut),
        (0..PROCESSES, moment()).prop_map(|(process, moment)| How::Crash(process, moment)),
    ];
    (appends, how).prop_map(|(appends, how)| Burst { appends, how })
}
