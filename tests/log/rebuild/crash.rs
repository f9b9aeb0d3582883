//! Whatever stage a rebuild is stopped at, by a crash or by a person: the next one goes on, or nothing is left of it.

use std::time::Duration;

use projections::rebuild::{Phase, RebuildError, Rebuilder};
use sqlx::Executor;
use tokio::task::JoinHandle;

use super::*;
use crate::fixture::{another_book, number};

const SEED: u64 = 91;
/// The stages at which to stop: after so many reports of progress while reading, and at the phases that follow.
const STAGES: [(Phase, usize); 5] =
    [(Phase::Reading, 1), (Phase::Reading, 2), (Phase::Indexing, 1), (Phase::CatchingUp, 1), (Phase::Comparing, 1)];

/// A log to rebuild, in several books.
async fn filled() -> (Database, Runner) {
    let database = Database::fresh().await;
    let commands = database.commands().await;
    let books = [database.installation.home_book, another_book(), another_book()];
    fill(&commands, &books, 60, &mut Random::seeded(SEED)).await;
    let runner = database.runner().await;
    in_time(runner.catch_up()).await.unwrap();
    (database, runner)
}

/// Waits until a rebuild has come to a stage; false if it passed it unseen.
async fn reaches(heard: &mut mpsc::Receiver<Report>, (phase, times): (Phase, usize)) -> bool {
    let mut seen = 0;
    while let Some(report) = in_time(heard.recv()).await {
        match report {
            Report::Progress(progress) if progress.phase == phase => seen += 1,
            Report::Switched { .. } => return false,
            _ => {}
        }
        if seen == times {
            return true;
        }
    }
    false
}

fn begin(rebuilder: &Rebuilder) -> JoinHandle<Result<(), RebuildError>> {
    let rebuilder = rebuilder.clone();
    tokio::spawn(async move {
        let mut results = rebuilder.rebuild(&["runs"], Options::default()).await?;
        results.remove(0).1
    })
}

