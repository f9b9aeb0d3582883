//! A temporary PostgreSQL with full durability, in a folder that is removed at the end.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

const SUPERUSER: &str = "daybook";
/// As Daybook's own server is set, and with room for many writers.
const SETTINGS: [&str; 11] = [
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "listen_addresses=",
    "max_connections=600",
    "shared_buffers=128MB",
    "min_wal_size=1GB",
    "max_wal_size=4GB",
    "jit=off",
    "timezone=UTC",
    "wal_compression=lz4",
];
const POLL: Duration = Duration::from_millis(50);
const START_LIMIT: Duration = Duration::from_secs(60);

/// A running server. Dropping it stops the server and removes its data.
pub struct Cluster {
    programs: PathBuf,
    account: Option<(u32, u32)>,
    data: PathBuf,
    sockets: PathBuf,
    server: Child,
}

/// The folder to measure in: the one that was named, or that of this program.
pub fn folder(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    let folder = match named {
        Some(folder) => folder.to_owned(),
        None => std::env::current_exe()?.parent().context("this program lies in no folder")?.to_owned(),
    };
    folder.canonicalize().with_context(|| format!("cannot use {}", folder.display()))
}

impl Cluster {
    /// Creates a database cluster in `folder` and starts its server.
    pub async fn start(folder: &Path) -> anyhow::Result<Self> {
        eprintln!("starting a temporary PostgreSQL in {}", folder.display());
        let name = format!("daybook-bench-{}", std::process::id());
        let (data, sockets) = (folder.join(&name), std::env::temp_dir().join(&name));
        let programs = programs()?;
        let account = account()?;
        for folder in [&data, &sockets] {
            fs::create_dir(folder).with_context(|| format!("cannot create {}", folder.display()))?;
            if let Some((user, group)) = account {
                chown(folder, Some(user), Some(group))?;
            }
        }
        let mut initdb = command(&programs.join("initdb"), account);
        initdb.args(["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--username", SUPERUSER, "-D"]).arg(&data);
        let made = initdb.output().context("cannot run initdb")?;
        if !made.status.success() {
            let _ = (fs::remove_dir_all(&data), fs::remove_dir_all(&sockets));
            bail!("initdb failed: {}", String::from_utf8_lossy(&made.stderr));
        }
        let mut postgres = command(&programs.join("postgres"), account);
        postgres.arg("-D").arg(&data).arg("-k").arg(&sockets);
        postgres.args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
        let server = postgres.stdout(Stdio::null()).stderr(fs::File::create(sockets.join("log"))?).spawn()?;
        let mut cluster = Self { programs, account, data, sockets, server };
        cluster.wait().await?;
        Ok(cluster)
    }

    /// How to reach it.
    pub fn connect_options(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass().socket(&self.sockets).username(SUPERUSER).database("postgres")
    }

    async fn wait(&mut self) -> anyhow::Result<()> {
        let mut poll = tokio::time::interval(POLL);
        let deadline = std::time::Instant::now() + START_LIMIT;
        while let Err(error) = self.connect_options().connect().await {
            let log = || fs::read_to_string(self.sockets.join("log")).unwrap_or_default();
            if let Some(status) = self.server.try_wait()? {
                bail!("PostgreSQL ended ({status}): {}", log());
            }
            if std::time::Instant::now() > deadline {
                bail!("PostgreSQL does not answer ({error}): {}", log());
            }
            poll.tick().await;
        }
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The data is thrown away, so nothing is lost by not writing it out first.
        let mut stop = command(&self.programs.join("pg_ctl"), self.account);
        let stopped = stop.args(["stop", "--silent", "-w", "-m", "immediate", "-D"]).arg(&self.data).status();
        if !stopped.is_ok_and(|status| status.success()) {
            let _ = self.server.kill();
        }
        let _ = self.server.wait();
        let _ = (fs::remove_dir_all(&self.data), fs::remove_dir_all(&self.sockets));
    }
}

/// Where PostgreSQL's programs are: `PG_BINDIR`, or what `pg_config` says, or where Debian puts them.
fn programs() -> anyhow::Result<PathBuf> {
    let said = || {
        let output = Command::new("pg_config").arg("--bindir").output().ok()?;
        Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
    };
    let mut debian: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    debian.sort();
    let places = std::env::var_os("PG_BINDIR").map(PathBuf::from).into_iter().chain(said());
    places
        .chain(debian.into_iter().rev().map(|(_, folder)| folder))
        .find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
        .context("PostgreSQL is not installed: install it, name its programs in PG_BINDIR, or pass --database-url")
}

/// The user and group `postgres` when we are root, since PostgreSQL refuses root.
fn account() -> anyhow::Result<Option<(u32, u32)>> {
    if fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let line = users.lines().find(|line| line.starts_with("postgres:")).context("there is no user postgres")?;
    let mut fields = line.split(':').skip(2);
    let mut id = || fields.next().context("a line of /etc/passwd is short")?.parse::<u32>().context("no number");
    Ok(Some((id()?, id()?)))
}

fn command(program: &Path, account: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    if let Some((user, group)) = account {
        command.uid(user).gid(group);
    }
    command.env("LC_ALL", "C").current_dir("/").stdin(Stdio::null());
    command
}
