//! One process of Daybook: its database, write side, read side and who is asking. Every command begins here.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use access::Access;
use anyhow::{Context, bail};
use commands::Commands;
use commands::database::{self, Installation};
use commands::log::Log;
use daybook_postgres::Cluster;
use domain::checkpoint_key::CheckpointKeyCreated;
use projections::tree::{Follower, KEPT_FOLDER, Signer};
use projections::{Reader, Runner};
use sqlx::postgres::{PgConnectOptions, PgPool};
use tokio::task::JoinHandle;

use crate::cli::Place;

/// A process of Daybook.
pub struct Node {
    /// Where everything that Daybook owns lives.
    pub data: PathBuf,
    /// The write side.
    pub commands: Commands,
    /// The pool that writes.
    pub pool: PgPool,
    /// The read side.
    pub reader: Reader,
    /// Posts events into read tables.
    pub runner: Runner,
    /// Who is asking.
    pub access: Access,
    running: JoinHandle<()>,
    // Let go last: the database goes with its last user.
    _cluster: Option<Cluster>,
}

impl Node {
    /// Joins or starts the database, brings its schema up to date, and opens both sides.
    pub async fn open(place: &Place) -> anyhow::Result<Self> {
        let data = data_folder(place)?;
        std::fs::create_dir_all(data.parent().unwrap_or(Path::new("/")))
            .with_context(|| format!("making the folder above {}", data.display()))?;
        let (cluster, url) = match &place.database {
            Some(url) => (None, url.clone()),
            None => {
                let folder = data.clone();
                let join = move || Cluster::join(&folder, |line| eprintln!("{line}"));
                let cluster = tokio::task::spawn_blocking(join).await??;
                let url = cluster.url();
                (Some(cluster), url)
            }
        };
        std::fs::create_dir_all(&data).with_context(|| format!("making {}", data.display()))?;
        let options = PgConnectOptions::from_str(&url)
            .context("the database URL is not of the form postgres://user:password@host:port/name")?;
        database::migrate(&options).await.context("bringing the database's schema up to date")?;
        let pool = database::writer_pool(options.clone()).await.context("connecting to the database")?;
        let installation = Installation::open(&pool).await?;
        #[expect(clippy::disallowed_methods, reason = "this is the edge: here the present moment comes from")]
        let log = Log::start(options.clone(), pool.clone(), Arc::new(chrono::Utc::now));
        let commands = Commands::new(log, installation);
        let access = Access::open(commands.clone()).await?;
        let runner = Runner::open(pool.clone()).await?;
        let reader = Reader::connect(options).await?;
        let running = tokio::spawn(runner.clone().run());
        Ok(Self { data, commands, pool, reader, runner, access, running, _cluster: cluster })
    }

    /// Opens what makes proofs. The key is made when it is first wanted, and from then on stands in the log.
    pub async fn trees(&self) -> anyhow::Result<Follower> {
        let key = crate::key::open(&self.data)?;
        self.commands.checkpoint_key_created(CheckpointKeyCreated::ed25519(&key.public())).await?;
        Ok(Follower::new(self.pool.clone(), Signer::new(key, self.data.join(KEPT_FOLDER))))
    }

    /// Signs what has grown, at the end of something that wrote. What was written is no less written if this fails.
    pub async fn sign(&self) {
        let signed = async { anyhow::Ok(self.trees().await?.sign_all().await?) };
        if let Err(error) = signed.await {
            tracing::warn!("no checkpoint was signed: {error:#}");
        }
    }

    /// Stops posting and lets go of the database.
    pub async fn close(self) {
        self.running.abort();
        self.reader.close().await;
        self.pool.close().await;
    }
}

/// The data folder that is meant.
pub fn data_folder(place: &Place) -> anyhow::Result<PathBuf> {
    place.data.clone().map_or_else(default_data, Ok)
}

fn default_data() -> anyhow::Result<PathBuf> {
    if is_root() {
        return Ok("/var/lib/daybook".into());
    }
    let home = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/share")));
    match home {
        Some(home) => Ok(home.join("daybook")),
        None => bail!("no home folder is known: say where to keep data with --data DIR"),
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}
