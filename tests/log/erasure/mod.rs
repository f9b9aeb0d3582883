//! What is erased is gone everywhere, and everything else stands as it stood.

mod finishing;

use commands::ids::new_id;
use commands::log::Log;
use commands::snapshot::{self, EVERY, Place, Snapshots};
use commands::stream::Loader;
use commands::{CommandError, Commands, Done, Erasures, MessageSend, SessionErase, SessionStart, Started};
use daybook_tests::Database;
use domain::content::INLINE_MAX_BYTES;
use domain::run::RunRefusal;
use domain::session::{ContentErased, Origin, Session, SessionError};
use domain::text::{MessageText, Reason};
use domain::{BookId, RequestId, Role, RunId, SessionId, Viewer};
use projections::follow::News;
use projections::{audit, check, feed, quarantine, session, timeline};
use sqlx::{Executor, PgConnection, Row};

use crate::fixture::{Random, all_events, developer, in_time, number, record, superuser};

/// A word that stands in nothing but the content that is to go.
const WORD: &str = "mulberry";
const MODEL: &str = "scripted/test";

/// A database, its owner who may do anything, and somebody who works in its book.
struct World {
    database: Database,
    db: PgConnection,
    viewer: Viewer,
    commands: Commands,
}

impl World {
    async fn new() -> Self {
        let database = Database::fresh().await;
        let viewer = developer(database.installation.home_book);
        let (db, commands) = (superuser(&database).await, database.commands().await);
        Self { database, db, viewer, commands }
    }

    fn book(&self) -> BookId {
        self.viewer.book_id
    }

    /// A session whose run waits for its first step.
    async fn begin(&self, words: &str) -> Started {
        let input = SessionStart {
            text: MessageText::parse("text", words).unwrap(),
            title: None,
            approval_policy: Default::default(),
            origin: Origin::Cli,
            model: MODEL.into(),
        };
        self.commands.session_start(&self.viewer, new_id(), input).await.unwrap().answer
    }

    /// A session that is over: a message and a run that was cancelled.
    async fn session(&self, words: &str) -> (SessionId, RunId) {
        let started = self.begin(words).await;
        self.commands.run_cancel(&self.viewer, new_id(), started.run_id, WORD).await.unwrap();
        (started.session_id, started.run_id)
    }

    /// A session of another agent with a tool call, a file and a bill.
    async fn record(&self, file: u8) -> SessionId {
        let mut record = record(&self.viewer, file);
        record.session.title = format!("{WORD} {file}");
        self.commands.import(&self.viewer, record).await.unwrap().answer.session_id
    }

    async fn erase(&self, session_id: SessionId) -> Result<Done<Option<ContentErased>>, CommandError> {
        self.commands.session_erase(&self.viewer, new_id(), wanted(session_id)).await
    }

    /// Says that a session is erased, and dies before anything is removed.
    async fn erase_and_die(&mut self, session_id: SessionId) {
        self.db.execute("REVOKE EXECUTE ON FUNCTION erase_content FROM daybook_writer").await.unwrap();
        let died = self.erase(session_id).await;
        assert!(matches!(died, Err(CommandError::Database(_))), "{died:?}");
        self.db.execute("GRANT EXECUTE ON FUNCTION erase_content TO daybook_writer").await.unwrap();
    }

    /// Blobs that were put lately wait; this makes them old.
    async fn let_blobs_settle(&mut self) {
        self.db.execute("UPDATE blobs SET put_at = now() - interval '1 hour'").await.unwrap();
        Erasures::open(self.commands.clone()).await.unwrap().look().await.unwrap();
    }

    async fn report(&self) -> audit::Report {
        let report = audit::verify(&self.database.pool, self.book(), |_| {}).await.unwrap();
        assert_eq!(report.broken, None);
        report
    }

    async fn compare(&self) {
        for one in check::check(&self.database.pool, |_| {}).await.unwrap() {
            assert!(one.equal, "{one:?}");
        }
    }

