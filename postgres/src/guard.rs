//! The guard: the process that owns the server, and outlives whoever started it until the last user is gone.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{ClusterError, OrCannot};
use crate::layout::Layout;
use crate::os::{self, Hold};
use crate::server::Server;

/// The first argument that makes the program the guard of the data directory named by the second.
pub const GUARD_COMMAND: &str = "__postgres-guard";

/// More ends of the server within `RESTART_WINDOW` mean that starting again does not help.
const RESTARTS: usize = 5;
const RESTART_WINDOW: Duration = Duration::from_secs(60);
/// How often we look whether processes of an earlier server are gone.
const LEFTOVER_POLL: Duration = Duration::from_millis(20);
/// A clean shutdown writes a checkpoint, which may take a while; after this it is cut short, and the next start recovers.
const STOP_LIMIT: Duration = Duration::from_secs(60);
const FORCED_STOP_LIMIT: Duration = Duration::from_secs(10);

/// What the guard waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Event {
    UsersGone,
    ServerEnded,
}

/// Guards the cluster in `data` until nobody uses it. To be called from `main`, on the main thread and before any
/// other thread is made: the server is interrupted when the thread that started it ends.
pub fn guard_main(data: &Path) -> ExitCode {
    match guard(data) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error is the log, whose end the starter shows.
            eprintln!("guard: {error}");
            ExitCode::FAILURE
        }
    }
}

fn guard(data: &Path) -> Result<(), ClusterError> {
    let layout = Layout::open(data)?;
    check_handed_lock(&layout)?;
    os::ignore_requests_to_stop();
    let content = fs::read_to_string(layout.guard()).or_cannot("read", &layout.guard())?;
    let folder = PathBuf::from(content.trim_end());
    let (sender, inbox) = channel();
    watch_users(&layout, sender.clone())?;
    let result = Server::new(layout, &folder).and_then(|server| {
        let guard = Guard { server, sender, inbox };
        guard.run()
    });
    // The server removes its socket, unless it was killed. One that does not end still has it.
    if !matches!(result, Err(ClusterError::WillNotEnd { .. })) {
        fs::remove_dir_all(&folder).or_cannot("remove", &folder)?;
    }
    result
}

/// Our standard input is the lock file, opened and locked by the starter: the lock is ours until we exit.
fn check_handed_lock(layout: &Layout) -> Result<(), ClusterError> {
    let refusal = || ClusterError::NotForPeople { guard: layout.guard() };
    let input = io::stdin().as_fd().try_clone_to_owned().map_err(|_| refusal())?;
    let input = File::from(input);
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let handed = input.metadata().map(identity).map_err(|_| refusal())?;
    let expected = fs::metadata(layout.guard()).map(identity).map_err(|_| refusal())?;
    let held = os::try_lock(&input, Hold::Exclusive).is_ok_and(|held| held);
    if handed == expected && held { Ok(()) } else { Err(refusal()) }
}

/// Waits, on a thread of its own, for the moment when nobody holds the users' lock. It is then held until the guard
/// has exited, so that newcomers wait for the end of the stop.
fn watch_users(layout: &Layout, sender: Sender<Event>) -> Result<(), ClusterError> {
    let users = layout.open_lock(&layout.users())?;
    thread::spawn(move || {
        if let Err(error) = os::wait_for_lock(&users, Hold::Exclusive) {
            eprintln!("guard: cannot wait for the users: {error}");
        }
        // Fails only when the guard is exiting anyway.
        let _ = sender.send(Event::UsersGone);
        // Keeps the lock: the thread ends with the process.
        loop {
            thread::park();
        }
    });
    Ok(())
}

struct Guard {
    server: Server,
    sender: Sender<Event>,
    inbox: Receiver<Event>,
}

