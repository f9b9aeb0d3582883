//! The server that is measured, seen from outside: a connection of our own that makes databases and reads figures.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor, PgConnection, Row};

/// The name under which everything that is measured connects.
const MEASURED: &str = "daybook-bench-measured";
/// How long connections may take to end after a slice.
const QUIET_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(5);
/// Segments of write-ahead log to make in advance, so that nobody waits for a new file: 60 of 16 MB are below a gigabyte.
const WAL_SEGMENTS: usize = 60;
/// From this version on, syncs of the write-ahead log are counted elsewhere.
const NEW_WAL_STATISTICS: i32 = 180_000;

/// The server that is measured.
pub struct Server {
    connect: PgConnectOptions,
    db: PgConnection,
}

/// A database of one scenario.
pub struct Database {
    name: String,
    /// How contestants connect to it.
    pub connect: PgConnectOptions,
}

impl Server {
    /// Connects, and makes the write-ahead log long enough for the run.
    pub async fn connect(connect: PgConnectOptions) -> anyhow::Result<Self> {
        let connect = connect.disable_statement_logging();
        let mut db = connect.connect().await.context("cannot connect to PostgreSQL")?;
        eprintln!("making room in the write-ahead log");
        for _ in 0..WAL_SEGMENTS {
            db.execute("SELECT pg_logical_emit_message(false, 'daybook', ''), pg_switch_wal()").await?;
        }
        Ok(Self { connect, db })
    }

    /// A fresh database with Daybook's schema, the plain table and that of postgres-es, just after a checkpoint.
    pub async fn create_database(&mut self, writers: usize, events: usize) -> anyhow::Result<Database> {
        let name = format!("daybook_bench_{}_{writers}x{events}", std::process::id());
        self.db.execute(format!("CREATE DATABASE {name}").as_str()).await?;
        let connect = self.connect.clone().database(&name).application_name(MEASURED);
        let mut db = connect.connect().await?;
        daybook_migrations::migrator().run(&mut db).await?;
        db.execute(include_str!("contestants/tables.sql")).await?;
        db.close().await?;
        self.db.execute("CHECKPOINT").await?;
        Ok(Database { name, connect })
    }

    /// Lets a database that was filled come to rest: statistics, hint bits and dirty pages are dealt with.
    pub async fn settle(&mut self, database: &Database) -> anyhow::Result<()> {
        let mut db = database.connect.clone().application_name("daybook-bench").connect().await?;
        db.execute("VACUUM (ANALYZE) events").await?;
        db.close().await?;
        self.db.execute("CHECKPOINT").await?;
        Ok(())
    }

    /// Removes a scenario's database.
    pub async fn drop_database(&mut self, database: &Database) -> anyhow::Result<()> {
        self.db.execute(format!("DROP DATABASE {} WITH (FORCE)", database.name).as_str()).await?;
        Ok(())
    }

    /// Waits until nothing that is measured is connected any more. A connection reports its figures when it ends.
    pub async fn wait_until_quiet(&mut self) -> anyhow::Result<()> {
        let mut poll = tokio::time::interval(POLL);
        let deadline = Instant::now() + QUIET_LIMIT;
        while !self.processes().await?.is_empty() {
            if Instant::now() > deadline {
                bail!("connections of the last slice do not end");
            }
            poll.tick().await;
        }
        Ok(())
    }

    /// The server's processes that work for whatever is measured just now.
    pub async fn processes(&mut self) -> sqlx::Result<Vec<i32>> {
        sqlx::query_scalar("SELECT pid FROM pg_stat_activity WHERE application_name = $1")
            .bind(MEASURED)
            .fetch_all(&mut self.db)
            .await
    }

    /// The process that writes the log ahead for everybody.
    pub async fn wal_writer(&mut self) -> sqlx::Result<Option<i32>> {
        let sql = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'";
        sqlx::query_scalar(sql).fetch_optional(&mut self.db).await
    }

    /// How often the write-ahead log was synced so far; `None` where the server does not count it.
    pub async fn wal_syncs(&mut self) -> Option<i64> {
        let sql = if self.version().await.ok()? < NEW_WAL_STATISTICS {
            "SELECT wal_sync FROM pg_stat_wal"
        } else {
            "SELECT sum(fsyncs)::bigint FROM pg_stat_io WHERE object = 'wal'"
        };
        sqlx::query_scalar(sql).fetch_one(&mut self.db).await.ok()
    }

    /// A setting, as the server shows it.
    pub async fn setting(&mut self, name: &str) -> sqlx::Result<String> {
        sqlx::query_scalar("SELECT current_setting($1)").bind(name).fetch_one(&mut self.db).await
    }

    async fn version(&mut self) -> sqlx::Result<i32> {
        let row = self.db.fetch_one("SELECT current_setting('server_version_num')::int AS version").await?;
        row.try_get("version")
    }
}
