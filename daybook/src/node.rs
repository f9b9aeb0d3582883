//! One process of Daybook: its database, write side, read side and who is asking. Every command begins here.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use access::Access;
use anyhow::{Context, bail};
use commands::database::{self, Installation};
use commands::log::{Log, Tip};
use commands::{Commands, Erasures};
use daybook_postgres::Cluster;
use domain::checkpoint_key::CheckpointKeyCreated;
use projections::rebuild::{Rebuilder, Report};
use projections::tree::{self, KEPT_FOLDER, Signer};
use projections::{Follower, Reader, Runner};
use sqlx::postgres::{PgConnectOptions, PgPool};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::cli::Place;
use crate::record::{self, HEARD, WAITING};

/// The folder of workspaces within the data folder.
const WORKSPACES: &str = "workspaces";

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
    /// Makes read tables anew.
    pub rebuilder: Rebuilder,
    /// Follows the log.
    pub follower: Follower,
    /// Who is asking.
    pub access: Access,
    reports: broadcast::Sender<Report>,
    written: watch::Receiver<u64>,
    running: Vec<JoinHandle<()>>,
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
        // Before anything is loaded, so that nothing of what is erased by now is in memory.
        let erasures = Erasures::open(commands.clone()).await?;
        let access = Access::open(commands.clone()).await?;
        let runner = Runner::open(pool.clone()).await?;
        let reader = Reader::connect(options.clone()).await?;
        let follower = Follower::connect(options, reader.clone()).await?;
        let (sender, receiver) = mpsc::channel(WAITING);
        let (reports, (counted, written)) = (broadcast::Sender::new(HEARD), watch::channel(0));
        let rebuilder = Rebuilder::new(runner.clone(), sender);
        let running = vec![
            tokio::spawn(runner.clone().run()),
            tokio::spawn(follower.clone().run()),
            tokio::spawn(wake(follower.clone(), commands.log().tips())),
            tokio::spawn(crate::erase::watch(commands.clone(), erasures, data.join(WORKSPACES))),
            tokio::spawn(record::record(commands.clone(), receiver, reports.clone(), counted)),
        ];
        Ok(Self {
            data,
            commands,
            pool,
            reader,
            runner,
            rebuilder,
            follower,
            access,
            reports,
            written,
            running,
            _cluster: cluster,
        })
    }

    /// Makes this release's read tables in the background, where those of an earlier one serve.
    pub fn deploy(&mut self) {
        self.running.push(tokio::spawn(record::log_progress(self.reports())));
        self.running.push(tokio::spawn(record::deploy(self.rebuilder.clone())));
    }

    /// Hears what is reported about rebuilds, once it is written down.
    pub fn reports(&self) -> broadcast::Receiver<Report> {
        self.reports.subscribe()
    }

    /// Waits until everything that was reported so far is written down.
    pub async fn written(&self) {
        let mut written = self.written.clone();
        let wanted = self.rebuilder.reported();
        // The writer ends with the node only.
        let _ = written.wait_for(|count| *count >= wanted).await;
    }

    /// Opens what makes proofs. The key is made when it is first wanted, and from then on stands in the log.
    pub async fn trees(&self) -> anyhow::Result<tree::Follower> {
        let key = crate::key::open(&self.data)?;
        self.commands.checkpoint_key_created(CheckpointKeyCreated::ed25519(&key.public())).await?;
        Ok(tree::Follower::new(self.pool.clone(), Signer::new(key, self.data.join(KEPT_FOLDER))))
    }

    /// Signs what has grown, at the end of something that wrote. What was written is no less written if this fails.
    pub async fn sign(&self) {
        let signed = async { anyhow::Ok(self.trees().await?.sign_all().await?) };
        if let Err(error) = signed.await {
            tracing::warn!("no checkpoint was signed: {error:#}");
        }
    }

    /// Where the files of workspaces lie.
    pub fn workspaces(&self) -> PathBuf {
        self.data.join(WORKSPACES)
    }

    /// Stops posting and lets go of the database.
    pub async fn close(self) {
        self.running.iter().for_each(JoinHandle::abort);
        self.follower.close().await;
        self.reader.close().await;
        self.pool.close().await;
    }
}

/// Tells the follower of every append of this process; those of others it hears of by itself.
async fn wake(follower: Follower, mut tips: broadcast::Receiver<Tip>) {
    loop {
        match tips.recv().await {
            Ok(Tip { book_id, position }) => follower.grown(book_id, position),
            // What was missed here is announced by the database too.
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
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
