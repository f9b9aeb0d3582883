//! The key that signs checkpoints: a file in the data folder, and nowhere else. So whoever has the database, even as its
//! superuser, cannot sign a log that he wrote anew.

use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Context;
use domain::proof::{CheckpointKey, SEED_BYTES};
use tempfile::NamedTempFile;

/// The file's name.
const FILE: &str = "checkpoint.key";
/// Nobody but the owner has a right to it.
const OTHERS: u32 = 0o077;

/// The key of a data folder; makes it on first use. Processes that begin at once agree on one.
pub fn open(data: &Path) -> anyhow::Result<CheckpointKey> {
    if let Some(key) = existing(data)? {
        return Ok(key);
    }
    let file = data.join(FILE);
    let mut seed = [0; SEED_BYTES];
    getrandom::fill(&mut seed).context("asking the operating system for random bytes")?;
    // Only its owner may read a temporary file.
    let mut fresh = NamedTempFile::new_in(data).with_context(|| format!("making {}", file.display()))?;
    fresh.write_all(CheckpointKey::from_seed(&seed).to_text().as_bytes())?;
    fresh.as_file().sync_all()?;
    match fresh.persist_noclobber(&file) {
        Ok(_) => std::fs::File::open(data)?.sync_all()?,
        Err(refused) if refused.error.kind() == ErrorKind::AlreadyExists => {}
        Err(refused) => return Err(refused.error).with_context(|| format!("making {}", file.display())),
    }
    existing(data)?.with_context(|| format!("{} was removed while it was made", file.display()))
}

/// The key of a data folder, if it has one.
pub fn existing(data: &Path) -> anyhow::Result<Option<CheckpointKey>> {
    let file = data.join(FILE);
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("reading {}", file.display())),
    };
    if std::fs::metadata(&file)?.permissions().mode() & OTHERS != 0 {
        tracing::warn!("{} can be read by others: chmod 600 it", file.display());
    }
    CheckpointKey::from_text(&text).map(Some).with_context(|| format!("reading {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_that_begin_at_once_agree_on_one_key() {
        let folder = tempfile::tempdir().unwrap();
        assert!(existing(folder.path()).unwrap().is_none());
        let keys: Vec<_> = std::thread::scope(|scope| {
            let opening: Vec<_> = (0..8).map(|_| scope.spawn(|| open(folder.path()).unwrap().public())).collect();
            opening.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
        assert_eq!(existing(folder.path()).unwrap().unwrap().public(), keys[0]);
        let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap()).collect();
        assert_eq!(files.len(), 1, "nothing else is left: {files:?}");
        assert_eq!(files[0].metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_key_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), "daybook-checkpoint-key-v1 AAAA").unwrap();
        assert!(open(folder.path()).is_err());
    }
}
