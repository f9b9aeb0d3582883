//! The two system call filters. They never allow a namespace, a mount, a trace of another process, or a
//! socket that is not unix or internet.
//!
//! One filter answers with one errno, so there are two: a deny list answering EPERM, and one that answers
//! ENOSYS to `clone3`, whose flags lie in memory where no filter can look; libc then falls back to `clone`.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, sock_filter,
};

use super::error::EngineError;

/// `open_tree_attr`, newer than the libc crate knows; the number is the same on every processor.
const SYS_OPEN_TREE_ATTR: i64 = 467;
/// Set in every x32 call number. A deny list by number would miss those, so all of them are refused.
#[cfg(target_arch = "x86_64")]
const X32_BIT: u32 = 0x4000_0000;
/// The flag of `clone` for a time namespace is `CLONE_NEWTIME`, which only `clone3` and `unshare` take.
const NAMESPACE_FLAGS: [i32; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];
/// `ioctl` requests that type into a terminal on somebody else's behalf.
const TERMINAL_INJECTION: [u64; 2] = [libc::TIOCSTI, libc::TIOCLINUX];

#[rustfmt::skip]
const DENIED: &[i64] = &[
    // Mounts.
    libc::SYS_mount, libc::SYS_umount2, libc::SYS_pivot_root, libc::SYS_chroot, libc::SYS_move_mount,
    libc::SYS_fsopen, libc::SYS_fsconfig, libc::SYS_fsmount, libc::SYS_fspick, libc::SYS_open_tree,
    SYS_OPEN_TREE_ATTR, libc::SYS_mount_setattr,
    // Namespaces.
    libc::SYS_unshare, libc::SYS_setns,
    // Other processes.
    libc::SYS_ptrace, libc::SYS_process_vm_readv, libc::SYS_process_vm_writev, libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // The kernel itself.
    libc::SYS_bpf, libc::SYS_perf_event_open, libc::SYS_userfaultfd, libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter, libc::SYS_io_uring_register, libc::SYS_kexec_load, libc::SYS_kexec_file_load,
    libc::SYS_init_module, libc::SYS_finit_module, libc::SYS_delete_module, libc::SYS_reboot,
    libc::SYS_swapon, libc::SYS_swapoff, libc::SYS_acct, libc::SYS_quotactl, libc::SYS_quotactl_fd,
    libc::SYS_syslog, libc::SYS_personality, libc::SYS_vhangup, libc::SYS_lookup_dcookie,
    // Keys.
    libc::SYS_keyctl, libc::SYS_add_key, libc::SYS_request_key,
    // File handles, which reach past mounts.
    libc::SYS_open_by_handle_at, libc::SYS_name_to_handle_at, libc::SYS_fanotify_init,
    // Clocks and names.
    libc::SYS_settimeofday, libc::SYS_clock_settime, libc::SYS_clock_adjtime, libc::SYS_adjtimex,
    libc::SYS_sethostname, libc::SYS_setdomainname,
    // Memory policy.
    libc::SYS_mbind, libc::SYS_migrate_pages, libc::SYS_move_pages,
];

#[cfg(target_arch = "x86_64")]
const DENIED_HERE: &[i64] = &[libc::SYS_ioperm, libc::SYS_iopl, libc::SYS_modify_ldt];
#[cfg(not(target_arch = "x86_64"))]
const DENIED_HERE: &[i64] = &[];

/// Both filters, as the bytes bubblewrap reads.
#[derive(Debug, Clone)]
pub(super) struct Filters {
    /// The deny list, answering EPERM.
    pub(super) deny: Vec<u8>,
    /// `clone3`, and calls of a foreign ABI, answering ENOSYS.
    pub(super) clone3: Vec<u8>,
}

impl Filters {
    pub(super) fn build() -> Result<Self, EngineError> {
        let deny = compile(deny_rules()?, libc::EPERM)?;
        let clone3 = compile(BTreeMap::from([(libc::SYS_clone3, vec![])]), libc::ENOSYS)?;
        Ok(Self { deny: bytes(&deny), clone3: bytes(&refusing_foreign_abi(clone3)) })
    }
}

fn deny_rules() -> Result<BTreeMap<i64, Vec<SeccompRule>>, EngineError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        DENIED.iter().chain(DENIED_HERE).map(|&call| (call, vec![])).collect();
    let clone = NAMESPACE_FLAGS
        .iter()
        .map(|&flag| {
            let bit = u64::from(flag.cast_unsigned());
            rule(vec![condition(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(bit), bit)?])
        })
        .collect::<Result<_, _>>()?;
    rules.insert(libc::SYS_clone, clone);
    let allowed = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6];
    let socket = allowed
        .iter()
        .map(|&family| condition(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, u64::from(family.cast_unsigned())))
        .collect::<Result<_, _>>()?;
    rules.insert(libc::SYS_socket, vec![rule(socket)?]);
    let ioctl = TERMINAL_INJECTION
        .iter()
        .map(|&request| rule(vec![condition(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, request)?]))
        .collect::<Result<_, _>>()?;
    rules.insert(libc::SYS_ioctl, ioctl);
    Ok(rules)
}

fn condition(
    argument: u8,
    length: SeccompCmpArgLen,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, EngineError> {
    SeccompCondition::new(argument, length, operator, value).map_err(|_| EngineError::UnsupportedProcessor)
}

fn rule(conditions: Vec<SeccompCondition>) -> Result<SeccompRule, EngineError> {
    SeccompRule::new(conditions).map_err(|_| EngineError::UnsupportedProcessor)
}

fn compile(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) -> Result<BpfProgram, EngineError> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|_| EngineError::UnsupportedProcessor)?;
    let answer = SeccompAction::Errno(errno.cast_unsigned());
    SeccompFilter::new(rules, SeccompAction::Allow, answer, arch)
        .and_then(BpfProgram::try_from)
        .map_err(|_| EngineError::UnsupportedProcessor)
}

/// Puts three instructions in front: load the call number, and answer ENOSYS when its x32 bit is set.
#[cfg(target_arch = "x86_64")]
fn refusing_foreign_abi(program: BpfProgram) -> BpfProgram {
    const LOAD_CALL_NUMBER: u16 = 0x20;
    const JUMP_IF_SET: u16 = 0x45;
    const RETURN: u16 = 0x06;
    const ERRNO: u32 = 0x0005_0000;
    let enosys = ERRNO | libc::ENOSYS.cast_unsigned();
    let mut whole = vec![
        sock_filter { code: LOAD_CALL_NUMBER, jt: 0, jf: 0, k: 0 },
        sock_filter { code: JUMP_IF_SET, jt: 0, jf: 1, k: X32_BIT },
        sock_filter { code: RETURN, jt: 0, jf: 0, k: enosys },
    ];
    whole.extend(program);
    whole
}

#[cfg(not(target_arch = "x86_64"))]
fn refusing_foreign_abi(program: BpfProgram) -> BpfProgram {
    program
}

/// Raw `sock_filter` records: code u16, jt u8, jf u8, k u32, native byte order.
fn bytes(program: &[sock_filter]) -> Vec<u8> {
    program
        .iter()
        .flat_map(|step| {
            let [code_low, code_high] = step.code.to_ne_bytes();
            let [a, b, c, d] = step.k.to_ne_bytes();
            [code_low, code_high, step.jt, step.jf, a, b, c, d]
        })
        .collect()
}
