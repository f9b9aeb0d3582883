//! The load: a process of its own that appends to the log and gives commands, and says on its output what was
//! acknowledged. What it asks in which round follows from names alone, so that a successor can go on, and ask again
//! what it died on.

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use commands::database::{self, Installation};
use commands::ids::{derived, item_request};
use commands::log::{Append, AppendError, Clock, Context, Log, StreamAppend};
use commands::{CommandError, Commands, MessageSend, SessionStart};
use domain::proof::{CheckpointKey, SEED_BYTES};
use domain::run::{RunEvent, TestsSkipped};
use domain::session::Origin;
use domain::text::MessageText;
use domain::{BookId, RequestId, Role, Viewer};
use futures::future::join_all;
use projections::Runner;
use projections::tree::{Follower, Signer};
use sqlx::postgres::PgConnectOptions;
use tokio::io::AsyncReadExt;
use uuid::Uuid;

/// What makes this program the load.
pub const COMMAND: &str = "__load";
/// Those who append to the log itself, over several books.
pub const APPENDERS: usize = 8;
/// Those who give commands in the home book.
pub const COMMANDERS: usize = 4;
pub const BOOKS: usize = 4;
/// How many events an append has.
pub const EVENTS: i64 = 2;
/// How often each of them asks at most.
const PACE: Duration = Duration::from_millis(10);
/// A clock jumps each time it was asked so often, and so far at most, in seconds.
const JUMP_EVERY: usize = 64;
const JUMP: i64 = 3_600;

/// Who asks, of what.
struct Load {
    log: Log,
    commands: Commands,
    viewer: Viewer,
    /// Names the books, which several loads share.
    field: Uuid,
    /// Names this load's own streams and requests.
    run: Uuid,
    stopping: AtomicBool,
}

/// What one of them asks in one round.
pub fn marker(run: Uuid, asker: usize, round: usize) -> String {
    format!("{run}/{asker}/{round}")
}

/// The request under which that is asked.
pub fn request_id(run: Uuid, marker: &str) -> RequestId {
    item_request(run, marker).id
}

/// One key for all, and for each load, and its successors, what it signed last.
pub fn signer(field: Uuid, run: Uuid) -> Signer {
    let mut seed = [0; SEED_BYTES];
    seed[..16].copy_from_slice(field.as_bytes());
    Signer::new(CheckpointKey::from_seed(&seed), kept(run))
}

/// Where a load keeps its checkpoints.
pub fn kept(run: Uuid) -> PathBuf {
    std::env::temp_dir().join(format!("daybook-faults-{run}"))
}

/// The book of an appender's round.
pub fn book(field: Uuid, asker: usize, round: usize) -> BookId {
    derived(field, &format!("book {}", (asker + round) % BOOKS))
}

