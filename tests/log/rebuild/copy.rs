//! A rebuild that is given up while rows are under way to the database.

use futures::future::join_all;

use super::*;
use crate::fixture::number;

/// The lock that holds a COPY up.
const HELD_UP: i64 = 4_711;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_given_up_leaves_nobody_its_connection() {
    let database = Database::fresh().await;
    let (commands, viewer) = (database.commands().await, developer(database.installation.home_book));
    start(&commands, &viewer).await;
    let runner = database.runner().await;
    in_time(runner.catch_up()).await.unwrap();
    let (rebuilder, _heard) = rebuilder(&runner, SMALL);
    let begun = in_time(rebuilder.begin(&["runs"], Options::default())).await.unwrap();
    let (mut db, mut holder) = (superuser(&database).await, superuser(&database).await);
    let hold_up = format!(
        "CREATE FUNCTION hold_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
           PERFORM pg_advisory_xact_lock({HELD_UP}); RETURN NEW; END $$; \
         CREATE TRIGGER hold_up BEFORE INSERT ON {}.runs FOR EACH ROW EXECUTE FUNCTION hold_up()",
        newest(&database, "runs").await
    );
    db.execute(hold_up.as_str()).await.unwrap();
    holder.execute(format!("SELECT pg_advisory_lock({HELD_UP})").as_str()).await.unwrap();
    let work = tokio::spawn(begun.finish());
    let copying = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'COPY %' \
                   AND wait_event_type = 'Lock'";
    in_time(async { while number(&mut db, copying).await == 0 {} }).await;
    work.abort();
    assert!(work.await.is_err_and(|error| error.is_cancelled()));
    holder.execute(format!("SELECT pg_advisory_unlock({HELD_UP})").as_str()).await.unwrap();
    // Whoever gets a connection now gets its own answers.
    let pool = &database.pool;
    in_time(async {
        while pool.num_idle() < pool.size() as usize {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let all = join_all((0..pool.size()).map(|_| pool.acquire())).await;
    for (asked, db) in (1_i64..).zip(all) {
        let answer = sqlx::query("SELECT $1::bigint AS answer").bind(asked).fetch_one(&mut *db.unwrap()).await.unwrap();
        assert_eq!(answer.get::<i64, _>("answer"), asked);
    }
}
