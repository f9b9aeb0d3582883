//! The build that is kept to go back to: nothing is taken from it, a rebuild does not take it for one of its own, and
//! an undo that came to nothing says so.

use commands::SessionErase;
use domain::SessionId;
use domain::text::Reason;

use super::*;
use crate::fixture::number;

/// A log with three sessions, and read models that are up to date.
async fn with_sessions() -> (Database, Commands, Runner, Viewer, Vec<SessionId>) {
    let database = Database::fresh().await;
    let (commands, viewer) = (database.commands().await, developer(database.installation.home_book));
    let mut sessions = vec![];
    for file in 1..=3 {
        sessions.push(commands.import(&viewer, record(&viewer, file)).await.unwrap().answer.session_id);
    }
    let runner = database.runner().await;
    in_time(runner.catch_up()).await.unwrap();
    (database, commands, runner, viewer, sessions)
}

/// How many rows the builds that are kept have of a session.
async fn kept_rows(database: &Database, session_id: SessionId) -> i64 {
    let mut db = superuser(database).await;
    let kept = sqlx::query("SELECT projection, schema_name FROM builds WHERE state = 'retired'");
    let mut rows = 0;
    for build in kept.fetch_all(&mut db).await.unwrap() {
        let (name, schema): (String, String) = (build.get("projection"), build.get("schema_name"));
        let sql = format!("SELECT count(*) FROM {schema}.{name} WHERE partition_id = '{}'", session_id.uuid());
        rows += number(&mut db, &sql).await;
    }
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_build_loses_only_the_sessions_whose_erasure_it_has_not_come_to() {
    let (database, commands, runner, viewer, sessions) = with_sessions().await;
    let erase = async |session_id: SessionId| {
        let reason = Reason::required("reason", "asked for by its owner").unwrap();
        commands.session_erase(&viewer, new_id(), SessionErase { session_id, reason }).await.unwrap();
        in_time(runner.catch_up()).await.unwrap();
    };
    erase(sessions[0]).await;
    let (rebuilder, _heard) = rebuilder(&runner, SMALL);
    rebuild(&rebuilder, &names()).await;
    let left = kept_rows(&database, sessions[0]).await;
    assert!(left > 0, "its headers and its costs stay");
    assert!(kept_rows(&database, sessions[1]).await > 0);
    erase(sessions[1]).await;
    assert_eq!(kept_rows(&database, sessions[1]).await, 0, "nothing lies there until it comes to the erasure");
    // A check folds everything from the beginning, past both erasures.
    assert_equal(&database).await;
    assert_eq!(kept_rows(&database, sessions[0]).await, left, "it has come past this one, and folds it no more");
    for name in names() {
        in_time(rebuilder.undo(name, Options::default())).await.unwrap();
    }
    assert_equal(&database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_reads_the_log_also_where_an_undo_was_interrupted() {
    let (database, _, runner, ..) = with_sessions().await;
    let (rebuilder, _heard) = rebuilder(&runner, SMALL);
    rebuild(&rebuilder, &["runs"]).await;
    // As an undo leaves it whose process died.
    let interrupted = "UPDATE builds SET state = 'following' WHERE projection = 'runs' AND state = 'retired'";
    assert_eq!(superuser(&database).await.execute(interrupted).await.unwrap().rows_affected(), 1);
    rebuild(&rebuilder, &["runs"]).await;
    let states: Vec<_> = builds(&database, "runs").await.into_iter().map(|(build, _, state)| (build, state)).collect();
    assert_eq!(states, [(2, "retired".to_owned()), (3, "serving".to_owned())]);
    assert_equal(&database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undo_that_was_cancelled_says_so_when_it_is_asked_for_again() {
    let (database, _, runner, ..) = with_sessions().await;
    let (rebuilder, mut heard) = rebuilder(&runner, SMALL);
    rebuild(&rebuilder, &["runs"]).await;
    // Somebody reads and holds on, so the undo gets no further than its last step.
    let (mut db, mut reading) = (superuser(&database).await, superuser(&database).await);
    reading.execute("BEGIN; LOCK TABLE serving.runs IN ACCESS SHARE MODE").await.unwrap();
    let by = |name: &str| Options { request_id: Some(new_id()), asked_by: Some(name.into()), ..Options::default() };
    let undo = by("ada");
    let undoing = tokio::spawn({
        let (rebuilder, undo) = (rebuilder.clone(), undo.clone());
        async move { rebuilder.undo("runs", undo).await }
    });
    let catching_up = "SELECT count(*) FROM builds \
                       WHERE projection = 'runs' AND build = 1 AND progress ->> 'phase' = 'catching_up'";
    in_time(async { while number(&mut db, catching_up).await == 0 {} }).await;
    assert!(in_time(rebuilder.cancel("runs", by("bob"))).await.unwrap());
    assert!(in_time(rebuilder.cancel("runs", by("eve"))).await.unwrap(), "the first one is remembered");
    reading.execute("COMMIT").await.unwrap();
    let undone = in_time(undoing).await.unwrap();
    assert!(matches!(undone, Err(RebuildError::Cancelled)), "{undone:?}");
    let again = in_time(rebuilder.undo("runs", undo)).await;
    assert!(matches!(&again, Err(RebuildError::Before(why)) if why == "cancelled"), "{again:?}");
    let states: Vec<_> = builds(&database, "runs").await.into_iter().map(|(.., state)| state).collect();
    assert_eq!(states, ["retired", "serving"]);
    // Another request is another undo.
    let undo = by("ada");
    for _ in 0..2 {
        in_time(rebuilder.undo("runs", undo.clone())).await.unwrap();
    }
    let mut asked = vec![];
    while let Ok(report) = heard.try_recv() {
        match report {
            Report::Cancelled { build, asked_by } => asked.push(("cancelled", build.build, asked_by)),
            Report::Undone { build, asked_by } => asked.push(("undone", build.build, asked_by)),
            _ => {}
        }
    }
    assert_eq!(asked, [("cancelled", 1, Some("bob".to_owned())), ("undone", 1, Some("ada".to_owned()))]);
    assert_equal(&database).await;
}
