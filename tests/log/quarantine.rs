//! Quarantine: what a projection cannot take in waits, and nothing else does; money stops; retry and skip; and what
//! serves is what the log says, whatever waits or was left out.

use std::time::Duration;

use commands::ids::new_id;
use commands::log::StreamAppend;
use commands::{CommandError, Commands};
use daybook_tests::Database;
use domain::quarantine::{QuarantineError, QuarantineRetried, QuarantineSkipped};
use domain::{BookId, SessionId};
use projections::check::check;
use projections::feed::Partition;
use projections::quarantine::{self, Quarantined};
use projections::{Runner, audit};
use sqlx::{Executor, PgConnection, Row};
use uuid::Uuid;

use crate::fixture::{
    Foreign, Random, append, developer, in_time, marked, number, record, stream, superuser, write_foreign,
};

const SOON: Duration = Duration::from_secs(300);

/// A book with imported sessions, whose projections are up to date.
struct Kept {
    database: Database,
    commands: Commands,
    runner: Runner,
    db: PgConnection,
    book: BookId,
    sessions: Vec<SessionId>,
}

impl Kept {
    async fn with_sessions(sessions: u8) -> Self {
        let database = Database::fresh().await;
        let (commands, runner) = (database.commands().await, database.runner().await);
        let (db, book) = (superuser(&database).await, database.installation.home_book);
        let mut kept = Self { database, commands, runner, db, book, sessions: vec![] };
        for file in 0..sessions {
            let viewer = developer(book);
            let import = record(&viewer, file);
            kept.sessions.push(import.session.session_id);
            kept.commands.import(&viewer, import).await.unwrap();
        }
        kept.catch_up().await;
        kept
    }

    async fn catch_up(&self) {
        in_time(self.runner.catch_up()).await.unwrap();
    }

    /// An event of this release in a session; answers its position.
    async fn say(&self, session: SessionId) -> i64 {
        let events = vec![marked("said")];
        let one = StreamAppend { stream_id: stream(), expected: 0, session_id: Some(session.uuid()), events };
        self.commands.log().append(append(self.commands.log(), self.book, vec![one])).await.unwrap().last
    }

