//! What a sandbox may use, and how truly each limit is kept. It never claims `Enforced` for what is only polled.

use std::time::Duration;

use super::cgroup::Cgroups;

/// One mebibyte, in bytes.
const MIB: u64 = 1024 * 1024;

/// Address space of one process, in bytes. Not a memory limit: Node reserves far more than it uses.
pub(super) const ADDRESS_SPACE_BYTES: u64 = 16 * 1024 * MIB;
/// Open files of one process; test runners need more than 256.
pub(super) const OPEN_FILES: u64 = 4096;
/// Size of the sandbox's own `/tmp`, in bytes.
pub(super) const TMP_BYTES: u64 = 64 * MIB;
/// Size of the sandbox's `/dev/shm`, in bytes.
pub(super) const SHM_BYTES: u64 = 16 * MIB;

/// What one sandbox may use. There is no field for the network: there is none.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Memory of the whole tree, in bytes.
    pub memory: u64,
    /// Processors; 1.0 is one whole processor.
    pub cpus: f64,
    /// Longest wall time of any command.
    pub wall: Duration,
    /// Bytes that the workspace folder may hold.
    pub disk: u64,
    /// Processes and threads at one time.
    pub processes: u64,
    /// Bytes of standard output and error together.
    pub output: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 512 * MIB,
            cpus: 1.0,
            wall: Duration::from_secs(300),
            disk: 1024 * MIB,
            processes: 256,
            output: 10 * MIB,
        }
    }
}

/// How truly a limit is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Enforcement {
    /// It cannot be passed.
    Enforced,
    /// It is polled, and passing it ends the command; it can be passed for a moment.
    Watched,
    /// Nothing keeps it on this machine.
    Absent,
}

/// One limit as this machine keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitReport {
    /// Stable name, such as `memory`.
    pub name: &'static str,
    /// The value with its unit, for people.
    pub value: String,
    /// How truly it is kept.
    pub enforcement: Enforcement,
    /// By what means.
    pub how: String,
}

/// By what means this machine keeps its limits.
pub(super) struct Means<'a> {
    /// The groups that may be made here.
    pub(super) cgroups: &'a Cgroups,
    /// Whether each sandbox has a uid of its own.
    pub(super) own_uid: bool,
    /// Whether the limit on processes is set inside the sandbox's own user namespace.
    pub(super) limits_inside: bool,
}

pub(super) fn report(limits: &Limits, means: &Means<'_>) -> Vec<LimitReport> {
    let cgroups = means.cgroups;
    let version = cgroups.version();
    let mib = |bytes: u64| format!("{} MiB", bytes / MIB);
    let memory = if cgroups.has_memory() {
        enforced("memory", mib(limits.memory), format!("cgroup {version} of the whole tree"))
    } else {
        watched("memory", mib(limits.memory), "resident size of the tree, polled")
    };
    let share = format!("{} processor", limits.cpus);
    let cpu = if cgroups.has_cpu() {
        enforced("cpu", share, format!("cgroup {version} quota"))
    } else {
        absent("cpu", share, "no cgroup may be made here; wall time bounds the total")
    };
    let processes_how = match (cgroups.has_pids(), means.own_uid, means.limits_inside) {
        (true, _, _) => format!("cgroup {version} and RLIMIT_NPROC"),
        (false, true, _) => "RLIMIT_NPROC of the sandbox's own uid".to_owned(),
        (false, false, true) => "RLIMIT_NPROC of the sandbox's own user namespace".to_owned(),
        (false, false, false) => "RLIMIT_NPROC above what this user already runs".to_owned(),
    };
    let wall = format!("{} s", limits.wall.as_secs());
    vec![
        memory,
        cpu,
        enforced("wall", wall, "the tree is killed"),
        watched("disk", mib(limits.disk), "workspace usage, polled; RLIMIT_FSIZE per file"),
        enforced("processes", limits.processes.to_string(), processes_how),
        enforced("output", mib(limits.output), "the reader stops and the tree is killed"),
        enforced("network", "none".to_owned(), "private network namespace without a route"),
        enforced("open_files", OPEN_FILES.to_string(), "RLIMIT_NOFILE per process"),
        enforced("tmp", mib(TMP_BYTES), "size of the private file system"),
    ]
}

fn enforced(name: &'static str, value: String, how: impl Into<String>) -> LimitReport {
    LimitReport { name, value, enforcement: Enforcement::Enforced, how: how.into() }
}

fn watched(name: &'static str, value: String, how: &str) -> LimitReport {
    LimitReport { name, value, enforcement: Enforcement::Watched, how: how.to_owned() }
}

fn absent(name: &'static str, value: String, how: &str) -> LimitReport {
    LimitReport { name, value, enforcement: Enforcement::Absent, how: how.to_owned() }
}
