"""Tries to escape, and prints what happened as one line of JSON. Runs inside the sandbox only.

An attempt that returns text has escaped; one that returns nothing or raises OSError has not.
"""
import ctypes
import errno
import fcntl
import json
import os
import signal
import socket
import sys

given = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
answers = {}

X86_64 = dict(mount=165, umount2=166, pivot_root=155, chroot=161, ptrace=101, unshare=272, setns=308, clone=56,
              clone3=435, bpf=321, io_uring_setup=425, keyctl=250, perf_event_open=298, open_by_handle_at=304,
              userfaultfd=323, process_vm_readv=310, kexec_load=246, init_module=175, personality=135, fsopen=430)
AARCH64 = dict(mount=40, umount2=39, pivot_root=41, chroot=51, ptrace=117, unshare=97, setns=268, clone=220,
               clone3=435, bpf=280, io_uring_setup=425, keyctl=219, perf_event_open=241, open_by_handle_at=265,
               userfaultfd=282, process_vm_readv=270, kexec_load=104, init_module=105, personality=92, fsopen=430)
CALLS = AARCH64 if os.uname().machine == "aarch64" else X86_64


def attempt(function):
    """Tries at once and notes the outcome under the function's name."""
    try:
        escaped = function()
        answers[function.__name__] = dict(escaped=bool(escaped), evidence=escaped or "refused")
    except OSError as error:
        answers[function.__name__] = dict(escaped=False, evidence=errno.errorcode.get(error.errno, str(error)))
    return function


def every(actions):
    """The first escape among several, or else the errors of all of them."""
    seen = []
    for action in actions:
        try:
            escaped = action()
            if escaped:
                return escaped
            seen.append("refused")
        except OSError as error:
            seen.append(errno.errorcode.get(error.errno, str(error)))
    raise OSError(", ".join(sorted(set(seen))))


def read(path):
    with open(path, "rb") as file:
        return f"read {len(file.read(4096))} bytes of {path}"


def opened(path, flags):
    os.close(os.open(path, flags))
    return f"opened {path}"


def syscall(name, *arguments, expect=errno.EPERM):
    """Refused by the filter itself, which answers before the kernel looks at the arguments."""
    ctypes.set_errno(0)
    result = libc.syscall(CALLS[name], *[ctypes.c_long(argument) for argument in arguments])
    if name.startswith("clone") and result == 0:
        os._exit(0)
    if result == -1 and ctypes.get_errno() == expect:
        raise OSError(expect, os.strerror(expect))
    return f"{name} gave {result} {errno.errorcode.get(ctypes.get_errno(), '')}"


@attempt
def read_host_files():
    return every([lambda p=p: read(p) for p in ("/etc/shadow", "/etc/passwd", given["secret"])])


@attempt
def list_host_folders():
    places = (given["home"], "/root", "/home", given["outside"], "/var", "/boot")
    return every([lambda p=p: f"{len(os.listdir(p))} entries in {p}" for p in places])


@attempt
def follow_link_out():
    for name, target in (("to-secret", given["secret"]), ("to-shadow", "/etc/shadow"), ("to-up", "../outside")):
        os.symlink(target, name)
    return every([lambda: read("to-secret"), lambda: read("to-shadow"), lambda: read("to-up/secret"),
                  lambda: read("../outside/secret")])


@attempt
def read_through_proc():
    roots = ("/proc/1/root", "/proc/1/cwd/..", f"/proc/{os.getppid()}/root", f"/proc/{given['victim']}/root")
    found = [lambda r=r: read(r + given["secret"]) for r in roots]
    return every(found + [lambda: read(f"/proc/{given['victim']}/environ")])


@attempt
def write_system_folders():
    return every([lambda p=p: opened(p + "/escaped", os.O_CREAT | os.O_WRONLY)
                  for p in ("/usr", "/usr/bin", "", "/etc", "/dev", "/proc", "/sys")])


@attempt
def write_host_folder():
    def through_link():
        os.symlink(given["outside"], "to-outside")
        return opened("to-outside/escaped", os.O_CREAT | os.O_WRONLY)
    return every([lambda: opened(given["outside"] + "/escaped", os.O_CREAT | os.O_WRONLY), through_link])


@attempt
def write_kernel_settings():
    paths = ("/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sysrq-trigger",
             "/sys/kernel/uevent_helper", "/proc/sys/vm/overcommit_memory")
    return every([lambda p=p: opened(p, os.O_WRONLY) for p in paths])


@attempt
def connect_host_tcp():
    socket.create_connection(("127.0.0.1", given["port"]), 1).close()
    return "connected"


@attempt
def connect_host_unix():
    def connect(address):
        with socket.socket(socket.AF_UNIX) as one:
            one.connect(address)
        return "connected"
    return every([lambda: connect("\0" + given["token"]), lambda: connect(given["outside"] + "/socket")])


