//! Erasing a session: from the terminal, over the API, across a crash, and while others look on.

use std::path::PathBuf;

use daybook_tests::{Follower, Studio};
use serde_json::{Value, json};
use sqlx::{ConnectOptions, Executor, PgConnection, Row};

use crate::proof;
use crate::story::{self, Begun};

const ERASE: &str = "mutation($input: SessionEraseInput!) { sessionErase(input: $input) { \
    session { title erasedAt runs { id } files { path } } erasedEvents position } }";
/// What keeps its content.
const KEPT: [&str; 8] = [
    "spend.reserved",
    "usage.metered",
    "usage.charged",
    "reservation.settled",
    "reservation.released",
    "content.erased",
    "run.erased",
    "workspace.erased",
];

fn erasure(begun: &Begun) -> Value {
    json!({ "input": { "requestId": story::request_id(), "id": begun.session, "reason": "asked for" } })
}

/// A session whose run is over, and everything that was seen of it.
async fn ended(studio: &Studio) -> (Begun, Follower) {
    let begun = story::begin(&studio.client, "hello").await;
    let mut follower = Follower::open(&studio.client, &begun.session, None).await;
    follower.until_event("run.completed").await;
    story::session_after(&studio.client, &begun, &follower).await;
    (begun, follower)
}

async fn owner(studio: &Studio) -> PgConnection {
    studio.database.options.connect().await.unwrap()
}

/// How many events of the viewer's book still have content that is to go.
async fn left(db: &mut PgConnection) -> i64 {
    let sql =
        "SELECT count(*) FROM events WHERE session_id IS NOT NULL AND payload IS NOT NULL AND event_type <> ALL ($1)";
    let kept: Vec<String> = KEPT.map(str::to_owned).to_vec();
    sqlx::query(sql).bind(kept).fetch_one(db).await.unwrap().get(0)
}

fn workspaces(studio: &Studio) -> Vec<PathBuf> {
    let folder = std::fs::read_dir(studio.folder.path().join("data/workspaces"));
    folder.map(|entries| entries.map(|entry| entry.unwrap().path()).collect()).unwrap_or_default()
}

async fn whole(studio: &Studio) {
    let verified = studio.say(&["audit", "verify"]).await;
    assert!(verified.contains("of them erased, the chain holds") && !verified.contains("not yet"), "{verified}");
    studio.say(&["rebuild", "--check"]).await;
    proof::ledger_sums_to_zero(studio).await;
}

#[tokio::test]
async fn the_terminal_says_what_would_go_and_then_erases_it() {
    let mut studio = Studio::open().await;
    studio.stop().await;
    studio.say(&["run", "demo", "--yes"]).await;
    let mut db = owner(&studio).await;
    let listed: Value = serde_json::from_str(studio.say(&["sessions", "--json"]).await.trim()).unwrap();
    let id = listed["id"].as_str().unwrap();
    let before = left(&mut db).await;
    assert!(before > 20 && workspaces(&studio).len() == 1);
    let erase = ["erase", "--session", id, "--reason", "asked for"];
    let rehearsed = studio.say(&[&erase[..], &["--dry-run", "--json"]].concat()).await;
    let rehearsed: Value = serde_json::from_str(rehearsed.trim()).unwrap();
    assert_eq!((&rehearsed["erased"], &rehearsed["plan"]["events"]), (&false.into(), &before.into()));
    assert!(rehearsed["plan"]["blobs"].as_u64().unwrap() > 0, "the files' versions: {rehearsed}");
    assert!(rehearsed["rows"]["timeline"].as_u64().unwrap() > 20, "{rehearsed}");
    assert!(studio.say(&[&erase[..], &["--dry-run"]].concat()).await.contains("would lose their content"));
    assert_eq!(left(&mut db).await, before, "a rehearsal changes nothing");

    let file = |name: &str| studio.folder.path().join(name).to_string_lossy().into_owned();
    let (record, proof) = (file("before.jsonl"), file("before.tlog-proof"));
    let first = studio.say(&["timeline", id, "--json"]).await;
    let first: Value = serde_json::from_str(first.lines().next().unwrap()).unwrap();
    let position = first["position"].to_string();
    studio.say(&["export", "--session", id, "--out", &record]).await;
    studio.say(&["audit", "prove", &position, "--out", &proof]).await;

    assert!(studio.say(&erase).await.contains("its costs stay"));
    assert_eq!(left(&mut db).await, 0);
    assert_eq!(workspaces(&studio), Vec::<PathBuf>::new());
    assert!(studio.say(&["sessions"]).await.contains("(erased)"));
    let timeline = studio.say(&["timeline", id]).await;
    assert!(timeline.contains("Content erased") && timeline.contains("Usage charged"), "{timeline}");
    // What was written before still holds, and so does what is written now.
    let (record_now, proof_now) = (file("after.jsonl"), file("after.tlog-proof"));
    studio.say(&["export", "--session", id, "--out", &record_now]).await;
    studio.say(&["audit", "prove", &position, "--out", &proof_now]).await;
    for holds in [&record, &proof, &proof_now] {
        studio.say(&["audit", "verify", holds]).await;
    }
    let told = studio.say(&["audit", "verify", &record_now]).await;
    assert!(told.contains(&format!("{before} of them have no payload: it was erased")), "{told}");
    let read = |file: &str| std::fs::read_to_string(file).unwrap();
    assert!(read(&record).contains("roman.py") && !read(&record_now).contains("roman.py"));

    let again: Value = serde_json::from_str(studio.say(&[&erase[..], &["--json"]].concat()).await.trim()).unwrap();
    assert_eq!(again["plan"]["events"], 0);
    let unknown = "session:01900000-0000-7000-8000-000000000001";
    let refused = studio.daybook(&["erase", "--session", unknown, "--reason", "asked for"]).await;
    assert_eq!(refused.status.code(), Some(3));
    studio.restart().await;
    whole(&studio).await;
}

