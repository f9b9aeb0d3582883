//! The database: its schema, its roles, its pools. Every connection works as `daybook_writer`; readers have a pool
//! of their own in `projections`.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Executor, Row};

use crate::ids::new_id;
use domain::BookId;

const CONNECTIONS: u32 = 16;
const PATIENCE: Duration = Duration::from_secs(30);
/// A process that stands still in the middle of a transaction, because it was paused or its machine is cut off, would
/// keep all others from its locks. The server ends it; what it was about to write is not written.
pub(crate) const IDLE_LIMIT: &str = "SET idle_in_transaction_session_timeout = '10s'";

/// Brings the schema up to date.
pub async fn migrate(options: &PgConnectOptions) -> Result<(), sqlx::migrate::MigrateError> {
    let mut db = options.connect().await?;
    daybook_migrations::migrator().run(&mut db).await
}

/// A pool that writes.
pub async fn writer_pool(options: PgConnectOptions) -> sqlx::Result<PgPool> {
    PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(PATIENCE)
        .after_connect(|db, _| {
            Box::pin(async move {
                db.execute("SET ROLE daybook_writer").await?;
                db.execute(IDLE_LIMIT).await.map(|_| ())
            })
        })
        .connect_with(options)
        .await
}

/// Facts of this installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Installation {
    /// Changes when a backup is restored; part of every cursor.
    pub epoch: i32,
    /// The book of users, prices and the installation's own events.
    pub system_book: BookId,
    /// The book of the organisation that a first start makes.
    pub home_book: BookId,
}

impl Installation {
    /// Reads the facts; makes them on the first start.
    pub async fn open(pool: &PgPool) -> sqlx::Result<Self> {
        sqlx::query(
            "INSERT INTO installation (system_book_id, home_book_id) VALUES ($1, $2) ON CONFLICT (only_row) DO NOTHING",
        )
        .bind(new_id::<()>().uuid())
        .bind(new_id::<()>().uuid())
        .execute(pool)
        .await?;
        let row = sqlx::query("SELECT epoch, system_book_id, home_book_id FROM installation").fetch_one(pool).await?;
        Ok(Self {
            epoch: row.get("epoch"),
            system_book: BookId::new(row.get("system_book_id")),
            home_book: BookId::new(row.get("home_book_id")),
        })
    }
}
