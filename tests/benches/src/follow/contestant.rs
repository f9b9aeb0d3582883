//! Who is compared, and what each does to append.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use domain::Event;
use projections::Follower;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection, Row};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use uuid::Uuid;

use super::reader::{self, CHANNEL};
use super::redis::Redis;
use super::{Delays, Reader};
use crate::contestants::{ACTOR, new_uuid, now};
use crate::source::{self, Source, nanos};

/// Before the slice, so that statements are prepared and caches are filled.
const WARM_UP: u32 = 20;
/// How long a reader may take to begin, and to end.
const WATCHDOG: Duration = Duration::from_secs(60);

/// One of those that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contestant {
    /// Daybook's follower in the process that appends.
    InProcess,
    /// Daybook's follower in another process.
    Between,
    /// A row and a NOTIFY in one transaction; another process listens and reads the row.
    Listen,
    /// A row, then PUBLISH; another process is subscribed and reads the row.
    Redis,
}

/// How often is appended.
pub struct Pace {
    pub appends: u32,
    pub interval: Duration,
}

/// A reader in a process of its own.
struct Other {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Contestant {
    /// All of them, Daybook first.
    pub const ALL: [Self; 4] = [Self::InProcess, Self::Between, Self::Listen, Self::Redis];

    /// As the table calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::InProcess => "Daybook, in process",
            Self::Between => "Daybook, between processes",
            Self::Listen => "bare LISTEN, between processes",
            Self::Redis => "bare Redis, between processes",
        }
    }

    /// One slice; none where there is no Redis.
    pub async fn measure(
        self,
        pace: &Pace,
        connect: &PgConnectOptions,
        redis: Option<&Redis>,
    ) -> anyhow::Result<Option<Delays>> {
        match self {
            Self::InProcess => in_process(pace, connect).await.map(Some),
            Self::Between => between(pace, connect).await.map(Some),
            Self::Listen => bare(pace, connect, None).await.map(Some),
            Self::Redis => match redis {
                Some(redis) => bare(pace, connect, Some(redis)).await.map(Some),
                None => Ok(None),
            },
        }
    }
}

async fn in_process(pace: &Pace, connect: &PgConnectOptions) -> anyhow::Result<Delays> {
    let (log, book_id) = source::log(connect).await?;
    let mut source = Source::new(&log, book_id)?;
    source.append().await?;
    let (follower, mut tips) = (reader::follower(connect).await?, log.tips());
    let waking: Follower = follower.clone();
    let waking = tokio::spawn(async move {
        while let Ok(tip) = tips.recv().await {
            waking.grown(tip.book_id, tip.position);
        }
    });
    let mut subscriber = follower.subscribe(book_id, source.session_id, 0);
    reader::until_caught_up(&mut subscriber).await?;
    let events = WARM_UP + pace.appends;
    let reading = tokio::spawn(async move { reader::take(&mut subscriber, events as usize).await });
    let appended = paced(pace, async || source.append().await).await?;
    let received = tokio::time::timeout(WATCHDOG, reading).await.context("the follower lost events")???;
    waking.abort();
    follower.close().await;
    measured(&appended, &received)
}

async fn between(pace: &Pace, connect: &PgConnectOptions) -> anyhow::Result<Delays> {
    let (log, book_id) = source::log(connect).await?;
    let mut source = Source::new(&log, book_id)?;
    source.append().await?;
    let reader = Reader::Daybook { book: book_id.uuid(), session: source.session_id.uuid() };
    let other = Other::start(&reader, connect, pace).await?;
    let appended = paced(pace, async || source.append().await).await?;
    measured(&appended, &other.received().await?)
}

