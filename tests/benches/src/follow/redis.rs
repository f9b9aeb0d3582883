//! A private Redis and the three words of its protocol that are needed here.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

const POLL: Duration = Duration::from_millis(20);
const START_LIMIT: Duration = Duration::from_secs(20);

/// A server of our own on a unix socket, without a network and without files. Dropping it ends it.
pub struct Redis {
    /// Where it listens.
    pub socket: PathBuf,
    _child: Child,
}

/// A connection to it.
pub struct Connection {
    stream: BufReader<UnixStream>,
}

impl Redis {
    /// Starts it; none where it is not installed.
    pub async fn start(folder: &Path) -> anyhow::Result<Option<Self>> {
        let socket = std::env::temp_dir().join(format!("daybook-bench-redis-{}.sock", std::process::id()));
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", "", "--appendonly", "no", "--daemonize", "no", "--unixsocket"]);
        command.arg(&socket).arg("--dir").arg(folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let child = match command.spawn() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            child => child.context("redis-server cannot be run")?,
        };
        let redis = Self { socket, _child: child };
        let (deadline, mut poll) = (Instant::now() + START_LIMIT, tokio::time::interval(POLL));
        while redis.connect().await.is_err() {
            anyhow::ensure!(Instant::now() < deadline, "redis-server does not listen");
            poll.tick().await;
        }
        Ok(Some(redis))
    }

    pub async fn connect(&self) -> anyhow::Result<Connection> {
        Connection::open(&self.socket).await
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.socket);
    }
}

impl Connection {
    pub async fn open(socket: &Path) -> anyhow::Result<Self> {
        Ok(Self { stream: BufReader::new(UnixStream::connect(socket).await?) })
    }

    /// Publishes a number and waits for the answer, as a client library does.
    pub async fn publish(&mut self, channel: &str, number: i64) -> anyhow::Result<()> {
        self.send(&["PUBLISH", channel, &number.to_string()]).await?;
        let answer = self.line().await?;
        anyhow::ensure!(answer.starts_with(':'), "PUBLISH was answered {answer:?}");
        Ok(())
    }

    pub async fn subscribe(&mut self, channel: &str) -> anyhow::Result<()> {
        self.send(&["SUBSCRIBE", channel]).await?;
        let answer = self.array().await?;
        anyhow::ensure!(answer.first().is_some_and(|word| word == "subscribe"), "SUBSCRIBE was answered {answer:?}");
        Ok(())
    }

    /// The next message.
    pub async fn message(&mut self) -> anyhow::Result<String> {
        self.array().await?.pop().context("a message has a text")
    }

    async fn send(&mut self, words: &[&str]) -> anyhow::Result<()> {
        let mut text = format!("*{}\r\n", words.len());
        words.iter().for_each(|word| text.push_str(&format!("${}\r\n{word}\r\n", word.len())));
        Ok(self.stream.write_all(text.as_bytes()).await?)
    }

    async fn array(&mut self) -> anyhow::Result<Vec<String>> {
        let head = self.line().await?;
        let length: usize = head.strip_prefix('*').context("an array was expected")?.parse()?;
        let mut words = vec![];
        for _ in 0..length {
            let head = self.line().await?;
            match head.split_at_checked(1) {
                Some(("$", bytes)) => {
                    let mut word = vec![0; bytes.parse::<usize>()? + 2];
                    self.stream.read_exact(&mut word).await?;
                    word.truncate(word.len() - 2);
                    words.push(String::from_utf8(word)?);
                }
                Some((":", number)) => words.push(number.to_owned()),
                _ => bail!("a word was expected, not {head:?}"),
            }
        }
        Ok(words)
    }

    async fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        anyhow::ensure!(self.stream.read_line(&mut line).await? > 0, "Redis hung up");
        Ok(line.trim_end().to_owned())
    }
}