    /// Every table in which content could stand, and whether the word does.
    async fn tables_with_the_word(&mut self) -> Vec<String> {
        let tables = sqlx::query(
            "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables \
             WHERE schemaname NOT IN ('pg_catalog', 'information_schema')",
        );
        let mut found = vec![];
        for row in tables.fetch_all(&mut self.db).await.unwrap() {
            let name: String = row.get("name");
            let hex: String = WORD.bytes().map(|byte| format!("{byte:02x}")).collect();
            let sql = format!(
                "SELECT count(*) FROM {name} t WHERE position('{WORD}' IN t::text) > 0 OR position('{hex}' IN t::text) > 0"
            );
            if number(&mut self.db, &sql).await > 0 {
                found.push(name);
            }
        }
        found
    }
}

fn wanted(session_id: SessionId) -> SessionErase {
    SessionErase { session_id, reason: Reason::required("reason", "asked for by its owner").unwrap() }
}

fn a_message(session_id: SessionId) -> MessageSend {
    MessageSend { session_id, text: MessageText::parse("text", "go on").unwrap(), model: MODEL.into() }
}

/// A text that does not fit into an event.
fn long(start: &str) -> String {
    format!("{start} {}", WORD.repeat(INLINE_MAX_BYTES / WORD.len() + 1))
}

#[tokio::test]
async fn the_content_of_a_session_is_gone_and_its_costs_and_headers_stay() {
    let mut world = World::new().await;
    let runner = world.database.runner().await;
    let book = world.book();
    let sessions =
        [world.record(1).await, world.session(&format!("{WORD} one")).await.0, world.session(&long("a")).await.0];
    runner.catch_up().await.unwrap();
    let money = "SELECT string_agg(t::text, ' ' ORDER BY t::text) FROM serving.ledger t";
    let bills = sqlx::query(money).fetch_one(&mut world.db).await.unwrap().get::<Option<String>, _>(0);
    assert!(bills.is_some());
    let held = world.tables_with_the_word().await;
    assert!(held.len() >= 4 && held.iter().any(|name| name == "public.blobs"), "{held:?}");
    let before = all_events(&world.database, book).await;

    for session_id in sessions {
        let plan = world.commands.session_erasure(&world.viewer, session_id).await.unwrap();
        let erased = world.erase(session_id).await.unwrap().answer.expect("it is erased now");
        assert_eq!(erased.positions.iter().map(|range| range.count()).sum::<i64>().unsigned_abs(), plan.events);
        assert_eq!((erased.payload_bytes, erased.session_id), (plan.payload_bytes, session_id));
        assert_eq!(erased.kept.owner_user_id, world.viewer.user_id);
    }
    world.let_blobs_settle().await;
    runner.catch_up().await.unwrap();
    world.commands.snapshots().settled().await;
    assert_eq!(world.tables_with_the_word().await, Vec::<String>::new());
    assert_eq!(number(&mut world.db, "SELECT count(*) FROM blobs").await, 0);
    assert_eq!(number(&mut world.db, "SELECT count(*) FROM erasing_blobs").await, 0);

    let bills_after = sqlx::query(money).fetch_one(&mut world.db).await.unwrap().get::<Option<String>, _>(0);
    assert_eq!(bills_after, bills, "the ledger stands as it stood");
    let gone = "SELECT count(*) FROM events WHERE payload IS NULL AND salt IS NULL";
    let report = world.report().await;
    assert_eq!((report.erased, report.unfinished), (number(&mut world.db, gone).await, 0));
    assert_eq!(number(&mut world.db, "SELECT count(*) FROM events WHERE (payload IS NULL) <> (salt IS NULL)").await, 0);
    for (before, after) in before.iter().zip(all_events(&world.database, book).await) {
        let erased = after.payload.is_none();
        assert_eq!(erased, !domain::erasure::survives(&after.event_type), "{after:?}");
        assert_eq!(
            (before.event_id, &before.actor_id, before.recorded_at),
            (after.event_id, &after.actor_id, after.recorded_at)
        );
    }
    world.compare().await;
}

