//! A session or a book goes from one installation to another, is checked on the way, and is the same there.

use std::path::{Path, PathBuf};
use std::process::Output;

use daybook_tests::{Follower, Studio};
use domain::chain::Hash;
use domain::export::{EventLine, Line, Manifest};
use domain::proof::{Checkpoint, CheckpointKey, Leaf, node_hash, origin, prove_inclusion, root};
use serde_json::Value;
use sqlx::{ConnectOptions, Executor, Row};

use crate::proof::{self, count};
use crate::story;

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/examples/off-by-one.traj");
const VERIFIER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/verify_export.py");

/// What must be equal of a session wherever it was taken in, as queries over its read models.
const EQUAL: [(&str, &str); 6] = [
    ("timeline", "row_number() OVER (ORDER BY position), run_id, event_type, title, tool_call_id, occurred_at"),
    ("usage", "llm_call_id, run_id, model, calls, input_tokens, output_tokens, source, cost_nanousd, at"),
    ("ledger", "row_number() OVER (ORDER BY position, line), amount_nanousd, llm_call_id, model, price_id"),
    ("tool_calls", "to_jsonb(t) - 'book_id'"),
    ("runs", "to_jsonb(t) - 'book_id'"),
    ("sessions", "session_id, title, model, approval_policy, workspace_id, run_id, messages"),
];

/// The rows of a read model that belong to a session, as texts.
async fn rows(studio: &Studio, session: &str, table: &str, columns: &str) -> Vec<String> {
    let sql = format!("SELECT row({columns})::text AS line FROM serving.{table} t WHERE session_id = $1 ORDER BY 1");
    let id: uuid::Uuid = session.trim_start_matches("session:").parse().unwrap();
    let rows = sqlx::query(&sql).bind(id).fetch_all(&studio.database.pool).await.unwrap();
    rows.iter().map(|row| row.get("line")).collect()
}

/// The files of the one workspace there is.
async fn files(studio: &Studio) -> Vec<String> {
    let sql = "SELECT (to_jsonb(f) - 'book_id')::text AS line FROM serving.files f ORDER BY 1";
    let rows = sqlx::query(sql).fetch_all(&studio.database.pool).await.unwrap();
    rows.iter().map(|row| row.get("line")).collect()
}

async fn the_same(one: &Studio, other: &Studio, session: &str) {
    for (table, columns) in EQUAL {
        let (here, there) = (rows(one, session, table, columns).await, rows(other, session, table, columns).await);
        assert!(!here.is_empty(), "{table}");
        assert_eq!(here, there, "{table}");
    }
}

/// The log, its tree and its read models hold.
async fn sound(studio: &Studio) {
    studio.say(&["audit", "verify"]).await;
    studio.say(&["rebuild", "--check"]).await;
}

async fn newest_session(studio: &Studio) -> String {
    let listed = json(studio.say(&["sessions", "--json", "--limit", "1"]).await.trim());
    listed["id"].as_str().unwrap().to_owned()
}

/// Exports to a file of this name in the studio's folder.
async fn export(studio: &Studio, name: &str, what: &[&str]) -> PathBuf {
    let file = studio.folder.path().join(name);
    studio.say(&[&["export"], what, &["--out", file.to_str().unwrap()]].concat()).await;
    file
}

async fn import(studio: &Studio, file: &Path) -> Vec<Value> {
    studio.say(&["import", file.to_str().unwrap(), "--json"]).await.lines().map(json).collect()
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).expect("each line is JSON")
}

/// What the other program says.
async fn in_python(file: &Path, key: Option<&str>) -> Output {
    let mut command = tokio::process::Command::new("python3");
    command.arg(VERIFIER).arg(file).args(key).output().await.expect("python3 can be run")
}

async fn key_of(studio: &Studio) -> String {
    let keys = studio.say(&["audit", "key", "--json"]).await;
    let book = studio.database.installation.home_book.uuid().to_string();
    keys.split('"').find(|text| text.starts_with(&format!("daybook/{book}+"))).expect("it has a key").to_owned()
}

