//! The sequencer's own connection, and what to do when it breaks: an append whose answer was lost is settled first.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{BookId, Timestamp};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection, Row};
use tokio::time::Instant;
use uuid::Uuid;

use super::cache;
use super::rows::Rows;
use super::sequencer::execute;
use crate::database::IDLE_LIMIT;

/// How long the sequencer tries to reach the database before it answers that it cannot.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(100);

/// The sequencer's connection, made again when it breaks.
pub(super) struct Connector {
    options: PgConnectOptions,
    patience: Duration,
    idle: Option<PgConnection>,
    /// The server process of the newest connection. While it lives, a statement of ours may still be under way.
    backend: Option<Backend>,
    in_transaction: bool,
}

/// A server process. Its number alone may be another's after a restart of the server.
#[derive(Clone, Copy)]
struct Backend {
    pid: i32,
    started: Timestamp,
}

/// The sequencer's connection.
pub(super) struct Taken {
    pub db: PgConnection,
    /// It was just made: what is known from over another one may be wrong here.
    pub new: bool,
}

impl Connector {
    pub fn new(options: PgConnectOptions) -> Self {
        Self { options, patience: PATIENCE, idle: None, backend: None, in_transaction: false }
    }

    /// The connection, or a new one; `None` when the database cannot be reached in time.
    pub async fn take(&mut self) -> Option<Taken> {
        if let Some(db) = self.idle.take() {
            return Some(Taken { db, new: false });
        }
        self.in_transaction = false;
        let deadline = Instant::now() + self.patience;
        loop {
            // A server that takes the connection and says nothing is as good as none.
            let connected = tokio::time::timeout_at(deadline, self.connect()).await;
            match connected.unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))) {
                Ok(db) => return Some(Taken { db, new: true }),
                Err(error) if Instant::now() >= deadline => {
                    tracing::error!(%error, "the database cannot be reached");
                    return None;
                }
                Err(error) => tracing::warn!(%error, "the database cannot be reached; trying again"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Connects. The server process of the broken connection is ended first, so that nothing of it lands later.
    async fn connect(&mut self) -> sqlx::Result<PgConnection> {
        let mut db = self.options.connect().await?;
        if let Some(backend) = self.backend {
            let end =
                "SELECT pg_terminate_backend($1, 5000) FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2";
            sqlx::query(end).bind(backend.pid).bind(backend.started).execute(&mut db).await?;
            self.backend = None;
        }
        let own = "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()";
        let row = sqlx::query(own).fetch_one(&mut db).await?;
        execute(&mut db, "SET ROLE daybook_writer").await?;
        execute(&mut db, IDLE_LIMIT).await?;
        self.backend = Some(Backend { pid: row.get("pid"), started: row.get("backend_start") });
        Ok(db)
    }

    /// Keeps the connection for the next batch.
    pub fn put_back(&mut self, db: PgConnection) {
        self.idle = Some(db);
    }

    pub fn in_transaction(&self) -> bool {
        self.in_transaction
    }

    pub async fn begin(&mut self, db: &mut PgConnection) -> sqlx::Result<()> {
        execute(db, "BEGIN").await?;
        self.in_transaction = true;
        Ok(())
    }

    pub async fn commit(&mut self, db: &mut PgConnection) -> sqlx::Result<()> {
        execute(db, "COMMIT").await?;
        self.in_transaction = false;
        Ok(())
    }

    pub async fn rollback(&mut self, db: &mut PgConnection) -> sqlx::Result<()> {
        execute(db, "ROLLBACK").await?;
        self.in_transaction = false;
        Ok(())
    }

    /// Which books of a batch whose answer was lost are in the log: their last event has the hash that we gave it.
    pub async fn landed(&mut self, db: &mut PgConnection, rows: &BTreeMap<BookId, Rows>) -> sqlx::Result<Vec<Uuid>> {
        let mut landed = vec![];
        for (book_id, rows) in rows {
            // The lock waits for whoever may still be writing.
            self.begin(db).await?;
            cache::read_head(db, *book_id, true).await?;
            let found = sqlx::query("SELECT hash = $3 AS ours FROM events WHERE book_id = $1 AND position = $2")
                .bind(book_id.uuid())
                .bind(rows.after.position)
                .bind(&rows.after.hash[..])
                .fetch_optional(&mut *db)
                .await?;
            self.rollback(db).await?;
            if found.is_some_and(|row| row.get("ours")) {
                landed.push(book_id.uuid());
            }
        }
        Ok(landed)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_server_that_takes_the_connection_and_says_nothing_is_given_up() {
        let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = silent.local_addr().unwrap().port();
        let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(port).username("daybook");
        let mut connector = Connector { patience: PAUSE, ..Connector::new(options) };
        let taken = tokio::time::timeout(PATIENCE, connector.take()).await;
        assert!(taken.expect("it gives up by itself").is_none());
    }
}
