//! Starts bubblewrap. It never forks from a thread that may end: a death signal fires when the *thread*
//! that forked dies, and a runtime's blocking threads do end. One thread that lives as long as the process
//! does every fork.
//!
//! Between fork and exec the child only makes system calls: no allocation, no lock, no library state.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::process::Stdio;
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use rustix::fs::{MemfdFlags, SeekFrom};
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::cgroup::Group;
use super::error::EngineError;
use super::limits::{ADDRESS_SPACE_BYTES, Limits, OPEN_FILES};
use super::{Exec, ProcessEngine, Spec, bubblewrap, keeper};

/// A sandbox that has been started.
pub(super) struct Launched {
    /// The keeper of the whole tree, which ends with this handle.
    pub(super) kept: Kept,
    /// Where bubblewrap reports the exit code; a command that never began has none.
    pub(super) status: OwnedFd,
    /// The group, held until the end.
    pub(super) group: Option<Group>,
}

/// The keeper's process. It ends only after everything below it has.
pub(super) struct Kept(pub(super) Child);

/// Everything a fork needs. The descriptors live here, so that a caller who gives up cannot close them
/// while the spawner still uses their numbers.
struct Job {
    command: Command,
    runtime: Handle,
    _descriptors: Vec<OwnedFd>,
    reply: oneshot::Sender<io::Result<Kept>>,
}

/// What the child does before exec, all of it computed beforehand.
struct Preparation {
    doors: Vec<RawFd>,
    uid: Option<u32>,
    rlimits: [(RlimitResource, u64); 5],
    kept: Vec<RawFd>,
    parent: libc::pid_t,
}

#[cfg(target_env = "gnu")]
type RlimitResource = libc::__rlimit_resource_t;
#[cfg(not(target_env = "gnu"))]
type RlimitResource = libc::c_int;

/// Sets the limit on processes from inside the sandbox's own user namespace, where only its own count. Needed
/// where all sandboxes share one host user: set from outside, they would starve each other and Daybook.
const PRLIMIT: &str = "/usr/bin/prlimit";

static SPAWNER: OnceLock<Sender<Job>> = OnceLock::new();

impl Kept {
    /// Asks the keeper to kill the tree. Killing the keeper itself would leave that to chance.
    pub(super) fn end(&self) {
        let id = self.0.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        if let Some(id) = id {
            // It may be gone already, which is what we want.
            let _ = kill_process(id, Signal::TERM);
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.end();
    }
}

pub(super) async fn launch(engine: &ProcessEngine, spec: &Spec, exec: &Exec) -> Result<Launched, EngineError> {
    let group = engine.effective_cgroups().make(&spec.limits)?;
    let doors = group.as_ref().map_or_else(|| Ok(vec![]), Group::doors)?;
    let options = memory_file("sandbox-options", &bubblewrap::options(engine, spec, exec)?)?;
    let filters = filters(engine)?;
    let (status, status_end) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from)?;
    rustix::io::ioctl_fionbio(&status, true).map_err(io::Error::from)?;

    let mut command = Command::new(&engine.bwrap);
    command.env_clear().current_dir("/").process_group(0);
    command.arg("--args").arg(options.as_raw_fd().to_string());
    for filter in &filters {
        command.arg("--add-seccomp-fd").arg(filter.as_raw_fd().to_string());
    }
    command.arg("--json-status-fd").arg(status_end.as_raw_fd().to_string());
    command.arg("--");
    if limits_inside(engine) {
        let processes = allowed_processes(engine, &spec.limits);
        command.args([PRLIMIT, &format!("--nproc={processes}:{processes}"), "--"]);
    }
    command.args(&exec.argv);
    command.stdin(if exec.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(Stdio::piped()).stderr(Stdio::piped());

    let uid = if engine.root { spec.uid } else { None };
    let kept = filters.iter().chain([&options, &status_end]).map(AsRawFd::as_raw_fd).collect();
    let preparation = Preparation {
        doors: doors.iter().map(AsRawFd::as_raw_fd).collect(),
        uid,
        rlimits: rlimits(engine, &spec.limits),
        kept,
        parent: std::process::id().cast_signed(),
    };
    // SAFETY: `prepare` makes system calls only, on memory that was allocated before the fork.
    unsafe { command.pre_exec(move || prepare(&preparation)) };

    let mut descriptors = doors;
    descriptors.extend(filters);
    descriptors.extend([options, status_end]);
    let kept = spawn(command, descriptors).await?;
    Ok(Launched { kept, status, group })
}

async fn spawn(command: Command, descriptors: Vec<OwnedFd>) -> io::Result<Kept> {
    let sender = SPAWNER.get_or_init(start_spawner);
    let (reply, answer) = oneshot::channel();
    let job = Job { command, runtime: Handle::current(), _descriptors: descriptors, reply };
    let gone = || io::Error::other("the thread that starts sandboxes is gone");
    sender.send(job).map_err(|_| gone())?;
    answer.await.map_err(|_| gone())?
}

fn start_spawner() -> Sender<Job> {
    let (sender, receiver) = channel::<Job>();
    let work = move || {
        for mut job in receiver {
            let _inside = job.runtime.enter();
            // A caller who has given up drops the answer, and with it the tree.
            let _ = job.reply.send(job.command.spawn().map(Kept));
        }
    };
    let started = thread::Builder::new().name("sandbox-spawner".to_owned()).spawn(work);
    drop(started.expect("a machine that cannot start one thread cannot start a sandbox"));
    sender
}

fn filters(engine: &ProcessEngine) -> Result<Vec<OwnedFd>, EngineError> {
    #[cfg(test)]
    if let Some(super::Weakness::NoSeccomp) = engine.weakness {
        return Ok(vec![]);
    }
    let filters = &engine.filters;
    Ok(vec![memory_file("sandbox-deny", &filters.deny)?, memory_file("sandbox-clone3", &filters.clone3)?])
}

fn memory_file(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let file = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC)?;
    let mut rest = bytes;
    while !rest.is_empty() {
        let written = rustix::io::write(&file, rest)?;
        rest = &rest[written..];
    }
    rustix::fs::seek(&file, SeekFrom::Start(0))?;
    Ok(file)
}

