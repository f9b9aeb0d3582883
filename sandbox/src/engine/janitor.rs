//! One thread that empties and removes groups after their sandboxes. It never delays the command's answer:
//! a group can be removed only once its last task is quite dead, which takes the kernel a moment.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

/// How often removing one group is tried.
const TRIES: u32 = 200;
/// Wait between two tries.
const PAUSE: Duration = Duration::from_millis(5);

static THREAD: OnceLock<Sender<Vec<PathBuf>>> = OnceLock::new();

/// Kills what is left in the groups and removes them, soon.
pub(super) fn remove(folders: Vec<PathBuf>) {
    let sender = THREAD.get_or_init(|| {
        let (sender, receiver) = channel::<Vec<PathBuf>>();
        let worker = move || receiver.iter().flatten().for_each(|folder| remove_one(&folder));
        // Without the thread, groups stay until the next start removes them; nothing else depends on it.
        let _ = thread::Builder::new().name("sandbox-janitor".to_owned()).spawn(worker);
        sender
    });
    let _ = sender.send(folders);
}

#[expect(
    clippy::disallowed_methods,
    reason = "this thread does nothing else: the kernel tells nobody when a group is empty"
)]
fn remove_one(folder: &Path) {
    for _ in 0..TRIES {
        if fs::remove_dir(folder).is_ok() || !folder.exists() {
            return;
        }
        kill_members(folder);
        thread::sleep(PAUSE);
    }
}

fn kill_members(folder: &Path) {
    let Ok(members) = fs::read_to_string(folder.join("cgroup.procs")) else {
        return;
    };
    for member in members.lines().filter_map(|line| line.parse::<i32>().ok()) {
        if let Some(pid) = rustix::process::Pid::from_raw(member) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}
