//! Connections for reading: as `daybook_reader`, each checked out for one book and blind to every other.

use std::time::Duration;

use domain::BookId;
use sqlx::Executor;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, Postgres};

const CONNECTIONS: u32 = 16;
const PATIENCE: Duration = Duration::from_secs(30);

/// A pool that reads. Cheap to clone.
#[derive(Clone)]
pub struct Reader {
    pool: PgPool,
}

impl Reader {
    /// Opens the pool.
    pub async fn connect(options: PgConnectOptions) -> sqlx::Result<Self> {
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(PATIENCE)
            .after_connect(|db, _| Box::pin(async move { db.execute("SET ROLE daybook_reader").await.map(|_| ()) }))
            .connect_with(options)
            .await?;
        Ok(Self { pool })
    }

    /// A connection that sees this book and no other.
    pub async fn book(&self, book_id: BookId) -> sqlx::Result<PoolConnection<Postgres>> {
        let mut db = self.pool.acquire().await?;
        sqlx::query("SELECT set_config('daybook.book', $1, false)")
            .bind(book_id.uuid().to_string())
            .execute(&mut *db)
            .await?;
        Ok(db)
    }

    /// Closes the pool.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
