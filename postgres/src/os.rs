//! The few system calls that the standard library lacks. All `unsafe` of this module is here.
#![allow(unsafe_code, reason = "system calls without a safe wrapper in the standard library")]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// How a lock is held.
#[derive(Clone, Copy)]
pub(super) enum Hold {
    Shared,
    Exclusive,
}

impl Hold {
    fn flag(self) -> libc::c_int {
        match self {
            Hold::Shared => libc::LOCK_SH,
            Hold::Exclusive => libc::LOCK_EX,
        }
    }
}

/// Takes the lock if it is to be had now. `flock` and not `File::try_lock`, because we rely on what `flock` promises:
/// the lock belongs to the open file, so it survives being handed to a child and ends with the last copy.
pub(super) fn try_lock(file: &File, hold: Hold) -> io::Result<bool> {
    match flock(file, hold.flag() | libc::LOCK_NB) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

/// Waits for the lock, for as long as it takes.
pub(super) fn wait_for_lock(file: &File, hold: Hold) -> io::Result<()> {
    flock(file, hold.flag())
}

fn flock(file: &File, operation: libc::c_int) -> io::Result<()> {
    loop {
        // SAFETY: the descriptor is open for as long as `file` is borrowed.
        if unsafe { libc::flock(file.as_raw_fd(), operation) } == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// The effective user.
pub(super) fn user_id() -> u32 {
    // SAFETY: cannot fail and touches no memory.
    unsafe { libc::geteuid() }
}

/// Sends a signal; a process that is gone already is no error.
pub(super) fn signal(pid: i32, signal: i32) {
    // SAFETY: touches no memory. The only failures are "gone" and "not yours", and neither asks for an answer.
    unsafe { libc::kill(pid, signal) };
}

/// Waits until a child has ended, and leaves it to be reaped, so that its number cannot be given to another process.
pub(super) fn wait_without_reaping(pid: u32) {
    loop {
        // SAFETY: `siginfo_t` is plain data, for which zero is a value; the pointer is valid for the call.
        let result = unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            libc::waitid(libc::P_PID, pid, &mut info, libc::WEXITED | libc::WNOWAIT)
        };
        let interrupted = io::Error::last_os_error().kind() == io::ErrorKind::Interrupted;
        if result == 0 || !interrupted {
            return;
        }
    }
}

/// Ignores what a terminal or a service manager sends to everybody: the guard stops when its users are gone, not before.
pub(super) fn ignore_requests_to_stop() {
    for number in STOP_SIGNALS {
        // SAFETY: sets a disposition; no handler of ours runs.
        unsafe { libc::signal(number, libc::SIG_IGN) };
    }
}

const STOP_SIGNALS: [libc::c_int; 3] = [libc::SIGHUP, libc::SIGINT, libc::SIGTERM];
const FIRST_DESCRIPTOR_AFTER_STDERR: libc::c_uint = 3;

/// The child gets a session of its own and none of our descriptors but the standard three.
pub(super) fn detach(command: &mut Command) {
    // SAFETY: only async-signal-safe system calls, and no allocation, between fork and exec.
    unsafe {
        command.pre_exec(|| {
            if libc::setsid() == -1 {
                return Err(io::Error::last_os_error());
            }
            // An old kernel without this call leaves them open, which is untidy and harmless.
            libc::syscall(
                libc::SYS_close_range,
                FIRST_DESCRIPTOR_AFTER_STDERR,
                libc::c_uint::MAX,
                libc::CLOSE_RANGE_CLOEXEC,
            );
            Ok(())
        });
    }
}

/// The child is sent SIGINT when the thread that spawns it ends; it hears the signals that we ignore.
pub(super) fn interrupt_when_parent_ends(command: &mut Command) {
    let parent = std::process::id();
    // SAFETY: only async-signal-safe system calls, and no allocation, between fork and exec. This runs after the change
    // of user, which would clear the setting.
    unsafe {
        command.pre_exec(move || {
            for number in STOP_SIGNALS {
                libc::signal(number, libc::SIG_DFL);
            }
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGINT) == -1 {
                return Err(io::Error::last_os_error());
            }
            // The parent may have ended before the line above.
            if libc::getppid() as u32 != parent {
                return Err(io::Error::from_raw_os_error(libc::ESRCH));
            }
            Ok(())
        });
    }
}

/// The child, and whatever it starts, keeps this file open, and with it the lock.
pub(super) fn keep_open(command: &mut Command, file: &File) {
    let descriptor = file.as_raw_fd();
    // SAFETY: one async-signal-safe system call between fork and exec. Should the descriptor be closed before the child
    // is made, the call fails and so does the start of the child.
    unsafe {
        command.pre_exec(move || match libc::fcntl(descriptor, libc::F_SETFD, 0) {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        });
    }
}
