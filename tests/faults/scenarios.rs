//! The faults, one function each. Two loads append to the same books at once, so most faults hit one and spare the
//! other, which must go on.

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use commands::ids::new_id;
use daybook_tests::Folder;
use sqlx::Executor;
use uuid::Uuid;

use crate::driver::Load;
use crate::load;
use crate::oracle::{Verdict, everything_holds, judge};
use crate::place::{Db, Place, SEQUENCER, eventually, signal};
use crate::proxy::Proxy;
use crate::scoreboard::{self, Score};

/// How many acknowledgements come between two faults.
const BETWEEN: usize = 150;
/// The size of the disk that is filled: a new database takes a third of it.
const SMALL_DISK: &str = "size=192m";

/// How much is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Short,
    Full,
}

impl Form {
    fn times(self, short: usize, full: usize) -> usize {
        if self == Self::Short { short } else { full }
    }
}

/// A database with two loads on it.
struct Scene<'p> {
    place: &'p Place,
    db: Db,
    loads: [Load; 2],
    /// Names the books that the loads share.
    field: Uuid,
    form: Form,
    /// What became of loads that are over.
    over: Verdict,
}

/// What a scenario did.
struct Injected {
    times: usize,
    met: bool,
    remark: String,
}

/// Runs them all, or the one of this name, and prints the scoreboard.
pub async fn run(form: Form, only: Option<&str>) -> ExitCode {
    let place = Place::open().await;
    let mut scores = vec![];
    macro_rules! fault {
        ($name:literal, $clock:literal, $inject:expr) => {
            if only.is_none_or(|only| $name.contains(only)) {
                scores.push(scenario($name, &place, form, $clock, $inject).await);
            }
        };
    }
    fault!("process killed", "true", kill_processes);
    fault!("connections terminated", "true", terminate_backends);
    fault!("answer to COMMIT lost", "true", cut_connections);
    fault!("process paused", "true", pause_process);
    fault!("clocks jump", "jumping", jump_clocks);
    fault!("backend killed", "true", kill_backends);
    fault!("PostgreSQL killed", "true", kill_postgres);
    if only.is_none_or(|only| "disk full".contains(only)) {
        scores.push(small_disk(form).await);
    }
    place.close().await;
    if scoreboard::show(&scores) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn scenario(
    fault: &'static str,
    place: &Place,
    form: Form,
    clock: &'static str,
    inject: impl AsyncFnOnce(&mut Scene<'_>) -> Injected,
) -> Score {
    let begun = std::time::Instant::now();
    let db = place.database().await;
    let field = new_id::<()>().uuid();
    let loads = [Load::start(&db.url, field, clock), Load::start(&db.url, field, clock)];
    let mut scene = Scene { place, db, loads, field, form, over: Verdict::default() };
    scene.go_on().await;
    let injected = inject(&mut scene).await;
    let score = scene.finish(fault, injected).await;
    eprintln!("{fault}: {:.1} s", begun.elapsed().as_secs_f64());
    score
}

impl Scene<'_> {
    /// Both loads are answered again.
    async fn go_on(&self) {
        for load in &self.loads {
            load.more(BETWEEN).await;
        }
    }

    /// Lets a load end, and judges it.
    async fn end(&mut self, load: usize) {
        self.loads[load].stop().await;
        let verdict = judge(&self.db, &self.loads[load]).await;
        self.over.acknowledged += verdict.acknowledged;
        self.over.lost += verdict.lost;
        self.over.doubled += verdict.doubled;
    }

    /// Replaces the second load by one that reaches the database otherwise.
    async fn through(&mut self, url: &str) {
        self.end(1).await;
        self.loads[1] = Load::start(url, self.field, "true");
        self.go_on().await;
    }

    async fn finish(mut self, fault: &'static str, injected: Injected) -> Score {
        self.go_on().await;
        for load in 0..self.loads.len() {
            self.end(load).await;
        }
        let (Injected { times, met, remark }, over) = (injected, &self.over);
        let (acknowledged, lost, doubled) = (over.acknowledged, over.lost, over.doubled);
        let score = Score { fault, injected: times, acknowledged, lost, doubled, remark, met: met && times > 0 };
        // It has seen every checkpoint of this load, and finds out if one of them was of another log.
        everything_holds(&self.db, load::signer(self.field, self.loads[0].run)).await;
        score
    }
}

/// `kill -9` of one process and of the other, by turns; a successor goes on, and asks again what it died on.
async fn kill_processes(scene: &mut Scene<'_>) -> Injected {
    let times = scene.form.times(6, 60);
    for time in 0..times {
        let (dying, living) = (time % 2, (time + 1) % 2);
        scene.loads[dying].kill().await;
        scene.loads[living].more(BETWEEN).await;
        scene.loads[dying].more(BETWEEN).await;
    }
    Injected { times, met: true, remark: "kill -9 under load, a successor goes on".into() }
}

/// The server ends all connections of both.
async fn terminate_backends(scene: &mut Scene<'_>) -> Injected {
    let times = scene.form.times(20, 200);
    let mut ended = 0;
    let mut owner = scene.db.owner().await;
    for _ in 0..times {
        let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                      WHERE datname = current_database() AND pid <> pg_backend_pid()";
        ended += owner.execute(others).await.expect("the database answers").rows_affected();
        scene.loads[0].more(BETWEEN / 3).await;
    }
    let settled: usize = scene.loads.iter().map(|load| load.heard(|heard| heard.landed + heard.not_landed)).sum();
    let remark = format!("{ended} connections ended, {settled} of them during an append");
    Injected { times, met: settled > 0, remark }
}

/// The connection breaks after COMMIT and before its answer, within a transaction, and before the statement arrives.
async fn cut_connections(scene: &mut Scene<'_>) -> Injected {
    let proxy = Proxy::serve(&scene.place.data.join("postgres.guard"));
    scene.through(&proxy.url(&scene.db.url)).await;
    let wanted = scene.form.times(5, 100);
    let read = |count: &AtomicUsize| count.load(Ordering::SeqCst);
    let cuts = proxy.cuts();
    // Not every answer that is dropped follows on a COMMIT, so this goes on until enough of them did.
    let mut times = 0;
    while read(&cuts.after_commit) < wanted {
        // One of three never arrives.
        if times % 3 == 0 {
            proxy.drop_request()
        } else {
            proxy.drop_answer()
        }
        scene.loads[1].until(|| proxy.pending() == 0).await;
        scene.loads[1].more(BETWEEN / 10).await;
        times += 1;
    }
    let (after, uncommitted, before) = (read(&cuts.after_commit), read(&cuts.uncommitted), read(&cuts.before_arrival));
    let (landed, not_landed) = scene.loads[1].heard(|heard| (heard.landed, heard.not_landed));
    let remark = format!(
        "cut {after} after COMMIT, {uncommitted} after a statement without one, {before} before arrival; \
         settled {landed} as written, {not_landed} as not"
    );
    let direct = scene.db.url.clone();
    scene.through(&direct).await;
    let met = after > 0 && before > 0 && landed >= after && not_landed > 0;
    Injected { times, met, remark }
}

/// A process stands still with the book locked, wakes up long after the others went on, and goes on with what is old.
async fn pause_process(scene: &mut Scene<'_>) -> Injected {
    let times = scene.form.times(1, 5);
    let mut tries = 0;
    for _ in 0..times {
        let process = scene.loads[0].process();
        loop {
            tries += 1;
            signal("-STOP", &process).await;
            if scene.stands_in_the_way().await {
                break;
            }
            signal("-CONT", &process).await;
            scene.loads[0].more(1).await;
        }
        // The server frees the lock by itself: the other goes on while this one still stands.
        scene.loads[1].more(2 * BETWEEN).await;
        signal("-CONT", &process).await;
        scene.loads[0].more(BETWEEN).await;
    }
    let remark = format!("stood in a transaction with the book locked, after {tries} tries");
    Injected { times, met: true, remark }
}

impl Scene<'_> {
    /// Whether one sequencer waits for the lock of another that does not go on.
    async fn stands_in_the_way(&self) -> bool {
        let standing = format!(
            "SELECT count(*) FROM pg_stat_activity AS waits CROSS JOIN unnest(pg_blocking_pids(waits.pid)) AS blocker \
             JOIN pg_stat_activity AS stands ON stands.pid = blocker WHERE waits.datname = current_database() \
             AND stands.application_name = '{SEQUENCER}' AND stands.state = 'idle in transaction' \
             AND stands.state_change < clock_timestamp() - interval '300 milliseconds'"
        );
        // Neither goes in and out of transactions while this is so, so a few looks are enough to be sure.
        let mut looks = tokio::time::interval(std::time::Duration::from_millis(100));
        for _ in 0..5 {
            looks.tick().await;
            if self.db.number(&standing).await > 0 {
                return true;
            }
        }
        false
    }
}

