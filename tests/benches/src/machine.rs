//! The machine and the server that were measured on, so that a reader can judge the figures.

use std::fs;

use crate::server::Server;

/// Facts about both.
pub struct Machine {
    pub cores: usize,
    pub processor: String,
    pub kernel: String,
    pub postgres: String,
    /// Settings that decide what a commit costs, as `name=value`.
    pub settings: Vec<String>,
    /// The load average of the last minute as the run began; what else the machine was doing.
    pub load: String,
}

impl Machine {
    pub async fn look(server: &mut Server) -> anyhow::Result<Self> {
        let mut settings = vec![];
        for name in ["fsync", "synchronous_commit", "full_page_writes", "wal_sync_method", "shared_buffers"] {
            settings.push(format!("{name}={}", server.setting(name).await?));
        }
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model =
            processors.lines().find(|line| line.starts_with("model name")).and_then(|line| line.split_once(": "));
        Ok(Self {
            cores: std::thread::available_parallelism()?.get(),
            processor: model.map_or("unknown", |(_, model)| model).to_owned(),
            kernel: first_word("/proc/sys/kernel/osrelease"),
            postgres: server.setting("server_version").await?,
            settings,
            load: load(),
        })
    }
}

/// The load average of the last minute.
pub fn load() -> String {
    first_word("/proc/loadavg")
}

fn first_word(file: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.split_whitespace().next().unwrap_or("unknown").to_owned()
}