#[tokio::test]
async fn an_erased_session_is_listed_as_such_and_its_timeline_says_what_kind_of_thing_happened() {
    let world = World::new().await;
    let runner = world.database.runner().await;
    let session_id = world.record(1).await;
    runner.catch_up().await.unwrap();
    let reader = world.database.reader().await;
    let mut db = reader.book(world.book()).await.unwrap();
    let (_, before) = session::get(&mut db, world.book(), session_id).await.unwrap().unwrap();
    let lines = timeline::list(&mut db, world.book(), session_id, 0, 1_000).await.unwrap();
    world.erase(session_id).await.unwrap();
    runner.catch_up().await.unwrap();
    let (_, after) = session::get(&mut db, world.book(), session_id).await.unwrap().unwrap();
    assert_eq!(after.title, "(erased)");
    assert!(
        after.erased_at.is_some() && after.import_source.is_none() && after.model.is_none() && after.run_id.is_none()
    );
    assert_eq!((after.origin, after.created_at), (before.origin, before.created_at));
    assert_eq!((after.owner_user_id, after.workspace_id), (before.owner_user_id, before.workspace_id));
    assert!(before.imported_nanousd > 0);
    assert_eq!(after.imported_nanousd, before.imported_nanousd);
    let now = timeline::list(&mut db, world.book(), session_id, 0, 1_000).await.unwrap();
    assert_eq!(now.len(), lines.len() + 3, "a mark on the session, on its run and on its workspace");
    for ((position, before), (same, after)) in lines.iter().zip(&now) {
        assert_eq!((position, &before.event_type, &before.actor_id), (same, &after.event_type, &after.actor_id));
        let money = domain::erasure::survives(&after.event_type);
        assert_eq!(after.title == "Content erased" && after.detail == after.event_type, !money, "{after:?}");
    }
    assert_eq!(now.last().unwrap().1.detail, "asked for by its owner");
}

#[tokio::test]
async fn an_erased_session_takes_nothing_more() {
    let world = World::new().await;
    let (session_id, run_id) = world.session(WORD).await;
    let send: RequestId = new_id();
    let other = world.database.commands().await;
    // Another process has the streams in memory.
    other.run(world.book(), run_id).await.unwrap();
    let again = other.message_send(&world.viewer, send, a_message(session_id)).await.unwrap().answer.run_id;
    let open = world.erase(session_id).await;
    assert!(matches!(open, Err(CommandError::Run(RunRefusal::StillOpen(run))) if run == again), "{open:?}");
    assert!(world.commands.session_erasure(&world.viewer, session_id).await.is_err(), "the rehearsal says it too");
    world.commands.run_cancel(&world.viewer, new_id(), again, "enough").await.unwrap();
    let request: RequestId = new_id();
    let first = world.commands.session_erase(&world.viewer, request, wanted(session_id)).await.unwrap();
    for commands in [&world.commands, &other, &world.database.commands().await] {
        let message = commands.message_send(&world.viewer, new_id(), a_message(session_id)).await;
        assert!(matches!(message, Err(CommandError::Session(SessionError::Erased))), "{message:?}");
        let retry = commands.run_retry(&world.viewer, new_id(), run_id).await;
        assert!(matches!(retry, Err(CommandError::Run(RunRefusal::Erased))), "{retry:?}");
        assert!(commands.run(world.book(), run_id).await.unwrap().state.state().is_none());
        // Asked for again: the first answer. Another request: it is already so.
        assert_eq!(commands.session_erase(&world.viewer, request, wanted(session_id)).await.unwrap(), first);
        let again = commands.session_erase(&world.viewer, new_id(), wanted(session_id)).await.unwrap();
        assert_eq!((again.position, again.answer), (first.position, None));
        // A request whose events were erased has no answer any more; it is not done again.
        for message in [a_message(session_id), MessageSend { model: "another".into(), ..a_message(session_id) }] {
            let repeated = commands.message_send(&world.viewer, send, message).await;
            assert!(matches!(repeated, Err(CommandError::Erased | CommandError::Append(_))), "{repeated:?}");
        }
    }
    assert_eq!(world.commands.head(world.book()).await.unwrap(), first.position);
}

