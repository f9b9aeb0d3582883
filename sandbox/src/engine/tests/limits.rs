//! Every limit, passed on purpose.

use super::*;

const MIB: u64 = 1024 * 1024;

#[tokio::test]
async fn endless_output_ends_at_its_limit() {
    let (_folder, mut spec) = sandbox();
    spec.limits.output = 100_000;
    let done = run(engine().await, &spec, sh("yes")).await;
    assert_eq!((done.end, done.truncated, done.stdout.len()), (End::OutputLimit, true, 100_000));
}

const HUNGRY: &str = "x=[]\nfor i in range(2048): x.append(bytearray(b'a'*1048576))";

#[tokio::test]
async fn memory_ends_at_its_limit() {
    let (_folder, mut spec) = sandbox();
    spec.limits.memory = 64 * MIB;
    let done = run(engine().await, &spec, python(HUNGRY)).await;
    assert_eq!(done.end, End::OutOfMemory, "{done:?}");
}

#[tokio::test]
async fn memory_is_watched_where_no_cgroup_keeps_it() {
    let (_folder, mut spec) = sandbox();
    spec.limits.memory = 64 * MIB;
    let bare = ProcessEngine::detect().unwrap().without_cgroups();
    let memory = bare.limits().into_iter().find(|limit| limit.name == "memory").unwrap();
    assert_eq!(memory.enforcement, Enforcement::Watched);
    let done = bare.exec_unproven(&spec, python(HUNGRY), &mut |_, _| (), &CancellationToken::new()).await.unwrap();
    assert_eq!(done.end, End::OutOfMemory, "{done:?}");
}

const FORKS: &str = "
import os, signal
made = 0
for i in range(200):
    try:
        if os.fork() == 0:
            signal.pause()
    except OSError:
        break
    made += 1
print(made)";

#[tokio::test]
async fn processes_end_at_their_limit_with_and_without_cgroups() {
    let (_folder, mut spec) = sandbox();
    spec.limits.processes = 40;
    let bare = ProcessEngine::detect().unwrap().without_cgroups();
    for engine in [engine().await, &bare] {
        let done = engine.exec_unproven(&spec, python(FORKS), &mut |_, _| (), &CancellationToken::new()).await.unwrap();
        let made: u64 = String::from_utf8_lossy(&done.stdout).trim().parse().unwrap();
        assert!((1..40).contains(&made), "{made}");
    }
}

#[tokio::test]
async fn the_disk_is_watched() {
    let (_folder, mut spec) = sandbox();
    spec.limits.disk = 8 * MIB;
    let script = "for i in 1 2 3 4; do head -c 4000000 /dev/zero > f$i; done; sleep 60";
    assert_eq!(run(engine().await, &spec, sh(script)).await.end, End::DiskLimit);
}

#[tokio::test]
async fn there_is_no_network() {
    let (_folder, spec) = sandbox();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = format!("import socket; socket.create_connection(('127.0.0.1', {port}), 2)");
    let done = run(engine().await, &spec, python(&script)).await;
    assert_eq!(done.exit_code, Some(1));
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn the_filters_have_the_size_their_rules_need() {
    let filters = crate::engine::seccomp::Filters::build().unwrap();
    assert!((300..500).contains(&(filters.deny.len() / 8)), "{}", filters.deny.len() / 8);
    assert!((10..=13).contains(&(filters.clone3.len() / 8)), "{}", filters.clone3.len() / 8);
}

#[test]
fn every_limit_says_how_truly_it_is_kept() {
    let names: Vec<_> = ProcessEngine::detect().unwrap().limits().iter().map(|limit| limit.name).collect();
    assert_eq!(names, ["memory", "cpu", "wall", "disk", "processes", "output", "network", "open_files", "tmp"]);
}
