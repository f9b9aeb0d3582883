//! The folder of the server's socket: short, because a socket's path has 107 bytes, and closed to everybody else.

use std::env;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::account::Account;
use crate::error::ClusterError;
use crate::os;

const MODE: u32 = 0o700;
const PERMISSION_BITS: u32 = 0o7777;
/// `sun_path` has 108 bytes, and the last is zero.
const SOCKET_PATH_LIMIT: usize = 107;
/// What PostgreSQL calls its socket; the number is that of its port, which only serves as a name here.
pub(super) const SOCKET_NAME: &str = ".s.PGSQL.5432";

/// The socket in a folder.
pub(super) fn socket(folder: &Path) -> PathBuf {
    folder.join(SOCKET_NAME)
}

/// Makes the folder, or takes over the one that a crash left behind.
pub(super) fn create(name: &str, account: &Account) -> Result<PathBuf, ClusterError> {
    let mut reasons = Vec::new();
    for parent in parents() {
        let folder = parent.join(name);
        match create_at(&folder, account) {
            Ok(()) => return Ok(folder),
            Err(reason) => reasons.push(format!("{}: {reason}", folder.display())),
        }
    }
    Err(ClusterError::NoRuntimeFolder { reasons: reasons.join("; ") })
}

/// Whether the folder is one that only the server's user and root can have made.
pub(super) fn is_ours(folder: &Path, account: &Account) -> bool {
    is_closed_folder_of(folder, &[account.uid()])
}

/// /tmp before XDG_RUNTIME_DIR, because the latter vanishes when its user logs out, also from under a server that was
/// meant to stay.
fn parents() -> Vec<PathBuf> {
    let mut parents = vec![PathBuf::from("/tmp")];
    if os::user_id() == 0 {
        parents.insert(0, PathBuf::from("/run"));
    } else {
        parents.extend(env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from));
    }
    parents
}

fn create_at(folder: &Path, account: &Account) -> Result<(), String> {
    if socket(folder).as_os_str().len() > SOCKET_PATH_LIMIT {
        return Err(format!("a socket's path is limited to {SOCKET_PATH_LIMIT} bytes"));
    }
    // The setting is a list, and URLs want text.
    if folder.to_str().is_none_or(|text| text.contains([',', '"'])) {
        return Err("the name has a comma, a quote or is not UTF-8".to_owned());
    }
    match DirBuilder::new().mode(MODE).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.to_string()),
        _ => {}
    }
    // A crash may have come between making the folder and giving it away.
    if !is_closed_folder_of(folder, &[account.uid(), os::user_id()]) {
        return Err("exists already and belongs to somebody else, or is open to others".to_owned());
    }
    account.give(folder).map_err(|error| error.to_string())
}

fn is_closed_folder_of(folder: &Path, owners: &[u32]) -> bool {
    fs::symlink_metadata(folder).is_ok_and(|metadata| {
        metadata.is_dir() && owners.contains(&metadata.uid()) && metadata.mode() & PERMISSION_BITS == MODE
    })
}