#[tokio::test]
async fn only_its_owner_and_an_administrator_erase_a_session() {
    let world = World::new().await;
    let (session_id, _) = world.session(WORD).await;
    let stranger = developer(world.book());
    let refused = world.commands.session_erase(&stranger, new_id(), wanted(session_id)).await;
    assert!(matches!(refused, Err(CommandError::Session(SessionError::NotYours))));
    let unknown = world.commands.session_erase(&stranger, new_id(), wanted(new_id())).await;
    assert!(matches!(unknown, Err(CommandError::Session(SessionError::Unknown))));
    let admin = Viewer { role: Role::Admin, ..stranger };
    let erased = world.commands.session_erase(&admin, new_id(), wanted(session_id)).await.unwrap().answer.unwrap();
    assert_eq!(erased.requested_by, admin.user_id);
}

#[tokio::test]
async fn what_a_process_that_died_left_behind_is_finished_by_another() {
    let mut world = World::new().await;
    let runner = world.database.runner().await;
    let session_id = world.record(1).await;
    runner.catch_up().await.unwrap();
    world.erase_and_die(session_id).await;
    let left = "SELECT count(*) FROM events WHERE payload IS NULL";
    assert_eq!(number(&mut world.db, left).await, 0, "nothing is removed yet");
    // It counts as gone all the same: for followers, for read models and for a rebuild.
    let events = all_events(&world.database, world.book()).await;
    let read: Vec<_> = events.iter().filter(|event| event.payload.is_some()).map(|event| &event.event_type).collect();
    assert!(read.iter().all(|name| domain::erasure::survives(name)), "{read:?}");
    let report = world.report().await;
    assert_eq!((report.erased, report.unfinished), (0, events.len() as i64 - read.len() as i64));
    world.compare().await;
    runner.catch_up().await.unwrap();
    world.compare().await;
    let other = world.database.commands().await;
    let found = Erasures::open(other.clone()).await.unwrap().look().await.unwrap();
    assert_eq!(found.iter().map(|erased| erased.session_id).collect::<Vec<_>>(), [session_id]);
    let report = world.report().await;
    assert_eq!((report.erased, report.unfinished), (events.len() as i64 - read.len() as i64, 0));
    world.compare().await;
    assert_eq!(world.tables_with_the_word().await, Vec::<String>::new());
    let mut erasures = Erasures::open(other).await.unwrap();
    assert_eq!(erasures.look().await.unwrap(), [], "what is finished is not looked at again");
    let session_id = world.record(2).await;
    world.erase(session_id).await.unwrap();
    assert_eq!(
        (erasures.look().await.unwrap().len(), erasures.look().await.unwrap().len()),
        (1, 0),
        "each is seen once"
    );
}

/// Whatever the order in which processes post, erase, die and finish: what serves is what a rebuild makes of the log.
#[tokio::test]
async fn rebuild_equals_live_in_every_order_of_steps() {
    in_time(async {
        let mut world = World::new().await;
        let mut random = Random::seeded(31);
        let runners = [world.database.runner().await, world.database.runner().await];
        let mut sessions = vec![];
        for step in 0..24_u8 {
            match random.below(6) {
                0 | 1 => sessions.push(world.record(step + 1).await),
                2 => runners[random.below(2)].catch_up().await.unwrap(),
                3 if !sessions.is_empty() => {
                    let session_id = sessions.swap_remove(random.below(sessions.len()));
                    world.erase_and_die(session_id).await;
                }
                4 if !sessions.is_empty() => {
                    let session_id = sessions.swap_remove(random.below(sessions.len()));
                    world.erase(session_id).await.unwrap();
                }
                _ => {
                    let mut erasures = Erasures::open(world.database.commands().await).await.unwrap();
                    erasures.look().await.unwrap();
                }
            }
            world.compare().await;
        }
        world.report().await;
    })
    .await;
}

/// Sessions are erased while everything is being folded anew beside what serves.
#[tokio::test]
async fn an_erasure_during_a_check_makes_no_difference() {
    in_time(async {
        let world = World::new().await;
        let runner = world.database.runner().await;
        let mut sessions = vec![];
        for file in 1..=16 {
            sessions.push(world.record(file).await);
        }
        runner.catch_up().await.unwrap();
        let (begun, mut erase) = tokio::sync::mpsc::unbounded_channel();
        let erasing = async {
            while erase.recv().await.is_some() {
                for _ in 0..2 {
                    world.erase(sessions.pop().expect("there are two for each projection")).await.unwrap();
                }
                runner.catch_up().await.unwrap();
            }
        };
        let checking = async {
            let compared = check::check(&world.database.pool, |_| begun.send(()).expect("somebody erases")).await;
            drop(begun);
            compared.unwrap()
        };
        let (compared, ()) = futures::future::join(checking, erasing).await;
        assert!(compared.iter().all(|one| one.equal), "{compared:?}");
        world.compare().await;
        assert!(world.report().await.erased > 0);
    })
    .await;
}

