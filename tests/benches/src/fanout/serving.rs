//! The server that is measured: the real binary on a database of the benchmark's.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use daybook_tests::{Client, Folder};
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

const START_LIMIT: Duration = Duration::from_secs(60);

/// A server that runs. Dropping it kills it.
pub struct Serving {
    /// Somebody who is signed in.
    pub client: Client,
    child: Child,
    // The server writes to it, so it stays open.
    _output: Lines<BufReader<ChildStdout>>,
    _folder: Folder,
}

impl Serving {
    pub async fn start(program: &std::path::Path, connect: &PgConnectOptions) -> anyhow::Result<Self> {
        let folder = Folder::new();
        let client = folder.path().join("client");
        std::fs::create_dir(&client)?;
        std::fs::write(client.join("index.html"), "<!doctype html>")?;
        let mut command = Command::new(program);
        command.kill_on_drop(true).arg("--data").arg(folder.path().join("data"));
        // Not under the name of what is measured in other benchmarks: it may stay connected.
        let connect = connect.clone().application_name("daybook");
        command.args(["--database", connect.to_url_lossy().as_str(), "serve", "--port", "0", "--no-open", "--client"]);
        command.arg(client).stdin(Stdio::null()).stdout(Stdio::piped());
        command.env_remove("DAYBOOK_MODEL_URL").env_remove("DATABASE_URL");
        let mut child = command.spawn().context("the server cannot be run")?;
        let mut output = BufReader::new(child.stdout.take().context("it is piped")?).lines();
        let reading = async {
            let mut address = None;
            loop {
                let line = output.next_line().await?.context("the server ended before it listened")?;
                if let Some(found) = line.strip_prefix("listening on http://") {
                    address = Some(found.to_owned());
                }
                if let (Some(address), true) = (&address, line.trim().starts_with("http://")) {
                    return anyhow::Ok((address.clone(), line.trim().to_owned()));
                }
            }
        };
        let (address, link) =
            tokio::time::timeout(START_LIMIT, reading).await.context("the server does not listen")??;
        let client = Client::sign_in(&address, &link).await;
        Ok(Self { client, child, _output: output, _folder: folder })
    }

    /// Its resident memory.
    pub fn resident_bytes(&self) -> anyhow::Result<i64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()?))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("Linux tells it")?;
        let kibibytes: i64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kibibytes * 1_024)
    }

    /// The processor time that it used so far.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        crate::meter::process(self.id()?).context("Linux tells it")
    }

    fn id(&self) -> anyhow::Result<u32> {
        self.child.id().context("the server has ended")
    }
}
