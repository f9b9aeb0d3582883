//! The checks that use something up: processes, memory, time, output, disk, processor. Each has a sandbox of
//! its own with small limits, and all run at once. They never need more than a few seconds.

use std::time::Duration;

use super::fixture::Sandbox;
use super::{Check, Held, until_gone};
use crate::engine::{End, Enforcement, EngineError, Exec, Finished, Limits, PYTHON, ProcessEngine};

const MIB: u64 = 1024 * 1024;
/// Longest that any one check may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Processes allowed to the fork bombs.
const PROCESSES: u64 = 64;
/// Memory allowed to the hungry one, in bytes.
const MEMORY: u64 = 64 * MIB;
/// Output allowed to the talkative one, in bytes.
const OUTPUT: u64 = 256 * 1024;
/// Disk allowed to the collector, in bytes.
const DISK: u64 = 8 * MIB;
/// Wall time allowed to those that never end.
const WALL: Duration = Duration::from_millis(400);
/// Processor share allowed to the busy ones.
const CPUS: f64 = 0.5;
/// Processor seconds the busy ones may use in their 0.8 s: their share, and slack for whole periods.
const CPU_SECONDS: f64 = 0.65;

const FORKS: &str = "
import os, time
made = 0
for _ in range(128):
    try:
        if os.fork() == 0:
            time.sleep(20)
            os._exit(0)
    except OSError:
        break
    made += 1
print(made)";

const HUNGER: &str = "
kept = []
for _ in range(1024):
    kept.append(bytearray(b'x' * 1048576))
print('full')";

const COLLECTION: &str = "
import time
for number in range(8):
    with open(f'part{number}', 'wb') as file:
        file.write(b'x' * 4000000)
time.sleep(20)";

const MEMORY_FOLDERS: &str = "
import errno
for path, size in (('/dev/shm/big', 32), ('/tmp/big', 128), ('/dev/big', 1)):
    try:
        with open(path, 'wb') as file:
            for _ in range(size):
                file.write(b'x' * 1048576)
        print('wrote', size, 'MiB to', path)
    except OSError as error:
        pass";

const BUSY: &str = "
import os, time
end = time.monotonic() + 0.8
child = os.fork()
while time.monotonic() < end:
    pass
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
used = os.times()
print(used.user + used.system + used.children_user + used.children_system)";

type Judgement = Result<String, String>;

pub(super) async fn try_all(engine: &ProcessEngine) -> Vec<Check> {
    let (a, b, c, d, e, f, g, h, i) = tokio::join!(
        fork_bomb(engine),
        shell_fork_bomb(engine),
        memory(engine),
        output(engine),
        wall(engine),
        orphan(engine),
        disk(engine),
        memory_folders(engine),
        processor(engine),
    );
    vec![a, b, c, d, e, f, g, h, i, launcher_killed()]
}

async fn fork_bomb(engine: &ProcessEngine) -> Check {
    let limits = Limits { processes: PROCESSES, ..Limits::default() };
    let judgement = observe(engine, limits, python(FORKS), |done| {
        let made: u64 = text(done).parse().map_err(|_| format!("no count, but {done:?}"))?;
        if made < PROCESSES { Ok(format!("stopped after {made} of 128")) } else { Err(format!("made {made}")) }
    });
    finish("fork_bomb", "Fork twice as often as the limit allows.", judgement.await)
}

async fn shell_fork_bomb(engine: &ProcessEngine) -> Check {
    let judgement = lasting(engine, "b() { b | b & }; b; sleep 20", WALL, End::TimedOut).await;
    finish("shell_fork_bomb", "Let a shell function start itself twice, for ever.", judgement)
}

async fn wall(engine: &ProcessEngine) -> Check {
    let judgement = lasting(engine, "while :; do :; done", WALL, End::TimedOut).await;
    finish("endless_loop", "Run without end.", judgement)
}

async fn orphan(engine: &ProcessEngine) -> Check {
    let script = "setsid -f sh -c 'exec >/dev/null 2>&1 </dev/null; while :; do sleep 1; done' \"$0\"; exit 0";
    let judgement = lasting(engine, script, TIMEOUT, End::Exited).await;
    finish("orphan", "Leave a process behind in a session of its own.", judgement)
}

async fn memory(engine: &ProcessEngine) -> Check {
    let limits = Limits { memory: MEMORY, ..Limits::default() };
    let judgement = observe(engine, limits, python(HUNGER), |done| match done.end {
        End::OutOfMemory => Ok(format!("killed after {:?}", done.duration)),
        other => Err(format!("ended {other:?} having written {}", text(done))),
    });
    finish("memory", "Allocate sixteen times the limit.", judgement.await)
}

