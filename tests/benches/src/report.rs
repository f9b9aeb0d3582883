//! What is printed: ratios first, absolute figures second, the machine, the gates.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use crate::contestants::{Contestant, PAYLOAD_BYTES};
use crate::gates::{Bound, Gate};
use crate::machine::{self, Machine};
use crate::round::{Round, Scenario};
use crate::slice::Slice;
use crate::table::{Table, figure};

/// Everything that was measured.
pub struct Report {
    pub machine: Machine,
    pub measured: Vec<(Scenario, Vec<Round>)>,
    pub rounds: u32,
    pub length: Duration,
}

/// Daybook's events per second over another's: the median of the rounds' ratios.
pub fn speed_ratio(rounds: &[Round], other: &Contestant) -> Option<f64> {
    median(rounds.iter().map(|round| Some(round.daybook.events_per_second / round.of(other).events_per_second)))
}

/// Daybook's processor time per event over another's.
pub fn cpu_ratio(rounds: &[Round], other: &Contestant) -> Option<f64> {
    let ratio = |(ours, theirs): (Duration, Duration)| ours.as_secs_f64() / theirs.as_secs_f64();
    median(rounds.iter().map(|round| round.daybook.cpu_per_event.zip(round.of(other).cpu_per_event).map(ratio)))
}

/// Events that share one sync of the write-ahead log.
pub fn events_per_sync(rounds: &[Round], of: &Contestant) -> Option<f64> {
    median(rounds.iter().map(|round| round.of(of).events_per_sync))
}

/// Prints a report, and writes it to a file where one is named.
pub fn publish(text: &str, file: Option<&Path>) -> anyhow::Result<()> {
    println!("{text}");
    if let Some(file) = file {
        std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// The middle value; `None` when any is missing.
pub fn median(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let mut values = values.collect::<Option<Vec<f64>>>()?;
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get((values.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

impl Report {
    /// The whole report as Markdown that also reads well as it is.
    pub fn markdown(&self, gates: &[Gate]) -> String {
        let seconds = self.length.as_secs_f64();
        let rounds = self.rounds;
        format!(
            "## Appends\n\n\
             Medians of {rounds} round(s). In each round every contestant and the disk have a slice of {seconds} s, in an order that\n\
             rotates. One stream per writer, a payload of {PAYLOAD_BYTES} bytes of JSON, client and server on this machine.\n\n\
             ### Daybook against the others (ratios within one round)\n\n{}\n\
             ### Absolute figures\n\n{}\n\
             {EXPLANATION}\n\
             ### Machine\n\n{}\n\
             ### Gates\n\n{}",
            self.ratios(),
            self.figures(),
            facts(&self.machine),
            verdicts(gates),
        )
    }

    fn ratios(&self) -> String {
        let mut table = Table::new(&[
            "writers x events",
            "speed / plain INSERT",
            "/ postgres-es",
            "/ one disk sync",
            "events per sync",
            "CPU per event / plain INSERT",
            "/ postgres-es",
        ]);
        for (scenario, rounds) in &self.measured {
            let disk = rounds.iter().map(|round| Some(round.daybook.events_per_second / round.disk_syncs_per_second));
            table.row(vec![
                label(*scenario),
                figure(speed_ratio(rounds, &Contestant::Plain)),
                figure(speed_ratio(rounds, &Contestant::PostgresEs)),
                figure(median(disk)),
                figure(events_per_sync(rounds, &Contestant::Daybook)),
                figure(cpu_ratio(rounds, &Contestant::Plain)),
                figure(cpu_ratio(rounds, &Contestant::PostgresEs)),
            ]);
        }
        table.markdown()
    }

    fn figures(&self) -> String {
        let mut table = Table::new(&[
            "writers x events, who",
            "events/s",
            "p50 ms",
            "p99 ms",
            "events per sync",
            "CPU us per event",
        ]);
        for (scenario, rounds) in &self.measured {
            for contestant in Contestant::ALL {
                let of =
                    |value: fn(&Slice) -> Option<f64>| figure(median(rounds.iter().map(|r| value(r.of(&contestant)))));
                table.row(vec![
                    format!("{}, {}", label(*scenario), contestant.name()),
                    of(|slice| Some(slice.events_per_second)),
                    of(|slice| Some(millis(slice.p50))),
                    of(|slice| Some(millis(slice.p99))),
                    of(|slice| slice.events_per_sync),
                    of(|slice| slice.cpu_per_event.map(|cpu| millis(cpu) * 1e3)),
                ]);
            }
            let syncs = median(rounds.iter().map(|round| Some(round.disk_syncs_per_second)));
            let disk = format!("{}, fdatasync of 8 KiB", label(*scenario));
            let blank = String::new;
            table.row(vec![disk, figure(syncs), blank(), blank(), blank(), blank()]);
        }
        table.markdown()
    }
}

/// The machine and how busy it was.
pub fn facts(machine: &Machine) -> String {
    let Machine { cores, processor, kernel, postgres, settings, load } = machine;
    format!(
        "{cores} cores ({processor}), Linux {kernel}, PostgreSQL {postgres} ({}).\n\
         Load average {load} before the run, {} after it.\n",
        settings.join(", "),
        machine::load(),
    )
}

/// Below the tables.
const EXPLANATION: &str = "\
- **Daybook**: the log with hash chain, request ids and notification on; four B-tree indexes.\n\
- **plain INSERT**: one prepared statement per event, each committed by itself, a connection per writer; identity as primary key,\n\
  unique (stream, sequence), no chain, no request ids. It makes no order that a follower could read by.\n\
- **postgres-es 0.5**: its event repository as it comes, one transaction per append, a pool with a connection per writer.\n\
- **fdatasync**: one thread overwriting 8 KiB and syncing; syncs per second.\n\
- In `32 x 10` Daybook and postgres-es append 10 events at once; the plain INSERT still commits each event.\n\
- CPU is user and system time of this process, of the connections' backends and of the WAL writer.\n";

/// Each gate with its verdict.
pub fn verdicts(gates: &[Gate]) -> String {
    let mut text = String::new();
    for gate in gates {
        let verdict = if gate.met() { "met" } else { "NOT met" };
        let bound = match gate.bound {
            Bound::AtLeast(bound) => format!("at least {bound}"),
            Bound::AtMost(bound) => format!("at most {bound}"),
        };
        let _ = writeln!(text, "- {}: {}, {bound} wanted: **{verdict}**", gate.what, figure(gate.figure));
    }
    if gates.is_empty() {
        text.push_str("None of the measured numbers of writers has a gate.\n");
    }
    text
}

fn label(Scenario { writers, events }: Scenario) -> String {
    format!("{writers} x {events}")
}

/// In milliseconds.
pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(median([4.0, 1.0, 3.0, 2.0].map(Some).into_iter()), Some(2.5));
        assert_eq!(median([3.0, 1.0, 2.0].map(Some).into_iter()), Some(2.0));
        assert_eq!(median([Some(1.0), None].into_iter()), None);
        assert_eq!(median(std::iter::empty()), None);
    }
}