/// Both clocks jump far forth and back all the time.
async fn jump_clocks(scene: &mut Scene<'_>) -> Injected {
    for _ in 0..scene.form.times(6, 60) {
        scene.go_on().await;
    }
    let times: usize = scene.loads.iter().map(|load| load.heard(|heard| heard.jumps)).sum();
    Injected { times, met: times > 0, remark: "by up to an hour; recorded times rise all the same".into() }
}

/// `kill -9` of one server process: PostgreSQL ends all others and recovers.
async fn kill_backends(scene: &mut Scene<'_>) -> Injected {
    let times = scene.form.times(1, 8);
    for _ in 0..times {
        let sequencer = format!(
            "SELECT pid::bigint FROM pg_stat_activity WHERE datname = current_database() \
             AND application_name = '{SEQUENCER}' LIMIT 1"
        );
        let process = scene.db.number(&sequencer).await.to_string();
        signal("-KILL", &process).await;
        scene.go_on().await;
    }
    let recoveries = scene.place.log().matches("terminating any other active server processes").count();
    let remark = format!("PostgreSQL recovered {recoveries} times");
    Injected { times, met: recoveries >= times, remark }
}

/// `kill -9` of PostgreSQL itself: its guard starts it again.
async fn kill_postgres(scene: &mut Scene<'_>) -> Injected {
    let times = scene.form.times(1, 4);
    for _ in 0..times {
        let before = scene.place.postmaster().expect("the server runs");
        signal("-KILL", &before).await;
        eventually("another server runs", async || scene.place.postmaster().is_some_and(|now| now != before)).await;
        scene.go_on().await;
    }
    Injected { times, met: true, remark: "its guard started it again".into() }
}

