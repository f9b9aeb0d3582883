//! A process of its own, as far as the log can tell: a sequencer, caches and connections on threads that can be
//! stopped dead.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use commands::database::writer_pool;
use commands::log::{Append, AppendError, Appended, Log};
use sqlx::postgres::PgConnectOptions;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// What the connections of sequencers are called.
pub const SEQUENCER: &str = "sequencer";

pub struct Process {
    runtime: Runtime,
    pub log: Log,
    /// How far its clock is off, in seconds.
    pub clock: Arc<AtomicI64>,
}

impl Process {
    pub async fn start(options: &PgConnectOptions, clock: Arc<AtomicI64>) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads can be had");
        let (options, off) = (options.clone(), clock.clone());
        let starting = runtime.spawn(async move {
            let pool = writer_pool(options.clone()).await.expect("the database answers");
            let now = move || chrono::Utc::now() + chrono::TimeDelta::seconds(off.load(Ordering::Relaxed));
            Log::start(options.application_name(SEQUENCER), pool, Arc::new(now))
        });
        let log = starting.await.expect("a process starts");
        Self { runtime, log, clock }
    }

    /// Appends on its own threads; the answer never comes when it dies meanwhile.
    pub fn append(&self, append: Append) -> JoinHandle<Result<Appended, AppendError>> {
        let log = self.log.clone();
        self.runtime.spawn(async move { log.append(append).await })
    }

    /// Dies: every task stops where it stands, every connection breaks.
    pub fn kill(self) {
        self.runtime.shutdown_background();
    }
}
