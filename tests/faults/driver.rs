//! Starts loads, hears what they were told, kills them and has successors go on.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::load::{self, APPENDERS, COMMAND, COMMANDERS};
use crate::place::WATCHDOG;

/// What a load's log says when it found out what became of a batch whose answer was lost.
const SETTLED: &str = "settled what became of a batch";

/// Everything that was heard of one load and its successors.
#[derive(Default)]
pub struct Heard {
    /// The last position of each acknowledged append or command, by asker and round.
    pub acknowledged: BTreeMap<(usize, usize), i64>,
    /// Answers that contradict an earlier one.
    pub contradictions: usize,
    pub unavailable: usize,
    pub jumps: usize,
    /// Batches whose answer was lost: those that were in the log, and those that were not.
    pub landed: usize,
    pub not_landed: usize,
    /// The end of what went wrong.
    complaints: Vec<String>,
}

/// A load that runs, or its successor.
pub struct Load {
    pub run: Uuid,
    url: String,
    field: Uuid,
    clock: &'static str,
    heard: Arc<Mutex<Heard>>,
    count: watch::Sender<usize>,
    child: Child,
    stdin: Option<ChildStdin>,
    hearing: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts one on a database; `field` names the books.
    pub fn start(url: &str, field: Uuid, clock: &'static str) -> Self {
        let (run, heard, count) = (commands::ids::new_id::<()>().uuid(), Arc::default(), watch::Sender::new(0));
        let (child, stdin, hearing) = spawn(url, (field, run), clock, &heard, &count);
        Self { run, url: url.to_owned(), field, clock, heard, count, child, stdin, hearing }
    }

    /// Its process number.
    pub fn process(&self) -> String {
        self.child.id().expect("it has not ended").to_string()
    }

    /// Looks at what was heard so far.
    pub fn heard<T>(&self, look: impl FnOnce(&Heard) -> T) -> T {
        look(&self.heard.lock().expect("no holder panics"))
    }

    /// How much was acknowledged so far.
    pub fn count(&self) -> usize {
        *self.count.borrow()
    }

    /// Waits until so much more is acknowledged.
    pub async fn more(&self, more: usize) {
        let wanted = self.count() + more;
        self.until(|| self.count() >= wanted).await;
    }

    /// Waits until something is so; looked at with each line that is heard.
    pub async fn until(&self, holds: impl Fn() -> bool) {
        let mut count = self.count.subscribe();
        let waiting = async {
            while !holds() {
                count.changed().await.expect("the load is heard");
            }
        };
        if tokio::time::timeout(WATCHDOG, waiting).await.is_err() {
            panic!("the load does not go on: {:?}", self.heard(|heard| heard.complaints.clone()));
        }
    }

    /// Kills it as a loss of power would, and has a successor go on where it was.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("a child can be killed");
        self.silence().await;
        (self.child, self.stdin, self.hearing) =
            spawn(&self.url, (self.field, self.run), self.clock, &self.heard, &self.count);
    }

    /// Lets it finish what it has begun.
    pub async fn stop(&mut self) {
        drop(self.stdin.take());
        let ended = tokio::time::timeout(WATCHDOG, self.child.wait()).await.expect("it ends in time");
        self.silence().await;
        let well = ended.expect("a child can be awaited").success();
        assert!(well, "the load was refused: {:?}", self.heard(|heard| heard.complaints.clone()));
    }

    /// Hears the rest of what it said.
    async fn silence(&mut self) {
        for hearing in self.hearing.drain(..) {
            hearing.await.expect("hearing does not panic");
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // There is nothing where it never signed.
        let _ = std::fs::remove_dir_all(load::kept(self.run));
    }
}

type Spawned = (Child, Option<ChildStdin>, Vec<JoinHandle<()>>);

fn spawn(
    url: &str,
    (field, run): (Uuid, Uuid),
    clock: &str,
    heard: &Arc<Mutex<Heard>>,
    count: &watch::Sender<usize>,
) -> Spawned {
    let from = heard.lock().expect("no holder panics").next_rounds();
    let mut command = Command::new(std::env::current_exe().expect("a test knows its own path"));
    command.args([COMMAND, url, &field.to_string(), &run.to_string(), clock, &from]).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("a test can be run");
    let (stdout, stderr) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    let hearing = vec![hear(stdout, heard.clone(), count.clone()), hear(stderr, heard.clone(), count.clone())];
    let stdin = child.stdin.take();
    (child, stdin, hearing)
}

fn hear(
    from: impl AsyncRead + Unpin + Send + 'static,
    heard: Arc<Mutex<Heard>>,
    count: watch::Sender<usize>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut lines = BufReader::new(from).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let mut heard = heard.lock().expect("no holder panics");
            heard.take(&line);
            let acknowledged = heard.acknowledged.len();
            drop(heard);
            count.send_replace(acknowledged);
        }
    })
}

impl Heard {
    fn take(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["acknowledged", asker, round, last] => {
                let number = |word: &str| word.parse().expect("a number");
                let last: i64 = last.parse().expect("a position");
                let before = self.acknowledged.insert((number(asker), number(round)), last);
                self.contradictions += usize::from(before.is_some_and(|before| before != last));
            }
            ["unavailable", ..] => self.unavailable += 1,
            ["jumped"] => self.jumps += 1,
            _ if line.contains(SETTLED) && line.contains("landed=0") => self.not_landed += 1,
            _ if line.contains(SETTLED) => self.landed += 1,
            _ => {
                const KEPT: usize = 20;
                self.complaints.push(line.to_owned());
                let surplus = self.complaints.len().saturating_sub(KEPT);
                self.complaints.drain(..surplus);
            }
        }
    }

    /// The first round of each asker that was not acknowledged.
    fn next_rounds(&self) -> String {
        let next = |asker: usize| {
            let own = self.acknowledged.range((asker, 0)..=(asker, usize::MAX));
            own.last().map_or(0, |((_, round), _)| round + 1).to_string()
        };
        (0..APPENDERS + COMMANDERS).map(next).collect::<Vec<_>>().join(",")
    }
}
