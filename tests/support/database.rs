//! A fresh database for each test, in one private cluster for all of them.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use commands::Commands;
use commands::database::{self, Installation};
use commands::ids::new_id;
use commands::log::Log;
use daybook_postgres::Cluster;
use projections::{Follower, Reader, Runner};
use sqlx::postgres::{PgConnectOptions, PgPool};
use sqlx::{ConnectOptions, Executor};

use crate::binary;

/// The cluster of all tests of a process. The last process that uses it stops it.
fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let data = std::env::temp_dir().join(format!("daybook-tests-{}", owner()));
        Cluster::join_through(&binary(), &data, |_| {}).expect("PostgreSQL for tests can be started")
    })
}

/// Whose cluster it is: users of one machine do not share one.
fn owner() -> u32 {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").expect("Linux has /proc"))
}

/// A database of a test's own, with the schema of Daybook.
pub struct Database {
    /// How to connect to it.
    pub options: PgConnectOptions,
    /// A pool that writes.
    pub pool: PgPool,
    /// Facts of the installation.
    pub installation: Installation,
}

impl Database {
    /// A new, empty one.
    pub async fn fresh() -> Self {
        let options = Self::empty().await;
        database::migrate(&options).await.expect("the schema can be made");
        let pool = database::writer_pool(options.clone()).await.expect("the database answers");
        let installation = Installation::open(&pool).await.expect("the installation's row can be made");
        Self { options, pool, installation }
    }

    /// A new database without a schema.
    pub async fn empty() -> PgConnectOptions {
        let url = tokio::task::spawn_blocking(|| cluster().url()).await.expect("the cluster starts");
        let options = PgConnectOptions::from_str(&url).expect("the cluster's URL is one");
        let name = format!("test_{}", new_id::<()>().uuid().simple());
        let mut db = options.connect().await.expect("the cluster answers");
        db.execute(format!("CREATE DATABASE {name}").as_str()).await.expect("a database can be made");
        options.database(&name)
    }

    /// The URL of this database, for a process of its own.
    pub fn url(&self) -> String {
        let name = self.options.get_database().expect("it has a name");
        cluster().url().replacen("/daybook?", &format!("/{name}?"), 1)
    }

    /// Another process's door to the same log: its own sequencer, caches and connections.
    pub async fn log(&self) -> Log {
        let pool = database::writer_pool(self.options.clone()).await.expect("the database answers");
        Log::start(self.options.clone(), pool, Arc::new(chrono::Utc::now))
    }

    /// The write side on a log of its own.
    pub async fn commands(&self) -> Commands {
        Commands::new(self.log().await, self.installation)
    }

    /// Posts events into read tables.
    pub async fn runner(&self) -> Runner {
        Runner::open(self.pool.clone()).await.expect("the builds can be made")
    }

    /// A pool that reads.
    pub async fn reader(&self) -> Reader {
        Reader::connect(self.options.clone()).await.expect("the database answers")
    }

    /// Another process's follower of the log: it hears of appends as the database announces them.
    pub async fn follower(&self) -> Follower {
        let reader = self.reader().await;
        let follower = Follower::connect(self.options.clone(), reader).await.expect("the database answers");
        tokio::spawn(follower.clone().run());
        follower
    }
}

/// A test's database goes with it; that of a test that failed stays, to be looked at.
impl Drop for Database {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        // A runtime cannot wait inside itself, so this one has a thread of its own.
        let options = self.options.clone();
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(drop_database(options)).map_err(std::io::Error::other)
        });
        if !matches!(dropped.join(), Ok(Ok(()))) {
            eprintln!("the database of a test could not be dropped");
        }
    }
}

async fn drop_database(options: PgConnectOptions) -> sqlx::Result<()> {
    let name = options.get_database().expect("a test's database has a name").to_owned();
    let mut owner = options.database("postgres").connect().await?;
    owner.execute(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)").as_str()).await.map(|_| ())
}

/// The folder of the shared recorded runs, where it lies beside the checkout.
pub fn recorded_runs() -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/trajectories");
    folder.is_dir().then_some(folder)
}
