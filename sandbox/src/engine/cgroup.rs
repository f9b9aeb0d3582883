//! Control groups, version 2 or 1 or none. It never makes a group outside the launcher's own, and never
//! moves any process but the launcher itself and the sandboxes it starts.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::janitor;
use super::limits::Limits;

/// Names of groups begin with this, then the launcher's process id, then a number.
const PREFIX: &str = "daybook-";
/// Version 2 allows no processes in a group with children, so the launcher moves itself into this one.
const MAIN: &str = "daybook-main";
/// Length of the period over which processor time is shared out, in microseconds.
const CPU_PERIOD_US: u64 = 100_000;

static NEXT: AtomicU64 = AtomicU64::new(0);
/// No cgroups at all.
#[cfg(test)]
pub(super) static NONE: Cgroups = Cgroups { two: false, memory: None, cpu: None, pids: None };

/// The folders in which groups may be made, one per controller; in version 2 all are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Cgroups {
    two: bool,
    memory: Option<PathBuf>,
    cpu: Option<PathBuf>,
    pids: Option<PathBuf>,
}

/// One sandbox's group in each hierarchy. Dropping it kills what is left inside and removes it.
#[derive(Debug)]
pub(super) struct Group {
    two: bool,
    memory: Option<PathBuf>,
    folders: Vec<PathBuf>,
}

impl Cgroups {
    pub(super) fn detect() -> Self {
        let found = Self::detect_one().or_else(Self::detect_two).unwrap_or_default();
        for folder in [&found.memory, &found.cpu, &found.pids].into_iter().flatten() {
            remove_stale(folder);
        }
        found
    }

    pub(super) fn version(&self) -> &'static str {
        match (self.two, self.memory.is_some() || self.cpu.is_some() || self.pids.is_some()) {
            (true, _) => "v2",
            (false, true) => "v1",
            (false, false) => "none",
        }
    }

    pub(super) fn has_memory(&self) -> bool {
        self.memory.is_some()
    }

    pub(super) fn has_cpu(&self) -> bool {
        self.cpu.is_some()
    }

    pub(super) fn has_pids(&self) -> bool {
        self.pids.is_some()
    }

    fn detect_one() -> Option<Self> {
        let usable = |controller, file| own_folder("cgroup", controller).filter(|own| may_make(own, file));
        let memory = usable("memory", "memory.limit_in_bytes")?;
        Some(Self {
            two: false,
            memory: Some(memory),
            cpu: usable("cpu", "cpu.cfs_quota_us"),
            pids: usable("pids", "pids.max"),
        })
    }

    fn detect_two() -> Option<Self> {
        let mut own = own_folder("cgroup2", "")?;
        if own.ends_with(MAIN) {
            own.pop();
        }
        let offered = fs::read_to_string(own.join("cgroup.controllers")).ok()?;
        let wanted: Vec<&str> = ["memory", "cpu", "pids"]
            .into_iter()
            .filter(|name| offered.split_whitespace().any(|c| c == *name))
            .collect();
        if !wanted.contains(&"memory") || delegate(&own, &wanted).is_err() || !may_make(&own, "memory.max") {
            return None;
        }
        let given = |name: &str| wanted.contains(&name).then(|| own.clone());
        Some(Self { two: true, memory: given("memory"), cpu: given("cpu"), pids: given("pids") })
    }

    /// Makes a group with these limits in every hierarchy there is; `None` when there is none.
    pub(super) fn make(&self, limits: &Limits) -> io::Result<Option<Group>> {
        let mut folders: Vec<PathBuf> = Vec::new();
        let name = format!("{PREFIX}{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        for parent in [&self.memory, &self.cpu, &self.pids].into_iter().flatten() {
            let folder = parent.join(&name);
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
        if folders.is_empty() {
            return Ok(None);
        }
        let memory = self.memory.as_ref().map(|parent| parent.join(&name));
        // The group exists before its folders do, so that an early return removes those already made.
        let group = Group { two: self.two, memory, folders };
        for folder in &group.folders {
            fs::create_dir(folder)?;
        }
        if let Some(parent) = &self.memory {
            set_memory(&parent.join(&name), self.two, limits)?;
        }
        if let Some(parent) = &self.cpu {
            set_cpu(&parent.join(&name), self.two, limits)?;
        }
        if let Some(parent) = &self.pids {
            fs::write(parent.join(&name).join("pids.max"), limits.processes.to_string())?;
        }
        Ok(Some(group))
    }
}

impl Group {
    /// Descriptors of `cgroup.procs`; a process that writes `0` to each has entered.
    pub(super) fn doors(&self) -> io::Result<Vec<OwnedFd>> {
        let open = |folder: &PathBuf| fs::OpenOptions::new().write(true).open(folder.join("cgroup.procs"));
        self.folders.iter().map(|folder| open(folder).map(OwnedFd::from)).collect()
    }

