//! One `postgres` process: its settings and its start.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::account::Account;
use crate::error::{ClusterError, OrCannot};
use crate::layout::Layout;
use crate::leftovers::Leftovers;
use crate::os;
use crate::programs::Programs;

/// Passed on the command line and not written to `postgresql.conf`, so that a new version of Daybook brings its own.
/// Nothing acknowledged is lost: the first three say so even if a template says otherwise.
const SETTINGS: [&str; 15] = [
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "max_connections=200",
    "shared_buffers=128MB",
    "min_wal_size=1GB",
    "max_wal_size=4GB",
    "jit=off",
    "timezone=UTC",
    "log_timezone=UTC",
    "log_destination=stderr",
    "logging_collector=off",
    "log_line_prefix=%m [%p] ",
];
/// Only where PostgreSQL was built with it.
const COMPRESSION: &str = "wal_compression=lz4";

/// Everything that is needed to start a server.
pub(super) struct Server {
    layout: Layout,
    folder: PathBuf,
    account: Account,
    postgres: PathBuf,
    arguments: Vec<OsString>,
}

impl Server {
    /// `folder` is that of the socket.
    pub(super) fn new(layout: Layout, folder: &Path) -> Result<Server, ClusterError> {
        let programs = Programs::find(&layout.cluster())?;
        let account = Account::choose(&layout.cluster())?;
        let mut arguments: Vec<OsString> = vec!["-D".into(), layout.cluster().into()];
        let mut set = |setting: OsString| arguments.extend(["-c".into(), setting]);
        SETTINGS.iter().for_each(|setting| set(setting.into()));
        // The name shows in the title of every process of this server; `Leftovers` finds them by it.
        set(format!("cluster_name={}", layout.name()).into());
        let mut directories = OsString::from("unix_socket_directories=");
        directories.push(folder);
        set(directories);
        let postgres = programs.postgres();
        if knows(&postgres, &account, &layout, COMPRESSION)? {
            set(COMPRESSION.into());
        }
        Ok(Server { layout, folder: folder.to_path_buf(), account, postgres, arguments })
    }

    /// Starts it as a child that is interrupted (a fast, clean shutdown) when the calling thread ends.
    pub(super) fn start(&self) -> Result<Child, ClusterError> {
        let mut command = Command::new(&self.postgres);
        command.args(&self.arguments).stdin(Stdio::null());
        self.account.prepare(&mut command);
        os::interrupt_when_parent_ends(&mut command);
        command.spawn().or_cannot("run", &self.postgres)
    }

    /// What is left of an earlier server.
    pub(super) fn leftovers(&self) -> Leftovers {
        Leftovers::find(&self.layout, &self.folder)
    }
}

/// Whether this build of PostgreSQL accepts a setting.
fn knows(postgres: &Path, account: &Account, layout: &Layout, setting: &str) -> Result<bool, ClusterError> {
    let name = setting.split('=').next().unwrap_or(setting);
    let mut command = Command::new(postgres);
    command.arg("-D").arg(layout.cluster()).args(["-c", setting, "-C", name]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    account.prepare(&mut command);
    Ok(command.status().or_cannot("run", postgres)?.success())
}
