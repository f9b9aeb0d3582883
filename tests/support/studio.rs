//! A Daybook of a test's own: a fresh database, a folder, and the real binary that serves them.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::{Client, Database, binary};

/// How long a server may take to listen, and a command to end.
const WATCHDOG: Duration = Duration::from_secs(300);
/// How much of a server's log is shown when a test fails, in bytes.
const LOG_SHOWN: usize = 4_000;

/// A Daybook of a test's own.
pub struct Studio {
    /// What it keeps in PostgreSQL.
    pub database: Database,
    /// Who asks; signed in.
    pub client: Client,
    /// Where it keeps files.
    pub folder: Folder,
    environment: Vec<(String, String)>,
    serving: Option<Serving>,
}

/// Another server on the same data, in a process of its own. Dropping it kills it.
pub struct Neighbour {
    /// Who asks this server; signed in.
    pub client: Client,
    serving: Serving,
}

/// A folder that any user may enter: what is started as root works as somebody else.
pub struct Folder(TempDir);

/// A server that runs. Dropping it kills it.
struct Serving {
    child: Child,
    // The server writes to it, so it stays open.
    _output: Lines<BufReader<ChildStdout>>,
}

impl Studio {
    /// One with the scripted model.
    pub async fn open() -> Self {
        Self::with(&[]).await
    }

    /// One with settings in its environment.
    pub async fn with(environment: &[(&str, &str)]) -> Self {
        let mut studio = Self::idle().await;
        studio.environment = environment.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let (address, link) = studio.start().await;
        studio.client = Client::sign_in(&address, &link).await;
        studio
    }

    /// One without a server, for commands.
    pub async fn idle() -> Self {
        let (database, folder) = (Database::fresh().await, Folder::new());
        std::fs::create_dir(folder.path().join("client")).expect("a folder can be made");
        std::fs::write(folder.path().join("client/index.html"), "<!doctype html>").expect("a file can be written");
        let client = Client { address: String::new(), cookie: String::new() };
        Self { database, client, folder, environment: vec![], serving: None }
    }

    /// Kills the server as a loss of power would. It is gone when this returns.
    pub async fn kill(&mut self) {
        let mut serving = self.serving.take().expect("a server runs");
        serving.child.kill().await.expect("a child can be killed");
    }

    /// Asks the server to stop, as a service manager would, and waits for it.
    pub async fn stop(&mut self) {
        let mut serving = self.serving.take().expect("a server runs");
        let id = serving.child.id().expect("it has not ended").to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status().await.expect("kill can be run");
        assert!(asked.success());
        let ended = tokio::time::timeout(WATCHDOG, serving.child.wait()).await.expect("it stops in time");
        assert!(ended.expect("a child can be awaited").success());
    }

    /// Starts a server on the same data. Who was signed in still is.
    pub async fn restart(&mut self) {
        assert!(self.serving.is_none(), "the server before it is gone");
        self.client.address = self.start().await.0;
    }

    /// Starts another server on the same data, beside the one that runs.
    pub async fn neighbour(&self) -> Neighbour {
        let (serving, address, link) = self.launch().await;
        Neighbour { client: Client::sign_in(&address, &link).await, serving }
    }

    /// The process number of the server.
    pub fn process(&self) -> u32 {
        self.serving.as_ref().and_then(|serving| serving.child.id()).expect("a server runs")
    }

    /// Runs a command on the same data to its end.
    pub async fn daybook(&self, arguments: &[&str]) -> Output {
        let mut command = self.command();
        command.args(arguments).stdin(Stdio::null());
        tokio::time::timeout(WATCHDOG, command.output()).await.expect("it ends in time").expect("it can be run")
    }

    /// Runs a command that goes well, and answers what it says.
    pub async fn say(&self, arguments: &[&str]) -> String {
        let output = self.daybook(arguments).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
        said
    }

    /// What the servers so far wrote to their log.
    pub fn log(&self) -> String {
        std::fs::read(self.log_file()).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    /// A command on the same data, to be run as the test likes. Dropped, it is killed.
    pub fn command(&self) -> Command {
        let mut command = Command::new(binary());
        command.kill_on_drop(true).arg("--data").arg(self.folder.path().join("data"));
        command.args(["--database", &self.database.url()]);
        for name in ["DAYBOOK_MODEL_URL", "DAYBOOK_MODEL_NAME", "DAYBOOK_MODEL_KEY", "DAYBOOK_LOG", "DATABASE_URL"] {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().cloned());
        command
    }

    async fn start(&mut self) -> (String, String) {
        let (serving, address, link) = self.launch().await;
        self.serving = Some(serving);
        (address, link)
    }

    async fn launch(&self) -> (Serving, String, String) {
        let log = std::fs::File::options().create(true).append(true).open(self.log_file()).expect("a log can be made");
        let mut command = self.command();
        command.args(["serve", "--port", "0", "--no-open", "--client"]).arg(self.folder.path().join("client"));
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().expect("the binary can be run");
        let mut output = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let (mut address, mut link) = (None, None);
        let reading = async {
            while link.is_none() {
                let line = output.next_line().await.expect("text").expect("the server says where it listens");
                address = line.strip_prefix("listening on http://").map(str::to_owned).or(address.take());
                link = Some(line.trim().to_owned()).filter(|line| line.starts_with("http://"));
            }
        };
        if tokio::time::timeout(WATCHDOG, reading).await.is_err() {
            panic!("the server does not listen: {}", self.log());
        }
        let address = address.expect("the server listens before it shows the link");
        (Serving { child, _output: output }, address, link.expect("it was read"))
    }
}

impl Neighbour {
    /// The process number of the server.
    pub fn process(&self) -> u32 {
        self.serving.child.id().expect("it has not ended")
    }
}

impl Drop for Studio {
    fn drop(&mut self) {
        drop(self.serving.take());
        if std::thread::panicking() {
            let log = self.log();
            let from = log.char_indices().rev().map(|(at, _)| at).take_while(|at| log.len() - at < LOG_SHOWN).last();
            eprintln!("the server's log ends with:\n{}", &log[from.unwrap_or(0)..]);
        }
    }
}

impl Folder {
    /// A new one; it goes when this is dropped.
    pub fn new() -> Self {
        use std::os::unix::fs::PermissionsExt;
        let folder = TempDir::with_prefix("daybook-e2e-").expect("a folder can be made");
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path(), open).expect("an own folder can be opened");
        Self(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}
