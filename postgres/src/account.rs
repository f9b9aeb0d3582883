//! As whom PostgreSQL runs: as ourselves, or, since it refuses root, as an unprivileged user in root's stead.

use std::fs;
use std::os::unix::fs::{MetadataExt, lchown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::error::{ClusterError, OrCannot};
use crate::os;

const ROOT: u32 = 0;
/// In this order; the second exists on every Linux.
const STAND_INS: [&str; 2] = ["postgres", "nobody"];

/// The user that runs PostgreSQL.
#[derive(Debug)]
pub(super) struct Account {
    name: String,
    uid: u32,
    gid: u32,
    /// Whether we are root and have to become this user.
    switch: bool,
}

impl Account {
    /// The owner of an existing database goes on owning it.
    pub(super) fn choose(cluster: &Path) -> Result<Account, ClusterError> {
        let uid = os::user_id();
        if uid != ROOT {
            return Ok(Account { name: uid.to_string(), uid, gid: 0, switch: false });
        }
        let passwd = fs::read_to_string("/etc/passwd").or_cannot("read", Path::new("/etc/passwd"))?;
        let owner = fs::metadata(cluster).ok().map(|metadata| metadata.uid());
        let all: Vec<Account> = passwd.lines().filter_map(parse).collect();
        let stands_in = |name: &&str| all.iter().position(|account| account.name == *name);
        let index =
            all.iter().position(|account| Some(account.uid) == owner).or_else(|| STAND_INS.iter().find_map(stands_in));
        index.and_then(|index| all.into_iter().nth(index)).ok_or(ClusterError::NoAccount)
    }

    pub(super) fn uid(&self) -> u32 {
        self.uid
    }

    /// The command runs as this user, in the root folder, and without settings meant for other PostgreSQL servers.
    pub(super) fn prepare(&self, command: &mut Command) {
        if self.switch {
            command.uid(self.uid).gid(self.gid);
        }
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"PG") {
                command.env_remove(name);
            }
        }
        command.env("LC_ALL", "C").current_dir("/");
    }

    /// Gives a file to this user.
    pub(super) fn give(&self, path: &Path) -> Result<(), ClusterError> {
        if self.switch {
            lchown(path, Some(self.uid), Some(self.gid)).or_cannot("change the owner of", path)?;
        }
        Ok(())
    }

    /// Refuses a folder to which this user has no way.
    pub(super) fn check_way_to(&self, folder: &Path) -> Result<(), ClusterError> {
        if !self.switch {
            return Ok(());
        }
        let mut way: Vec<&Path> = folder.ancestors().collect();
        way.reverse();
        for step in way {
            let metadata = fs::metadata(step).or_cannot("read", step)?;
            let may_enter = match (metadata.uid() == self.uid, metadata.gid() == self.gid) {
                (true, _) => 0o100,
                (false, true) => 0o010,
                (false, false) => 0o001,
            };
            if metadata.mode() & may_enter == 0 {
                return Err(ClusterError::Closed { user: self.name.clone(), folder: step.to_path_buf() });
            }
        }
        Ok(())
    }
}

/// One line of /etc/passwd, of a user other than root.
fn parse(line: &str) -> Option<Account> {
    let mut fields = line.split(':');
    let name = fields.next()?.to_owned();
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    (uid != ROOT).then_some(Account { name, uid, gid, switch: true })
}
