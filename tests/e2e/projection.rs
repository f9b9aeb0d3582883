//! Read models from outside: how they fare, what they cannot take in, metrics and health.

use daybook_tests::{Client, Follower, Studio, http};
use serde_json::{Value, json};
use sqlx::{ConnectOptions, Executor, PgConnection, Row};

use crate::story::{self, Begun, START, eventually, request_id};

const STATUS: &str = "{ projections { name version releaseVersion build state condition position lagEvents lagSeconds \
    eventsPerSecond lastError failedAt workerId beatAt stoppedAt quarantined } }";
const QUARANTINE: &str = "query($first: Int! = 50, $after: String) { projectionQuarantine(first: $first, after: $after) { \
    pageInfo { hasNextPage endCursor } nodes { projection build position eventType eventVersion streamId sessionId \
    payload error since stops } } }";
const RETRY: &str = "mutation($input: QuarantineRetryInput!) { quarantineRetry(input: $input) { standing position } }";
const SKIP: &str = "mutation($input: QuarantineSkipInput!) { quarantineSkip(input: $input) { standing position } }";
const REBUILD: &str = "mutation($input: ProjectionRebuildPartitionInput!) { \
    projectionRebuildPartition(input: $input) { waitsAt } }";

async fn superuser(studio: &Studio) -> PgConnection {
    studio.database.options.connect().await.unwrap()
}

async fn schema(db: &mut PgConnection, projection: &str) -> String {
    let build = sqlx::query("SELECT schema_name FROM builds WHERE projection = $1 AND state = 'serving'");
    build.bind(projection).fetch_one(db).await.unwrap().get("schema_name")
}

/// Lets the serving table of a projection refuse rows.
async fn refuse(db: &mut PgConnection, projection: &str, condition: &str) {
    let schema = schema(db, projection).await;
    let sql = format!("ALTER TABLE {schema}.{projection} ADD CONSTRAINT refused CHECK (NOT ({condition}))");
    db.execute(sql.as_str()).await.unwrap();
}

async fn refuse_nothing(db: &mut PgConnection, projection: &str) {
    let schema = schema(db, projection).await;
    db.execute(format!("ALTER TABLE {schema}.{projection} DROP CONSTRAINT refused").as_str()).await.unwrap();
}

/// A session whose run is over.
async fn over(client: &Client) -> Begun {
    let begun = story::begin(client, "hello").await;
    let mut follower = Follower::open(client, &begun.session, None).await;
    follower.until_event("run.completed").await;
    // Whoever follows hears of an event before the read models show it.
    story::session_after(client, &begun, &follower).await;
    begun
}

async fn waiting(client: &Client) -> Vec<Value> {
    let mut answer = client.ask(QUARANTINE, json!({})).await;
    serde_json::from_value(answer["projectionQuarantine"]["nodes"].take()).unwrap()
}

async fn status(client: &Client, name: &str) -> Value {
    let answer = client.ask(STATUS, json!({})).await;
    let mut all = answer["projections"].as_array().unwrap().iter();
    all.find(|one| one["name"] == name).unwrap().clone()
}

async fn get(client: &Client, path: &str, headers: &str) -> (u16, String) {
    let answer = http::exchange(&client.address, "GET", path, headers, "").await.unwrap();
    (answer.status, answer.body)
}