fn rlimits(engine: &ProcessEngine, limits: &Limits) -> [(RlimitResource, u64); 5] {
    let processes = match (engine.root, limits_inside(engine)) {
        (true, _) => allowed_processes(engine, limits),
        (false, true) => u64::MAX,
        // The count is per user, and this user runs more than the sandbox.
        (false, false) => {
            let others = super::watch::tasks_of_user(rustix::process::getuid().as_raw());
            allowed_processes(engine, limits) + others
        }
    };
    [
        (libc::RLIMIT_AS, ADDRESS_SPACE_BYTES),
        (libc::RLIMIT_NOFILE, OPEN_FILES),
        (libc::RLIMIT_NPROC, processes),
        (libc::RLIMIT_CORE, 0),
        (libc::RLIMIT_FSIZE, limits.disk),
    ]
}

/// Whether the limit on processes is set by a step inside the sandbox.
pub(super) fn limits_inside(engine: &ProcessEngine) -> bool {
    !engine.root && !engine.effective_cgroups().has_pids() && Path::new(PRLIMIT).exists()
}

/// What that step says when the command itself cannot be started.
pub(super) fn step_failure(stderr: &str) -> Option<&str> {
    stderr.lines().next()?.strip_prefix("prlimit: ")
}

#[cfg(not(test))]
fn allowed_processes(_engine: &ProcessEngine, limits: &Limits) -> u64 {
    limits.processes
}

#[cfg(test)]
fn allowed_processes(engine: &ProcessEngine, limits: &Limits) -> u64 {
    match engine.weakness {
        Some(super::Weakness::LooseLimits) => 200,
        _ => limits.processes,
    }
}

fn prepare(preparation: &Preparation) -> io::Result<()> {
    for &door in &preparation.doors {
        // SAFETY: the buffer is one static byte.
        check(unsafe { libc::write(door, c"0".as_ptr().cast(), 1) } as i64)?;
    }
    for &(resource, value) in &preparation.rlimits {
        set_rlimit(resource, value)?;
    }
    if let Some(uid) = preparation.uid {
        drop_to(uid)?;
    }
    // Changing the uid clears the death signal, so the keeper, which asks for it, comes after.
    keeper::split(preparation.parent)?;
    // SAFETY: plain system calls with plain numbers. Raw ones, since libc's wrappers of some take locks.
    unsafe {
        libc::umask(0o022);
        let all = (3_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
        check(libc::syscall(libc::SYS_close_range, all.0, all.1, all.2))?;
        for &descriptor in &preparation.kept {
            check(libc::syscall(libc::SYS_fcntl, descriptor, libc::F_SETFD, 0))?;
        }
    }
    Ok(())
}

fn set_rlimit(resource: RlimitResource, value: u64) -> io::Result<()> {
    let mut current = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get a pointer to a whole `rlimit` on this stack.
    unsafe {
        check(libc::getrlimit(resource, &raw mut current).into())?;
        let value = value.min(current.rlim_max);
        let wanted = libc::rlimit { rlim_cur: value, rlim_max: value };
        check(libc::setrlimit(resource, &raw const wanted).into())
    }
}

fn drop_to(uid: u32) -> io::Result<()> {
    // SAFETY: plain system calls. Raw ones, since libc's would try to change every thread of the parent's
    // list, which does not exist after a fork.
    unsafe {
        check(libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>()))?;
        check(libc::syscall(libc::SYS_setresgid, uid, uid, uid))?;
        check(libc::syscall(libc::SYS_setresuid, uid, uid, uid))
    }
}

fn check(result: i64) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
