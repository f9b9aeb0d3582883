//! The promises of the private PostgreSQL: it runs while somebody needs it, and not longer, whoever is killed.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests, and a test may fail so")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use support::{Data, Holder, eventually, is_root, kill, processes, query};

fn guard_of(data: &Data) -> i32 {
    let command = format!("__postgres-guard {}", data.path.display());
    eventually("there is a guard", || processes(&command).first().copied())
}

#[test]
fn the_last_one_out_stops_it_and_the_data_stay() {
    let data = Data::new();
    let first = data.holder();
    let folder = first.ready();
    query(&folder, "create table kept as select 42 as answer").unwrap();
    first.leave();
    data.wait_for_stop();
    assert!(!folder.exists(), "the socket's folder is removed");

    let second = data.holder();
    assert_eq!(query(&second.ready(), "select answer from kept").unwrap(), "42");
    second.leave();
}

#[test]
fn the_first_may_leave_before_the_second() {
    let data = Data::new();
    let first = data.holder();
    let folder = first.ready();
    let second = data.holder();
    assert_eq!(second.ready(), folder);
    let server = data.server().unwrap();
    first.leave();
    assert_eq!(query(&folder, "select 1").unwrap(), "1");
    assert_eq!(data.server(), Some(server));
    second.leave();
    data.wait_for_stop();
}

#[test]
fn a_killed_user_counts_as_gone() {
    let data = Data::new();
    let user = data.holder();
    user.ready();
    kill(user.pid());
    data.wait_for_stop();
}

#[test]
fn a_killed_server_comes_back() {
    let data = Data::new();
    let user = data.holder();
    let folder = user.ready();
    query(&folder, "create table kept as select 42 as answer").unwrap();
    let server = data.server().unwrap();
    kill(server);
    eventually("another server is ready", || data.server().filter(|pid| *pid != server));
    let answer = eventually("it answers", || query(&folder, "select answer from kept"));
    assert_eq!(answer, "42");
    user.leave();
    data.wait_for_stop();
}

#[test]
fn a_killed_guard_is_replaced() {
    let data = Data::new();
    let user = data.holder();
    let other = data.holder();
    user.ready();
    let folder = other.ready();
    let (guard, server) = (guard_of(&data), data.server().unwrap());
    kill(guard);
    eventually("another server is ready", || data.server().filter(|pid| *pid != server));
    eventually("it answers", || query(&folder, "select 1"));
    assert!(data.log().contains("received fast shutdown request"), "the old server was asked to stop");
    user.leave();
    assert_eq!(query(&folder, "select 1").unwrap(), "1");
    other.leave();
    data.wait_for_stop();
}

#[test]
fn four_first_starters_get_one_cluster() {
    let data = Data::new();
    let holders: Vec<Holder> = (0..4).map(|_| data.holder()).collect();
    let folders: Vec<_> = holders.iter().map(Holder::ready).collect();
    assert!(folders.iter().all(|folder| *folder == folders[0]));
    assert_eq!(data.log().matches("Success. You can now start").count(), 1, "one initdb");
    assert_eq!(data.log().matches("ready to accept connections").count(), 1, "one start");
    holders.into_iter().for_each(Holder::leave);
    data.wait_for_stop();
}

#[test]
fn whoever_comes_while_it_stops_gets_a_running_one() {
    let data = Data::new();
    let mut user = data.holder();
    user.ready();
    for _ in 0..10 {
        user.leave();
        user = data.holder();
        let folder = user.ready();
        assert_eq!(query(&folder, "select 1").unwrap(), "1");
    }
    user.leave();
    data.wait_for_stop();
}

#[test]
fn a_starter_killed_while_creating_leaves_the_way_free() {
    let data = Data::new();
    let first = data.holder();
    eventually("creation has begun", || data.path.join("postgres.new/base").exists().then_some(()));
    kill(first.pid());
    let second = data.holder();
    assert_eq!(query(&second.ready(), "select 1").unwrap(), "1");
    assert!(!data.path.join("postgres.new").exists());
    second.leave();
    data.wait_for_stop();
}

#[test]
fn killing_everything_at_once_loses_nothing() {
    let data = Data::new();
    let user = data.holder();
    let folder = user.ready();
    query(&folder, "create table kept as select 42 as answer").unwrap();
    let (guard, server) = (guard_of(&data), data.server().unwrap());
    [user.pid(), guard, server].into_iter().for_each(kill);
    let next = data.holder();
    assert_eq!(query(&next.ready(), "select answer from kept").unwrap(), "42");
    next.leave();
    data.wait_for_stop();
}

#[test]
fn a_stale_file_with_the_number_of_a_living_process_does_not_matter() {
    let data = Data::new();
    let user = data.holder();
    user.ready();
    let file = data.path.join("postgres/postmaster.pid");
    let content = fs::read_to_string(&file).unwrap();
    let server = data.server().unwrap().to_string();
    user.leave();
    data.wait_for_stop();
    fs::write(&file, content.replace(&server, &std::process::id().to_string())).unwrap();
    let next = data.holder();
    next.ready();
    next.leave();
    data.wait_for_stop();
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let data = Data::new();
    let user = data.holder();
    user.ready();
    user.leave();
    data.wait_for_stop();
    let settings = data.path.join("postgres/postgresql.conf");
    fs::write(&settings, "no_such_setting = 1\n").unwrap();
    let answer = data.holder().answer();
    assert!(answer.starts_with("refused PostgreSQL did not start"), "{answer}");
    assert!(data.log().contains("no_such_setting"));
}

#[test]
fn an_ordinary_user_has_a_cluster_too() {
    let data = Data::new();
    let user = data.holder_as_ordinary_user();
    let folder = user.ready();
    assert_eq!(query(&folder, "select current_user").unwrap(), "daybook");
    user.leave();
    eventually("the socket's folder is removed", || (!folder.exists()).then_some(()));
}

#[test]
fn a_folder_closed_to_the_server_is_refused_by_name() {
    if !is_root() {
        return;
    }
    let mut data = Data::new();
    let closed = data.root.join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    data.path = closed.join("data");
    let answer = data.holder().answer();
    assert!(answer.contains(&format!("cannot enter {}", closed.display())), "{answer}");
}

#[test]
fn other_files_are_not_overwritten() {
    let data = Data::new();
    fs::create_dir_all(data.path.join("postgres")).unwrap();
    fs::write(data.path.join("postgres/letter.txt"), "dear diary").unwrap();
    let answer = data.holder().answer();
    assert!(answer.contains("holds no database"), "{answer}");
}

#[test]
fn the_settings_are_durable_and_private() {
    let data = Data::new();
    let user = data.holder();
    let folder = user.ready();
    let show = |name: &str| query(&folder, &format!("show {name}")).unwrap();
    assert_eq!(show("fsync"), "on");
    assert_eq!(show("synchronous_commit"), "on");
    assert_eq!(show("full_page_writes"), "on");
    assert_eq!(show("listen_addresses"), "");
    assert_eq!(show("min_wal_size"), "1GB");
    assert_eq!(show("server_encoding"), "UTF8");
    let mode = fs::metadata(&folder).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    user.leave();
}