#[tokio::test]
async fn what_cannot_be_taken_in_is_listed_tried_again_and_skipped() {
    let studio = Studio::open().await;
    let client = &studio.client;
    let mut db = superuser(&studio).await;
    refuse(&mut db, "timeline", "event_type = 'run.completed'").await;
    let (first, second) = (over(client).await, over(client).await);
    eventually("both sessions wait", async || waiting(client).await.len() == 2).await;
    let listed = waiting(client).await;
    assert_eq!([&listed[0]["sessionId"], &listed[1]["sessionId"]], [&json!(first.session), &json!(second.session)]);
    assert_eq!((&listed[0]["eventType"], &listed[0]["stops"]), (&json!("run.completed"), &json!(false)));
    assert!(listed[0]["error"].as_str().unwrap().contains("violates check constraint"), "{}", listed[0]);
    assert!(serde_json::from_str::<Value>(listed[0]["payload"].as_str().unwrap()).unwrap().is_object());
    let page = client.ask(QUARANTINE, json!({ "first": 1 })).await["projectionQuarantine"].take();
    assert_eq!(page["pageInfo"]["hasNextPage"], true);
    let after = json!({ "first": 1, "after": page["pageInfo"]["endCursor"] });
    assert_eq!(client.ask(QUARANTINE, after).await["projectionQuarantine"]["nodes"][0], listed[1]);
    let timeline = status(client, "timeline").await;
    assert_eq!(
        (&timeline["condition"], &timeline["quarantined"], &timeline["lagEvents"]),
        (&"CURRENT".into(), &2.into(), &0.into())
    );
    assert!(timeline["lastError"].as_str().unwrap().contains("check constraint") && timeline["failedAt"].is_string());
    assert!(timeline["workerId"].as_str().unwrap().starts_with("worker:") && timeline["beatAt"].is_string());
    assert_eq!(get(client, "/health", "").await, (200, "ok\n".into()));

    let order = |position: &Value| json!({ "requestId": request_id(), "projection": "timeline", "position": position });
    let retry = json!({ "input": order(&listed[0]["position"]) });
    let tried = client.ask(RETRY, retry.clone()).await;
    assert_eq!(tried["quarantineRetry"]["standing"], true, "nothing has changed");
    assert_eq!(client.ask(RETRY, retry).await, tried, "the same request has the same answer");
    refuse_nothing(&mut db, "timeline").await;
    let tried = client.ask(RETRY, json!({ "input": order(&listed[0]["position"]) })).await;
    assert_eq!(tried["quarantineRetry"]["standing"], false);
    let mut skip = order(&listed[1]["position"]);
    skip["reason"] = " ".into();
    assert_eq!(client.refusal(SKIP, json!({ "input": skip })).await.0, "BAD_INPUT");
    skip["reason"] = "only a test".into();
    assert_eq!(client.ask(SKIP, json!({ "input": skip })).await["quarantineSkip"]["standing"], false);
    assert_eq!(waiting(client).await, [] as [Value; 0]);
    let (code, _) = client.refusal(RETRY, json!({ "input": order(&listed[0]["position"]) })).await;
    assert_eq!(code, "NOT_FOUND");
    let (code, _) = client.refusal(RETRY, json!({ "input": order(&"nonsense".into()) })).await;
    assert_eq!(code, "BAD_CURSOR");

    let rebuild = |partition: Value| json!({ "input": { "projection": "timeline", "partition": partition } });
    let rebuilt = client.ask(REBUILD, rebuild(json!({ "sessionId": second.session }))).await;
    assert_eq!(rebuilt["projectionRebuildPartition"]["waitsAt"], Value::Null);
    assert_eq!(client.refusal(REBUILD, rebuild(json!({ "streamId": "nonsense" }))).await.0, "BAD_ID");
    let said = studio.say(&["rebuild", "timeline", "--session", &first.session]).await;
    assert!(said.contains("folded anew"), "{said}");
    studio.say(&["rebuild", "--check"]).await;
    let nobody = Client { cookie: String::new(), ..client.clone() };
    assert_eq!(nobody.refusal(STATUS, json!({})).await.0, "UNAUTHENTICATED");
    assert_eq!(nobody.refusal(QUARANTINE, json!({})).await.0, "UNAUTHENTICATED");
}

#[tokio::test]
async fn money_that_stopped_is_seen_everywhere_and_stops_nothing_else() {
    let studio = Studio::open().await;
    let client = &studio.client;
    let mut db = superuser(&studio).await;
    refuse(&mut db, "ledger", "amount_nanousd IS NOT NULL").await;
    over(client).await;
    eventually("the ledger stops", async || status(client, "ledger").await["condition"] == "STOPPED").await;
    let begun = over(client).await;
    assert_eq!(story::session(client, &begun).await["latestRun"]["outcome"], "SUCCEEDED");
    let listed = waiting(client).await;
    assert_eq!((listed.len(), &listed[0]["stops"]), (1, &json!(true)));
    assert_eq!(status(client, "ledger").await["stoppedAt"], listed[0]["position"]);
    assert_eq!(get(client, "/health", "").await.0, 200, "a restart would cure nothing");
    let (_, metrics) = get(client, "/metrics", "").await;
    assert!(metrics.contains("daybook_projection_stopped{projection=\"ledger\",book=\"home\"} 1\n"), "{metrics}");

    let table = studio.say(&["projections"]).await;
    let line = table.lines().find(|line| line.starts_with("ledger") && line.contains(" home ")).unwrap();
    assert!(line.contains("STOPPED") && line.contains("violates check constraint"), "{table}");
    let json = studio.say(&["projections", "--json"]).await;
    let all: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(all.iter().any(|one| one["projection"] == "ledger" && one["condition"] == "stopped"), "{json}");
    let output = studio.daybook(&["projections", "quarantine"]).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("ledger stopped at"), "{said}");
    let position = listed[0]["position"].as_str().unwrap().split_once('-').unwrap().1;
    assert_eq!(studio.daybook(&["projections", "retry", "ledger", position]).await.status.code(), Some(1));
    refuse_nothing(&mut db, "ledger").await;
    let said = studio.say(&["projections", "retry", "ledger", position]).await;
    assert!(said.contains("ledger goes on"), "{said}");
    assert!(studio.say(&["projections", "quarantine"]).await.contains("Nothing is in quarantine"));
    eventually("the ledger has caught up", async || status(client, "ledger").await["condition"] == "CURRENT").await;
    let unknown = studio.daybook(&["projections", "skip", "ledger", position, "--reason", "why not"]).await;
    assert_eq!(unknown.status.code(), Some(3));
    crate::proof::holds(&studio).await;
}