/// Rebuilds once whoever crashed has let go.
async fn rebuild_after_crash(rebuilder: &Rebuilder) {
    in_time(async {
        loop {
            match begin(rebuilder).await.unwrap() {
                Err(RebuildError::Owned { .. }) => tokio::task::yield_now().await,
                result => break result.unwrap(),
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_crash_at_any_stage_the_next_rebuild_goes_on() {
    let (database, runner) = filled().await;
    for stage in STAGES {
        // A cut for each position: progress is told between them.
        let limits = Limits { range_positions: 3, cut_positions: 3, books: 1, ..SMALL };
        let (rebuilder, mut heard) = rebuilder(&runner, limits);
        let work = begin(&rebuilder);
        let reached = reaches(&mut heard, stage).await;
        work.abort();
        let crashed = work.await.is_err();
        let before = builds(&database, "runs").await;
        rebuild_after_crash(&rebuilder).await;
        let after = builds(&database, "runs").await;
        if reached && crashed && before.iter().any(|(.., state)| state == "rebuilding" || state == "following") {
            let last = |builds: &[(i32, i32, String)]| builds.last().unwrap().0;
            assert_eq!(last(&before), last(&after), "{stage:?}: the same build was gone on with");
        }
        assert_equal(&database).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_goes_on_from_its_last_cut_and_takes_rows_of_earlier_cuts_back() {
    let (database, runner) = filled().await;
    let mut db = superuser(&database).await;
    // Whoever writes the eleventh cut of a book loses its connection.
    db.execute(
        "CREATE FUNCTION crash() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN \
           IF NEW.position > 10 AND NEW.schema_name LIKE '%_b2' THEN \
             PERFORM pg_terminate_backend(pg_backend_pid()); \
           END IF; RETURN NEW; END $$; \
         CREATE TRIGGER crash BEFORE INSERT OR UPDATE ON checkpoints FOR EACH ROW EXECUTE FUNCTION crash()",
    )
    .await
    .unwrap();
    let (slow, _heard) = rebuilder(&runner, Limits { range_positions: 1, cut_positions: 1, books: 1, ..SMALL });
    let lost = in_time(begin(&slow)).await.unwrap();
    assert!(matches!(lost, Err(RebuildError::Database(_))), "{lost:?}");
    db.execute("DROP TRIGGER crash ON checkpoints").await.unwrap();
    let loaded = "SELECT max(c.position) FROM checkpoints c JOIN builds b USING (schema_name) \
                  WHERE b.state = 'rebuilding'";
    let from = number(&mut db, loaded).await;
    assert_eq!(from, 10, "ten cuts are there, and nothing of the eleventh");
    let (quick, mut heard) = rebuilder(&runner, Limits::default());
    rebuild_after_crash(&quick).await;
    let mut first = None;
    while let Ok(report) = heard.try_recv() {
        if let Report::Progress(progress) = report {
            first.get_or_insert(progress.events_done);
        }
    }
    assert!(first.unwrap() >= from, "it began at {first:?}, {from} were written");
    assert_equal(&database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelled_at_any_stage_nothing_is_left_and_the_old_build_serves() {
    let (database, runner) = filled().await;
    let serving = builds(&database, "runs").await;
    let (other, _others) = rebuilder(&database.runner().await, SMALL);
    assert!(!other.cancel("runs", Options::default()).await.unwrap(), "there is nothing to cancel");
    for stage in STAGES {
        let limits = Limits { range_positions: 3, cut_positions: 3, books: 1, ..SMALL };
        let (rebuilder, mut heard) = rebuilder(&runner, limits);
        let work = begin(&rebuilder);
        reaches(&mut heard, stage).await;
        // From another process, as it were.
        let asked = in_time(other.cancel("runs", Options::default())).await.unwrap();
        let result = in_time(work).await.unwrap();
        let last = builds(&database, "runs").await.pop().unwrap();
        match result {
            Err(RebuildError::Cancelled) => {
                assert!(asked, "{stage:?}");
                assert_eq!(last.2, "cancelled", "{stage:?}");
                let schema = format!("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'runs_v%b{}'", last.0);
                assert_eq!(number(&mut superuser(&database).await, &schema).await, 0, "{stage:?}");
            }
            // It was faster than the wish to end it.
            Ok(()) => assert_eq!(last.2, "serving", "{stage:?}"),
            Err(error) => panic!("{stage:?}: {error}"),
        }
        assert_equal(&database).await;
    }
    assert!(builds(&database, "runs").await.len() > serving.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_crashed_can_be_cancelled_by_anybody() {
    let (database, runner) = filled().await;
    let (rebuilder, mut heard) = rebuilder(&runner, Limits { range_positions: 1, cut_positions: 1, ..SMALL });
    let work = begin(&rebuilder);
    assert!(reaches(&mut heard, (Phase::Reading, 1)).await);
    work.abort();
    let _ = work.await;
    in_time(async {
        while builds(&database, "runs").await.pop().unwrap().2 == "rebuilding" {
            rebuilder.cancel("runs", Options::default()).await.unwrap();
        }
    })
    .await;
    assert_eq!(builds(&database, "runs").await.pop().unwrap().2, "cancelled");
    assert_equal(&database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_owners_at_once_are_not_possible_and_the_second_is_told_who_the_first_is() {
    let (database, runner) = filled().await;
    let (first, _heard) = rebuilder(&runner, SMALL);
    let (second, _others) = rebuilder(&database.runner().await, SMALL);
    let begun = in_time(first.begin(&["runs", "work"], Options::default())).await.unwrap();
    let refused = in_time(second.rebuild(&["sessions", "work"], Options::default())).await;
    let told = refused.as_ref().unwrap_err().to_string();
    assert!(told.contains(&format!("process {}", std::process::id())), "{told}");
    assert!(matches!(refused, Err(RebuildError::Owned { projection, .. }) if projection == "work"));
    // What the second had taken before it was refused is free again.
    in_time(async {
        while let Err(error) = second.rebuild(&["sessions"], Options::default()).await {
            assert!(matches!(error, RebuildError::Owned { .. }), "{error}");
            tokio::time::timeout(Duration::from_millis(1), std::future::pending::<()>()).await.unwrap_err();
        }
    })
    .await;
    in_time(begun.finish()).await.unwrap().into_iter().for_each(|(name, result)| assert!(result.is_ok(), "{name}"));
    assert_equal(&database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn undo_goes_back_catches_up_and_can_itself_be_undone() {
    let (database, runner) = filled().await;
    let commands = database.commands().await;
    let (rebuilder, mut heard) = rebuilder(&runner, Limits::default());
    assert!(matches!(rebuilder.undo("runs", Options::default()).await, Err(RebuildError::NothingToUndo(_))));
    rebuild(&rebuilder, &["runs"]).await;
    for (first, second) in [("serving", "retired"), ("retired", "serving")] {
        // The build that is gone back to has missed these.
        fill(&commands, &[database.installation.home_book], 20, &mut Random::seeded(SEED)).await;
        in_time(runner.catch_up()).await.unwrap();
        in_time(rebuilder.undo("runs", Options::default())).await.unwrap();
        let states: Vec<_> = builds(&database, "runs").await.into_iter().map(|(.., state)| state).collect();
        assert_eq!(states, [first, second]);
        assert_equal(&database).await;
    }
    let mut undone = vec![];
    while let Ok(report) = heard.try_recv() {
        if let Report::Undone { build, .. } = report {
            undone.push(build.build);
        }
    }
    assert_eq!(undone, [1, 2]);
}
