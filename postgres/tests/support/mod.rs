//! A data directory that cleans up after itself, processes that hold a cluster, and waiting for a condition.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// A watchdog and not a promise: several times what a busy machine needs.
const DEADLINE: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(10);

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Waits until `condition` gives something.
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(begun.elapsed() < DEADLINE, "did not happen in time: {what}");
        thread::park_timeout(POLL);
    }
}

/// A data directory of its own for each test, and a copy of the holder that any user may run.
pub struct Data {
    pub root: PathBuf,
    pub path: PathBuf,
    holder: PathBuf,
}

impl Data {
    pub fn new() -> Data {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("daybook-postgres-{}-{number}", std::process::id()));
        DirBuilder::new().mode(0o755).create(&root).unwrap();
        fs::set_permissions(&root, Permissions::from_mode(0o755)).unwrap();
        let holder = root.join("holder");
        // Not `fs::copy`: a child that another test makes at that moment would inherit the file open for writing, and
        // then it could not be run.
        let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_holder")).arg(&holder).status();
        assert!(copied.unwrap().success());
        Data { path: root.join("data"), root, holder }
    }

    /// Starts a process that joins.
    pub fn holder(&self) -> Holder {
        Holder::start(Command::new(&self.holder).arg(&self.path))
    }

    /// Starts a process that joins as an ordinary user; as root this needs `setpriv`.
    pub fn holder_as_ordinary_user(&self) -> Holder {
        if !is_root() {
            return self.holder();
        }
        let home = self.root.join("home");
        DirBuilder::new().mode(0o700).create(&home).unwrap();
        std::os::unix::fs::chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
        let mut command = Command::new("setpriv");
        command.args([&format!("--reuid={NOBODY}"), &format!("--regid={NOBODY}"), "--clear-groups"]);
        Holder::start(command.arg(&self.holder).arg(home.join("data")))
    }

    /// Whether somebody is responsible for the server, as the lock tells.
    pub fn is_guarded(&self) -> bool {
        let guard = fs::File::open(self.path.join("postgres.guard"));
        guard.is_ok_and(|file| file.try_lock().is_err())
    }

    /// The server's process, once it is ready.
    pub fn server(&self) -> Option<i32> {
        let file = fs::read_to_string(self.path.join("postgres/postmaster.pid")).ok()?;
        let ready = file.lines().nth(7)?.trim() == "ready";
        ready.then(|| file.lines().next()?.parse().ok())?
    }

    pub fn wait_for_stop(&self) {
        eventually("the guard has stopped the server", || (!self.is_guarded()).then_some(()));
        assert!(!self.path.join("postgres/postmaster.pid").exists(), "the server stopped cleanly");
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path.join("postgres.log")).unwrap_or_default()
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        let begun = Instant::now();
        while self.is_guarded() && begun.elapsed() < DEADLINE {
            thread::park_timeout(POLL);
        }
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// A process that holds a cluster. Killed when dropped.
pub struct Holder {
    child: Child,
    answer: Receiver<String>,
}

impl Holder {
    fn start(command: &mut Command) -> Holder {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, answer) = channel();
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Holder { child, answer }
    }

    /// The first line the process prints: `ready <url>` or `refused <why>`.
    pub fn answer(&self) -> String {
        self.answer.recv_timeout(DEADLINE).unwrap()
    }

    /// The folder of the socket.
    pub fn ready(&self) -> PathBuf {
        let answer = self.answer();
        let url = answer.strip_prefix("ready ").unwrap_or_else(|| panic!("{answer}"));
        let (_, host) = url.split_once("?host=").unwrap();
        PathBuf::from(host.replace("%2F", "/"))
    }

    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Lets the process leave in good order.
    pub fn leave(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const NOBODY: u32 = 65_534;

pub fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

#[expect(unsafe_code, reason = "a signal has no safe wrapper in the standard library")]
pub fn kill(pid: i32) {
    // SAFETY: touches no memory.
    assert_eq!(unsafe { libc::kill(pid, libc::SIGKILL) }, 0, "process {pid} lives");
}

/// What one statement answers, or nothing when the server does not.
pub fn query(folder: &Path, statement: &str) -> Option<String> {
    let mut command = Command::new("psql");
    command.arg("-h").arg(folder).args(["-U", "daybook", "-d", "daybook", "-Atqc", statement]);
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    output.status.success().then(|| text.trim().to_owned())
}

/// The processes whose command line contains this text, without zombies.
pub fn processes(text: &str) -> Vec<i32> {
    let pids = fs::read_dir("/proc").unwrap().flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| {
            let title = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&title).replace('\0', " ").contains(text)
        })
        .collect()
}
