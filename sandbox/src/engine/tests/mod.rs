//! The engine, tried for real on this machine.

mod endings;
mod limits;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::*;
use crate::probe::processes_with;

static ENGINE: OnceCell<ProcessEngine> = OnceCell::const_new();

/// An engine whose quick probe has held, shared by all tests.
pub(crate) async fn engine() -> &'static ProcessEngine {
    ENGINE
        .get_or_init(|| async {
            let engine = ProcessEngine::detect().unwrap();
            let report = engine.probe_quick().await;
            assert_eq!(report.verdict(), Verdict::Holds, "{report:#?}");
            engine
        })
        .await
}

pub(crate) fn sandbox() -> (TempDir, Spec) {
    let folder = tempfile::tempdir().unwrap();
    let spec = spec_of(folder.path());
    (folder, spec)
}

fn spec_of(folder: &Path) -> Spec {
    let root = rustix::process::geteuid().is_root();
    let uid = root.then(|| uid_for(&folder.to_string_lossy()));
    prepare_workspace(folder, uid).unwrap();
    Spec { workspace: folder.to_owned(), limits: Limits::default(), uid }
}

pub(crate) fn sh(script: &str) -> Exec {
    Exec { argv: vec!["sh".into(), "-c".into(), script.into()], timeout: Duration::from_secs(30), ..Exec::default() }
}

fn python(script: &str) -> Exec {
    Exec { argv: vec![PYTHON.into(), "-c".into(), script.into()], timeout: Duration::from_secs(30), ..Exec::default() }
}

async fn run(engine: &ProcessEngine, spec: &Spec, exec: Exec) -> Finished {
    engine.exec(spec, exec, &mut |_, _| (), &CancellationToken::new()).await.unwrap()
}

/// A number that no other process of this machine has in its arguments.
fn token(name: &str) -> String {
    format!("{name}-{}-{:?}", std::process::id(), Instant::now()).replace(|c: char| !c.is_alphanumeric(), "")
}

