//! What is printed of fan-out: delays, losses, memory, the machine, the gates.

use super::{Measured, Options, Scenario};
use crate::gates::{Bound, Gate};
use crate::machine::Machine;
use crate::report::{facts, millis, verdicts};
use crate::table::{Table, figure};

/// The whole report as Markdown that also reads well as it is.
pub fn markdown(options: &Options, machine: &Machine, measured: &[Measured]) -> String {
    let Options { subscribers, rate, seconds, .. } = options;
    format!(
        "## Fan-out\n\n\
         {subscribers} subscribers over WebSocket, each a connection of its own to the real server on this machine; another\n\
         process appends {rate} events a second for {seconds} s. Measured is the time from the acknowledgement of the commit\n\
         to the moment at which a subscriber has the frame.\n\n{}\n{}\n{EXPLANATION}\n\
         ### Machine\n\n{}\n### Gates\n\n{}",
        delays(measured),
        costs(measured),
        facts(machine),
        verdicts(&gates(measured)),
    )
}

/// What is promised of fan-out.
pub fn gates(measured: &[Measured]) -> Vec<Gate> {
    let mut gates = vec![];
    for one in measured {
        let (p99, lost) = match one.scenario {
            Scenario::OneSession => ("one session: p99 in ms", "one session: events lost or doubled"),
            Scenario::OwnSessions => ("a session each: p99 in ms", "a session each: events lost or doubled"),
        };
        let wrong = (one.lost + one.doubled) as f64;
        gates.push(Gate { what: p99, bound: Bound::AtMost(50.0), figure: Some(millis(one.p99)) });
        gates.push(Gate { what: lost, bound: Bound::AtMost(0.0), figure: Some(wrong) });
    }
    gates
}

fn delays(measured: &[Measured]) -> String {
    let mut table =
        Table::new(&["subscribers follow", "deliveries", "lost", "doubled", "p50 ms", "p99 ms", "slowest ms"]);
    for one in measured {
        let ms = |duration| figure(Some(millis(duration)));
        table.row(vec![
            name(one.scenario).to_owned(),
            one.deliveries.to_string(),
            one.lost.to_string(),
            one.doubled.to_string(),
            ms(one.p50),
            ms(one.p99),
            ms(one.slowest),
        ]);
    }
    table.markdown()
}

fn costs(measured: &[Measured]) -> String {
    let head = [
        "subscribers follow",
        "KiB per subscriber, idle",
        "after the load",
        "events per frame",
        "processors, server",
        "processors, subscribers and writer",
    ];
    let mut table = Table::new(&head);
    for one in measured {
        let kib = |bytes: i64| figure(Some(bytes as f64 / 1_024.0));
        table.row(vec![
            name(one.scenario).to_owned(),
            kib(one.idle_bytes),
            kib(one.loaded_bytes),
            figure(Some(one.received as f64 / one.frames.max(1) as f64)),
            figure(Some(one.server_cpu)),
            figure(Some(one.own_cpu)),
        ]);
    }
    table.markdown()
}

fn name(scenario: Scenario) -> &'static str {
    match scenario {
        Scenario::OneSession => "all the same session",
        Scenario::OwnSessions => "each their own session",
    }
}

/// Below the tables.
const EXPLANATION: &str = "\
- Memory is the server's resident memory above what it had before the first subscriber, over their number.\n\
- Subscribers and writer run on the same cores as the server, and PostgreSQL does too.\n";