    /// How many processes of the group the kernel killed for memory.
    pub(super) fn out_of_memory_kills(&self) -> u64 {
        let Some(folder) = &self.memory else { return 0 };
        let file = if self.two { "memory.events" } else { "memory.oom_control" };
        let text = fs::read_to_string(folder.join(file)).unwrap_or_default();
        text.lines()
            .filter_map(|line| line.strip_prefix("oom_kill "))
            .find_map(|count| count.trim().parse().ok())
            .unwrap_or(0)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        janitor::remove(std::mem::take(&mut self.folders));
    }
}

fn set_memory(folder: &Path, two: bool, limits: &Limits) -> io::Result<()> {
    let bytes = limits.memory.to_string();
    // Swap accounting is often compiled out, so those files are set where they exist.
    if two {
        fs::write(folder.join("memory.max"), &bytes)?;
        set_if_there(&folder.join("memory.swap.max"), "0")?;
        return set_if_there(&folder.join("memory.oom.group"), "1");
    }
    fs::write(folder.join("memory.limit_in_bytes"), &bytes)?;
    set_if_there(&folder.join("memory.memsw.limit_in_bytes"), &bytes)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a few processors"
)]
fn set_cpu(folder: &Path, two: bool, limits: &Limits) -> io::Result<()> {
    let quota = ((limits.cpus * CPU_PERIOD_US as f64) as u64).max(1_000);
    if two {
        return fs::write(folder.join("cpu.max"), format!("{quota} {CPU_PERIOD_US}"));
    }
    fs::write(folder.join("cpu.cfs_period_us"), CPU_PERIOD_US.to_string())?;
    fs::write(folder.join("cpu.cfs_quota_us"), quota.to_string())
}

fn set_if_there(file: &Path, value: &str) -> io::Result<()> {
    if file.exists() { fs::write(file, value) } else { Ok(()) }
}

/// Gives the children of `own` the controllers, moving the launcher out of the way when it must.
fn delegate(own: &Path, wanted: &[&str]) -> io::Result<()> {
    let control = own.join("cgroup.subtree_control");
    let given = fs::read_to_string(&control)?;
    if wanted.iter().all(|name| given.split_whitespace().any(|c| c == *name)) {
        return Ok(());
    }
    let ask: Vec<String> = wanted.iter().map(|name| format!("+{name}")).collect();
    let ask = ask.join(" ");
    if fs::write(&control, &ask).is_ok() {
        return Ok(());
    }
    let main = own.join(MAIN);
    if !main.exists() {
        fs::create_dir(&main)?;
    }
    let own_id = std::process::id().to_string();
    fs::write(main.join("cgroup.procs"), &own_id)?;
    fs::write(&control, &ask).inspect_err(|_| {
        // Others live in the group too, so nothing was gained: back to where we were.
        let _ = fs::write(own.join("cgroup.procs"), &own_id);
        let _ = fs::remove_dir(&main);
    })
}

/// Whether a group can be made in `own` and has the control file.
fn may_make(own: &Path, file: &str) -> bool {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let trial = own.join(format!("{PREFIX}{}-{number}", std::process::id()));
    let usable = fs::create_dir(&trial).is_ok()
        && fs::OpenOptions::new().write(true).open(trial.join(file)).is_ok()
        && fs::OpenOptions::new().write(true).open(trial.join("cgroup.procs")).is_ok();
    let _ = fs::remove_dir(&trial);
    usable
}

/// Removes groups of launchers that are gone. Removing fails on a group with processes, so it harms none.
fn remove_stale(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(launcher) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else {
            continue;
        };
        let launcher = launcher.split('-').next().unwrap_or_default();
        if launcher.parse::<u32>().is_ok() && !Path::new("/proc").join(launcher).exists() {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// The folder of this process's own group, from `/proc/self/cgroup` and the mount that shows it.
fn own_folder(kind: &str, controller: &str) -> Option<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let own = groups.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (names, path) = (parts.next()?, parts.next()?);
        names.split(',').any(|name| name == controller).then_some(path)
    })?;
    mounts.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let mut right = right.split(' ');
        let (found, options) = (right.next()?, right.nth(1)?);
        let serves = controller.is_empty() || options.split(',').any(|option| option == controller);
        if found != kind || !serves {
            return None;
        }
        let mut left = left.split(' ').skip(3);
        let (root, point) = (left.next()?, Path::new(left.next()?));
        // In a container the mount shows a part of the tree only, or this process is outside that part.
        let below = Path::new(own).strip_prefix(root).ok().unwrap_or(Path::new(""));
        let folder = point.join(below);
        Some(if folder.is_dir() { folder } else { point.to_owned() })
    })
}
