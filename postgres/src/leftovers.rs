//! What an earlier server on the same data may have left behind: processes, and files that keep the next from starting.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{ClusterError, OrCannot};
use crate::layout::Layout;
use crate::os;
use crate::runtime;

/// Processes of an earlier server on the same data.
pub(super) struct Leftovers {
    postmaster_file: PathBuf,
    cluster: PathBuf,
    /// Of the socket.
    folder: PathBuf,
    /// What `postmaster.pid` says.
    postmaster: Option<i32>,
    pids: Vec<i32>,
}

impl Leftovers {
    /// Reads titles rather than working folders, because in a container root may not look at the latter.
    pub(super) fn find(layout: &Layout, folder: &Path) -> Leftovers {
        let cluster = layout.cluster();
        let postmaster_file = cluster.join("postmaster.pid");
        let recorded = fs::read_to_string(&postmaster_file).unwrap_or_default();
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = processes
            .filter_map(|process| process.file_name().to_str()?.parse().ok())
            .filter(|pid| is_postgres(*pid) && title(*pid).contains(layout.name()))
            .collect();
        Leftovers {
            postmaster: recorded.lines().next().and_then(|line| line.trim().parse().ok()),
            postmaster_file,
            cluster,
            folder: folder.to_path_buf(),
            pids,
        }
    }

    pub(super) fn pids(&self) -> &[i32] {
        &self.pids
    }

    /// A clean shutdown. Backends without a postmaster notice its end by themselves.
    pub(super) fn ask_to_stop(&self) {
        if let Some(postmaster) = self.postmaster.filter(|pid| self.pids.contains(pid)) {
            os::signal(postmaster, libc::SIGINT);
        }
    }

    /// An immediate shutdown; the next start recovers.
    pub(super) fn make_stop(&self) {
        self.pids.iter().for_each(|pid| os::signal(*pid, libc::SIGQUIT));
    }

    /// Removes a `postmaster.pid` that names no server of this data, and what lies in the socket's folder. `postgres`
    /// itself looks only whether a process of the number in these files exists, and so takes a zombie, or whoever got
    /// the number after a reboot, for a living server. To be called when no process is left.
    pub(super) fn remove_stale_files(&self) -> Result<(), ClusterError> {
        assert!(self.pids.is_empty(), "files of a living server are not stale");
        if self.postmaster.is_some_and(|pid| may_serve(pid, &self.cluster)) {
            return Ok(());
        }
        remove(&self.postmaster_file)?;
        let socket = runtime::socket(&self.folder);
        remove(&socket.with_file_name(format!("{}.lock", runtime::SOCKET_NAME)))?;
        remove(&socket)
    }
}

fn remove(file: &Path) -> Result<(), ClusterError> {
    match fs::remove_file(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.or_cannot("remove the stale", file),
    }
}

/// Doubt counts as yes: two servers on the same data would destroy it.
fn may_serve(pid: i32, cluster: &Path) -> bool {
    let elsewhere = fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|folder| folder != cluster);
    is_postgres(pid) && !title(pid).is_empty() && !elsewhere
}

fn is_postgres(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim_end() == "postgres")
}

/// The command line, which PostgreSQL's processes use as a title. That of a zombie is empty.
fn title(pid: i32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
