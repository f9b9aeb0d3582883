//! Makes this process responsible for the server, if nobody is, and passes the responsibility on to a guard.

use std::fs::{self, File};
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use crate::account::Account;
use crate::create::{self, Creation};
use crate::error::{ClusterError, OrCannot};
use crate::guard::GUARD_COMMAND;
use crate::layout::Layout;
use crate::os::{self, Hold};
use crate::programs::Programs;
use crate::runtime;

/// What is needed to start a guard.
pub(super) struct Starter {
    layout: Layout,
    program: PathBuf,
}

/// A guard that this process started.
pub(super) struct Started {
    pub(super) guard: Child,
    /// Where the log ended before.
    pub(super) log_start: u64,
}

impl Starter {
    /// `program` is the one whose `main` knows the guard's command.
    pub(super) fn new(layout: Layout, program: &Path) -> Starter {
        Starter { layout, program: program.to_path_buf() }
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Starts a guard unless somebody is responsible already. Creates the database first, if there is none.
    pub(super) fn try_start(&self, progress: &dyn Fn(&str)) -> Result<Option<Started>, ClusterError> {
        let mut lock = self.layout.open_lock(&self.layout.guard())?;
        let path = self.layout.guard();
        if !os::try_lock(&lock, Hold::Exclusive).or_cannot("lock", &path)? {
            return Ok(None);
        }
        let cluster = self.layout.cluster();
        let account = Account::choose(&cluster)?;
        account.check_way_to(self.layout.data())?;
        let programs = Programs::find(&cluster)?;
        if !create::exists(&self.layout)? {
            progress("Creating the database (first start only)…");
            let creation = Creation { layout: &self.layout, programs: &programs, account: &account, lock: &lock };
            creation.run()?;
        }
        let folder = runtime::create(self.layout.name(), &account)?;
        write_folder(&mut lock, &folder).or_cannot("write", &path)?;
        progress("Starting PostgreSQL…");
        self.spawn_guard(lock).map(Some)
    }

    /// The folder of the socket, if a server of ours may be there.
    pub(super) fn folder(&self) -> Option<PathBuf> {
        let content = fs::read_to_string(self.layout.guard()).ok()?;
        let folder = PathBuf::from(content.trim_end());
        let account = Account::choose(&self.layout.cluster()).ok()?;
        runtime::is_ours(&folder, &account).then_some(folder)
    }

    fn spawn_guard(&self, lock: File) -> Result<Started, ClusterError> {
        self.layout.turn_log()?;
        let log = self.layout.open_log()?;
        let path = self.layout.log();
        let log_start = log.metadata().or_cannot("read", &path)?.len();
        let mut command = Command::new(&self.program);
        command.arg(GUARD_COMMAND).arg(self.layout.data()).current_dir("/");
        command.stdin(lock);
        command.stdout(log.try_clone().or_cannot("open", &path)?).stderr(log);
        os::detach(&mut command);
        let guard = command.spawn().or_cannot("run", &self.program)?;
        Ok(Started { guard, log_start })
    }
}

fn write_folder(lock: &mut File, folder: &Path) -> std::io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    lock.write_all(folder.as_os_str().as_encoded_bytes())
}