impl Guard {
    /// Returns when nobody uses the server any more and it has stopped.
    fn run(&self) -> Result<(), ClusterError> {
        let mut restarts = Limit::new();
        while self.clear_leftovers()? {
            let mut child = self.server.start()?;
            self.watch_server(&child);
            if self.next_event() == Event::UsersGone {
                return self.stop(&mut child);
            }
            let status = child.wait().or_cannot("wait for", Path::new("postgres"))?;
            if self.users_are_gone() {
                return Ok(());
            }
            decide_restart(status, &mut restarts)?;
        }
        Ok(())
    }

    fn next_event(&self) -> Event {
        self.inbox.recv().expect("we hold a sender ourselves")
    }

    fn users_are_gone(&self) -> bool {
        self.inbox.try_iter().any(|event| event == Event::UsersGone)
    }

    fn watch_server(&self, child: &Child) {
        let sender = self.sender.clone();
        let pid = child.id();
        thread::spawn(move || {
            os::wait_without_reaping(pid);
            // Fails only when the guard is exiting anyway.
            let _ = sender.send(Event::ServerEnded);
        });
    }

    /// Waits until nothing of an earlier server lives; false when the users left meanwhile.
    fn clear_leftovers(&self) -> Result<bool, ClusterError> {
        let begun = Instant::now();
        let mut leftovers = self.server.leftovers();
        leftovers.ask_to_stop();
        while !leftovers.pids().is_empty() {
            match begun.elapsed() {
                waited if waited > STOP_LIMIT + FORCED_STOP_LIMIT => {
                    let pids = leftovers.pids().to_vec();
                    return Err(ClusterError::WillNotEnd { pids });
                }
                waited if waited > STOP_LIMIT => leftovers.make_stop(),
                _ => {}
            }
            if self.inbox.recv_timeout(LEFTOVER_POLL) == Ok(Event::UsersGone) {
                return Ok(false);
            }
            leftovers = self.server.leftovers();
        }
        leftovers.remove_stale_files()?;
        Ok(true)
    }

    /// A clean shutdown; one that takes too long is made an immediate one, and at last the process is killed.
    fn stop(&self, child: &mut Child) -> Result<(), ClusterError> {
        let pid = child.id().cast_signed();
        for (signal, limit) in [(libc::SIGINT, STOP_LIMIT), (libc::SIGQUIT, FORCED_STOP_LIMIT)] {
            // Not reaped yet, so the number is still this child's, even if it has ended.
            os::signal(pid, signal);
            if self.inbox.recv_timeout(limit) != Err(RecvTimeoutError::Timeout) {
                child.wait().or_cannot("wait for", Path::new("postgres"))?;
                return Ok(());
            }
        }
        child.kill().or_cannot("kill", Path::new("postgres"))?;
        child.wait().or_cannot("wait for", Path::new("postgres"))?;
        Ok(())
    }
}

/// A server that ends with an error of its own, such as a full disk, has said why and would say it again; one that was
/// killed, or stopped by hand, is started again.
fn decide_restart(status: ExitStatus, restarts: &mut Limit) -> Result<(), ClusterError> {
    eprintln!("guard: postgres ended while in use ({status})");
    if status.code().is_some_and(|code| code != 0) {
        return Err(ClusterError::EndedByItself { status });
    }
    if !restarts.allows(Instant::now()) {
        return Err(ClusterError::KeepsEnding { times: RESTARTS + 1 });
    }
    restarts.note(Instant::now());
    Ok(())
}

/// At most `RESTARTS` within `RESTART_WINDOW`.
pub(super) struct Limit {
    times: VecDeque<Instant>,
}

impl Limit {
    pub(super) fn new() -> Limit {
        Limit { times: VecDeque::new() }
    }

    pub(super) fn allows(&mut self, now: Instant) -> bool {
        self.times.retain(|time| now.duration_since(*time) < RESTART_WINDOW);
        self.times.len() < RESTARTS
    }

    pub(super) fn note(&mut self, now: Instant) {
        self.times.push_back(now);
    }
}
