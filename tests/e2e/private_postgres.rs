//! The private PostgreSQL: shared by the commands of one folder, gone with the last of them, however that one ended.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use daybook_tests::{Folder, binary};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::story::eventually;

/// Several times what creating a database takes on a busy machine.
const WATCHDOG: Duration = Duration::from_secs(180);

fn daybook(data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for name in ["DATABASE_URL", "DAYBOOK_MODEL_URL", "DAYBOOK_MODEL_NAME"] {
        command.env_remove(name);
    }
    command.arg("--data").arg(data).args(arguments);
    command
}

/// Runs a command that goes well, and answers what it says.
async fn say(data: &Path, arguments: &[&str]) -> String {
    let output = daybook(data, arguments).output();
    let output = tokio::time::timeout(WATCHDOG, output).await.expect("it ends in time").unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Everything that runs on behalf of a folder: what works in it, or was told of it.
fn living(data: &Path) -> Vec<String> {
    let wanted = data.to_string_lossy().into_owned();
    let processes = std::fs::read_dir("/proc").expect("Linux has /proc").filter_map(Result::ok);
    let of_it = processes.filter_map(|process| {
        let line = std::fs::read(process.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let works_there = std::fs::read_link(process.path().join("cwd")).is_ok_and(|folder| folder.starts_with(data));
        (works_there || line.contains(&wanted)).then_some(line)
    });
    of_it.collect()
}

async fn gone(data: &Path) {
    let began = Instant::now();
    eventually("everything of the folder has ended", async || living(data).is_empty()).await;
    println!("after the last one left, PostgreSQL was gone in {:.1} s", began.elapsed().as_secs_f64());
}

#[tokio::test]
async fn commands_at_once_share_one_postgresql_that_goes_with_the_last() {
    let folder = Folder::new();
    let data = folder.path().join("data");
    let long = daybook(&data, &["run", "hello", "--json"]).spawn().unwrap();
    let (sessions, verified) = tokio::join!(say(&data, &["sessions", "--json"]), say(&data, &["audit", "verify"]));
    assert!(sessions.lines().count() <= 1 && !verified.contains("BROKEN"), "{sessions}{verified}");
    let log = std::fs::read_to_string(data.join("postgres.log")).unwrap();
    assert_eq!(log.matches("ready to accept connections").count(), 1, "one server serves them all: {log}");
    let output = tokio::time::timeout(WATCHDOG, long.wait_with_output()).await.expect("it ends in time").unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    gone(&data).await;
    assert!(!data.join("postgres/postmaster.pid").exists(), "it stopped in good order");
    assert_eq!(say(&data, &["sessions", "--json"]).await.lines().count(), 1);
    gone(&data).await;
}

#[tokio::test]
async fn a_command_that_is_killed_leaves_no_postgresql_behind_and_loses_nothing() {
    let folder = Folder::new();
    let data = folder.path().join("data");
    let mut run = daybook(&data, &["run", "hello", "--json"]).spawn().unwrap();
    let mut lines = BufReader::new(run.stdout.take().unwrap()).lines();
    let first = tokio::time::timeout(WATCHDOG, lines.next_line()).await.expect("it begins in time").unwrap();
    assert!(first.unwrap().contains("session.started"));
    run.kill().await.unwrap();
    gone(&data).await;
    let listed = say(&data, &["sessions", "--json"]).await;
    assert_eq!(listed.lines().count(), 1, "{listed}");
    let verified = say(&data, &["audit", "verify"]).await;
    assert!(verified.contains("the chain holds") && !verified.contains("BROKEN"), "{verified}");
    // Work that the dead process had begun is taken up by the next one that works.
    say(&data, &["run", "hello", "--json"]).await;
    gone(&data).await;
}
