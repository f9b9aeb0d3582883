//! A connection on which a COPY runs. sqlx does not count the answers to a COPY: one that is given up midway leaves them
//! unread, and whoever had the connection next would take them for its own. So such a connection is closed, and goes
//! back to the pool only after everything went well.

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgPool;
use sqlx::{PgConnection, Postgres};

/// One that is dropped before it is `done` is closed.
pub(super) struct Copying(Option<PoolConnection<Postgres>>);

impl Copying {
    pub async fn acquire(pool: &PgPool) -> sqlx::Result<Self> {
        Ok(Self(Some(pool.acquire().await?)))
    }

    pub fn db(&mut self) -> &mut PgConnection {
        self.0.as_mut().expect("it is taken only at the end")
    }

    /// Every answer was read: somebody else may have it.
    pub fn done(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Copying {
    fn drop(&mut self) {
        drop(self.0.take().map(PoolConnection::detach));
    }
}