#[tokio::test]
async fn a_session_is_the_same_wherever_it_is_taken_in() {
    let (one, other, third) = (Studio::idle().await, Studio::idle().await, Studio::idle().await);
    one.say(&["run", "demo", "--yes"]).await;
    let session = newest_session(&one).await;
    let file = export(&one, "session.jsonl", &["--session", &session]).await;
    let key = key_of(&one).await;
    for studio in [&one, &other] {
        studio.say(&["audit", "verify", file.to_str().unwrap(), "--key", &key]).await;
    }
    assert!(in_python(&file, Some(&key)).await.status.success());
    assert!(other.say(&["audit", "verify", file.to_str().unwrap()]).await.contains("only the file itself names"));

    let first = import(&other, &file).await;
    assert_eq!((&first[0]["before"], &first[0]["session"]), (&false.into(), &session.as_str().into()));
    the_same(&one, &other, &session).await;
    assert_eq!(files(&one).await, files(&other).await);
    let charged = rows(&other, &session, "ledger", "origin, split_part(account, ':', 2)").await;
    assert!(charged.iter().all(|line| line.contains("imported")), "{charged:?}");
    let listed = json(other.say(&["sessions", "--json"]).await.trim());
    assert_eq!((&listed["origin"], &listed["importSource"]["format"]), (&"import".into(), &"daybook-export".into()));
    sound(&other).await;

    // Again changes nothing, and where it comes from it is refused.
    let position = proof::log(&other).await.len();
    assert_eq!(import(&other, &file).await[0]["before"], true);
    assert_eq!(proof::log(&other).await.len(), position);
    let refused = one.daybook(&["import", file.to_str().unwrap()]).await;
    assert_eq!(refused.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("is in this book already"));

    // What was taken in can be exported and taken in again.
    let file = export(&other, "again.jsonl", &["--session", &session]).await;
    import(&third, &file).await;
    the_same(&one, &third, &session).await;
    sound(&third).await;
}

#[tokio::test]
async fn the_same_range_under_the_same_checkpoint_is_the_same_file() {
    let studio = Studio::idle().await;
    studio.say(&["run", "hello", "--yes"]).await;
    let session = newest_session(&studio).await;
    let wholes: [&[&str]; 3] = [&["--session", &session], &["--book"], &["--book", "--from", "3", "--to", "9"]];
    for what in wholes {
        let one = std::fs::read(export(&studio, "one.jsonl", what).await).unwrap();
        let two = std::fs::read(export(&studio, "two.jsonl", what).await).unwrap();
        let said = studio.daybook(&[&["export"], what, &["--out", "-"]].concat()).await;
        assert!(one == two && one == said.stdout, "{what:?}");
        assert!(in_python(&studio.folder.path().join("one.jsonl"), None).await.status.success(), "{what:?}");
    }
    let left: Vec<_> =
        std::fs::read_dir(studio.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 4, "nothing but the client, the data and two files is left: {left:?}");
}

