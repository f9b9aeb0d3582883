//! A private PostgreSQL of a scenario's own, a database in it, and what its processes are.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use commands::database::{self, Installation};
use commands::ids::new_id;
use daybook_postgres::Cluster;
use daybook_tests::{Folder, binary};
use sqlx::postgres::{PgConnectOptions, PgPool};
use sqlx::{ConnectOptions, Executor, PgConnection, Row};
use tokio::process::Command;

/// What the connections of sequencers are called here.
pub const SEQUENCER: &str = "sequencer";
/// How long anything may take before it counts as hung: many times what it takes.
pub const WATCHDOG: Duration = Duration::from_secs(300);
/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A PostgreSQL of its own, which Daybook's own guard starts again when it dies.
pub struct Place {
    pub cluster: Cluster,
    pub data: PathBuf,
    /// Goes with this; the server must have gone before its files do.
    _folder: Option<Folder>,
}

impl Place {
    pub async fn open() -> Self {
        let folder = Folder::new();
        Self::at(&folder.path().join("data"), Some(folder)).await
    }

    pub async fn at(data: &Path, folder: Option<Folder>) -> Self {
        let data = data.to_owned();
        let joined = {
            let data = data.clone();
            tokio::task::spawn_blocking(move || Cluster::join_through(&binary(), &data, |_| {}))
        };
        let cluster = joined.await.expect("joining does not panic").expect("PostgreSQL can be started");
        Self { cluster, data, _folder: folder }
    }

    /// Lets go of the server, and waits until it has ended in good order.
    pub async fn close(self) {
        let Self { cluster, data, _folder } = self;
        cluster.leave();
        eventually("the server stops", async || !data.join("postgres/postmaster.pid").exists()).await;
    }

    /// The process number of the server.
    pub fn postmaster(&self) -> Option<String> {
        let file = std::fs::read_to_string(self.data.join("postgres/postmaster.pid")).ok()?;
        file.lines().next().map(str::to_owned)
    }

    /// What the server said so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.data.join("postgres.log")).unwrap_or_default()
    }

    /// A database with the schema of Daybook.
    pub async fn database(&self) -> Db {
        let url = self.cluster.url();
        let options = PgConnectOptions::from_str(&url).expect("the cluster's URL is one");
        let name = format!("faults_{}", new_id::<()>().uuid().simple());
        let mut owner = options.connect().await.expect("the cluster answers");
        owner.execute(format!("CREATE DATABASE {name}").as_str()).await.expect("a database can be made");
        let options = options.database(&name);
        database::migrate(&options).await.expect("the schema can be made");
        let pool = database::writer_pool(options.clone()).await.expect("the database answers");
        Installation::open(&pool).await.expect("the installation's row can be made");
        let url = url.replacen("/daybook?", &format!("/{name}?"), 1);
        Db { options, pool, url }
    }
}

/// A database of a scenario's own.
pub struct Db {
    pub options: PgConnectOptions,
    pub pool: PgPool,
    pub url: String,
}

impl Db {
    /// The superuser; waits while the server is starting again.
    pub async fn owner(&self) -> PgConnection {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        let connecting = async {
            loop {
                looks.tick().await;
                if let Ok(db) = self.options.connect().await {
                    return db;
                }
            }
        };
        tokio::time::timeout(WATCHDOG, connecting).await.expect("the server comes back")
    }

    /// A number that a query answers.
    pub async fn number(&self, sql: &str) -> i64 {
        let mut db = self.owner().await;
        sqlx::query(sql).fetch_one(&mut db).await.expect("the query is right").get(0)
    }
}

/// Sends a signal to one process.
pub async fn signal(name: &str, process: &str) {
    let sent = Command::new("kill").args([name, process]).status().await.expect("kill can be run");
    assert!(sent.success(), "kill {name} {process}");
}

/// Waits until a condition of the machine holds.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    let looking = async {
        while !holds().await {
            looks.tick().await;
        }
    };
    assert!(tokio::time::timeout(WATCHDOG, looking).await.is_ok(), "it did not come to pass: {what}");
}
