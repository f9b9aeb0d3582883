//! Rebuilds through the binary: on the command line, over GraphQL, and after a kill.

use std::process::Stdio;
use std::time::Duration;

use commands::ids::new_id;
use commands::log::{Append, Context, StreamAppend};
use daybook_tests::{Client, Database, Studio, upgrade};
use domain::RequestId;
use domain::run::{RunEvent, TestsSkipped};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use sqlx::{ConnectOptions, Executor, Row};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::story::eventually;

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/examples/off-by-one.traj");
const WATCHDOG: Duration = Duration::from_secs(300);
const REBUILD: &str = "mutation($id: ID!, $name: String!) { \
    projectionRebuild(input: { requestId: $id, name: $name }) { name } }";
const UNDO: &str = "mutation($id: ID!, $name: String!) { \
    projectionRebuildUndo(input: { requestId: $id, name: $name }) { name } }";
const CANCEL: &str = "mutation($id: ID!, $name: String!) { \
    projectionRebuildCancel(input: { requestId: $id, name: $name }) { cancelled } }";
const PROGRESS: &str = "subscription { projectionRebuildProgress(name: \"timeline\") { \
    name version build phase eventsDone eventsTotal eventsPerSecond percent etaSeconds } }";

/// What stands in the log about rebuilds, oldest first: type, projection and build.
async fn recorded(database: &Database) -> Vec<(String, String, i64)> {
    let sql = "SELECT event_type, payload ->> 'projection' AS projection, (payload ->> 'build')::bigint AS build \
               FROM events WHERE event_type LIKE 'rebuild.%' ORDER BY position";
    let rows = sqlx::query(sql).fetch_all(&database.pool).await.unwrap();
    rows.iter().map(|row| (row.get("event_type"), row.get("projection"), row.get("build"))).collect()
}

async fn count(database: &Database, sql: &str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&database.pool).await.unwrap()
}

fn of(recorded: &[(String, String, i64)], projection: &str) -> Vec<(String, i64)> {
    let own = recorded.iter().filter(|(_, of, _)| of == projection);
    own.map(|(kind, _, build)| (kind.trim_start_matches("rebuild.").to_owned(), *build)).collect()
}

fn steps(steps: &[(&str, i64)]) -> Vec<(String, i64)> {
    steps.iter().map(|(kind, build)| ((*kind).to_owned(), *build)).collect()
}

#[tokio::test]
async fn the_command_line_rebuilds_checks_undoes_and_says_no() {
    let studio = Studio::idle().await;
    studio.say(&["import", EXAMPLE]).await;
    let shown = studio.say(&["timeline", &session(&studio).await]).await;
    let said = studio.say(&["rebuild", "--all", "--json"]).await;
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let phases: Vec<_> = lines.iter().filter_map(|line| line["phase"].as_str()).collect();
    for phase in ["reading", "indexing", "catching_up", "comparing", "switched"] {
        assert!(phases.contains(&phase), "{phase}: {said}");
    }
    let same = studio.say(&["rebuild", "--check", "--json"]).await;
    assert!(same.lines().count() > 8 && same.lines().all(|line| line.contains("\"equal\":true")), "{same}");
    assert_eq!(studio.say(&["timeline", &session(&studio).await]).await, shown);
    studio.say(&["rebuild", "--undo", "timeline"]).await;
    assert_eq!(studio.say(&["timeline", &session(&studio).await]).await, shown);
    let recorded = recorded(&studio.database).await;
    assert_eq!(of(&recorded, "timeline"), steps(&[("started", 2), ("compared", 2), ("switched", 2), ("undone", 1)]));
    assert_eq!(of(&recorded, "ledger"), steps(&[("started", 2), ("compared", 2), ("switched", 2)]));
    let nobody = "SELECT count(*) FROM events WHERE event_type IN ('rebuild.started', 'rebuild.undone') \
                  AND actor_id NOT LIKE 'user:%'";
    assert_eq!(count(&studio.database, nobody).await, 0, "whoever has the data folder is somebody");
    for (arguments, code, words) in [
        (&["rebuild", "--cancel", "timeline"][..], 1, "nothing is being rebuilt"),
        (&["rebuild", "nothing"], 3, "there is no read model nothing"),
        (&["rebuild", "--undo", "nothing"], 1, "there is no projection named nothing"),
        (&["rebuild"], 2, "required"),
        (&["rebuild", "timeline", "--all"], 2, "cannot be used with"),
    ] {
        let output = studio.daybook(arguments).await;
        let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        assert!(output.status.code() == Some(code) && text.contains(words), "{arguments:?}: {text}");
    }
}

