//! What is printed of following: delays, ratios within one round, the machine, the gates.

use std::time::Duration;

use super::contestant::Contestant;
use super::{Delays, Options, Round};
use crate::gates::{Bound, Gate};
use crate::machine::Machine;
use crate::report::{facts, median, millis, verdicts};
use crate::table::{Table, figure};

const P50: f64 = 0.5;
const P99: f64 = 0.99;

/// The whole report as Markdown that also reads well as it is.
pub fn markdown(options: &Options, machine: &Machine, rounds: &[Round]) -> String {
    let Options { appends, rate, rounds: number, .. } = options;
    format!(
        "## Following\n\n\
         Medians of {number} round(s). In each round every contestant has a slice of {appends} appends, {rate} a second, in an\n\
         order that rotates. Measured is the time from the acknowledgement of the commit to the moment at which the reader\n\
         has the event; a reader that had it before the writer was told counts as 0.\n\n{}\n{EXPLANATION}\n\
         ### Machine\n\n{}\n### Gates\n\n{}",
        delays(rounds),
        facts(machine),
        verdicts(&gates(rounds)),
    )
}

/// What is promised of following.
pub fn gates(rounds: &[Round]) -> Vec<Gate> {
    let in_process = value(rounds, Contestant::InProcess, P99).map(millis);
    let (p50, p99) = (ratio(rounds, Contestant::Between, P50), ratio(rounds, Contestant::Between, P99));
    vec![
        Gate { what: "in process: p99 in ms", bound: Bound::AtMost(1.0), figure: in_process },
        Gate { what: "between processes: p50 / bare LISTEN", bound: Bound::AtMost(2.0), figure: p50 },
        Gate { what: "between processes: p99 / bare LISTEN", bound: Bound::AtMost(2.0), figure: p99 },
    ]
}

fn delays(rounds: &[Round]) -> String {
    let mut table = Table::new(&["who", "p50 ms", "p99 ms", "p50 / bare LISTEN", "p99 / bare LISTEN"]);
    for contestant in Contestant::ALL {
        let of = |share| figure(value(rounds, contestant, share).map(millis));
        let over = |share| figure(ratio(rounds, contestant, share));
        table.row(vec![contestant.name().to_owned(), of(P50), of(P99), over(P50), over(P99)]);
    }
    table.markdown()
}

fn value(rounds: &[Round], contestant: Contestant, share: f64) -> Option<Duration> {
    let seconds = rounds.iter().map(|round| Some(of(round, contestant)?.rank(share).as_secs_f64()));
    median(seconds).map(Duration::from_secs_f64)
}

/// A contestant's delay over that of bare LISTEN: the median of the rounds' ratios.
fn ratio(rounds: &[Round], contestant: Contestant, share: f64) -> Option<f64> {
    let seconds = |round, contestant| Some(of(round, contestant)?.rank(share).as_secs_f64());
    median(rounds.iter().map(|round| Some(seconds(round, contestant)? / seconds(round, Contestant::Listen)?)))
}

fn of(round: &Round, contestant: Contestant) -> Option<&Delays> {
    let place = Contestant::ALL.iter().position(|one| *one == contestant)?;
    round[place].as_ref()
}

/// Below the table.
const EXPLANATION: &str = "\
- **Daybook, in process**: the log wakes the follower, which reads the book by position and hands the event to a subscriber.\n\
- **Daybook, between processes**: the same, woken by the database's notification.\n\
- **bare LISTEN**: one statement inserts a row and notifies; the reader listens and reads the row by its key.\n\
- **bare Redis**: a statement inserts a row, then PUBLISH; the reader is subscribed and reads the row by its key. A writer\n\
  that ends between the two is never heard of.\n";
