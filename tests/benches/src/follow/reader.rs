//! The reading side, in a process of its own: hears of an event, reads it, and notes when it had it.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::bail;
use clap::Subcommand;
use domain::{BookId, SessionId};
use projections::Follower;
use projections::follow::{News, Subscriber};
use sqlx::postgres::{PgConnectOptions, PgListener};
use sqlx::{ConnectOptions, PgConnection, Row};
use uuid::Uuid;

use super::redis::Connection;
use crate::source::nanos;

/// What a reader says once it hears.
pub const READY: &str = "ready";
/// Where the bare ones announce their rows.
pub const CHANNEL: &str = "plain";

/// How a reader hears of events.
#[derive(Subcommand, Clone, Debug)]
pub enum Reader {
    /// Daybook's follower
    Daybook { book: Uuid, session: Uuid },
    /// LISTEN
    Listen,
    /// SUBSCRIBE
    Redis { socket: PathBuf },
}

impl Reader {
    /// How this program is asked to be it.
    pub fn arguments(&self) -> Vec<String> {
        match self {
            Self::Daybook { book, session } => vec!["daybook".into(), book.to_string(), session.to_string()],
            Self::Listen => vec!["listen".into()],
            Self::Redis { socket } => vec!["redis".into(), socket.display().to_string()],
        }
    }
}

/// Reads so many events, then prints each one's position and when it was there.
pub async fn read(reader: &Reader, url: &str, events: usize) -> anyhow::Result<()> {
    let connect = url.parse::<PgConnectOptions>()?.disable_statement_logging();
    let received = match reader {
        Reader::Daybook { book, session } => {
            let follower = follower(&connect).await?;
            let mut subscriber = follower.subscribe(BookId::new(*book), SessionId::new(*session), 0);
            until_caught_up(&mut subscriber).await?;
            println!("{READY}");
            take(&mut subscriber, events).await?
        }
        Reader::Listen => {
            let (mut db, mut listener) = (connect.connect().await?, listener(&connect).await?);
            listener.listen(CHANNEL).await?;
            println!("{READY}");
            let mut received = vec![];
            while received.len() < events {
                let position = listener.recv().await?.payload().parse()?;
                received.push(bare(&mut db, position).await?);
            }
            received
        }
        Reader::Redis { socket } => {
            let (mut db, mut redis) = (connect.connect().await?, Connection::open(socket).await?);
            redis.subscribe(CHANNEL).await?;
            println!("{READY}");
            let mut received = vec![];
            while received.len() < events {
                let position = redis.message().await?.parse()?;
                received.push(bare(&mut db, position).await?);
            }
            received
        }
    };
    let mut text = String::new();
    for (position, at) in received {
        writeln!(text, "{position} {at}")?;
    }
    print!("{text}");
    Ok(())
}

/// The product's follower on its own connections.
pub async fn follower(connect: &PgConnectOptions) -> anyhow::Result<Follower> {
    let reader = projections::Reader::connect(connect.clone()).await?;
    let follower = Follower::connect(connect.clone(), reader).await?;
    tokio::spawn(follower.clone().run());
    Ok(follower)
}

pub async fn until_caught_up(subscriber: &mut Subscriber) -> anyhow::Result<()> {
    while !matches!(subscriber.next().await?, News::CaughtUp) {}
    Ok(())
}

/// So many events, each with the moment at which it was there.
pub async fn take(subscriber: &mut Subscriber, events: usize) -> anyhow::Result<Vec<(i64, i64)>> {
    let mut received = vec![];
    while received.len() < events {
        match subscriber.next().await? {
            News::Events { batch, .. } => {
                let now = nanos();
                received.extend(batch.events().iter().map(|event| (event.position, now)));
            }
            other => bail!("at this pace nobody falls behind: {other:?}"),
        }
    }
    Ok(received)
}

async fn listener(connect: &PgConnectOptions) -> anyhow::Result<PgListener> {
    let pool = sqlx::postgres::PgPoolOptions::new().max_connections(1).connect_with(connect.clone()).await?;
    Ok(PgListener::connect_with(&pool).await?)
}

/// Reads a plain row, as much of it as Daybook's follower reads of an event.
async fn bare(db: &mut PgConnection, position: i64) -> anyhow::Result<(i64, i64)> {
    let sql = "SELECT position, stream_id, sequence, event_type, event_version, occurred_at, recorded_at, actor_id, \
               payload::text AS payload FROM plain_events WHERE position >= $1 ORDER BY position LIMIT 1";
    let row = sqlx::query(sql).bind(position).fetch_one(db).await?;
    let _: (Uuid, String, String) = (row.try_get("stream_id")?, row.try_get("actor_id")?, row.try_get("payload")?);
    Ok((row.try_get("position")?, nanos()))
}