#[tokio::test]
async fn metrics_are_well_formed_and_only_for_this_machine_and_administrators() {
    let studio = Studio::open().await;
    let client = &studio.client;
    over(client).await;
    let (code, text) = get(client, "/metrics", "").await;
    assert_eq!(code, 200, "{text}");
    let mut families = std::collections::BTreeMap::new();
    let mut samples = 0;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(families.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} is told once");
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok_and(|value| value >= 0.0), "{line}");
            assert!(families.contains_key(name.split('{').next().unwrap()), "{line}");
            samples += 1;
        }
    }
    assert!(samples > 50, "{text}");
    assert_eq!(families["daybook_log_events_total"], "counter");
    for wanted in
        ["daybook_log_appends_total ", "daybook_projection_lag_seconds{projection=\"timeline\",book=\"home\"} 0\n"]
    {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    assert!(!text.contains(&studio.database.installation.home_book.uuid().to_string()), "no book is named");

    let passed_on = "X-Forwarded-For: 203.0.113.9\r\n";
    assert_eq!(get(client, "/metrics", passed_on).await.0, 403);
    let admin = format!("{passed_on}Cookie: {}\r\n", client.cookie);
    assert_eq!(get(client, "/metrics", &admin).await.0, 200);
}

#[tokio::test]
async fn what_was_begun_and_is_not_shown_yet_is_nothing_unknown() {
    let studio = Studio::open().await;
    // As a later release leaves it that is gone: no process posts to the build that serves.
    let left = "UPDATE builds SET version = version + 1 WHERE projection = 'sessions'";
    superuser(&studio).await.execute(left).await.unwrap();
    let start = json!({ "input": { "requestId": request_id(), "text": "hello" } });
    for _ in 0..2 {
        let (code, message) = studio.client.refusal(START, start.clone()).await;
        assert_eq!(code, "NOT_YET_VISIBLE", "{message}");
    }
}

#[tokio::test]
async fn health_trips_on_a_stall_that_lasts_and_names_it() {
    let studio = Studio::with(&[("DAYBOOK_STALL_AFTER", "1")]).await;
    let client = &studio.client;
    over(client).await;
    assert_eq!(get(client, "/health", "").await, (200, "ok\n".into()));
    // Whoever holds the book's lock keeps every runner from posting.
    let mut db = superuser(&studio).await;
    let book = studio.database.installation.home_book.uuid();
    let lock = format!("hashtextextended('{book}', 0)");
    db.execute(format!("SELECT pg_advisory_lock({lock})").as_str()).await.unwrap();
    let input = json!({ "requestId": request_id(), "text": "hello" });
    let answer = client.send(START, json!({ "input": input })).await.unwrap();
    assert_eq!(answer["errors"][0]["extensions"]["code"], "NOT_YET_VISIBLE", "{answer}");
    eventually("the stall is told", async || get(client, "/health", "").await.0 == 503).await;
    let (_, why) = get(client, "/health", "").await;
    assert!(why.contains("timeline has stood still for"), "{why}");
    db.execute(format!("SELECT pg_advisory_unlock({lock})").as_str()).await.unwrap();
    eventually("it has recovered", async || get(client, "/health", "").await == (200, "ok\n".into())).await;
}

#[tokio::test]
async fn health_says_that_the_database_is_gone_and_that_it_is_back() {
    let studio = Studio::open().await;
    let client = &studio.client;
    let name = studio.database.options.get_database().unwrap().to_owned();
    let mut db = studio.database.options.clone().database("postgres").connect().await.unwrap();
    db.execute(format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false").as_str()).await.unwrap();
    let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    eventually("the server is cut off", async || {
        db.execute(end.as_str()).await.unwrap();
        get(client, "/health", "").await.0 == 503
    })
    .await;
    assert!(get(client, "/health", "").await.1.contains("the database"));
    db.execute(format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true").as_str()).await.unwrap();
    eventually("the server is back", async || get(client, "/health", "").await == (200, "ok\n".into())).await;
}