async fn session(studio: &Studio) -> String {
    let listed: Value = serde_json::from_str(studio.say(&["sessions", "--json"]).await.trim()).unwrap();
    listed["id"].as_str().unwrap().to_owned()
}

/// Enough events that a rebuild takes several cuts.
async fn many(database: &Database) {
    let log = database.log().await;
    for _ in 0..12 {
        let event: domain::Event = RunEvent::from(TestsSkipped { reason: "none were asked for".into() }).into();
        let (stream_id, session) = (new_id::<()>().uuid(), new_id::<()>().uuid());
        let stream = StreamAppend { stream_id, expected: 0, session_id: Some(session), events: vec![event; 5_000] };
        let context = Context { actor_id: "test".into(), correlation_id: None, causation_id: None };
        let (book_id, occurred_at) = (database.installation.home_book, log.now());
        log.append(Append { book_id, request: None, context, occurred_at, streams: vec![stream] }).await.unwrap();
    }
}

#[tokio::test]
async fn after_a_kill_the_next_rebuild_goes_on_with_the_same_build() {
    let studio = Studio::idle().await;
    many(&studio.database).await;
    studio.say(&["rebuild", "--check", "--json"]).await;
    let arguments = ["rebuild", "timeline", "--json"];
    let mut command = studio.command();
    let mut child = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(WATCHDOG, lines.next_line()).await.unwrap().unwrap().unwrap();
    child.kill().await.unwrap();
    assert!(line.contains("\"phase\":\"reading\""), "{line}");
    let left = "SELECT count(*) FROM builds WHERE state IN ('rebuilding', 'following')";
    assert_eq!(sqlx::query_scalar::<_, i64>(left).fetch_one(&studio.database.pool).await.unwrap(), 1);
    studio.say(&arguments).await;
    let check = studio.say(&["rebuild", "--check", "--json"]).await;
    assert!(check.lines().all(|line| line.contains("\"equal\":true")), "{check}");
    let builds = "SELECT string_agg(build || state, ' ' ORDER BY build) FROM builds WHERE projection = 'timeline'";
    let builds: String = sqlx::query_scalar(builds).fetch_one(&studio.database.pool).await.unwrap();
    assert_eq!(builds, "1retired 2serving");
    assert_eq!(of(&recorded(&studio.database).await, "timeline").first(), Some(&("started".to_owned(), 2)));
}

fn asked(request: RequestId, name: &str) -> Value {
    json!({ "id": request.to_string(), "name": name })
}

/// The phases that a rebuild of the timeline goes through, until it serves.
async fn follow(client: &Client) -> Vec<String> {
    let socket = TcpStream::connect(&client.address).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(upgrade(client), socket).await.unwrap();
    for message in [
        json!({ "type": "connection_init" }),
        json!({ "id": "1", "type": "subscribe", "payload": { "query": PROGRESS } }),
    ] {
        socket.send(Message::text(message.to_string())).await.unwrap();
    }
    let mut phases: Vec<String> = vec![];
    while phases.last().is_none_or(|last| last != "SWITCHED") {
        let message = tokio::time::timeout(WATCHDOG, socket.next()).await.expect("progress comes").unwrap().unwrap();
        let Message::Text(text) = message else { continue };
        let message: Value = serde_json::from_str(&text).unwrap();
        assert!(message["type"] != "error" && message["payload"]["errors"].is_null(), "{message}");
        let progress = &message["payload"]["data"]["projectionRebuildProgress"];
        if let Some(phase) = progress["phase"].as_str() {
            assert_eq!((&progress["name"], &progress["build"]), (&"timeline".into(), &2.into()));
            assert!(progress["eventsDone"].as_i64() <= progress["eventsTotal"].as_i64(), "{progress}");
            phases.push(phase.to_owned());
        }
    }
    phases
}