/// Asks until its input ends: URL, field, run, kind of clock, and the round from which each goes on.
pub async fn run(arguments: &[String]) -> ExitCode {
    let [url, field, run, clock, from] = arguments else { panic!("the load is started by the driver") };
    let level = tracing_subscriber::EnvFilter::new("commands=info");
    tracing_subscriber::fmt().with_env_filter(level).with_ansi(false).with_writer(std::io::stderr).init();
    let options = PgConnectOptions::from_str(url).expect("the driver knows the URL");
    let pool = database::writer_pool(options.clone()).await.expect("the database answers");
    let installation = Installation::open(&pool).await.expect("the database answers");
    let clock: Clock = if clock == "jumping" { jumping_clock() } else { Arc::new(chrono::Utc::now) };
    let log = Log::start(options.application_name(crate::place::SEQUENCER), pool.clone(), clock);
    let runner = Runner::open(pool.clone()).await.expect("the builds can be made");
    tokio::spawn(runner.run());
    let (field, run) = (field.parse().expect("an id"), run.parse().expect("an id"));
    tokio::spawn(Follower::new(pool, signer(field, run)).run());
    let viewer = Viewer {
        user_id: derived(run, "user"),
        book_id: installation.home_book,
        role: Role::Developer,
        name: "Ada".into(),
    };
    let commands = Commands::new(log.clone(), installation);
    let load = Load { log, commands, viewer, field, run, stopping: AtomicBool::new(false) };
    let from: Vec<usize> = from.split(',').map(|round| round.parse().expect("a number")).collect();
    assert_eq!(from.len(), APPENDERS + COMMANDERS);
    let asking = join_all(from.into_iter().enumerate().map(|(asker, round)| load.ask(asker, round)));
    let listening = async {
        let _ = tokio::io::stdin().read_to_end(&mut vec![]).await;
        load.stopping.store(true, Ordering::Relaxed);
    };
    let (answers, ()) = futures::future::join(asking, listening).await;
    for refusal in answers.iter().flatten() {
        eprintln!("REFUSED {refusal}");
    }
    if answers.iter().all(Option::is_none) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Load {
    /// Asks round after round; answers why it was refused, if it was.
    async fn ask(&self, asker: usize, from: usize) -> Option<String> {
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        for round in from.. {
            pace.tick().await;
            // What cannot be answered now is asked again, word for word.
            let last = loop {
                let answer = if asker < APPENDERS {
                    self.append(asker, round).await.map_err(CommandError::from)
                } else {
                    self.command(asker, round).await
                };
                match answer {
                    Ok(last) => break last,
                    Err(CommandError::Append(AppendError::Unavailable) | CommandError::Database(_)) => {
                        println!("unavailable {asker} {round}");
                    }
                    Err(error) => return Some(format!("{}: {error}", marker(self.run, asker, round))),
                }
                pace.tick().await;
            };
            println!("acknowledged {asker} {round} {last}");
            if self.stopping.load(Ordering::Relaxed) {
                break;
            }
        }
        None
    }

    /// Two events for a stream of its own, now in this book, now in that.
    async fn append(&self, asker: usize, round: usize) -> Result<i64, AppendError> {
        let marker = marker(self.run, asker, round);
        let event = RunEvent::from(TestsSkipped { reason: marker.clone() });
        let stream = StreamAppend {
            stream_id: derived::<()>(self.run, &format!("stream {asker} {}", round % BOOKS)).uuid(),
            expected: EVENTS * i64::try_from(round / BOOKS).expect("it is small"),
            session_id: None,
            events: vec![event.clone().into(), event.into()],
        };
        let append = Append {
            book_id: book(self.field, asker, round),
            request: Some(item_request(self.run, &marker)),
            context: Context { actor_id: "load".into(), correlation_id: None, causation_id: None },
            occurred_at: self.log.now(),
            streams: vec![stream],
        };
        self.log.append(append).await.map(|appended| appended.last)
    }

    /// Begins a session, writes to it, stops it, and so on.
    async fn command(&self, asker: usize, round: usize) -> Result<i64, CommandError> {
        let text = |round| marker(self.run, asker, round);
        let parsed = MessageText::parse("text", text(round)).expect("it is short");
        let id = request_id(self.run, &text(round));
        let begun = request_id(self.run, &text(round - round % 3)).uuid();
        let model = "scripted/test".to_owned();
        match round % 3 {
            0 => {
                let (approval_policy, origin) = (Default::default(), Origin::Web);
                let input = SessionStart { text: parsed, title: None, approval_policy, origin, model };
                Ok(self.commands.session_start(&self.viewer, id, input).await?.position)
            }
            1 => {
                let input = MessageSend { session_id: derived(begun, "session"), text: parsed, model };
                Ok(self.commands.message_send(&self.viewer, id, input).await?.position)
            }
            _ => Ok(self.commands.run_cancel(&self.viewer, id, derived(begun, "run"), "enough").await?.position),
        }
    }
}

/// A clock that nobody can rely on.
fn jumping_clock() -> Clock {
    let (asked, off) = (AtomicUsize::new(0), AtomicI64::new(0));
    Arc::new(move || {
        let asked = asked.fetch_add(1, Ordering::Relaxed);
        if asked.is_multiple_of(JUMP_EVERY) {
            // A prime step through the range: far forth and far back, again and again.
            let next = (i64::try_from(asked / JUMP_EVERY).expect("it is small") * 2_741) % (2 * JUMP) - JUMP;
            off.store(next, Ordering::Relaxed);
            println!("jumped");
        }
        chrono::Utc::now() + chrono::TimeDelta::seconds(off.load(Ordering::Relaxed))
    })
}
