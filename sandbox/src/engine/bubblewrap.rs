//! Bubblewrap's arguments. They never make a mount point below a folder that the agent can write, and
//! never bind anything of the host but `/usr`, two read-only files of `/etc`, and the workspace.
//!
//! Order matters: `--size` and `--perms` apply to the next `--tmpfs` only, and `--remount-ro` comes after
//! the mounts below it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::error::EngineError;
use super::limits::{SHM_BYTES, TMP_BYTES};
use super::{Exec, ProcessEngine, Spec};
use crate::files::WorkspacePath;

/// Where the workspace is inside.
pub(super) const INSIDE: &str = "/workspace";
/// Bytes of one environment entry at most; the kernel's own bound on one string is 128 KiB.
const ENV_ENTRY_BYTES: usize = 64 * 1024;

/// Finds `bwrap`, in the usual places before the search path, so that a folder put first there wins nothing.
pub(super) fn find() -> Option<PathBuf> {
    let usual = ["/usr/bin", "/usr/local/bin", "/bin"].map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    usual
        .into_iter()
        .chain(std::env::split_paths(&path))
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join("bwrap"))
        .find(|candidate| is_executable(candidate))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Options for `--args`: null-terminated, and read from a descriptor, so that variables stay out of `ps`.
pub(super) fn options(engine: &ProcessEngine, spec: &Spec, exec: &Exec) -> Result<Vec<u8>, EngineError> {
    let mut list = List::default();
    isolation(engine, &mut list);
    list.add(["--clearenv"]);
    let fixed = [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("HOME", INSIDE), ("LANG", "C.UTF-8")];
    for (name, value) in fixed {
        list.add(["--setenv", name, value]);
    }
    for (name, value) in &exec.env {
        check_variable(name, value)?;
        list.add(["--setenv", name, value]);
    }
    system_folders(&mut list);
    let (tmp, shm) = (TMP_BYTES.to_string(), SHM_BYTES.to_string());
    list.add(["--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys"]);
    list.add(["--dev", "/dev", "--size", &shm, "--perms", "1777", "--tmpfs", "/dev/shm"]);
    list.add(["--remount-ro", "/dev", "--size", &tmp, "--perms", "1777", "--tmpfs", "/tmp"]);
    weakened_binds(engine, &mut list);
    list.add([OsStr::new("--bind"), spec.workspace.as_os_str(), OsStr::new(INSIDE)]);
    list.add(["--chdir", &inside_folder(exec.cwd.as_deref())?]);
    list.add(["--remount-ro", "/"]);
    list.finish()
}

fn isolation(engine: &ProcessEngine, list: &mut List) {
    list.add(["--unshare-all", "--unshare-user"]);
    #[cfg(test)]
    if let Some(super::Weakness::ShareNetwork) = engine.weakness {
        list.add(["--share-net"]);
    }
    let _ = engine;
    list.add(["--disable-userns", "--uid", "1000", "--gid", "1000", "--hostname", "sandbox"]);
    list.add(["--die-with-parent", "--new-session", "--cap-drop", "ALL"]);
}

fn system_folders(list: &mut List) {
    list.add(["--ro-bind", "/usr", "/usr"]);
    for name in ["bin", "lib", "lib64", "sbin"] {
        list.add(["--symlink", &format!("usr/{name}"), &format!("/{name}")]);
    }
    for path in ["/etc/alternatives", "/etc/ld.so.cache"] {
        list.add(["--ro-bind-try", path, path]);
    }
}

#[cfg(test)]
fn weakened_binds(engine: &ProcessEngine, list: &mut List) {
    if let Some(super::Weakness::BindHost(folder)) = &engine.weakness {
        list.add([OsStr::new("--bind"), folder.as_os_str(), folder.as_os_str()]);
    }
}

#[cfg(not(test))]
fn weakened_binds(_engine: &ProcessEngine, _list: &mut List) {}

fn inside_folder(cwd: Option<&str>) -> Result<String, EngineError> {
    match cwd {
        None | Some("" | "." | "./") => Ok(INSIDE.to_owned()),
        Some(relative) => WorkspacePath::parse(relative)
            .map(|path| format!("{INSIDE}/{path}"))
            .map_err(|_| EngineError::BadWorkingDirectory),
    }
}

fn check_variable(name: &str, value: &str) -> Result<(), EngineError> {
    let well_named = !name.is_empty() && !name.contains(['=', '\0']);
    let fits = !value.contains('\0') && name.len() + value.len() < ENV_ENTRY_BYTES;
    if well_named && fits { Ok(()) } else { Err(EngineError::BadCommand) }
}

#[derive(Default)]
struct List {
    items: Vec<OsString>,
}

impl List {
    fn add<S: AsRef<OsStr>, const N: usize>(&mut self, items: [S; N]) {
        self.items.extend(items.iter().map(|item| item.as_ref().to_owned()));
    }

    fn finish(self) -> Result<Vec<u8>, EngineError> {
        if self.items.iter().any(|item| item.as_bytes().contains(&0)) {
            return Err(EngineError::BadCommand);
        }
        Ok(self.items.iter().flat_map(|item| item.as_bytes().iter().copied().chain([0])).collect())
    }
}