#[tokio::test]
async fn a_command_gives_its_exit_code_and_its_streams_as_they_come() {
    let (_folder, spec) = sandbox();
    let mut seen = Vec::new();
    let mut sink = |stream, bytes: Vec<u8>| seen.push((stream, bytes));
    let exec = sh("echo out; echo err >&2; exit 7");
    let done = engine().await.exec(&spec, exec, &mut sink, &CancellationToken::new()).await.unwrap();
    assert_eq!((done.exit_code, done.signal, done.end), (Some(7), None, End::Exited));
    assert_eq!((done.stdout.as_slice(), done.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
    assert!(seen.contains(&(Stream::Stdout, b"out\n".to_vec())) && seen.contains(&(Stream::Stderr, b"err\n".to_vec())));
}

#[tokio::test]
async fn a_command_reads_what_it_is_fed() {
    let (_folder, spec) = sandbox();
    let large = vec![b'x'; 300_000];
    let exec = Exec { stdin: Some(large.clone()), ..sh("cat") };
    assert_eq!(run(engine().await, &spec, exec).await.stdout, large);
    let ignoring = Exec { stdin: Some(large), ..sh("true") };
    assert_eq!(run(engine().await, &spec, ignoring).await.exit_code, Some(0));
}

#[tokio::test]
async fn a_signal_is_told_from_an_exit() {
    let (_folder, spec) = sandbox();
    let done = run(engine().await, &spec, sh("kill -9 $$")).await;
    assert_eq!((done.exit_code, done.signal, done.end), (Some(137), Some(9), End::Exited));
}

#[tokio::test]
async fn a_program_that_is_not_there_is_an_error() {
    let (_folder, spec) = sandbox();
    let exec = Exec { argv: vec!["no-such-program".into()], ..sh("") };
    let error = engine().await.exec(&spec, exec, &mut |_, _| (), &CancellationToken::new()).await.unwrap_err();
    assert!(matches!(&error, EngineError::Launch(message) if message.contains("no-such-program")), "{error}");
}

#[tokio::test]
async fn bad_commands_folders_and_variables_are_refused() {
    let (_folder, spec) = sandbox();
    let engine = engine().await;
    let bad = [
        Exec { argv: vec![], ..sh("") },
        Exec { argv: vec!["a\0b".into()], ..sh("") },
        Exec { env: vec![("A=B".into(), "c".into())], ..sh("") },
        Exec { cwd: Some("../x".into()), ..sh("") },
        Exec { cwd: Some("/etc".into()), ..sh("") },
    ];
    for exec in bad {
        let text = format!("{exec:?}");
        assert!(engine.exec(&spec, exec, &mut |_, _| (), &CancellationToken::new()).await.is_err(), "{text}");
    }
}

#[tokio::test]
async fn nothing_runs_before_a_probe_has_held() {
    let (_folder, spec) = sandbox();
    let fresh = ProcessEngine::detect().unwrap();
    let error = fresh.exec(&spec, sh("true"), &mut |_, _| (), &CancellationToken::new()).await.unwrap_err();
    assert!(matches!(error, EngineError::Unproven));
}

#[tokio::test]
async fn the_environment_is_clean_and_variables_stay_out_of_the_process_list() {
    let (_folder, spec) = sandbox();
    let secret = token("secret");
    let exec = Exec { env: vec![("GIVEN".into(), secret.clone())], ..sh("env | sort; cat /proc/1/environ") };
    let mut seen = None;
    let mut sink = |_, _| seen = Some(processes_with(&secret));
    let done = engine().await.exec(&spec, exec, &mut sink, &CancellationToken::new()).await.unwrap();
    let expected =
        format!("GIVEN={secret}\nHOME=/workspace\nLANG=C.UTF-8\nPATH=/usr/local/bin:/usr/bin:/bin\nPWD=/workspace\n");
    assert_eq!(String::from_utf8_lossy(&done.stdout), expected);
    assert_eq!(seen, Some(vec![]));
}

#[tokio::test]
async fn a_command_starts_in_the_folder_asked_for() {
    let (folder, spec) = sandbox();
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    let exec = Exec { cwd: Some("sub".into()), ..sh("pwd") };
    assert_eq!(run(engine().await, &spec, exec).await.stdout, b"/workspace/sub\n");
}

#[test]
fn a_workspace_has_always_the_same_uid_in_range() {
    assert_eq!(uid_for("a"), uid_for("a"));
    assert_ne!(uid_for("a"), uid_for("b"));
    assert!((0..1000).all(|n| (FIRST_UID..=LAST_UID).contains(&uid_for(&n.to_string()))));
}

/// Prints the cost of a sandbox against a bare fork and exec; asserts only that it is not absurd.
#[tokio::test]
async fn cold_start_is_close_to_a_bare_start() {
    const RUNS: u32 = 20;
    let (_folder, spec) = sandbox();
    let engine = engine().await;
    let started = Instant::now();
    for _ in 0..RUNS {
        assert!(Command::new("/usr/bin/true").status().unwrap().success());
    }
    let bare = started.elapsed() / RUNS;
    let started = Instant::now();
    for _ in 0..RUNS {
        run(engine, &spec, Exec { argv: vec!["/usr/bin/true".into()], ..sh("") }).await;
    }
    let cold = started.elapsed() / RUNS;
    println!("bare {bare:?}, sandbox {cold:?}, ratio {:.1}", cold.as_secs_f64() / bare.as_secs_f64());
    assert!(cold < Duration::from_secs(1));
}

#[test]
fn a_workspace_that_the_uid_cannot_reach_is_refused_with_its_reason() {
    use std::os::unix::fs::PermissionsExt;
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let closed = tempfile::tempdir().unwrap();
    std::fs::set_permissions(closed.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let refused = prepare_workspace(&closed.path().join("workspace"), Some(FIRST_UID));
    assert!(matches!(refused, Err(EngineError::WorkspaceUnreachable(_))));
    assert!(matches!(prepare_workspace(closed.path(), Some(0)), Err(EngineError::UidMissing)));
}

/// Whoever runs many sandboxes spawns these futures, so they must move between threads.
#[tokio::test]
async fn every_future_may_move_between_threads() {
    fn moves<T: Send>(future: T) -> T {
        future
    }
    let (_folder, spec) = sandbox();
    let (engine, cancel) = (engine().await, CancellationToken::new());
    let mut sink = |_, _| ();
    assert!(moves(engine.exec(&spec, sh("true"), &mut sink, &cancel)).await.is_ok());
    drop(moves(engine.probe_quick()));
    drop(moves(engine.probe_full()));
    let context = crate::tools::ToolContext { engine: Some(engine), spec: &spec };
    let arguments = serde_json::Value::Null;
    let call = crate::tools::call(&context, "bash", &arguments, &mut sink, &cancel);
    drop(moves(call));
}
