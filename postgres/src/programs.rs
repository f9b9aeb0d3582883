//! Where PostgreSQL's own programs are.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::ClusterError;

/// The oldest major version that Daybook is tested with.
const OLDEST: u32 = 15;
/// Where Debian and its kin keep one folder for each major version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// How each package manager is asked.
const INSTALL: [(&str, &str); 5] = [
    ("apt-get", "sudo apt-get install -y postgresql"),
    ("dnf", "sudo dnf install -y postgresql-server"),
    ("pacman", "sudo pacman -S --noconfirm postgresql"),
    ("zypper", "sudo zypper install -y postgresql-server"),
    ("apk", "apk add postgresql"),
];

/// A folder with `initdb` and `postgres` of one version.
#[derive(Debug)]
pub(super) struct Programs {
    folder: PathBuf,
    major: u32,
}

impl Programs {
    /// `PG_BINDIR`, else the newest version installed, else what is in PATH. An existing database decides the version.
    pub(super) fn find(cluster: &Path) -> Result<Programs, ClusterError> {
        let made_by = fs::read_to_string(cluster.join("PG_VERSION")).ok();
        let wanted = made_by.as_deref().map(str::trim);
        let candidates = candidates()?;
        if candidates.is_empty() {
            return Err(ClusterError::NotInstalled { oldest: OLDEST, install: install_command() });
        }
        let fits = |programs: &Programs| wanted.is_none_or(|version| version == programs.major.to_string());
        candidates.into_iter().find(fits).ok_or_else(|| ClusterError::OtherVersion {
            cluster: cluster.to_path_buf(),
            made_by: wanted.unwrap_or_default().to_owned(),
        })
    }

    pub(super) fn initdb(&self) -> PathBuf {
        self.folder.join("initdb")
    }

    pub(super) fn postgres(&self) -> PathBuf {
        self.folder.join("postgres")
    }

    fn in_folder(folder: PathBuf) -> Option<Programs> {
        if !folder.join("initdb").is_file() {
            return None;
        }
        let output = Command::new(folder.join("postgres")).arg("--version").output().ok()?;
        let major = major(&String::from_utf8_lossy(&output.stdout))?;
        (major >= OLDEST).then_some(Programs { folder, major })
    }
}

/// Best first.
fn candidates() -> Result<Vec<Programs>, ClusterError> {
    if let Some(folder) = env::var_os("PG_BINDIR").filter(|folder| !folder.is_empty()) {
        let folder = PathBuf::from(folder);
        let bad = ClusterError::BadBindir { folder: folder.clone(), oldest: OLDEST };
        return Ok(vec![Programs::in_folder(folder).ok_or(bad)?]);
    }
    let installed = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let mut found: Vec<Programs> =
        installed.filter_map(|version| Programs::in_folder(version.path().join("bin"))).collect();
    found.sort_by_key(|programs| std::cmp::Reverse(programs.major));
    let path = env::var_os("PATH").unwrap_or_default();
    found.extend(env::split_paths(&path).filter_map(Programs::in_folder));
    Ok(found)
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` is 15; `17beta1` is 17.
fn major(version: &str) -> Option<u32> {
    let number = version.split_whitespace().nth(2)?;
    let digits = number.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// The command for this machine's package manager.
fn install_command() -> &'static str {
    let path = env::var_os("PATH").unwrap_or_default();
    let has = |program: &str| env::split_paths(&path).any(|folder| folder.join(program).is_file());
    INSTALL.iter().find(|(manager, _)| has(manager)).map_or(INSTALL[0].1, |(_, command)| command)
}