#[tokio::test]
async fn a_run_that_was_under_way_is_over_where_it_is_taken_in() {
    let (one, mut other) = (Studio::open().await, Studio::open().await);
    let begun = story::begin(&one.client, "demo").await;
    let mut follower = Follower::open(&one.client, &begun.session, None).await;
    // A model turn is under way, and money is set aside for it.
    follower.until_live("TEXT").await;
    let turn = export(&one, "turn.jsonl", &["--session", &begun.session]).await;
    let waiting = story::begin(&one.client, "count slowly").await;
    Follower::open(&one.client, &waiting.session, None).await.until_event("approval.requested").await;
    let question = export(&one, "question.jsonl", &["--session", &waiting.session]).await;
    for file in [&turn, &question] {
        import(&other, file).await;
    }
    let ended = |log: &[proof::Stored]| count(log, "run.cancelled");
    let before = proof::log(&other).await;
    assert_eq!(ended(&before), 2);
    // The workers of the server look for work, and do other work to its end; nothing of a record moves.
    let own = story::begin(&other.client, "hello").await;
    Follower::open(&other.client, &own.session, None).await.until_event("run.completed").await;
    other.stop().await;
    other.restart().await;
    let again = story::begin(&other.client, "hello").await;
    Follower::open(&other.client, &again.session, None).await.until_event("run.completed").await;
    let of_records = |log: Vec<proof::Stored>| {
        let ids = [&begun.session, &waiting.session].map(|id| id.trim_start_matches("session:").to_owned());
        log.into_iter().filter(|event| event.session.as_ref().is_some_and(|id| ids.contains(id))).count()
    };
    assert_eq!(of_records(proof::log(&other).await), of_records(before));
    // It brings the read models up to the log.
    sound(&other).await;
    let open = "SELECT count(*) AS n FROM serving.usage WHERE reserved_nanousd > 0";
    let open: i64 = sqlx::query(open).fetch_one(&other.database.pool).await.unwrap().get("n");
    assert_eq!(open, 0, "no money stays set aside");
}

#[tokio::test]
async fn a_book_is_taken_in_session_by_session_while_it_grows() {
    let (mut one, other) = (Studio::open().await, Studio::idle().await);
    one.say(&["import", EXAMPLE]).await;
    let begun = story::begin_trusted(&one.client, "demo").await;
    let mut follower = Follower::open(&one.client, &begun.session, None).await;
    for (number, kind) in [(1, "step.started"), (2, "step.completed"), (3, "run.completed")] {
        follower.until_event(kind).await;
        let file = export(&one, &format!("{number}.jsonl"), &["--book"]).await;
        other.say(&["audit", "verify", file.to_str().unwrap()]).await;
    }
    one.stop().await;
    let whole = export(&one, "whole.jsonl", &["--book"]).await;
    let single = export(&one, "single.jsonl", &["--session", &begun.session]).await;
    import(&other, &single).await;
    let taken = import(&other, &whole).await;
    assert_eq!(taken.len(), 2);
    let left_out: Vec<_> = taken.iter().filter(|line| !line["leftOut"].is_null()).collect();
    assert_eq!(left_out.len(), 1);
    assert_eq!(left_out[0]["session"], begun.session.as_str());
    for line in &taken {
        the_same(&one, &other, line["session"].as_str().unwrap()).await;
    }
    let position = proof::log(&other).await.len();
    import(&other, &whole).await;
    assert_eq!(proof::log(&other).await.len(), position, "again changes nothing");
    // A range holds what began within it.
    let late = export(&one, "late.jsonl", &["--book", "--from", "2"]).await;
    assert!(in_python(&late, None).await.status.success());
    sound(&other).await;
}

