//! The workers of this process: inference and sandbox, and the heartbeat that says they live.

use std::sync::Arc;

use anyhow::Context;
use commands::workers::Worker;
use inference::provider::Provider;
use inference::worker::InferenceWorker;
use sandbox::worker::SandboxWorker;
use tokio::task::JoinHandle;

use crate::node::Node;
use crate::provider;

/// The workers of this process.
pub struct Workers {
    worker: Worker,
    working: [JoinHandle<()>; 2],
}

impl Workers {
    /// Begins to work.
    pub async fn start(node: &Node, provider: Arc<dyn Provider>) -> anyhow::Result<Self> {
        let worker = Worker::register(node.pool.clone(), format!("{}/{}", provider.name(), provider.model())).await?;
        let (commands, runner) = (node.commands.clone(), node.runner.clone());
        runner.works_as(worker.id());
        let workspaces = node.workspaces();
        std::fs::create_dir_all(&workspaces).with_context(|| format!("making {}", workspaces.display()))?;
        let sandbox = SandboxWorker::open(commands.clone(), runner.clone(), workspaces, worker.id()).await?;
        if let Some(why) = sandbox.unavailable() {
            tracing::warn!("tools that run commands will fail: {why}");
        }
        let inference = InferenceWorker::new(commands, runner, provider, provider::tools(), worker.id());
        let working = [tokio::spawn(sandbox.run()), tokio::spawn(inference.run())];
        Ok(Self { worker, working })
    }

    /// Takes no more work, and frees what is unfinished for others.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.working.iter().for_each(JoinHandle::abort);
        self.worker.leave().await?;
        Ok(())
    }
}