#[tokio::test]
async fn two_processes_that_erase_one_session_erase_it_once() {
    let world = World::new().await;
    let other = world.database.commands().await;
    for file in 1..=8 {
        let session_id = world.record(file).await;
        let left = world.commands.session_erase(&world.viewer, new_id(), wanted(session_id));
        let right = other.session_erase(&world.viewer, new_id(), wanted(session_id));
        let (left, right) = in_time(futures::future::join(left, right)).await;
        assert_eq!([left, right].into_iter().filter_map(|done| done.unwrap().answer).count(), 1);
    }
    let events = all_events(&world.database, world.book()).await;
    assert_eq!(events.iter().filter(|event| event.event_type == "content.erased").count(), 8);
    assert_eq!(world.report().await.unfinished, 0);
}

#[tokio::test]
async fn nobody_who_works_in_the_log_may_change_an_event_but_by_an_erasure() {
    let mut world = World::new().await;
    let session_id = world.record(1).await;
    let pool = world.database.pool.clone();
    for change in [
        "UPDATE events SET payload = NULL",
        "UPDATE events SET salt = NULL",
        "DELETE FROM events",
        "DELETE FROM blobs",
        "UPDATE blobs SET content = ''",
        "INSERT INTO erasing_blobs SELECT book_id, sha256 FROM blobs",
        // Position 1 begins the session and erases nothing.
        "SELECT * FROM erase_content((SELECT book_id FROM book_heads LIMIT 1), 1, 0, 10)",
    ] {
        assert!(pool.execute(change).await.is_err(), "{change}");
    }
    let blob = commands::blobs::put(&pool, world.book(), new_id(), b"mine").await.unwrap();
    world.let_blobs_settle().await;
    let gone =
        sqlx::query("SELECT erase_blobs($1, ARRAY[$2::bytea])").bind(world.book().uuid()).bind(&blob.sha256.0[..]);
    assert_eq!(gone.fetch_one(&pool).await.unwrap().get::<i64, _>(0), 0, "no erased event named it");
    // An erasure that names events of others, or events that come after it, has no power over them.
    let other = world.record(2).await;
    world.erase_and_die(session_id).await;
    let wide = "UPDATE events SET payload = jsonb_set(payload::jsonb, '{positions}', '[{\"first\":1,\"last\":999}]')::json \
                WHERE event_type = 'content.erased'";
    assert_eq!(world.db.execute(wide).await.unwrap().rows_affected(), 1);
    Erasures::open(world.commands.clone()).await.unwrap().look().await.unwrap();
    let left = sqlx::query("SELECT count(*) FROM events WHERE session_id = $1 AND payload IS NULL").bind(other.uuid());
    assert_eq!(left.fetch_one(&mut world.db).await.unwrap().get::<i64, _>(0), 0);
}

