//! Creates the database beside its place and moves it there when it is complete, so that a crash leaves nothing half made.

use std::fs::{self, DirBuilder, File};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::account::Account;
use crate::error::{ClusterError, OrCannot};
use crate::layout::Layout;
use crate::os;
use crate::probe::DATABASE;
use crate::programs::Programs;

/// A second on a fast disk; a slow one that syncs each file may take a minute.
const STEP_LIMIT: Duration = Duration::from_secs(300);
const FOLDER_MODE: u32 = 0o700;

/// Whether there is a database; anything else in its place is refused.
pub(super) fn exists(layout: &Layout) -> Result<bool, ClusterError> {
    let cluster = layout.cluster();
    if cluster.join("PG_VERSION").is_file() {
        return Ok(true);
    }
    // An empty folder is as good as none: renaming replaces it.
    let occupied = fs::read_dir(&cluster).is_ok_and(|mut entries| entries.next().is_some());
    if occupied {
        return Err(ClusterError::NotADatabase { folder: cluster });
    }
    Ok(false)
}

/// What creating needs.
pub(super) struct Creation<'a> {
    pub(super) layout: &'a Layout,
    pub(super) programs: &'a Programs,
    pub(super) account: &'a Account,
    /// The guard's lock. The programs we run hold it too: while one of them lives, nobody else creates here.
    pub(super) lock: &'a File,
}

impl Creation<'_> {
    /// Creates the database, complete or not at all.
    pub(super) fn run(&self) -> Result<(), ClusterError> {
        let folder = self.layout.unfinished();
        if folder.exists() {
            fs::remove_dir_all(&folder).or_cannot("remove the unfinished", &folder)?;
        }
        DirBuilder::new().mode(FOLDER_MODE).create(&folder).or_cannot("create", &folder)?;
        self.account.give(&folder)?;

        let mut initdb = Command::new(self.programs.initdb());
        initdb.arg("-D").arg(&folder).args(["-U", DATABASE, "-E", "UTF8"]);
        initdb.args(["--locale=C.UTF-8", "--auth-local=trust", "--auth-host=reject"]);
        self.step(initdb, "")?;

        let mut single = Command::new(self.programs.postgres());
        single.arg("--single").arg("-D").arg(&folder);
        single.args(["-c", "exit_on_error=on", "postgres"]);
        self.step(single, &format!("CREATE DATABASE {DATABASE}\n"))?;

        let cluster = self.layout.cluster();
        fs::rename(&folder, &cluster).or_cannot("rename", &folder)?;
        let data = self.layout.data();
        let parent = File::open(data).or_cannot("open", data)?;
        parent.sync_all().or_cannot("sync", data)
    }

    /// Runs one program to its end; what it says goes to the log, and from there into the error.
    fn step(&self, mut command: Command, input: &str) -> Result<(), ClusterError> {
        let program = PathBuf::from(command.get_program());
        let path = self.layout.log();
        let log = self.layout.open_log()?;
        let log_start = log.metadata().or_cannot("read", &path)?.len();
        self.account.prepare(&mut command);
        os::keep_open(&mut command, self.lock);
        command.stdin(Stdio::piped());
        command.stdout(log.try_clone().or_cannot("open", &path)?).stderr(log);
        let mut child = command.spawn().or_cannot("run", &program)?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that ended early closes the pipe; its exit status says the rest.
            let _ = stdin.write_all(input.as_bytes());
        }
        if ending(&child).recv_timeout(STEP_LIMIT).is_err() {
            child.kill().or_cannot("stop", &program)?;
        }
        let status = child.wait().or_cannot("wait for", &program)?;
        if status.success() {
            return Ok(());
        }
        let tail = self.layout.log_tail(log_start);
        Err(ClusterError::NotCreated { tail })
    }
}

/// Tells when a child has ended. The child remains to be reaped.
fn ending(child: &Child) -> mpsc::Receiver<()> {
    let (sender, receiver) = mpsc::channel();
    let pid = child.id();
    thread::spawn(move || {
        os::wait_without_reaping(pid);
        // Nobody listens any more when the wait was given up.
        let _ = sender.send(());
    });
    receiver
}