#[tokio::test]
async fn whatever_is_damaged_is_refused_and_its_line_is_named() {
    let (one, other) = (Studio::idle().await, Studio::idle().await);
    one.say(&["run", "hello", "--yes"]).await;
    let session = newest_session(&one).await;
    for (what, name) in [(&["--session", &session][..], "session.jsonl"), (&["--book"], "book.jsonl")] {
        let whole = std::fs::read_to_string(export(&one, name, what).await).unwrap();
        let lines: Vec<&str> = whole.split_inclusive('\n').collect();
        let last = lines.len();
        let swapped = [&lines[..3], &[lines[4], lines[3]], &lines[5..]].concat().concat();
        let damages: [(&str, String, usize); 9] = [
            ("manifest", whole.replacen("\"events\":", "\"events\":1", 1), 1),
            ("digest", whole.replacen("\"sha256\":\"", "\"sha256\":\"0", 1), 1),
            ("payload", whole.replacen("hello", "jello", 1), line_of(&whole, "hello")),
            ("deleted", [&lines[..2], &lines[3..]].concat().concat(), 3),
            ("doubled", [&lines[..3], &lines[2..]].concat().concat(), 4),
            ("swapped", swapped, 4),
            ("incomplete", lines[..last - 1].concat(), last),
            ("cut", whole[..whole.len() - 2].to_owned(), last),
            ("garbage", format!("{whole}and so on"), last + 1),
        ];
        for (damage, text, line) in damages {
            let file = one.folder.path().join(format!("{damage}-{name}"));
            std::fs::write(&file, text).unwrap();
            let path = file.to_str().unwrap();
            let verdict = other.daybook(&["audit", "verify", path]).await;
            let said = String::from_utf8_lossy(&verdict.stdout).into_owned();
            assert_eq!(verdict.status.code(), Some(1), "{damage}: {said}");
            assert!(said.contains(&format!("line {line}:")), "{damage} in line {line}: {said}");
            let refused = other.daybook(&["import", path]).await;
            let complaint = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert_eq!(refused.status.code(), Some(3), "{damage}: {complaint}");
            assert!(complaint.contains("nothing was written"), "{damage}: {complaint}");
            assert!(complaint.contains(&format!("line {line}:")), "{damage} in line {line}: {complaint}");
            assert!(!in_python(&file, None).await.status.success(), "{damage}");
        }
        // Whole, but signed by somebody else than the reader trusts.
        let book = origin(one.database.installation.home_book);
        let key = CheckpointKey::from_seed(&[9; 32]).verifier(&book).unwrap().to_string();
        let file = one.folder.path().join(name);
        let refused = other.daybook(&["audit", "verify", file.to_str().unwrap(), "--key", &key]).await;
        assert_eq!(refused.status.code(), Some(1));
        assert!(!in_python(&file, Some(&key)).await.status.success());
    }
    assert_eq!(proof::log(&other).await.len(), 0);
}

/// The first line, 1 and up, that contains a text.
fn line_of(whole: &str, text: &str) -> usize {
    whole.lines().position(|line| line.contains(text)).unwrap() + 1
}

#[tokio::test]
async fn what_this_release_does_not_know_is_refused_before_anything_is_written() {
    let (one, other) = (Studio::idle().await, Studio::idle().await);
    one.say(&["run", "demo", "--yes"]).await;
    let session = newest_session(&one).await;
    let whole = std::fs::read_to_string(export(&one, "session.jsonl", &["--session", &session]).await).unwrap();
    type Forgery = (&'static str, fn(&mut Leaf), &'static str);
    let forgeries: [Forgery; 2] = [
        ("later", |leaf| leaf.event_version = 99, "version 99 is unknown to this release"),
        ("other", |leaf| leaf.event_type = "user.registered".into(), "malformed"),
    ];
    for (name, forgery, reason) in forgeries {
        let file = one.folder.path().join(name);
        std::fs::write(&file, forged(&whole, 4, forgery)).unwrap();
        let path = file.to_str().unwrap();
        // It is signed and whole, so it holds; but it cannot be taken in.
        other.say(&["audit", "verify", path]).await;
        assert!(in_python(&file, None).await.status.success(), "{name}");
        let refused = other.daybook(&["import", path]).await;
        let complaint = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(3), "{name}: {complaint}");
        assert!(complaint.contains("nothing was written: line 4:") && complaint.contains(reason), "{complaint}");
    }
    assert_eq!(proof::log(&other).await.len(), 0);
    // With nothing changed the same file, signed by the same stranger, is taken in.
    let file = one.folder.path().join("same");
    std::fs::write(&file, forged(&whole, 4, |_| {})).unwrap();
    import(&other, &file).await;
    the_same(&one, &other, &session).await;
}

