//! The watchers: memory of the tree where no cgroup keeps it, and disk usage of the workspace. They never
//! enforce anything; they only say when a limit has been passed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::End;

/// Wait between two looks at the tree's memory.
const MEMORY_PERIOD: Duration = Duration::from_millis(25);
/// Shortest wait between two looks at the workspace.
const DISK_PERIOD: Duration = Duration::from_millis(250);
/// A look at a large workspace takes long; the wait grows so that looking costs at most this share: 1 / 10.
const DISK_REST: u32 = 10;

/// What to watch of one sandbox.
pub(super) struct Watch {
    /// The keeper's process id, the root of the tree; it is not counted itself.
    pub(super) root: u32,
    /// Resident bytes of the tree at which to say so; `None` where a cgroup keeps it.
    pub(super) memory: Option<u64>,
    /// The workspace on the host.
    pub(super) workspace: PathBuf,
    /// Bytes of the workspace at which to say so.
    pub(super) disk: u64,
}

impl Watch {
    /// Ends when a limit has been passed, and says which.
    pub(super) async fn until_passed(self) -> End {
        let memory = async {
            match self.memory {
                Some(limit) => memory_passed(self.root, limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = memory => End::OutOfMemory,
            () = disk_passed(self.workspace, self.disk) => End::DiskLimit,
        }
    }
}

async fn memory_passed(root: u32, limit: u64) {
    loop {
        let used = spawn_blocking(move || resident_bytes(root)).await.unwrap_or(0);
        if used > limit {
            return;
        }
        sleep(MEMORY_PERIOD).await;
    }
}

async fn disk_passed(workspace: PathBuf, limit: u64) {
    let mut rest = DISK_PERIOD;
    loop {
        sleep(rest).await;
        let folder = workspace.clone();
        let started = Instant::now();
        let used = spawn_blocking(move || crate::files::usage(&folder)).await;
        // A workspace that cannot be measured counts as empty: it may be going away with the sandbox.
        if used.is_ok_and(|used| used.unwrap_or(0) > limit) {
            return;
        }
        rest = (started.elapsed() * DISK_REST).max(DISK_PERIOD);
    }
}

/// Resident bytes of a process and all its descendants. Shared pages count once for each.
fn resident_bytes(root: u32) -> u64 {
    let mut children: BTreeMap<u32, Vec<(u32, u64)>> = BTreeMap::new();
    for (pid, parent, pages) in processes() {
        children.entry(parent).or_default().push((pid, pages));
    }
    let (mut pages, mut open) = (0, vec![root]);
    while let Some(parent) = open.pop() {
        for (child, resident) in children.remove(&parent).unwrap_or_default() {
            pages += resident;
            open.push(child);
        }
    }
    pages * rustix::param::page_size() as u64
}

/// Process id, parent and resident pages of every process of the machine.
fn processes() -> Vec<(u32, u32, u64)> {
    numbered_entries()
        .filter_map(|(pid, path)| {
            let stat = fs::read_to_string(path.join("stat")).ok()?;
            // The name stands in brackets and may hold anything, so fields are counted from the last one.
            let (_, after_name) = stat.rsplit_once(") ")?;
            let mut fields = after_name.split(' ');
            let parent = fields.nth(1)?.parse().ok()?;
            let resident = fields.nth(19)?.parse().ok()?;
            Some((pid, parent, resident))
        })
        .collect()
}

/// Processes and threads that a user runs now.
pub(super) fn tasks_of_user(uid: u32) -> u64 {
    use std::os::unix::fs::MetadataExt;
    numbered_entries()
        .filter(|(_, path)| fs::metadata(path).is_ok_and(|meta| meta.uid() == uid))
        .filter_map(|(_, path)| fs::read_dir(path.join("task")).ok())
        .map(|tasks| tasks.count() as u64)
        .sum()
}

fn numbered_entries() -> impl Iterator<Item = (u32, PathBuf)> {
    let entries = fs::read_dir(Path::new("/proc")).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
}
