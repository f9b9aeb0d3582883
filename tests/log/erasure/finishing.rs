//! Erasures are carried out to their end: past those that fail, past what came meanwhile, and with what nothing names.

use commands::blobs;
use domain::erasure::PositionRange;
use domain::session::{KeptFacts, SessionEvent};

use super::*;
use crate::commands::begin_step;
use crate::fixture::{Foreign, write_foreign};

#[tokio::test]
async fn an_erasure_that_fails_holds_up_no_other() {
    let mut world = World::new().await;
    let (one, two) = (world.record(1).await, world.record(2).await);
    world.erase_and_die(one).await;
    world.erase_and_die(two).await;
    let replace = |from: &str, to: &str| {
        format!(
            "UPDATE events SET payload = replace(payload::text, '{from}', '{to}')::json \
             WHERE event_type = 'content.erased' AND session_id = '{}'",
            one.uuid()
        )
    };
    let (right, wrong) = (r#"{"first":"#, r#"{"first":"none","was":"#);
    world.db.execute(replace(right, wrong).as_str()).await.unwrap();
    let mut erasures = Erasures::open(world.commands.clone()).await.unwrap();
    for done in [vec![two], vec![]] {
        let found = erasures.look().await.unwrap();
        assert_eq!(found.iter().map(|erased| erased.session_id).collect::<Vec<_>>(), done);
    }
    world.db.execute(replace(wrong, right).as_str()).await.unwrap();
    let found = erasures.look().await.unwrap();
    assert_eq!(found.iter().map(|erased| erased.session_id).collect::<Vec<_>>(), [one]);
    assert_eq!(world.report().await.unfinished, 0);
    assert_eq!(Erasures::open(world.commands.clone()).await.unwrap().look().await.unwrap(), []);
}

#[tokio::test]
async fn ranges_that_hold_nothing_are_passed_over() {
    let mut world = World::new().await;
    let session_id = world.record(1).await;
    world.erase_and_die(session_id).await;
    let ranges = format!(r#""positions":[{{"first":2,"last":1}},{{"first":1,"last":{}}},"#, i64::MAX);
    let odd = format!(
        "UPDATE events SET payload = replace(payload::text, '\"positions\":[', '{ranges}')::json \
         WHERE event_type = 'content.erased'"
    );
    assert_eq!(world.db.execute(odd.as_str()).await.unwrap().rows_affected(), 1);
    assert_eq!(Erasures::open(world.commands.clone()).await.unwrap().look().await.unwrap().len(), 1);
    let left = "SELECT count(*) FROM events WHERE payload IS NOT NULL AND event_type = 'message.received'";
    assert_eq!(number(&mut world.db, left).await, 0);
}

#[tokio::test]
async fn an_erasure_that_names_events_of_another_session_excuses_nothing() {
    let mut world = World::new().await;
    let (kept, other) = (world.record(1).await, world.record(2).await);
    let first = format!("SELECT min(position) FROM events WHERE session_id = '{}'", kept.uuid());
    let first = number(&mut world.db, &first).await;
    let erased = ContentErased {
        session_id: other,
        positions: PositionRange::cover([first]),
        payload_bytes: 0,
        blobs: 0,
        reason: "asked for".into(),
        requested_by: world.viewer.user_id,
        kept: KeptFacts { origin: Origin::Import, owner_user_id: world.viewer.user_id, workspace_id: new_id() },
    };
    let event = Foreign {
        stream_id: other.uuid(),
        session_id: Some(other.uuid()),
        event_type: "content.erased",
        event_version: 1,
        payload: &SessionEvent::from(erased).payload(),
    };
    write_foreign(&world.database, world.book(), event).await;
    assert_eq!(world.report().await.unfinished, 0);
    let damage = format!("UPDATE events SET payload = NULL, salt = NULL WHERE position = {first}");
    world.db.execute(damage.as_str()).await.unwrap();
    let report = audit::verify(&world.database.pool, world.book(), |_| {}).await.unwrap();
    assert_eq!(report.broken.map(|broken| broken.position), Some(first));
}

/// Two processes: one has found that a session names a blob, and the other erases that session before the first goes on.
#[tokio::test]
async fn a_mark_that_is_put_on_a_blob_while_it_is_looked_for_stays() {
    let mut world = World::new().await;
    let (one, _) = world.session(&long("a")).await;
    let (two, _) = world.session(&long("a")).await;
    world.erase(one).await.unwrap();
    world.db.execute("UPDATE blobs SET put_at = now() - interval '1 hour'").await.unwrap();
    let mut erasures = Erasures::open(world.database.commands().await).await.unwrap();
    let mut meanwhile = superuser(&world.database).await;
    meanwhile.execute("BEGIN").await.unwrap();
    meanwhile.execute("SELECT 1 FROM erasing_blobs FOR UPDATE").await.unwrap();
    let looking = tokio::spawn(async move { erasures.look().await });
    let waiting = "SELECT count(*) FROM pg_stat_activity \
                   WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'DELETE%'";
    in_time(async {
        while number(&mut world.db, waiting).await == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    world.erase_and_die(two).await;
    let erase = format!(
        "SELECT erase_content(book_id, position, 0, 1000) FROM events \
         WHERE event_type = 'content.erased' AND session_id = '{}'",
        two.uuid()
    );
    meanwhile.execute(erase.as_str()).await.unwrap();
    meanwhile.execute("COMMIT").await.unwrap();
    in_time(looking).await.unwrap().unwrap();
    assert_eq!(number(&mut world.db, "SELECT count(*) FROM erasing_blobs").await, 1);
    world.let_blobs_settle().await;
    assert_eq!(number(&mut world.db, "SELECT count(*) FROM blobs").await, 0);
}

/// A run is cancelled while a tool works: its output is stored, and the event that was to name it is refused.
#[tokio::test]
async fn blobs_that_no_event_came_to_name_go_with_their_session() {
    let mut world = World::new().await;
    let kept = world.begin("hello").await.session_id;
    let (session_id, _) = world.session("hello").await;
    let (pool, book) = (world.database.pool.clone(), world.book());
    for (session_id, bytes) in [(kept, "kept"), (session_id, "before"), (session_id, WORD)] {
        blobs::put(&pool, book, session_id, bytes.as_bytes()).await.unwrap();
    }
    let plan = world.commands.session_erasure(&world.viewer, session_id).await.unwrap();
    assert_eq!((plan.blobs, plan.blob_bytes), (2, ("before".len() + WORD.len()) as u64));
    world.erase(session_id).await.unwrap();
    // What still ran comes later.
    blobs::put(&pool, book, session_id, b"after").await.unwrap();
    assert_eq!(number(&mut world.db, "SELECT count(*) FROM erasing_blobs").await, 3);
    world.let_blobs_settle().await;
    assert_eq!(number(&mut world.db, "SELECT count(*) FROM blobs").await, 1, "that of the other session");
    assert_eq!(number(&mut world.db, "SELECT count(*) FROM put_blobs").await, 1);
    assert_eq!(world.tables_with_the_word().await, Vec::<String>::new());
}

/// Why somebody stopped a run is a text like any other, also where the run was in the middle of a model call.
#[tokio::test]
async fn a_guess_at_why_a_run_was_cancelled_cannot_be_confirmed() {
    let mut world = World::new().await;
    let begun = world.begin(WORD).await;
    begin_step(&world.commands, world.book(), begun).await;
    let id: RequestId = new_id();
    world.commands.run_cancel(&world.viewer, id, begun.run_id, WORD).await.unwrap();
    world.erase(begun.session_id).await.unwrap();
    let salt = format!("SELECT count(*) FROM events WHERE request_id = '{}' AND salt IS NOT NULL", id.uuid());
    assert_eq!(number(&mut world.db, &salt).await, 0);
}

#[tokio::test]
async fn workspaces_are_erased_by_their_own_streams_alone() {
    let world = World::new().await;
    let (one, two) = (world.begin("hello").await, world.begin("hello").await);
    let mut workspaces = vec![];
    for begun in [one, two] {
        let run = world.commands.run(world.book(), begun.run_id).await.unwrap();
        workspaces.push(run.state.state().unwrap().workspace_id());
    }
    world.commands.run_cancel(&world.viewer, new_id(), one.run_id, "enough").await.unwrap();
    assert_eq!(world.commands.erased_workspaces(&workspaces).await.unwrap(), []);
    world.erase(one.session_id).await.unwrap();
    let asked = [workspaces[0], workspaces[1], new_id()];
    assert_eq!(world.commands.erased_workspaces(&asked).await.unwrap(), [workspaces[0]]);
}