async fn output(engine: &ProcessEngine) -> Check {
    let limits = Limits { output: OUTPUT, ..Limits::default() };
    let judgement = observe(engine, limits, shell("yes"), |done| {
        let kept = (done.stdout.len() + done.stderr.len()) as u64;
        if done.end == End::OutputLimit && kept <= OUTPUT {
            Ok(format!("killed at {kept} bytes"))
        } else {
            Err(format!("ended {:?} with {kept} bytes", done.end))
        }
    });
    finish("endless_output", "Write without end.", judgement.await)
}

async fn disk(engine: &ProcessEngine) -> Check {
    let limits = Limits { disk: DISK, ..Limits::default() };
    let judgement = observe(engine, limits, python(COLLECTION), |done| match done.end {
        End::DiskLimit => Ok(format!("killed after {:?}", done.duration)),
        other => Err(format!("ended {other:?}")),
    });
    finish("disk", "Fill the workspace with four times its limit.", judgement.await)
}

async fn memory_folders(engine: &ProcessEngine) -> Check {
    let judgement = observe(engine, Limits::default(), python(MEMORY_FOLDERS), |done| match done.stdout.len() {
        0 if done.exit_code == Some(0) => Ok("all three were refused".to_owned()),
        _ => Err(format!("{:?} {}", done.end, text(done))),
    });
    finish("memory_folders", "Fill /dev/shm, /tmp and /dev beyond their sizes.", judgement.await)
}

async fn processor(engine: &ProcessEngine) -> Check {
    let (name, attempt) = ("processor", "Use two processors while half of one is allowed.");
    let kept = engine.limits().into_iter().find(|limit| limit.name == "cpu").map(|limit| limit.enforcement);
    if kept != Some(Enforcement::Enforced) {
        let held = Held::NotTried("no cgroup may be made here, so the limit is absent".to_owned());
        return Check { name, attempt, held, evidence: String::new() };
    }
    let limits = Limits { cpus: CPUS, ..Limits::default() };
    let judgement = observe(engine, limits, python(BUSY), |done| {
        let used: f64 = text(done).parse().map_err(|_| format!("no time, but {done:?}"))?;
        if used <= CPU_SECONDS { Ok(format!("used {used:.2} s of 0.8 s")) } else { Err(format!("used {used:.2} s")) }
    });
    finish(name, attempt, judgement.await)
}

/// Killing Daybook itself would be the only way to see this, and the probe does not go that far.
fn launcher_killed() -> Check {
    Check {
        name: "launcher_killed",
        attempt: "Outlive a launcher that is killed.",
        held: Held::NotTried("the probe does not kill its own process; the tests of this crate do".to_owned()),
        evidence: String::new(),
    }
}

/// Runs a script that leaves processes behind, and looks from outside whether any stays.
async fn lasting(engine: &ProcessEngine, script: &str, timeout: Duration, expected: End) -> Judgement {
    let told = |error: EngineError| error.to_string();
    let limits = Limits { processes: PROCESSES, ..Limits::default() };
    let sandbox = Sandbox::make(engine, limits).map_err(told)?;
    // The token is an argument of the shell and so of all it forks; `$0` of a shell means nothing to it.
    let argv = ["/bin/bash", "-c", script, &sandbox.token].map(str::to_owned).to_vec();
    let exec = Exec { argv, timeout, ..Exec::default() };
    let done = sandbox.run(engine, exec).await.map_err(told)?;
    if done.end != expected {
        return Err(format!("ended {:?} with {}", done.end, String::from_utf8_lossy(&done.stderr)));
    }
    if until_gone(&sandbox.token).await {
        Ok(format!("ended {:?} after {:?}; no process stayed", done.end, done.duration))
    } else {
        Err("processes stayed after the end".to_owned())
    }
}

async fn observe(
    engine: &ProcessEngine,
    limits: Limits,
    exec: Exec,
    judge: impl Fn(&Finished) -> Judgement,
) -> Judgement {
    let told = |error: EngineError| error.to_string();
    let sandbox = Sandbox::make(engine, limits).map_err(told)?;
    let done = sandbox.run(engine, exec).await.map_err(told)?;
    judge(&done)
}

fn finish(name: &'static str, attempt: &'static str, judgement: Judgement) -> Check {
    match judgement {
        Ok(evidence) => Check { name, attempt, held: Held::Yes, evidence },
        Err(reason) => Check { name, attempt, evidence: reason.clone(), held: Held::No(reason) },
    }
}

fn python(script: &str) -> Exec {
    let argv = [PYTHON, "-I", "-S", "-c", script].map(str::to_owned).to_vec();
    Exec { argv, timeout: TIMEOUT, ..Exec::default() }
}

fn shell(script: &str) -> Exec {
    let argv = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
    Exec { argv, timeout: TIMEOUT, ..Exec::default() }
}

fn text(done: &Finished) -> String {
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}