#[tokio::test]
async fn the_api_rebuilds_once_per_request_and_shows_how_it_goes_on() {
    let studio = Studio::open().await;
    studio.say(&["import", EXAMPLE]).await;
    let (client, request) = (&studio.client, new_id());
    let following = tokio::spawn({
        let client = client.clone();
        async move { follow(&client).await }
    });
    assert_eq!(client.ask(REBUILD, asked(request, "timeline")).await["projectionRebuild"]["name"], "timeline");
    let phases = following.await.unwrap();
    assert_eq!(phases.last().map(String::as_str), Some("SWITCHED"), "{phases:?}");
    client.ask(REBUILD, asked(request, "timeline")).await;
    let undo = new_id();
    for _ in 0..2 {
        client.ask(UNDO, asked(undo, "timeline")).await;
    }
    assert_eq!(client.ask(CANCEL, asked(new_id(), "timeline")).await["projectionRebuildCancel"]["cancelled"], false);
    let expected = steps(&[("started", 2), ("compared", 2), ("switched", 2), ("undone", 1)]);
    tokio::time::timeout(WATCHDOG, async {
        while of(&recorded(&studio.database).await, "timeline") != expected {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("each happened once, and is written down");
    for kind in ["started", "undone"] {
        let by = format!("SELECT count(*) FROM events WHERE event_type = 'rebuild.{kind}' AND actor_id LIKE 'user:%'");
        assert_eq!(count(&studio.database, &by).await, 1, "{kind}");
    }
    assert_eq!(client.refusal(REBUILD, asked(new_id(), "nothing")).await.0, "NOT_FOUND");
    let stranger = Client { cookie: String::new(), ..client.clone() };
    for mutation in [REBUILD, UNDO, CANCEL] {
        assert_eq!(stranger.refusal(mutation, asked(new_id(), "timeline")).await.0, "UNAUTHENTICATED");
    }
}

#[tokio::test]
async fn a_rebuild_is_given_up_once_per_request_and_it_is_on_record_by_whom() {
    let studio = Studio::open().await;
    studio.say(&["import", EXAMPLE]).await;
    let (client, database) = (&studio.client, &studio.database);
    let serving = "SELECT schema_name FROM builds WHERE projection = 'timeline' AND state = 'serving'";
    let serving: String = sqlx::query_scalar(serving).fetch_one(&database.pool).await.unwrap();
    let mut db = database.options.connect().await.unwrap();
    db.execute(format!("UPDATE {serving}.timeline SET title = 'forged'").as_str()).await.unwrap();
    let differs = async || {
        let output = studio.daybook(&["rebuild", "timeline"]).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.code() == Some(1) && said.contains("differs from what serves"), "{said}");
    };
    let following = "SELECT count(*) FROM builds WHERE state = 'following'";
    differs().await;
    let request = new_id();
    let cancelled = async |request| {
        client.ask(CANCEL, asked(request, "timeline")).await["projectionRebuildCancel"]["cancelled"].take()
    };
    assert_eq!(cancelled(request).await, true);
    assert_eq!(count(database, following).await, 0);
    differs().await;
    assert_eq!(cancelled(request).await, true, "it has its first answer");
    assert_eq!(count(database, following).await, 1, "and the rebuild that was begun since goes on");
    assert_eq!(cancelled(new_id()).await, true);
    assert_eq!(count(database, following).await, 0);
    let by = "SELECT count(*) FROM events WHERE event_type = 'rebuild.cancelled' AND actor_id LIKE 'user:%'";
    eventually("both are on record", async || count(database, by).await == 2).await;
}

#[tokio::test]
async fn a_deployment_that_was_interrupted_is_tried_again() {
    let mut studio = Studio::open().await;
    studio.say(&["import", EXAMPLE]).await;
    studio.stop().await;
    // What serves is of an earlier release, and whoever begins the next build loses its connection.
    let mut db = studio.database.options.connect().await.unwrap();
    db.execute(
        "UPDATE builds SET version = version - 1 WHERE projection = 'timeline'; \
         CREATE SEQUENCE tries; \
         CREATE FUNCTION crash() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN \
           PERFORM nextval('tries'); PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$; \
         CREATE TRIGGER crash BEFORE INSERT ON builds FOR EACH ROW EXECUTE FUNCTION crash()",
    )
    .await
    .unwrap();
    studio.restart().await;
    let tried = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM tries";
    eventually("it is tried", async || sqlx::query_scalar::<_, i64>(tried).fetch_one(&mut db).await.unwrap() > 0).await;
    db.execute("DROP TRIGGER crash ON builds").await.unwrap();
    let serves = "SELECT count(*) FROM builds WHERE projection = 'timeline' AND state = 'serving' AND build = 2";
    eventually("the next build serves", async || count(&studio.database, serves).await == 1).await;
}
