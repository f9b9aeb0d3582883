//! The keeper: one small process between Daybook and each bubblewrap, which leaves nothing of a sandbox behind.
//!
//! bubblewrap binds its inner process to its outer one only at the end of its set-up. When the outer one is
//! killed in those milliseconds, the inner one goes on, and runs the command with nobody to stop it. The
//! keeper adopts what loses its parent, and kills it, whether the end comes from Daybook (SIGTERM), from
//! Daybook's own death (the same signal, sent by the kernel) or from the command itself.
//!
//! It is a fork without an exec, so it only makes system calls: no allocation, no lock, no library state.
//! It never ends before everything below it has.

use std::io;

/// Bytes read at once of the list of children, which is a few numbers long.
const LIST_BYTES: usize = 4096;
/// Longest wait for a signal before looking again, in seconds; a guard against a signal that got lost.
const LOOK_SECONDS: libc::time_t = 1;

/// Splits the process in two. Returns in the new one, which execs bubblewrap; the old one keeps it and never
/// returns. To be called between fork and exec, with `parent` the process id of Daybook.
pub(super) fn split(parent: libc::pid_t) -> io::Result<()> {
    // SAFETY: system calls with plain numbers and pointers to this stack.
    unsafe {
        let (none, waited) = signal_sets();
        check(libc::sigprocmask(libc::SIG_SETMASK, &raw const waited, std::ptr::null_mut()).into())?;
        check(libc::syscall(libc::SYS_prctl, libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))?;
        die_with(parent, libc::SIGTERM)?;
        let keeper = libc::syscall(libc::SYS_getpid);
        let outer = libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0);
        check(outer)?;
        if outer != 0 {
            keep(&waited, i32::try_from(outer).unwrap_or_default());
        }
        check(libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut()).into())?;
        die_with(i32::try_from(keeper).unwrap_or_default(), libc::SIGKILL)
    }
}

/// Asks for a signal at the parent's death, and makes sure that it has not died already.
fn die_with(parent: libc::pid_t, signal: libc::c_int) -> io::Result<()> {
    // SAFETY: system calls with plain numbers.
    unsafe {
        check(libc::syscall(libc::SYS_prctl, libc::PR_SET_PDEATHSIG, signal, 0, 0, 0))?;
        if libc::syscall(libc::SYS_getppid) != i64::from(parent) {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
    }
    Ok(())
}

/// The empty set, and the signals that the keeper waits for.
unsafe fn signal_sets() -> (libc::sigset_t, libc::sigset_t) {
    // SAFETY: a zeroed set is a valid one, and libc fills both before use.
    unsafe {
        let (mut none, mut waited): (libc::sigset_t, libc::sigset_t) = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigemptyset(&raw mut waited);
        for signal in [libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
            libc::sigaddset(&raw mut waited, signal);
        }
        (none, waited)
    }
}

/// Waits for the end, then ends everything.
unsafe fn keep(waited: &libc::sigset_t, outer: libc::pid_t) -> ! {
    // SAFETY: system calls with plain numbers and pointers to this stack.
    unsafe {
        // Its memory is a copy of Daybook's, and its uid the sandbox's: nobody but root may look at it.
        libc::syscall(libc::SYS_prctl, libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
        libc::syscall(libc::SYS_prctl, libc::PR_SET_NAME, c"sandbox-keeper".as_ptr(), 0, 0, 0);
        // An open pipe here would keep the readers of the command's output waiting.
        libc::syscall(libc::SYS_close_range, 0_u32, u32::MAX, 0_u32);
        let pause = libc::timespec { tv_sec: LOOK_SECONDS, tv_nsec: 0 };
        loop {
            let signal = libc::sigtimedwait(waited, std::ptr::null_mut(), &raw const pause);
            let ended = libc::waitpid(outer, std::ptr::null_mut(), libc::WNOHANG) != 0;
            if ended || (signal > 0 && signal != libc::SIGCHLD) {
                break;
            }
        }
        loop {
            kill_children();
            if libc::waitpid(-1, std::ptr::null_mut(), 0) < 0 && last_errno() != libc::EINTR {
                libc::_exit(0);
            }
        }
    }
}

/// Kills every child. What they leave behind becomes a child in turn, and is killed in the next round.
unsafe fn kill_children() {
    // SAFETY: system calls with plain numbers and pointers to this stack.
    unsafe {
        let list = libc::open(c"/proc/thread-self/children".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        let mut bytes = [0_u8; LIST_BYTES];
        let filled = libc::read(list, bytes.as_mut_ptr().cast(), LIST_BYTES);
        libc::close(list);
        let mut pid: libc::pid_t = 0;
        for &byte in bytes.iter().take(usize::try_from(filled).unwrap_or(0)) {
            if byte.is_ascii_digit() {
                pid = pid.wrapping_mul(10).wrapping_add(libc::pid_t::from(byte - b'0'));
            } else if pid > 1 {
                libc::kill(pid, libc::SIGKILL);
                pid = 0;
            }
        }
    }
}

fn last_errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

fn check(result: i64) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