    /// An event of a later release in a session; answers its position.
    async fn foreign(&self, session: SessionId, event_type: &str, event_version: i16) -> i64 {
        let session_id = Some(session.uuid());
        let event = Foreign { stream_id: stream(), session_id, event_type, event_version, payload: r#"{"new":true}"# };
        write_foreign(&self.database, self.book, event).await
    }

    async fn standing(&mut self) -> Vec<Quarantined> {
        quarantine::list(&mut self.db, self.book, None, 100).await.unwrap()
    }

    /// Projections and positions of what waits.
    async fn waiting(&mut self) -> Vec<(String, i64)> {
        self.standing().await.into_iter().map(|one| (one.projection, one.position)).collect()
    }

    async fn schema(&mut self, projection: &str) -> String {
        let build = sqlx::query("SELECT schema_name FROM builds WHERE projection = $1 AND state = 'serving'");
        build.bind(projection).fetch_one(&mut self.db).await.unwrap().get("schema_name")
    }

    async fn checkpoint(&mut self, projection: &str) -> i64 {
        let schema = self.schema(projection).await;
        let book = self.book.uuid();
        number(
            &mut self.db,
            &format!("SELECT position FROM checkpoints WHERE schema_name = '{schema}' AND book_id = '{book}'"),
        )
        .await
    }

    /// Lets the serving table of the timeline refuse rows.
    async fn refuse(&mut self, condition: &str) {
        let schema = self.schema("timeline").await;
        let sql = format!("ALTER TABLE {schema}.timeline ADD CONSTRAINT refused CHECK (NOT ({condition}))");
        self.db.execute(sql.as_str()).await.unwrap();
    }

    async fn refuse_nothing(&mut self) {
        let schema = self.schema("timeline").await;
        self.db.execute(format!("ALTER TABLE {schema}.timeline DROP CONSTRAINT refused").as_str()).await.unwrap();
    }

    async fn lines(&mut self, session: SessionId) -> i64 {
        let sql = format!("SELECT count(*) FROM serving.timeline WHERE session_id = '{}'", session.uuid());
        number(&mut self.db, &sql).await
    }

    async fn events(&mut self, session: SessionId) -> i64 {
        let sql = format!("SELECT count(*) FROM events WHERE session_id = '{}'", session.uuid());
        number(&mut self.db, &sql).await
    }

    async fn retry(&self, projection: &str, position: i64) -> Result<i64, CommandError> {
        let order = QuarantineRetried { projection: projection.into(), position };
        let standing = self.stands(projection, position).await;
        let done = self.commands.quarantine_retry(&developer(self.book), new_id(), order, standing).await?;
        Ok(done.position)
    }

    async fn skip(&self, projection: &str, position: i64) -> Result<i64, CommandError> {
        let order = QuarantineSkipped { projection: projection.into(), position, reason: "not ours".into() };
        let standing = self.stands(projection, position).await;
        let done = self.commands.quarantine_skip(&developer(self.book), new_id(), order, standing).await?;
        Ok(done.position)
    }

    async fn stands(&self, projection: &str, position: i64) -> bool {
        let mut db = self.database.pool.acquire().await.unwrap();
        quarantine::stands(&mut db, self.book, projection, position).await.unwrap()
    }

    /// What serves is what the log says.
    async fn assert_equal(&self) {
        let unequal: Vec<_> =
            in_time(check(&self.database.pool, |_| {})).await.unwrap().into_iter().filter(|one| !one.equal).collect();
        assert_eq!(unequal, []);
    }
}

#[tokio::test]
async fn an_event_of_a_later_release_sets_its_session_aside_and_nothing_else() {
    let mut kept = Kept::with_sessions(2).await;
    let [ours, other] = kept.sessions[..] else { panic!("there are two") };
    let at = kept.foreign(ours, "message.received", 2).await;
    kept.say(ours).await;
    let last = kept.say(other).await;
    kept.catch_up().await;
    // Whoever lists everything cannot leave an event out; whoever has no use for messages can.
    assert_eq!(kept.waiting().await, [("sessions".into(), at), ("timeline".into(), at)]);
    let one = kept.standing().await.remove(0);
    assert_eq!((one.session_id, one.partition_id, one.event_version), (Some(ours), ours.uuid(), 2));
    assert_eq!((one.payload.as_deref(), one.stops), (Some(r#"{"new":true}"#), false));
    assert!(one.error.contains("message.received version 2 is unknown"), "{}", one.error);
    for projection in projections::all() {
        assert_eq!(kept.checkpoint(projection.name()).await, last, "{}", projection.name());
    }
    assert_eq!(kept.lines(ours).await, kept.events(ours).await - 2, "the event and what comes after it wait");
    assert_eq!(kept.lines(other).await, kept.events(other).await, "the other session is whole");
    assert!(audit::verify(&kept.database.pool, kept.book, |_| {}).await.unwrap().broken.is_none());
    kept.assert_equal().await;
    // Later events of the session go on waiting, page after page.
    kept.say(ours).await;
    kept.catch_up().await;
    assert_eq!(kept.lines(ours).await, kept.events(ours).await - 3);
    kept.assert_equal().await;
}

#[tokio::test]
async fn a_projection_of_money_stops_before_the_event_and_the_others_go_on() {
    let mut kept = Kept::with_sessions(2).await;
    let [ours, other] = kept.sessions[..] else { panic!("there are two") };
    let at = kept.foreign(ours, "usage.charged", 2).await;
    let viewer = developer(kept.book);
    kept.commands.import(&viewer, record(&viewer, 9)).await.unwrap();
    let last = kept.say(other).await;
    let running = tokio::spawn(kept.runner.clone().run());
    kept.runner.wait_for(kept.book, last, SOON).await.expect("nobody waits for what stopped");
    for money in ["usage", "ledger"] {
        assert_eq!(kept.checkpoint(money).await, at - 1, "{money}");
    }
    assert_eq!(kept.checkpoint("sessions").await, last);
    let stopped: Vec<_> = kept.standing().await.into_iter().filter(|one| one.stops).collect();
    assert_eq!(stopped.iter().map(|one| one.projection.as_str()).collect::<Vec<_>>(), ["ledger", "usage"]);
    assert_eq!(number(&mut kept.db, "SELECT count(DISTINCT llm_call_id) FROM serving.ledger").await, 2);
    kept.assert_equal().await;

    // Trying again changes nothing here but that it was tried.
    let tried = kept.retry("ledger", at).await.unwrap();
    kept.runner.wait_for(kept.book, tried, SOON).await.unwrap();
    assert_eq!(kept.checkpoint("ledger").await, at - 1);

    let mut skipped = 0;
    for projection in ["usage", "ledger", "sessions", "timeline"] {
        skipped = kept.skip(projection, at).await.unwrap();
    }
    kept.runner.wait_for(kept.book, skipped, SOON).await.unwrap();
    running.abort();
    kept.catch_up().await;
    assert_eq!(kept.waiting().await, []);
    for projection in projections::all() {
        assert_eq!(kept.checkpoint(projection.name()).await, skipped, "{}", projection.name());
    }
    assert_eq!(number(&mut kept.db, "SELECT count(DISTINCT llm_call_id) FROM serving.ledger").await, 3);
    assert_eq!(number(&mut kept.db, "SELECT sum(amount_nanousd)::bigint FROM serving.ledger").await, 0);
    assert_eq!(kept.lines(ours).await, kept.events(ours).await - 1, "all but what was skipped");
    kept.assert_equal().await;
}

#[tokio::test]
async fn a_refused_row_is_found_among_many_and_waits_alone() {
    let mut kept = Kept::with_sessions(24).await;
    let mut refused = vec![];
    for (index, session) in kept.sessions.clone().into_iter().enumerate() {
        kept.say(session).await;
        let at = kept.say(session).await;
        kept.say(session).await;
        if index % 7 == 3 {
            refused.push((session, at));
        }
    }
    let positions: Vec<_> = refused.iter().map(|(_, at)| at.to_string()).collect();
    kept.refuse(&format!("position IN ({})", positions.join(", "))).await;
    kept.catch_up().await;
    let expected: Vec<_> = refused.iter().map(|(_, at)| ("timeline".to_owned(), *at)).collect();
    assert_eq!(kept.waiting().await, expected);
    for session in kept.sessions.clone() {
        let waits = if refused.iter().any(|(one, _)| *one == session) { 2 } else { 0 };
        assert_eq!(kept.lines(session).await, kept.events(session).await - waits);
    }
    kept.assert_equal().await;
}

#[tokio::test]
async fn what_can_be_taken_in_again_is_when_somebody_asks() {
    let mut kept = Kept::with_sessions(1).await;
    let ours = kept.sessions[0];
    let at = kept.say(ours).await;
    kept.refuse(&format!("position = {at}")).await;
    kept.catch_up().await;
    assert_eq!(kept.waiting().await, [("timeline".into(), at)]);
    let since = kept.standing().await[0].since;
    kept.retry("timeline", at).await.unwrap();
    kept.catch_up().await;
    assert_eq!(kept.waiting().await, [("timeline".into(), at)], "nothing has changed");
    assert_eq!(kept.standing().await[0].since, since, "it has waited all the time");

    kept.refuse_nothing().await;
    kept.say(ours).await;
    kept.catch_up().await;
    assert_eq!(kept.waiting().await, [("timeline".into(), at)], "nobody asked");
    kept.retry("timeline", at).await.unwrap();
    kept.catch_up().await;
    assert_eq!(kept.waiting().await, []);
    assert_eq!(kept.lines(ours).await, kept.events(ours).await);
    kept.assert_equal().await;
    let error = kept.retry("timeline", at).await.unwrap_err();
    assert!(matches!(error, CommandError::Quarantine(QuarantineError::Unknown { .. })), "{error}");
}

#[tokio::test]
async fn what_is_skipped_stays_out_of_what_serves_and_of_what_is_folded_anew() {
    let mut kept = Kept::with_sessions(2).await;
    let ours = kept.sessions[0];
    let at = kept.foreign(ours, "session.renamed", 1).await;
    kept.say(ours).await;
    kept.catch_up().await;
    // A name that nobody knows may concern everybody.
    assert_eq!(kept.waiting().await.len(), projections::all().len());
    for projection in projections::all() {
        kept.skip(projection.name(), at).await.unwrap();
    }
    kept.catch_up().await;
    assert_eq!(kept.waiting().await, []);
    assert_eq!(kept.lines(ours).await, kept.events(ours).await - 1);
    kept.assert_equal().await;
    // A partition that is folded anew leaves it out as well.
    let partition = Partition { book_id: kept.book, id: ours.uuid() };
    for projection in projections::all() {
        assert_eq!(kept.runner.rebuild_partition(projection.name(), partition).await.unwrap(), None);
    }
    kept.assert_equal().await;
    // Asked again, it is already so; and it is not tried again.
    let before = kept.commands.head(kept.book).await.unwrap();
    kept.skip("timeline", at).await.unwrap();
    assert_eq!(kept.commands.head(kept.book).await.unwrap(), before);
    let error = kept.retry("timeline", at).await.unwrap_err();
    assert!(matches!(error, CommandError::Quarantine(QuarantineError::Skipped { .. })), "{error}");
}

#[tokio::test]
async fn another_process_knows_what_waits_and_another_release_tries_it_once() {
    let mut kept = Kept::with_sessions(1).await;
    let ours = kept.sessions[0];
    let at = kept.say(ours).await;
    let charged = kept.foreign(ours, "usage.charged", 2).await;
    kept.refuse(&format!("position = {at}")).await;
    kept.catch_up().await;
    let waiting = kept.waiting().await;
    assert_eq!(waiting.len(), 4, "{waiting:?}");
    kept.refuse_nothing().await;
    kept.say(ours).await;
    kept.runner = kept.database.runner().await;
    kept.catch_up().await;
    assert_eq!(kept.waiting().await, waiting, "the same release has tried it");
    kept.assert_equal().await;

    kept.db.execute("UPDATE quarantine SET tried_by = '{an older release}'").await.unwrap();
    kept.runner = kept.database.runner().await;
    kept.catch_up().await;
    let left = [("ledger", charged), ("sessions", charged), ("timeline", charged), ("usage", charged)];
    assert_eq!(kept.waiting().await, left.map(|(name, at)| (name.to_owned(), at)), "the timeline came further");
    assert_eq!(number(&mut kept.db, "SELECT count(*) FROM quarantine WHERE cardinality(tried_by) = 2").await, 4);
    kept.assert_equal().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_that_comes_while_a_page_is_posted_is_carried_out() {
    let mut kept = Kept::with_sessions(1).await;
    let ours = kept.sessions[0];
    let at = kept.foreign(ours, "usage.charged", 2).await;
    kept.catch_up().await;
    assert_eq!(kept.checkpoint("ledger").await, at - 1);
    // Whoever posts next has to fold the timeline anew first, and somebody holds on to it.
    kept.db.execute("UPDATE quarantine SET tried_by = '{an older release}' WHERE NOT stops").await.unwrap();
    let schema = kept.schema("timeline").await;
    let mut holder = superuser(&kept.database).await;
    let hold = format!("BEGIN; LOCK TABLE {schema}.timeline IN EXCLUSIVE MODE");
    holder.execute(hold.as_str()).await.unwrap();
    let posting = tokio::spawn({
        let runner = kept.runner.clone();
        async move { runner.catch_up().await }
    });
    let waits = format!("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = '{schema}.timeline'::regclass");
    in_time(async { while number(&mut kept.db, &waits).await == 0 {} }).await;
    let ordered = kept.skip("ledger", at).await.unwrap();
    holder.execute("COMMIT").await.unwrap();
    in_time(posting).await.unwrap().unwrap();
    kept.catch_up().await;
    assert_eq!(kept.checkpoint("ledger").await, ordered, "nobody has to wake it once more");
    kept.assert_equal().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_runners_agree_while_events_that_nobody_can_read_come_in() {
    let mut kept = Kept::with_sessions(6).await;
    let second = kept.database.runner().await;
    let running = [&kept.runner, &second].map(|runner| tokio::spawn(runner.clone().run()));
    let mut random = Random::seeded(11);
    let names = [("message.received", 2), ("usage.charged", 2), ("run.requested", 3), ("mood.changed", 1)];
    let mut last = 0;
    for _ in 0..120 {
        let session = kept.sessions[random.below(6)];
        last = if random.once_in(12) {
            let (name, version) = names[random.below(names.len())];
            kept.foreign(session, name, version).await
        } else {
            kept.say(session).await
        };
        if random.once_in(10) {
            let standing = kept.standing().await;
            if !standing.is_empty() {
                let one = &standing[random.below(standing.len())];
                last = kept.skip(&one.projection, one.position).await.unwrap_or(last);
            }
        }
    }
    for runner in [&kept.runner, &second] {
        runner.wait_for(kept.book, last, SOON).await.unwrap();
    }
    running.iter().for_each(|task| task.abort());
    kept.catch_up().await;
    kept.assert_equal().await;
    // Everything is skipped in the end, one order after another, and every read model is there.
    while let Some(one) = kept.standing().await.first().cloned() {
        kept.skip(&one.projection, one.position).await.unwrap();
        kept.catch_up().await;
    }
    let head = kept.commands.head(kept.book).await.unwrap();
    for projection in projections::all() {
        assert_eq!(kept.checkpoint(projection.name()).await, head, "{}", projection.name());
    }
    kept.assert_equal().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_session_is_folded_anew_and_no_reader_sees_it_gone() {
    let mut kept = Kept::with_sessions(2).await;
    let ours = kept.sessions[0];
    let (expected, schema) = (kept.lines(ours).await, kept.schema("timeline").await);
    let reader = kept.database.reader().await;
    let book = kept.book;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let polling = tokio::spawn(async move {
        let (mut looks, mut stopped) = (0, std::pin::pin!(stopped));
        loop {
            let mut db = reader.book(book).await.unwrap();
            let lines = projections::timeline::list(&mut db, book, ours, 0, 100).await.unwrap();
            assert_eq!(lines.len() as i64, expected);
            looks += 1;
            if futures::future::FutureExt::now_or_never(&mut stopped).is_some() {
                return looks;
            }
        }
    });
    let tamper = format!("UPDATE {schema}.timeline SET title = 'forged' WHERE session_id = '{}'", ours.uuid());
    for _ in 0..30 {
        kept.db.execute(tamper.as_str()).await.unwrap();
        let partition = Partition { book_id: book, id: ours.uuid() };
        assert_eq!(kept.runner.rebuild_partition("timeline", partition).await.unwrap(), None);
    }
    stop.send(()).unwrap();
    assert!(in_time(polling).await.unwrap() > 0);
    kept.assert_equal().await;
    let unknown = kept.runner.rebuild_partition("moods", Partition { book_id: book, id: Uuid::nil() }).await;
    assert!(unknown.unwrap_err().to_string().contains("no projection moods"));
}