#[tokio::test]
async fn whoever_follows_an_erased_session_sees_what_kind_of_thing_happened_and_nothing_more() {
    let studio = Studio::open().await;
    let (begun, mut follower) = ended(&studio).await;
    let bill = story::session(&studio.client, &begun).await["usage"].clone();
    let wanted = erasure(&begun);
    let first = studio.client.ask(ERASE, wanted.clone()).await;
    let session = &first["sessionErase"]["session"];
    assert_eq!(session["title"], "(erased)");
    assert!(
        session["erasedAt"].is_string() && session["runs"] == json!([]) && session["files"] == json!([]),
        "{session}"
    );
    assert!(first["sessionErase"]["erasedEvents"].as_u64().unwrap() > 5);
    let erased = follower.until_event("content.erased").await;
    assert_eq!(erased.payload["reason"], "asked for");
    assert_eq!(studio.client.ask(ERASE, wanted).await, first, "the same request gets the first answer");
    assert_eq!(studio.client.ask(ERASE, erasure(&begun)).await["sessionErase"]["erasedEvents"], 0);
    // Somebody who comes now gets every event, proved by `prev`, and no content.
    let mut late = Follower::open(&studio.client, &begun.session, None).await;
    late.until_event("content.erased").await;
    assert_eq!(late.events.len(), follower.events.len());
    for (seen, event) in follower.events.iter().zip(&late.events) {
        assert_eq!((&seen.position, &seen.kind, &seen.run), (&event.position, &event.kind, &event.run));
        assert_eq!(event.payload.is_null(), !KEPT.contains(&event.kind.as_str()), "{event:?}");
    }
    let input = json!({ "requestId": story::request_id(), "sessionId": begun.session, "text": "go on" });
    assert_eq!(studio.client.refusal(story::SEND, json!({ "input": input })).await.0, "ERASED");
    assert_eq!(story::session(&studio.client, &begun).await["usage"], bill, "its costs stay");
    whole(&studio).await;
}

#[tokio::test]
async fn a_session_that_works_is_not_erased_and_one_that_is_erased_beside_the_server_is_forgotten_there() {
    let studio = Studio::open().await;
    let begun = story::begin(&studio.client, "demo").await;
    let mut follower = Follower::open(&studio.client, &begun.session, None).await;
    follower.until_event("approval.requested").await;
    let (code, words) = studio.client.refusal(ERASE, erasure(&begun)).await;
    assert_eq!(code, "CONFLICT");
    assert!(words.contains("cancel it before"), "{words}");
    let cancel = json!({ "requestId": story::request_id(), "runId": begun.run, "reason": "enough" });
    studio.client.ask(story::CANCEL, json!({ "input": cancel })).await;
    assert_eq!(workspaces(&studio).len(), 1);
    studio.say(&["erase", "--session", &begun.session, "--reason", "asked for"]).await;
    follower.until_event("content.erased").await;
    story::session_when(&studio.client, &begun, |session| session["title"] == "(erased)").await;
    let retry = "mutation($input: RunRetryInput!) { runRetry(input: $input) { position } }";
    let input = json!({ "requestId": story::request_id(), "runId": begun.run });
    assert_eq!(studio.client.refusal(retry, json!({ "input": input })).await.0, "ERASED");
    story::eventually("its files are gone", async || workspaces(&studio).is_empty()).await;
    whole(&studio).await;
}

/// The log says that the session is erased; then the server dies, before it has removed anything.
#[tokio::test]
async fn a_server_that_died_before_it_removed_anything_does_so_when_it_starts_again() {
    let mut studio = Studio::open().await;
    let (begun, _) = ended(&studio).await;
    let mut db = owner(&studio).await;
    let before = left(&mut db).await;
    db.execute("REVOKE EXECUTE ON FUNCTION erase_content FROM daybook_writer").await.unwrap();
    assert_eq!(studio.client.refusal(ERASE, erasure(&begun)).await.0, "INTERNAL");
    studio.kill().await;
    assert_eq!(left(&mut db).await, before);
    let verified = studio.say(&["audit", "verify"]).await;
    assert!(verified.contains("still have content: not yet completed"), "{verified}");
    db.execute("GRANT EXECUTE ON FUNCTION erase_content TO daybook_writer").await.unwrap();
    studio.restart().await;
    story::eventually("the content is gone", async || left(&mut db).await == 0).await;
    story::session_when(&studio.client, &begun, |session| session["title"] == "(erased)").await;
    whole(&studio).await;
}
