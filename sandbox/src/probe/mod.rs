//! The probe: tries to escape through the real launcher, and reads the outcome from outside wherever it can.
//!
//! It never takes an exit code of 0 for evidence, never counts a check that gave no answer as held, and
//! never lets an escape do harm: what must not be written is only opened, what must not die is our own.

mod escapes;
mod fixture;
mod resources;

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use crate::engine::{LimitReport, ProcessEngine};

/// What the probe found.
#[derive(Debug, Clone)]
pub struct ProbeReport {
    /// Every escape there is a check for, tried or not.
    pub checks: Vec<Check>,
    /// `process` when it holds, `none` when the engine refuses to run.
    pub tier: &'static str,
    /// How each limit is kept on this machine.
    pub limits: Vec<LimitReport>,
    /// What people should know though it is no escape, each in one sentence.
    pub warnings: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

/// One escape and how it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Stable name, such as `read_host_files`.
    pub name: &'static str,
    /// What was tried, in one sentence.
    pub attempt: &'static str,
    /// Whether the sandbox held.
    pub held: Held,
    /// What was seen, from inside and from outside.
    pub evidence: String,
}

/// Whether an escape was stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// It was tried and stopped.
    Yes,
    /// It succeeded, or gave no answer; why.
    No(String),
    /// This machine gives no way to try it; why.
    NotTried(String),
}

/// What follows from a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing escaped: the engine may run.
    Holds,
    /// Something escaped or nothing was tried: the engine refuses to run.
    Refused {
        /// Names of the checks that did not hold.
        failed: Vec<&'static str>,
    },
}

impl ProbeReport {
    /// Fails closed: one check that did not hold is enough, and so is a report without any that did.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        verdict(&self.checks)
    }
}

fn verdict(checks: &[Check]) -> Verdict {
    let failed: Vec<_> =
        checks.iter().filter(|check| matches!(check.held, Held::No(_))).map(|check| check.name).collect();
    let any_held = checks.iter().any(|check| check.held == Held::Yes);
    if failed.is_empty() && any_held { Verdict::Holds } else { Verdict::Refused { failed } }
}

pub(crate) async fn quick(engine: &ProcessEngine) -> ProbeReport {
    let started = Instant::now();
    let checks = escapes::try_all(engine).await;
    report(engine, checks, started)
}

pub(crate) async fn full(engine: &ProcessEngine) -> ProbeReport {
    let started = Instant::now();
    let (mut checks, resources) = tokio::join!(escapes::try_all(engine), resources::try_all(engine));
    checks.extend(resources);
    report(engine, checks, started)
}

fn report(engine: &ProcessEngine, checks: Vec<Check>, started: Instant) -> ProbeReport {
    let tier = if verdict(&checks) == Verdict::Holds { "process" } else { "none" };
    ProbeReport { checks, tier, limits: engine.limits(), warnings: warnings(engine), took: started.elapsed() }
}

/// The first bubblewrap that does not make a mount point through a link in a folder the agent can write.
const LINK_SAFE_BUBBLEWRAP: (u32, u32) = (0, 12);

fn warnings(engine: &ProcessEngine) -> Vec<String> {
    let mut warnings = Vec::new();
    let output = std::process::Command::new(engine.bwrap()).arg("--version").env_clear().output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    if bubblewrap_version(&text).is_none_or(|version| version < LINK_SAFE_BUBBLEWRAP) {
        warnings.push(format!(
            "{} is older than 0.12 and follows links when it makes mount points (CVE-2026-87766); Daybook makes \
             none inside the workspace, so this is not an escape here.",
            if text.trim().is_empty() { "This bubblewrap" } else { text.trim() }
        ));
    }
    if !engine.drops_uid() {
        warnings.push(
            "Sandboxes run as the same user as Daybook itself; run Daybook as root to give each its own.".to_owned(),
        );
    }
    warnings
}

fn bubblewrap_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim().rsplit(' ').next()?.split('.').map(str::parse::<u32>);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// How often, and with what pause, the process list is read until a tree is gone.
const GONE_TRIES: u32 = 400;
const GONE_PAUSE: Duration = Duration::from_millis(5);

/// Host process ids whose arguments hold this text.
pub(crate) fn processes_with(text: &str) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| {
            let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&arguments).contains(text)
        })
        .collect()
}

/// Waits until no process has this text in its arguments; false when one stays.
pub(crate) async fn until_gone(text: &str) -> bool {
    for _ in 0..GONE_TRIES {
        if processes_with(text).is_empty() {
            return true;
        }
        tokio::time::sleep(GONE_PAUSE).await;
    }
    false
}
