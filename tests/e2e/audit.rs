//! Proofs through the binary: signed by a server, written by a command, verified offline by Daybook and by a program
//! that is not Daybook.

use std::path::{Path, PathBuf};
use std::process::Output;

use daybook_tests::{Client, Follower, Studio, binary};
use serde_json::{Value, json};
use sqlx::{ConnectOptions, Executor};
use tokio::process::Command;

use crate::story;

const BOOK: &str = "{ book { id position verifierKey checkpoint { position size root note signedAt } } }";
const SIGN: &str = "mutation { checkpointSign { checkpoint { position size note } } }";

/// A server with a session that is over, and the key of its book.
async fn served() -> (Studio, String) {
    let studio = Studio::open().await;
    work(&studio.client).await;
    let key = studio.client.ask(BOOK, json!({})).await["book"]["verifierKey"].as_str().unwrap().to_owned();
    (studio, key)
}

async fn work(client: &Client) {
    let begun = story::begin(client, "hello").await;
    Follower::open(client, &begun.session, None).await.until_event("run.completed").await;
}

/// Runs the binary where there is neither a database nor a data folder.
async fn offline(studio: &Studio, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command.arg("--data").arg(studio.folder.path().join("nowhere")).args(arguments);
    command.env("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing").output().await.unwrap()
}

/// Runs the verifier of docs/ that shares no code with Daybook.
async fn python(arguments: &[&str]) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/verify_proof.py");
    Command::new("python3").arg(script).args(arguments).output().await.unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn file(studio: &Studio, name: &str) -> (PathBuf, String) {
    let path = studio.folder.path().join(name);
    (path.clone(), path.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_proof_is_verified_offline_by_daybook_and_by_another_program() {
    let (studio, key) = served().await;
    let (path, proof) = file(&studio, "5.tlog-proof");
    studio.say(&["audit", "prove", "5", "--out", &proof]).await;
    let output = offline(&studio, &["audit", "verify", &proof, "--key", &key]).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("at position 5 of daybook/"), "{}", said(&output));
    let output = python(&[&proof, &key]).await;
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("holds: ") && said(&output).contains("at position 5 of daybook/"));

    // The proof goes on holding when the log has grown, also against the checkpoint that was kept at the time.
    let text = std::fs::read_to_string(&path).unwrap();
    let (kept, kept_name) = file(&studio, "kept.checkpoint");
    std::fs::write(&kept, text.split_once("\n\n").unwrap().1).unwrap();
    work(&studio.client).await;
    assert!(
        offline(&studio, &["audit", "verify", &proof, "--key", &key, "--checkpoint", &kept_name])
            .await
            .status
            .success()
    );
    assert!(python(&[&proof, &key, &kept_name]).await.status.success());
    assert!(offline(&studio, &["audit", "verify", &kept_name, "--key", &key]).await.status.success());

    let (tampered, tampered_name) = file(&studio, "tampered.tlog-proof");
    for (what, changed) in tamperings(&text) {
        assert_ne!(changed, text, "{what}");
        std::fs::write(&tampered, changed).unwrap();
        let output = python(&[&tampered_name, &key]).await;
        assert_eq!(output.status.code(), Some(1), "{what}: {}", said(&output));
        assert!(said(&output).contains("DOES NOT HOLD"), "{what}: {}", said(&output));
        let output = offline(&studio, &["audit", "verify", &tampered_name, "--key", &key]).await;
        assert_eq!(output.status.code(), Some(1), "{what}: {}", said(&output));
        assert!(said(&output).contains("DOES NOT HOLD"), "{what}: {}", said(&output));
    }
    // Nothing holds without the right key.
    let other = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    assert_eq!(python(&[&proof, other]).await.status.code(), Some(1));
    assert_eq!(offline(&studio, &["audit", "verify", &proof, "--key", other]).await.status.code(), Some(1));
    assert_eq!(offline(&studio, &["audit", "verify", &proof]).await.status.code(), Some(1));
    let output = studio.daybook(&["audit", "prove", "100000"]).await;
    assert_eq!(output.status.code(), Some(3), "there is no such position: {}", said(&output));
}