async fn bare(pace: &Pace, connect: &PgConnectOptions, redis: Option<&Redis>) -> anyhow::Result<Delays> {
    let reader = match redis {
        Some(redis) => Reader::Redis { socket: redis.socket.clone() },
        None => Reader::Listen,
    };
    let mut writer = Writer::connect(connect).await?;
    let mut publisher = match redis {
        Some(redis) => Some(redis.connect().await?),
        None => None,
    };
    let other = Other::start(&reader, connect, pace).await?;
    let appended = paced(pace, async || match &mut publisher {
        None => writer.append("SELECT position, pg_notify('plain', position::text) FROM e").await,
        Some(publisher) => {
            let appended = writer.append("SELECT position FROM e").await?;
            publisher.publish(CHANNEL, appended.0).await?;
            Ok(appended)
        }
    });
    measured(&appended.await?, &other.received().await?)
}

/// A prepared INSERT, each committed by itself.
struct Writer {
    db: PgConnection,
    stream_id: Uuid,
    sequence: i64,
    payload: String,
}

impl Writer {
    async fn connect(connect: &PgConnectOptions) -> anyhow::Result<Self> {
        let payload = Event::payload(&crate::contestants::event()?);
        Ok(Self { db: connect.connect().await?, stream_id: new_uuid(), sequence: 0, payload })
    }

    /// `then` is what the same statement does with the row `e`.
    async fn append(&mut self, then: &str) -> anyhow::Result<(i64, i64)> {
        self.sequence += 1;
        let sql = format!(
            "WITH e AS (INSERT INTO plain_events (stream_id, sequence, event_id, event_type, event_version, \
             occurred_at, actor_id, payload, metadata) \
             VALUES ($1, $2, $3, 'usage.metered', 1, $4, $5, $6::text::json, '{{}}') RETURNING position) {then}"
        );
        let query = sqlx::query(&sql).bind(self.stream_id).bind(self.sequence).bind(new_uuid());
        let row = query.bind(now()).bind(ACTOR).bind(&self.payload).fetch_one(&mut self.db).await?;
        Ok((row.get("position"), nanos()))
    }
}

impl Other {
    async fn start(reader: &Reader, connect: &PgConnectOptions, pace: &Pace) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["follow-reader", connect.to_url_lossy().as_str(), &(WARM_UP + pace.appends).to_string()]);
        command.args(reader.arguments());
        let mut child = command.stdout(Stdio::piped()).stdin(Stdio::null()).kill_on_drop(true).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("it is piped")?).lines();
        let ready = tokio::time::timeout(WATCHDOG, lines.next_line()).await.context("the reader does not begin")??;
        anyhow::ensure!(ready.as_deref() == Some(reader::READY), "the reader said {ready:?}");
        Ok(Self { child, lines })
    }

    /// What it received and when, once it has all.
    async fn received(mut self) -> anyhow::Result<Vec<(i64, i64)>> {
        let reading = async {
            let mut received = vec![];
            while let Some(line) = self.lines.next_line().await? {
                let (position, at) = line.split_once(' ').context("two numbers a line")?;
                received.push((position.parse()?, at.parse()?));
            }
            anyhow::ensure!(self.child.wait().await?.success(), "the reader failed");
            Ok(received)
        };
        tokio::time::timeout(WATCHDOG, reading).await.context("the reader lost events")?
    }
}

async fn paced(
    pace: &Pace,
    mut append: impl AsyncFnMut() -> anyhow::Result<(i64, i64)>,
) -> anyhow::Result<Vec<(i64, i64)>> {
    let mut appended = vec![];
    let mut ticks = tokio::time::interval(pace.interval);
    for _ in 0..WARM_UP + pace.appends {
        ticks.tick().await;
        appended.push(append().await?);
    }
    Ok(appended)
}

fn measured(appended: &[(i64, i64)], received: &[(i64, i64)]) -> anyhow::Result<Delays> {
    let warm = WARM_UP as usize;
    anyhow::ensure!(appended.len() == received.len(), "{} appended, {} read", appended.len(), received.len());
    Delays::of(&appended[warm..], &received[warm..])
}
