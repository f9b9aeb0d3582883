//! The escapes that are tried at every start, all in one sandbox process. It never believes the inside alone
//! where the outside can tell, and counts silence as an escape.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use serde::Deserialize;

use super::fixture::{Host, Sandbox};
use super::{Check, Held};
use crate::engine::{End, EngineError, Exec, Limits, PYTHON, ProcessEngine};

/// The script that tries them inside.
const SCRIPT: &str = include_str!("escapes.py");
/// Longest that trying all of them may take.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Characters kept of what a failed script wrote.
const MESSAGE_CHARS: usize = 400;

/// Name and attempt of each check. The script has one function per name, and an unanswered name has failed.
const CHECKS: &[(&str, &str)] = &[
    ("read_host_files", "Read /etc/shadow, /etc/passwd and a host file that anybody may read."),
    ("list_host_folders", "List home folders and a host folder that anybody may list."),
    ("follow_link_out", "Make links in the workspace that point outside, and read through them."),
    ("read_through_proc", "Read host files and a host process's environment through /proc."),
    ("write_system_folders", "Create files in /, /usr, /etc, /dev, /proc and /sys."),
    ("write_host_folder", "Create a file in a host folder that anybody may write, by path and by link."),
    ("write_kernel_settings", "Open core_pattern, modprobe, sysrq-trigger and other kernel settings for writing."),
    ("connect_host_tcp", "Connect to a listener on the host's 127.0.0.1."),
    ("connect_host_unix", "Connect to an abstract unix socket and a socket file of the host."),
    ("reach_the_internet", "Find a route to an address outside."),
    ("open_odd_sockets", "Open netlink, packet, vsock, kernel crypto and raw sockets."),
    ("kill_host_process", "Kill a process of the host."),
    ("see_host_processes", "See processes besides the sandbox's own."),
    ("mount_and_chroot", "Call mount, umount, pivot_root, chroot and fsopen."),
    ("make_namespaces", "Call unshare, setns, and clone with a new user namespace."),
    ("hide_flags_in_clone3", "Call clone3, whose flags no filter can see."),
    ("call_by_foreign_abi", "Call by x32 numbers, which a list of numbers would miss."),
    ("touch_other_processes", "Call ptrace and process_vm_readv."),
    ("call_into_the_kernel", "Call bpf, io_uring, keyctl, perf, userfaultfd, file handles, kexec and modules."),
    ("become_root", "Set uid 0 and group 0."),
    ("open_devices", "Make a block device; open kvm, disks, memory, fuse and tun."),
    ("type_into_terminal", "Push characters into the terminal by TIOCSTI and TIOCLINUX."),
    ("inherit_descriptors", "Find open files of the launcher."),
    ("keep_privileges", "Keep a capability, gain privileges by exec, or run without a filter."),
    ("inherit_environment", "Find variables of the host's environment."),
    ("find_unbounded_memory_folders", "Find a folder in memory without a size."),
    ("leave_root_owned_setuid_file", "Leave a set-uid file that belongs to the host's root."),
];

#[derive(Deserialize)]
struct Answer {
    escaped: bool,
    evidence: String,
}

pub(super) async fn try_all(engine: &ProcessEngine) -> Vec<Check> {
    match attempt(engine).await {
        Ok(checks) => checks,
        Err(reason) => CHECKS.iter().map(|&row| check(row, Held::No(reason.clone()), String::new())).collect(),
    }
}

async fn attempt(engine: &ProcessEngine) -> Result<Vec<Check>, String> {
    let told = |error: EngineError| error.to_string();
    let sandbox = Sandbox::make(engine, Limits::default()).map_err(told)?;
    let mut host = Host::make(&sandbox).map_err(|error| format!("the targets could not be made: {error}"))?;
    let targets = host.targets(&sandbox.token).map_err(|error| error.to_string())?;
    let argv = [PYTHON, "-I", "-S", "-c", SCRIPT, &targets].map(str::to_owned).to_vec();
    let exec = Exec { argv, timeout: TIMEOUT, ..Exec::default() };
    let done = sandbox.run(engine, exec).await.map_err(|error| match error {
        EngineError::Launch(message) if message.contains(PYTHON) => {
            format!("the probe needs {PYTHON}; install it with `apt-get install python3` ({message})")
        }
        EngineError::Launch(message) => advised(&message),
        other => other.to_string(),
    })?;
    let answers: BTreeMap<String, Answer> = serde_json::from_slice(&done.stdout).map_err(|_| {
        let said: String = String::from_utf8_lossy(&done.stderr).chars().take(MESSAGE_CHARS).collect();
        format!("the script gave no answers (ended {:?}): {said}", done.end)
    })?;
    if done.end != End::Exited {
        return Err(format!("the script did not end by itself but {:?}", done.end));
    }
    Ok(CHECKS.iter().map(|&row| judge(row, answers.get(row.0), &mut host, &sandbox, engine)).collect())
}

/// bubblewrap's own words, and what to do about those that people meet most.
fn advised(message: &str) -> String {
    let has = |words: &str| message.contains(words);
    let advice = if has("uid map") || has("RTM_NEWADDR") {
        "; if AppArmor restricts user namespaces here, give bwrap a profile or set \
         `sysctl kernel.apparmor_restrict_unprivileged_userns=0`"
    } else if has("namespace") || has("slave") || has("mount proc") {
        "; user namespaces are off here, as in a locked-down container: allow them, or run Daybook outside it"
    } else {
        ""
    };
    format!("the sandbox could not be started: {message}{advice}")
}

fn judge(
    row: (&'static str, &'static str),
    answer: Option<&Answer>,
    host: &mut Host,
    sandbox: &Sandbox,
    engine: &ProcessEngine,
) -> Check {
    let Some(answer) = answer else {
        return check(row, Held::No("it gave no answer".to_owned()), String::new());
    };
    let damage = match row.0 {
        "leave_root_owned_setuid_file" => setuid_damage(sandbox, engine),
        name => host.damage(name),
    };
    let evidence = format!("inside: {}; outside: {}", answer.evidence, damage.as_deref().unwrap_or("nothing"));
    let held = match damage {
        Some(damage) => Held::No(damage),
        None if answer.escaped => Held::No(answer.evidence.clone()),
        None => Held::Yes,
    };
    check(row, held, evidence)
}

/// A file with set-uid is harmless while it belongs to the sandbox's own uid; the host's root is not that.
fn setuid_damage(sandbox: &Sandbox, engine: &ProcessEngine) -> Option<String> {
    match std::fs::symlink_metadata(sandbox.workspace().join("setuid-file")) {
        Ok(meta) if engine.drops_uid() && meta.uid() == 0 => Some("it belongs to the host's root".to_owned()),
        Ok(_) => None,
        Err(error) => Some(format!("the workspace does not show what was written in it: {error}")),
    }
}

fn check((name, attempt): (&'static str, &'static str), held: Held, evidence: String) -> Check {
    Check { name, attempt, held, evidence }
}
