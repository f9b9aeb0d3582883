//! Where benchmarks are made: a temporary server or one that exists. A run that is interrupted leaves none behind.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use sqlx::postgres::PgConnectOptions;
use tokio::signal::unix::{SignalKind, signal};

use crate::cluster::{self, Cluster};

/// Where to measure.
#[derive(Args, Clone)]
pub struct Place {
    /// An existing server whose role may create databases and roles; without it a temporary one is started
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: Option<String>,
    /// Where temporary servers and files lie; without it beside this program
    #[arg(long, value_name = "FOLDER")]
    directory: Option<PathBuf>,
}

impl Place {
    /// Measures with a server to connect to and a folder, until it is done or interrupted.
    pub async fn run<T, F: Future<Output = anyhow::Result<T>>>(
        &self,
        what: &str,
        measure: impl FnOnce(PathBuf, PgConnectOptions) -> F,
    ) -> anyhow::Result<T> {
        let mut terminate = signal(SignalKind::terminate())?;
        let folder = cluster::folder(self.directory.as_deref())?;
        let (cluster, connect) = match &self.database_url {
            Some(url) => (None, url.parse().context("the database URL cannot be read")?),
            None => {
                let cluster = Cluster::start(&folder).await?;
                let connect = cluster.connect_options();
                (Some(cluster), connect)
            }
        };
        let measured = tokio::select! {
            measured = measure(folder, connect) => measured,
            _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("{what}: interrupted")),
            _ = terminate.recv() => Err(anyhow::anyhow!("{what}: terminated")),
        };
        drop(cluster);
        measured
    }
}
