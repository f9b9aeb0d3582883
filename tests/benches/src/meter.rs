//! Processor time: of this process, with threads that have ended, and of the server's that work for what is measured.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// Ticks of `/proc/*/stat`; Linux shows a hundred a second whatever the kernel's own rate is.
const TICK: Duration = Duration::from_millis(10);

/// Which processes are metered.
pub struct Meter {
    server: Vec<i32>,
}

impl Meter {
    /// Meters this process and these of the server; `None` where they cannot be seen, as on another machine.
    pub fn new(server: Vec<i32>) -> Option<Self> {
        let meter = Self { server };
        meter.read().map(|_| meter)
    }

    /// The processor time that was used so far, in user and system mode.
    pub fn read(&self) -> Option<Duration> {
        let ours = own().ok()?;
        self.server
            .iter()
            .map(|pid| thread(Path::new(&format!("/proc/{pid}"))))
            .try_fold(ours, |sum, one| Some(sum + one?))
    }
}

/// The processor time of a process so far.
pub fn process(id: u32) -> Option<Duration> {
    threads(Path::new(&format!("/proc/{id}/task")))
}

/// The processor time of this process so far, with threads that have ended.
pub fn own() -> anyhow::Result<Duration> {
    Ok(Duration::try_from(rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime))?)
}

fn threads(folder: &Path) -> Option<Duration> {
    fs::read_dir(folder).ok()?.flatten().map(|entry| thread(&entry.path())).sum()
}

/// In nanoseconds where the kernel keeps them, else in ticks.
fn thread(folder: &Path) -> Option<Duration> {
    let exact = fs::read_to_string(folder.join("schedstat")).ok();
    let exact = exact.and_then(|line| line.split(' ').next()?.parse().ok()).filter(|&nanos: &u64| nanos > 0);
    exact.map(Duration::from_nanos).or_else(|| ticks(&fs::read_to_string(folder.join("stat")).ok()?))
}

/// The name in parentheses may hold blanks, so fields are counted after it: user time is the 12th, system time the 13th.
fn ticks(stat: &str) -> Option<Duration> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u32>().ok();
    Some(TICK * (next()? + next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_parentheses_is_skipped() {
        let stat = "7 (a ) b) S 1 1 1 0 -1 4194560 9 0 0 0 12 30 0 0 20 0 1 0 5 0 0";
        assert_eq!(ticks(stat), Some(Duration::from_millis(420)));
    }
}
