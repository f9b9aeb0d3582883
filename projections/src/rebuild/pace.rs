//! A rebuild gives way to whoever appends: where much is appended, it rests in proportion to its work.

use std::time::{Duration, Instant};

use sqlx::Row;
use sqlx::postgres::PgPool;

/// From how many appended events per second on a rebuild gives way. Below, there is room for both.
const BUSY: f64 = 1_000.0;
/// How many times as long as it worked it rests then: at full speed it takes three quarters of a small machine.
const REST: u32 = 8;
/// The longest rest; whoever wants the rebuild to end is heard after it.
const LONGEST: Duration = Duration::from_secs(2);
/// The least work that is worth a look at the log.
const LEAST: Duration = Duration::from_millis(10);

/// When a rebuild last rested, and how much had been appended then.
pub(super) struct Pace<'a> {
    pool: &'a PgPool,
    rested: Instant,
    looked: Instant,
    appended: i64,
}

impl<'a> Pace<'a> {
    /// Work begins now.
    pub async fn begin(pool: &'a PgPool) -> sqlx::Result<Self> {
        let appended = appended(pool).await?;
        Ok(Self { pool, rested: Instant::now(), looked: Instant::now(), appended })
    }

    /// Rests after work, if others need the machine.
    pub async fn rest(&mut self) -> sqlx::Result<()> {
        let worked = self.rested.elapsed();
        if worked < LEAST {
            return Ok(());
        }
        // What was appended during the last rest counts too: it shows what others do while they have the machine.
        let (appended, now) = (appended(self.pool).await?, Instant::now());
        if is_busy(appended - self.appended, now - self.looked) {
            tokio::time::sleep(length(worked)).await;
        }
        (self.appended, self.looked, self.rested) = (appended, now, Instant::now());
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate for a comparison")]
fn is_busy(appended: i64, within: Duration) -> bool {
    appended as f64 > BUSY * within.as_secs_f64()
}

fn length(worked: Duration) -> Duration {
    (worked * REST).min(LONGEST)
}

/// How many events all books have.
async fn appended(pool: &PgPool) -> sqlx::Result<i64> {
    let sql = "SELECT coalesce(sum(position), 0)::bigint AS appended FROM book_heads";
    Ok(sqlx::query(sql).fetch_one(pool).await?.get("appended"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gives_way_to_many_appends_and_not_to_few() {
        assert!(is_busy(300, Duration::from_millis(250)));
        assert!(!is_busy(200, Duration::from_millis(250)));
    }

    #[test]
    fn a_rest_follows_on_the_work_and_ends() {
        assert_eq!(length(Duration::from_millis(20)), Duration::from_millis(160));
        assert_eq!(length(Duration::from_secs(60)), LONGEST);
    }
}