#[tokio::test]
async fn what_was_erased_still_proves_itself_and_cannot_be_taken_in() {
    let (one, other) = (Studio::idle().await, Studio::idle().await);
    one.say(&["run", "demo", "--yes"]).await;
    let session = newest_session(&one).await;
    let whole = export(&one, "whole.jsonl", &["--session", &session]).await;
    import(&other, &whole).await;
    // A record can be erased like what was done here.
    for studio in [&one, &other] {
        studio.say(&["erase", "--session", &session, "--reason", "asked for"]).await;
        sound(studio).await;
        for what in [&["--session", &session][..], &["--book"]] {
            let file = export(studio, "erased.jsonl", what).await;
            let said = json(studio.say(&["audit", "verify", file.to_str().unwrap(), "--json"]).await.trim());
            assert!(said["erased"].as_i64().unwrap() > 50, "{said}");
            assert!(in_python(&file, None).await.status.success());
            let text = std::fs::read_to_string(&file).unwrap();
            assert!(!text.contains("MMXXVI") && !text.contains("roman.py"), "nothing of the content is left");
        }
    }
    // The same file again is known, and brings nothing of it back.
    let mut db = other.database.options.connect().await.unwrap();
    db.execute("TRUNCATE blobs, erasing_blobs").await.unwrap();
    assert_eq!(import(&other, &whole).await[0]["before"], true);
    let blobs: i64 = sqlx::query("SELECT count(*) FROM blobs").fetch_one(&mut db).await.unwrap().get(0);
    assert_eq!(blobs, 0);
    let file = export(&one, "erased.jsonl", &["--session", &session]).await;
    let refused = Studio::idle().await.daybook(&["import", file.to_str().unwrap()]).await;
    let complaint = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(3), "{complaint}");
    assert!(complaint.contains("the payload was erased"), "{complaint}");
}

/// The export of the only session of a book with one line changed, in a log that a stranger made of it and signed.
fn forged(whole: &str, line: u64, forgery: fn(&mut Leaf)) -> String {
    let mut lines = whole.lines();
    let mut manifest = Manifest::parse(lines.next().unwrap().as_bytes()).unwrap();
    let mut lines: Vec<Line> = lines.map(|line| Line::parse(line.as_bytes()).unwrap()).collect();
    let mut leaves = vec![];
    for event in lines.iter_mut().filter_map(event_of) {
        if event.line == line {
            forgery(&mut event.event);
        }
        leaves.push(event.event.hash().unwrap());
    }
    fn node(leaves: &[Hash], level: u32, index: u64) -> Hash {
        match level {
            0 => leaves[usize::try_from(index).unwrap()],
            _ => node_hash(&node(leaves, level - 1, 2 * index), &node(leaves, level - 1, 2 * index + 1)),
        }
    }
    let size = leaves.len() as u64;
    let node = &mut |level, index| Ok::<_, ()>(node(&leaves, level, index));
    for (index, event) in (0..).zip(lines.iter_mut().filter_map(event_of)) {
        let proof = prove_inclusion(index, size, node).unwrap();
        *event = EventLine::proven(event.line, event.event.clone(), &proof.path);
    }
    let name = origin(domain::BookId::new(manifest.book_id));
    let stranger = CheckpointKey::from_seed(&[9; 32]);
    let checkpoint = Checkpoint { origin: name.clone(), size, root: root(size, node).unwrap() };
    manifest.checkpoint = checkpoint.sign(&stranger).unwrap();
    manifest.key = stranger.verifier(&name).unwrap().to_string();
    manifest.erased =
        lines.iter_mut().filter_map(event_of).filter(|event| event.event.payload.is_none()).count() as u64;
    let body: String = lines.iter().map(|line| format!("{}\n", text_of(line))).collect();
    let (before, after) = manifest.around_digest();
    let digest = commands::blobs::sha256(format!("{after}{body}").as_bytes()).to_string();
    format!("{before}{}{after}{body}", digest.trim_start_matches("sha256:"))
}

fn event_of(line: &mut Line) -> Option<&mut EventLine> {
    match line {
        Line::Event(event) => Some(event),
        Line::Blob(_) => None,
    }
}

fn text_of(line: &Line) -> String {
    match line {
        Line::Event(event) => event.to_json(),
        Line::Blob(blob) => blob.to_json(),
    }
}
