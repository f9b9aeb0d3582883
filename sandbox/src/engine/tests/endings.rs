//! Whatever ends a command ends all it started.

use std::io::BufRead;
use std::process::Stdio;

use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use super::*;
use crate::probe::until_gone;

/// Names the folder in which the helper process holds a sandbox open.
const HELPER: &str = "DAYBOOK_SANDBOX_TEST_HELPER";
/// Names what the helper process is to have in its sandbox's arguments.
const TOKEN: &str = "DAYBOOK_SANDBOX_TEST_TOKEN";

#[tokio::test]
async fn the_wall_time_kills_the_whole_tree() {
    let (_folder, spec) = sandbox();
    let token = token("wall");
    let script = format!("sh -c 'sleep 1000; : {token}' & setsid sh -c 'sleep 1000; : {token}' & wait");
    let exec = Exec { timeout: Duration::from_millis(400), ..sh(&script) };
    let done = run(engine().await, &spec, exec).await;
    assert_eq!((done.end, done.exit_code), (End::TimedOut, None));
    assert!(done.duration < Duration::from_secs(3), "{:?}", done.duration);
    assert!(until_gone(&token).await);
}

#[tokio::test]
async fn cancelling_kills_the_whole_tree() {
    let (_folder, spec) = sandbox();
    let (token, cancel) = (token("cancel"), CancellationToken::new());
    let mut sink = |_, _| cancel.cancel();
    let script = format!("(sleep 1000; : {token}) & echo ready; sleep 1000; : {token}");
    let done = engine().await.exec(&spec, sh(&script), &mut sink, &cancel).await.unwrap();
    assert_eq!(done.end, End::Cancelled);
    assert!(until_gone(&token).await);
}

#[tokio::test]
async fn dropping_the_future_kills_the_whole_tree() {
    let (_folder, spec) = sandbox();
    let (token, ready) = (token("drop"), CancellationToken::new());
    let mut alive = false;
    let mut sink = |_, _| {
        alive = !processes_with(&token).is_empty();
        ready.cancel();
    };
    let (exec, never) = (sh(&format!("echo ready; sleep 1000; : {token}")), CancellationToken::new());
    tokio::select! {
        _ = engine().await.exec(&spec, exec, &mut sink, &never) => unreachable!("it sleeps"),
        () = ready.cancelled() => (),
    }
    assert!(alive);
    assert!(until_gone(&token).await);
}

#[tokio::test]
async fn the_tree_dies_when_the_launcher_is_killed() {
    let (folder, _spec) = sandbox();
    let mut helper = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "engine::tests::endings::helper_holds_a_sandbox_open", "--nocapture"])
        .env(HELPER, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(helper.stdout.take().unwrap()));
    let token = lines.find_map(|line| Some(line.unwrap().split_once("inside ")?.1.to_owned())).unwrap();
    assert!(!processes_with(&token).is_empty());
    // Its threads come and go meanwhile; only the death of the process may end the tree.
    helper.kill().unwrap();
    helper.wait().unwrap();
    assert!(until_gone(&token).await);
}

/// Not a test of its own: the test above runs this very binary with only this, and then kills it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn helper_holds_a_sandbox_open() {
    let Ok(folder) = std::env::var(HELPER) else {
        return;
    };
    let spec = spec_of(Path::new(&folder));
    let token = token("helper");
    let mut sink = |_, _| println!("inside {token}");
    let exec = sh(&format!("setsid sh -c 'sleep 1000; : {token}' & echo ready; sleep 1000; : {token}"));
    let _ = engine().await.exec(&spec, exec, &mut sink, &CancellationToken::new()).await;
}

/// A sandbox outlives the runtime thread that asked for it: only the spawner thread forks.
#[test]
fn the_end_of_a_runtime_thread_does_not_end_a_sandbox() {
    let (_folder, spec) = sandbox();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let asking = async {
        let exec = Exec { stdin: Some(vec![]), ..sh("read line; echo alive") };
        crate::engine::spawn::launch(engine().await, &spec, &exec).await.unwrap()
    };
    let mut launched = std::thread::scope(|scope| scope.spawn(|| runtime.block_on(asking)).join().unwrap());
    let mut said = String::new();
    runtime.block_on(async {
        drop(launched.kept.0.stdin.take());
        launched.kept.0.stdout.take().unwrap().read_to_string(&mut said).await.unwrap();
    });
    assert_eq!(said, "alive\n");
}

/// bubblewrap alone loses its inner process when it is killed while it sets up. Cancelled at any moment of
/// that, nothing may be left by the time the answer comes.
#[tokio::test]
async fn cancelling_during_the_set_up_leaves_nothing() {
    const MOMENTS: u32 = 60;
    let (_folder, spec) = sandbox();
    let bare = ProcessEngine::detect().unwrap().without_cgroups();
    for moment in 0..MOMENTS {
        let (token, cancel) = (token("early"), CancellationToken::new());
        let exec = sh(&format!("sleep 1000; : {token}"));
        let mut sink = |_, _| ();
        let running = bare.exec_unproven(&spec, exec, &mut sink, &cancel);
        let cancelling = async {
            let _ = timeout(Duration::from_micros(200) * moment, std::future::pending::<()>()).await;
            cancel.cancel();
        };
        let (done, ()) = tokio::join!(running, cancelling);
        assert_eq!(done.unwrap().end, End::Cancelled);
        assert_eq!(processes_with(&token), [0_u32; 0], "moment {moment}");
    }
}

/// The same when Daybook itself is killed during the set-up.
#[tokio::test]
async fn the_death_of_the_launcher_during_the_set_up_leaves_nothing() {
    const MOMENTS: u32 = 12;
    for moment in 0..MOMENTS {
        let (folder, _spec) = sandbox();
        let token = token("death");
        let mut helper = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "engine::tests::endings::helper_begins_a_sandbox", "--nocapture"])
            .env(HELPER, folder.path())
            .env(TOKEN, &token)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = std::io::BufReader::new(helper.stdout.take().unwrap());
        assert!(output.lines().any(|line| line.unwrap().contains("beginning")));
        let delay = Duration::from_micros(700) * moment;
        let _ = timeout(delay, std::future::pending::<()>()).await;
        helper.kill().unwrap();
        helper.wait().unwrap();
        assert!(until_gone(&token).await, "moment {moment}");
    }
}

/// Not a test of its own: the test above runs this very binary with only this, and then kills it.
#[tokio::test]
async fn helper_begins_a_sandbox() {
    let (Ok(folder), Ok(token)) = (std::env::var(HELPER), std::env::var(TOKEN)) else {
        return;
    };
    let spec = spec_of(Path::new(&folder));
    let bare = ProcessEngine::detect().unwrap().without_cgroups();
    println!("beginning");
    let exec = sh(&format!("sleep 1000; : {token}"));
    let _ = bare.exec_unproven(&spec, exec, &mut |_, _| (), &CancellationToken::new()).await;
}