#[tokio::test]
async fn a_missing_payload_without_an_erasure_is_damage() {
    let mut world = World::new().await;
    let (kept, erased) = (world.record(1).await, world.record(2).await);
    world.erase(erased).await.unwrap();
    world.report().await;
    let broken = async |world: &World| {
        let report = audit::verify(&world.database.pool, world.book(), |_| {}).await.unwrap();
        report.broken.map(|broken| broken.position)
    };
    let first = format!("SELECT min(position) FROM events WHERE session_id = '{}'", kept.uuid());
    let first = number(&mut world.db, &first).await;
    world.db.execute("CREATE TABLE kept AS TABLE events").await.unwrap();
    for damage in [
        format!("UPDATE events SET payload = NULL, salt = NULL WHERE position = {first}"),
        format!("UPDATE events SET salt = NULL WHERE position = {first}"),
        // The erasure itself says something else than it said.
        "UPDATE events SET payload = replace(payload::text, 'asked', 'asKed')::json WHERE event_type = 'content.erased'".into(),
        "UPDATE events SET payload = NULL WHERE event_type = 'content.erased'".into(),
        "UPDATE events SET event_type = 'content.kept' WHERE event_type = 'content.erased'".into(),
        // Half of an erased event came back.
        "UPDATE events SET salt = 'x' WHERE position = (SELECT max(position) FROM events WHERE payload IS NULL)".into(),
    ] {
        assert_eq!(world.db.execute(damage.as_str()).await.unwrap().rows_affected(), 1, "{damage}");
        assert!(broken(&world).await.is_some(), "{damage}");
        world.db.execute("TRUNCATE events; INSERT INTO events TABLE kept").await.unwrap();
        assert_eq!(broken(&world).await, None);
    }
}

#[tokio::test]
async fn a_blob_that_others_name_stays_until_the_last_of_them_is_erased() {
    let mut world = World::new().await;
    let (one, _) = world.session(&long("a")).await;
    let (two, _) = world.session(&long("a")).await;
    let blobs = "SELECT count(*) FROM blobs";
    assert_eq!(number(&mut world.db, blobs).await, 1);
    let plan = world.commands.session_erasure(&world.viewer, one).await.unwrap();
    assert_eq!((plan.blobs, plan.shared_blobs.len()), (0, 1));
    assert!(plan.shared_blobs[0].position > 0 && plan.shared_blobs[0].bytes > INLINE_MAX_BYTES as u64);
    world.erase(one).await.unwrap();
    world.let_blobs_settle().await;
    assert_eq!(number(&mut world.db, blobs).await, 1, "the other session names it");
    assert_eq!(number(&mut world.db, "SELECT count(*) FROM erasing_blobs").await, 0, "and that is settled");
    let plan = world.commands.session_erasure(&world.viewer, two).await.unwrap();
    assert_eq!((plan.blobs, plan.shared_blobs.len()), (1, 0));
    // Somebody stores the same text at this moment, and is about to append an event that names it.
    world.db.execute("UPDATE blobs SET put_at = now() - interval '1 hour'").await.unwrap();
    commands::blobs::put(&world.database.pool, world.book(), new_id(), long("a").as_bytes()).await.unwrap();
    world.erase(two).await.unwrap();
    assert_eq!(number(&mut world.db, blobs).await, 1, "it was put lately");
    assert_eq!(number(&mut world.db, "SELECT count(*) FROM erasing_blobs").await, 1);
    world.let_blobs_settle().await;
    assert_eq!(number(&mut world.db, blobs).await, 0);
}

#[tokio::test]
async fn memory_and_snapshots_forget() {
    let mut world = World::new().await;
    let (session_id, mut run_id) = world.session(WORD).await;
    for _ in 0..EVERY {
        let sent = world.commands.message_send(&world.viewer, new_id(), a_message(session_id)).await.unwrap();
        run_id = sent.answer.run_id;
    }
    world.commands.run_cancel(&world.viewer, new_id(), run_id, WORD).await.unwrap();
    let snapshots = Snapshots::start(world.database.pool.clone());
    let loader = Loader::<Session>::new(world.database.pool.clone(), snapshots.clone());
    let loaded = loader.load(world.book(), session_id.uuid()).await.unwrap();
    snapshots.settled().await;
    world.commands.snapshots().settled().await;
    let stored = format!("SELECT count(*) FROM snapshots WHERE stream_id = '{}'", session_id.uuid());
    assert_eq!(number(&mut world.db, &stored).await, 1);
    assert!(loader.remembers(world.book(), session_id.uuid()));
    let place = Place { book_id: world.book(), stream_id: session_id.uuid(), sequence: loaded.sequence };

    world.erase(session_id).await.unwrap();
    world.commands.snapshots().settled().await;
    // A writer that was late writes nothing.
    snapshot::write(&world.database.pool, place, &serde_json::to_vec(&*loaded.state).unwrap()).await.unwrap();
    let with_content = format!("{stored} AND sequence <= {}", loaded.sequence);
    assert_eq!(number(&mut world.db, &with_content).await, 0);
    loader.forget(world.book(), session_id.uuid());
    assert!(!loader.remembers(world.book(), session_id.uuid()));
    assert!(loader.load(world.book(), session_id.uuid()).await.unwrap().state.erased);
    assert!(!loader.remembers(world.book(), session_id.uuid()), "what was erased is not kept again");
}