/// A PostgreSQL on a disk of its own, which is filled to the last byte under load, and freed again.
async fn small_disk(form: Form) -> Score {
    const FAULT: &str = "disk full";
    let folder = Folder::new();
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).expect("a folder can be made");
    let mount = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", SMALL_DISK, "none"])
        .arg(&disk)
        .stderr(std::process::Stdio::null())
        .status();
    if !mount.is_ok_and(|status| status.success()) {
        return Score {
            fault: FAULT,
            remark: "skipped: a small disk can only be mounted by root".into(),
            met: true,
            ..Score::default()
        };
    }
    let mounted = Mounted(disk.clone());
    let place = Place::at(&disk.join("data"), None).await;
    let score = scenario(FAULT, &place, form, "true", async |scene| fill_disk(scene, &disk).await).await;
    place.close().await;
    let _ = tokio::task::spawn_blocking(move || drop(mounted)).await;
    score
}

async fn fill_disk(scene: &mut Scene<'_>, disk: &Path) -> Injected {
    let times = scene.form.times(1, 4);
    let ballast = disk.join("ballast");
    for time in 1..=times {
        let refused: Vec<usize> = scene.loads.iter().map(|load| load.heard(|heard| heard.unavailable)).collect();
        fill(&ballast);
        let met = async || scene.place.log().matches("No space left on device").count() >= time;
        eventually("PostgreSQL finds the disk full", met).await;
        // What little is left goes to somebody else's rows, so an append fails too.
        let first = &scene.loads[0];
        first.until(|| first.heard(|heard| heard.unavailable) > refused[0]).await;
        std::fs::remove_file(&ballast).expect("an own file can be removed");
        scene.go_on().await;
    }
    let unavailable: usize = scene.loads.iter().map(|load| load.heard(|heard| heard.unavailable)).sum();
    let remark = format!("{unavailable} appends were told to ask again, and did");
    Injected { times, met: unavailable > 0, remark }
}

/// Writes until nothing more goes.
fn fill(ballast: &Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(ballast).expect("a file can be made");
    let mut size = 1 << 20;
    let block = vec![0; size];
    while size > 0 {
        if file.write_all(&block[..size]).is_err() {
            size /= 2;
        }
    }
}

/// A disk that was mounted. It goes when PostgreSQL has let go of it.
struct Mounted(std::path::PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let unmount = || std::process::Command::new("umount").arg("--lazy").arg(&self.0).status();
        if !unmount().is_ok_and(|status| status.success()) {
            eprintln!("{} could not be unmounted", self.0.display());
        }
    }
}
