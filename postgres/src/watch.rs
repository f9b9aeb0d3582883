//! Watches, in each process that uses the server, that there is a guard, and starts another when it was killed.

use std::io::Write;
use std::process::Child;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::guard::Limit;
use crate::start::Starter;

/// How long users may be without a guard, and thus without a server. Asking is one system call.
const POLL: Duration = Duration::from_millis(250);

/// The thread that watches; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Watcher {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// `guard` is the one that this process started, if it did: it has to be reaped when it ends.
    pub(super) fn start(starter: Starter, guard: Option<Child>) -> Watcher {
        let (stop, stopped) = channel::<()>();
        let mut guard = guard;
        let mut limit = Limit::new();
        let thread = thread::spawn(move || {
            while stopped.recv_timeout(POLL) == Err(RecvTimeoutError::Timeout) {
                if guard.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(Some(_)))) {
                    guard = None;
                }
                if limit.allows(Instant::now()) {
                    revive(&starter, &mut guard, &mut limit);
                }
            }
        });
        Watcher { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported, and leaving goes on without it.
            let _ = thread.join();
        }
    }
}

/// Starts a guard if there is none. There is nobody to tell about a failure but the log: the users see that the
/// database does not answer.
fn revive(starter: &Starter, guard: &mut Option<Child>, limit: &mut Limit) {
    match starter.try_start(&|_| ()) {
        Ok(None) => {}
        Ok(Some(started)) => {
            limit.note(Instant::now());
            *guard = Some(started.guard);
        }
        Err(error) => {
            limit.note(Instant::now());
            if let Ok(mut log) = starter.layout().open_log() {
                let _ = writeln!(log, "watcher: {error}");
            }
        }
    }
}