/// What a request asked can be told apart from something else while its salt is there, and by nobody after that.
#[tokio::test]
async fn a_guess_at_what_was_asked_cannot_be_confirmed() {
    let mut world = World::new().await;
    let (session_id, _) = world.session(WORD).await;
    let (id, message) = (new_id(), a_message(session_id));
    world.commands.message_send(&world.viewer, id, message.clone()).await.unwrap();
    let input = commands::ids::request(id, &message).hash;
    let row = sqlx::query("SELECT request_hash, salt FROM events WHERE request_id = $1").bind(id.uuid());
    let row = row.fetch_one(&mut world.db).await.unwrap();
    let (stored, salt): (Vec<u8>, Vec<u8>) = (row.get("request_hash"), row.get("salt"));
    assert_ne!(stored, input);
    assert_eq!(stored, domain::chain::request_hash(&salt, &input));
    let log: &Log = world.commands.log();
    let request = |hash| commands::log::Request { id, hash };
    assert!(log.answered(world.book(), request(input)).await.unwrap().is_some());
    assert!(log.answered(world.book(), request([7; 32])).await.is_err());
    let run = world.commands.message_send(&world.viewer, id, message).await.unwrap().answer.run_id;
    world.commands.run_cancel(&world.viewer, new_id(), run, "enough").await.unwrap();
    world.erase(session_id).await.unwrap();
    let left = sqlx::query("SELECT salt IS NULL FROM events WHERE request_id = $1").bind(id.uuid());
    assert!(left.fetch_one(&mut world.db).await.unwrap().get::<bool, _>(0));
    let [right, wrong] =
        [log.answered(world.book(), request(input)).await, log.answered(world.book(), request([7; 32])).await];
    assert_eq!(right.unwrap(), wrong.unwrap(), "both get the positions, and neither says whether it was this");
}

/// A reader under row-level security sees the same as the runner: nothing of what was erased.
#[tokio::test]
async fn a_follower_gets_no_content_of_an_erased_session() {
    let mut world = World::new().await;
    world.database.runner().await;
    let session_id = world.record(1).await;
    let reader = world.database.reader().await;
    world.erase_and_die(session_id).await;
    let mut db = reader.book(world.book()).await.unwrap();
    let page = feed::session_page(&mut db, world.book(), session_id, 0, 1_000).await.unwrap();
    assert!(page.len() > 10);
    for event in &page {
        assert_eq!(event.payload.is_some(), domain::erasure::survives(&event.event_type), "{event:?}");
    }
    // Nor does who follows it.
    let mut subscriber = world.database.follower().await.subscribe(world.book(), session_id, 0);
    let mut followed = 0;
    while let News::Events { batch, .. } = in_time(subscriber.next()).await.unwrap() {
        for event in batch.events() {
            assert_eq!(event.payload.is_some(), domain::erasure::survives(&event.event_type), "{event:?}");
        }
        followed += batch.events().len();
    }
    assert_eq!(followed, page.len());
    // Nor who looks at what waits in quarantine.
    let content = page.iter().find(|event| event.payload.is_none()).unwrap();
    let waits = sqlx::query(
        "INSERT INTO quarantine \
           (schema_name, book_id, partition_id, position, event_type, error, stops, seen, tried_by) \
         SELECT schema_name, $1, $2, $3, $4, 'refused', false, 0, ARRAY[]::text[] FROM builds \
         WHERE projection = 'timeline'",
    );
    let waits = waits.bind(world.book().uuid()).bind(session_id.uuid()).bind(content.position);
    waits.bind(&content.event_type).execute(&mut world.db).await.unwrap();
    let listed = quarantine::list(&mut db, world.book(), None, 10).await.unwrap();
    assert_eq!((listed.len(), listed[0].payload.as_deref()), (1, None));
}
