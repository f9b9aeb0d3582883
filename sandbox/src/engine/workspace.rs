//! The workspace folder on the host: which uid owns it and whether that uid can reach it. It never changes
//! anything but the folder it is given and what lies in it, and never follows a link.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::error::EngineError;

/// The lowest host uid that a sandbox runs as.
pub const FIRST_UID: u32 = 200_000;
/// The highest host uid that a sandbox runs as.
pub const LAST_UID: u32 = 265_535;

/// The host uid of a workspace, always the same for the same id. Two ids may share one: with 65,536 uids
/// that is unlikely, and they then share only the count of processes, since mounts keep their files apart.
#[must_use]
pub fn uid_for(workspace_id: &str) -> u32 {
    let hash = Sha256::digest(workspace_id.as_bytes());
    FIRST_UID + u32::from(u16::from_be_bytes([hash[0], hash[1]]))
}

/// Makes the folder if need be and gives it to the uid: mode 0700, owner and group the uid. With a uid, its
/// contents change hands too, links being changed themselves and never followed. Without one (an ordinary
/// user) the folder is only made.
pub fn prepare_workspace(folder: &Path, uid: Option<u32>) -> Result<(), EngineError> {
    if !folder.is_absolute() {
        return Err(EngineError::WorkspaceUnreachable(folder.to_owned()));
    }
    std::fs::create_dir_all(folder)?;
    if let Some(uid) = uid {
        check_uid(uid)?;
        use std::os::unix::fs::PermissionsExt;
        crate::files::give_tree_to(folder, uid)?;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    }
    check_reachable(folder, uid)
}

pub(super) fn check_uid(uid: u32) -> Result<(), EngineError> {
    if (FIRST_UID..=LAST_UID).contains(&uid) { Ok(()) } else { Err(EngineError::UidMissing) }
}

/// Whether the uid may enter every parent of the folder, and the folder is its own. bubblewrap would only
/// say "No such file or directory", which sends people looking in the wrong place.
pub(super) fn check_reachable(folder: &Path, uid: Option<u32>) -> Result<(), EngineError> {
    let unreachable = || EngineError::WorkspaceUnreachable(folder.to_owned());
    if !folder.is_absolute() || !is_folder(folder)? {
        return Err(unreachable());
    }
    let Some(uid) = uid else { return Ok(()) };
    for parent in folder.ancestors() {
        let meta = std::fs::metadata(parent).map_err(|_| unreachable())?;
        let bit = if meta.uid() == uid { 0o100 } else { 0o001 };
        if meta.mode() & bit == 0 {
            return Err(unreachable());
        }
    }
    Ok(())
}

fn is_folder(folder: &Path) -> io::Result<bool> {
    match std::fs::symlink_metadata(folder) {
        Ok(meta) => Ok(meta.is_dir()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