/// Every part of a proof, changed.
fn tamperings(text: &str) -> Vec<(&'static str, String)> {
    let lines: Vec<&str> = text.split('\n').collect();
    let with = |number: usize, line: String| {
        let mut lines: Vec<String> = lines.iter().map(|line| line.to_string()).collect();
        lines[number] = line;
        lines.join("\n")
    };
    let other_letter = |line: &str, at: usize| {
        let letter = if line.as_bytes()[at] == b'A' { "B" } else { "A" };
        format!("{}{letter}{}", &line[..at], &line[at + 1..])
    };
    let blank = lines.iter().position(|line| line.is_empty()).unwrap();
    let (extra, signature) = (lines[1], lines[blank + 5]);
    vec![
        ("the event", with(1, other_letter(extra, extra.len() / 2))),
        ("the event's book", with(1, other_letter(extra, 30))),
        ("the payload", with(1, other_letter(extra, extra.len() - 12))),
        ("the index", with(2, "index 5".into())),
        ("a hash", with(3, other_letter(lines[3], 9))),
        ("a hash less", with(3, lines[4].into())),
        ("a hash twice", with(3, format!("{}\n{}", lines[3], lines[3]))),
        ("the origin", with(blank + 1, other_letter(lines[blank + 1], 12))),
        ("the size", with(blank + 2, format!("{}0", lines[blank + 2]))),
        ("the root", with(blank + 3, other_letter(lines[blank + 3], 9))),
        ("the signature", with(blank + 5, other_letter(signature, signature.len() - 40))),
        ("no signature", lines[..blank + 5].join("\n")),
        ("nothing", String::new()),
    ]
}

#[tokio::test]
async fn a_server_signs_and_a_cut_tail_is_found_by_what_it_signed() {
    let (mut studio, key) = served().await;
    let signed = studio.client.ask(SIGN, json!({})).await["checkpointSign"]["checkpoint"].clone();
    let book = studio.client.ask(BOOK, json!({})).await["book"].clone();
    assert_eq!(book["checkpoint"]["note"], signed["note"]);
    assert_eq!((&book["checkpoint"]["position"], &book["position"]), (&signed["position"], &book["position"]));
    let (old, old_name) = file(&studio, "old.checkpoint");
    std::fs::write(&old, signed["note"].as_str().unwrap()).unwrap();
    assert!(studio.say(&["audit", "key"]).await.lines().any(|line| line == key), "the command shows the same key");

    // The log grows, and a clean end of the server signs it.
    work(&studio.client).await;
    studio.stop().await;
    let verified = studio.say(&["audit", "verify", "--checkpoint", &old_name]).await;
    assert!(verified.lines().filter(|line| line.contains("covered by a signed checkpoint")).count() == 2, "{verified}");

    let (_, proof) = file(&studio, "old-to-new.consistency");
    studio.say(&["audit", "consistency", &old_name, "--out", &proof]).await;
    let verify = ["audit", "verify", &proof, "--key", &key, "--checkpoint", &old_name];
    let output = offline(&studio, &verify).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let (new, new_name) = file(&studio, "new.checkpoint");
    let size =
        json(&studio.say(&["audit", "checkpoint", "--json", "--out", &new_name]).await)["size"].as_i64().unwrap();
    std::fs::write(&old, std::fs::read(&new).unwrap()).unwrap();
    assert_eq!(offline(&studio, &verify).await.status.code(), Some(1), "the proof is not about this checkpoint");

    // Whoever may do anything in the database cuts the log back to where it was, with everything that was made of it.
    let mut db = studio.database.options.connect().await.unwrap();
    let home = studio.database.installation.home_book.uuid();
    let back = signed["size"].as_i64().unwrap();
    for table in
        ["events WHERE position >", "signed_checkpoints WHERE size >", "trees WHERE size >", "tiles WHERE 0 <="]
    {
        db.execute(format!("DELETE FROM {table} {back} AND book_id = '{home}'").as_str()).await.unwrap();
    }
    let expected = format!("at position {}: the log was cut off", back + 1);
    for arguments in [&["audit", "verify"][..], &["audit", "verify", "--key", &key, "--checkpoint", &new_name]] {
        let output = studio.daybook(arguments).await;
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains(&expected), "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains(&format!("covers {size} events")), "{}", said(&output));
        assert!(
            said(&output).contains(&format!("unprotected after position {back}"))
                || said(&output).contains("all of it"),
            "{}",
            said(&output)
        );
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text.trim()).unwrap()
}