@attempt
def reach_the_internet():
    def send():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.connect(("192.0.2.1", 9))
        return "there is a route"
    return every([send])


@attempt
def open_odd_sockets():
    def made(family, kind):
        socket.socket(family, kind).close()
        return f"a socket of family {family}"
    kinds = ((16, socket.SOCK_RAW), (17, socket.SOCK_RAW), (40, socket.SOCK_STREAM), (38, 5), (2, socket.SOCK_RAW))
    return every([lambda k=k: made(*k) for k in kinds])


@attempt
def kill_host_process():
    os.kill(given["victim"], signal.SIGKILL)
    return "the signal was delivered"


@attempt
def see_host_processes():
    seen = [name for name in os.listdir("/proc") if name.isdigit()]
    return f"{len(seen)} processes visible" if len(seen) > 3 else None


@attempt
def mount_and_chroot():
    return every([lambda: syscall("mount", 0, 0, 0, 0, 0), lambda: syscall("umount2", 0, 0),
                  lambda: syscall("pivot_root", 0, 0), lambda: syscall("chroot", 0), lambda: syscall("fsopen", 0, 0)])


@attempt
def make_namespaces():
    user, sigchld = 0x10000000, 17
    return every([lambda: syscall("unshare", user), lambda: syscall("setns", 0, 0),
                  lambda: syscall("clone", user | sigchld, 0, 0, 0, 0)])


@attempt
def hide_flags_in_clone3():
    return syscall("clone3", 0, 0, expect=errno.ENOSYS)


@attempt
def call_by_foreign_abi():
    if os.uname().machine != "x86_64":
        return None
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(0x40000000 | 39))
    return None if result == -1 and ctypes.get_errno() == errno.ENOSYS else f"gave {result}"


@attempt
def touch_other_processes():
    # No process has this number: without the filter the answer is another, and nothing is left stopped.
    nobody = 0x3FFFFFFF
    return every([lambda: syscall("ptrace", 16, nobody, 0, 0),
                  lambda: syscall("process_vm_readv", nobody, 0, 0, 0, 0, 0)])


@attempt
def call_into_the_kernel():
    names = ("bpf", "io_uring_setup", "keyctl", "perf_event_open", "userfaultfd", "open_by_handle_at", "kexec_load",
             "init_module")
    return every([lambda n=n: syscall(n, 0, 0, 0, 0, 0) for n in names])


@attempt
def become_root():
    def set_uid():
        os.setuid(0)
        return "uid 0"

    def set_gid():
        os.setgroups([0])
        return "group 0"
    return every([set_uid, set_gid])


@attempt
def open_devices():
    def make():
        os.mknod("disk", 0o060666, os.makedev(254, 0))
        return "made a block device"
    paths = ("/dev/kvm", "/dev/vda", "/dev/sda", "/dev/nvme0n1", "/dev/mem", "/dev/fuse", "/dev/net/tun")
    return every([make] + [lambda p=p: opened(p, os.O_RDONLY) for p in paths])


@attempt
def type_into_terminal():
    for request in (0x5412, 0x541C):
        try:
            fcntl.ioctl(0, request, b"x")
            return "typed"
        except OSError as error:
            if error.errno != errno.EPERM:
                return f"the filter did not answer, but {errno.errorcode.get(error.errno)}"
    return None


@attempt
def inherit_descriptors():
    extra = []
    for name in os.listdir("/proc/self/fd"):
        try:
            if int(name) > 2:
                extra.append(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:
            pass  # the descriptor of the listing itself, closed by now
    return ", ".join(extra)


@attempt
def keep_privileges():
    with open("/proc/self/status") as file:
        status = dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)
    wanted = dict(CapEff="0000000000000000", CapBnd="0000000000000000", CapPrm="0000000000000000", NoNewPrivs="1",
                  Seccomp="2")
    wrong = [f"{name} {status.get(name)}" for name, value in wanted.items() if status.get(name) != value]
    return ", ".join(wrong)


@attempt
def inherit_environment():
    extra = set(os.environ) - {"PATH", "HOME", "LANG", "PWD", "LC_CTYPE"}
    return ", ".join(sorted(extra))


@attempt
def find_unbounded_memory_folders():
    sizes = {path: os.statvfs(path) for path in ("/dev/shm", "/tmp")}
    large = [path for path, stat in sizes.items() if stat.f_blocks * stat.f_frsize > 64 * 1024 * 1024]
    return ", ".join(large)


@attempt
def leave_root_owned_setuid_file():
    with open("setuid-file", "w") as file:
        file.write("#!/bin/sh\n")
    os.chmod("setuid-file", 0o4755)


print(json.dumps(answers))
