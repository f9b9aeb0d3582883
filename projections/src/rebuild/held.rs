//! Waiting for what others hold: in short tries, because whoever comes meanwhile waits behind the one who waits.

use std::time::Duration;

use sqlx::{Executor, PgConnection};

use super::RebuildError;
use crate::runner;

/// How often something is tried while somebody holds on to what it needs, such as a backup or a long comparison.
const ATTEMPTS: u32 = 60;
/// How long one try waits for those who post, and everybody who is about to post with it.
const POSTING_PATIENCE: &str = "1s";
/// What PostgreSQL answers when a try was too long: lock not available, query cancelled, deadlock.
const HELD: [&str; 3] = ["55P03", "57014", "40P01"];
const BETWEEN_ATTEMPTS: Duration = Duration::from_secs(1);

/// The tries that are left.
pub(super) struct Tries(u32);

impl Default for Tries {
    fn default() -> Self {
        Self(ATTEMPTS)
    }
}

impl Tries {
    /// Waits before the next try, where the last one failed because somebody held on; any other error is handed back.
    pub async fn after(&mut self, error: RebuildError) -> Result<(), RebuildError> {
        if !held(&error) {
            return Err(error);
        }
        self.0 = self.0.saturating_sub(1);
        if self.0 == 0 {
            return Err(RebuildError::Busy);
        }
        tokio::time::sleep(BETWEEN_ATTEMPTS).await;
        Ok(())
    }
}

fn held(error: &RebuildError) -> bool {
    let RebuildError::Database(sqlx::Error::Database(error)) = error else { return false };
    error.code().is_some_and(|code| HELD.contains(&&*code))
}

/// Keeps everybody from posting until the transaction ends, unless somebody posts for long. From then on whatever waits
/// in this transaction waits no longer than that.
pub(super) async fn lock_posting(db: &mut PgConnection) -> sqlx::Result<()> {
    db.execute(format!("SET LOCAL lock_timeout = '{POSTING_PATIENCE}'").as_str()).await?;
    runner::lock_posting(db).await
}
