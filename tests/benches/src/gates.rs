//! The promises about appends that are checked: first those that hold on any machine, then those of a free one.

use crate::contestants::Contestant;
use crate::report::{cpu_ratio, events_per_sync, speed_ratio};
use crate::round::{Round, Scenario};

const ONE: Scenario = Scenario { writers: 1, events: 1 };
const MANY: Scenario = Scenario { writers: 32, events: 1 };

/// A figure may not be on the wrong side of this.
#[derive(Debug, Clone, Copy)]
pub enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// One promise and what was measured.
pub struct Gate {
    pub what: &'static str,
    pub bound: Bound,
    /// `None` where this machine does not show it.
    pub figure: Option<f64>,
}

impl Gate {
    /// A figure that cannot be seen meets nothing.
    pub fn met(&self) -> bool {
        match (self.figure, self.bound) {
            (None, _) => false,
            (Some(figure), Bound::AtLeast(bound)) => figure >= bound,
            (Some(figure), Bound::AtMost(bound)) => figure <= bound,
        }
    }
}

/// Judges the scenarios that were measured.
pub fn judge(measured: &[(Scenario, Vec<Round>)]) -> Vec<Gate> {
    let rounds = |wanted: Scenario| measured.iter().find(|(scenario, _)| *scenario == wanted).map(|(_, rounds)| rounds);
    let mut gates = vec![];
    let mut gate = |what, bound, figure| gates.push(Gate { what, bound, figure });
    if let Some(rounds) = rounds(MANY) {
        let (plain, peer) = (&Contestant::Plain, &Contestant::PostgresEs);
        gate(
            "32 writers: events per sync of the WAL",
            Bound::AtLeast(30.0),
            events_per_sync(rounds, &Contestant::Daybook),
        );
        gate("32 writers: processor time per event / plain INSERT", Bound::AtMost(0.27), cpu_ratio(rounds, plain));
        gate("32 writers: processor time per event / postgres-es", Bound::AtMost(0.13), cpu_ratio(rounds, peer));
        gate(
            "32 writers: events per second / plain INSERT, on a free disk and machine",
            Bound::AtLeast(1.8),
            speed_ratio(rounds, plain),
        );
        gate(
            "32 writers: events per second / postgres-es, on a free disk and machine",
            Bound::AtLeast(4.0),
            speed_ratio(rounds, peer),
        );
    }
    if let Some(rounds) = rounds(ONE) {
        let figure = speed_ratio(rounds, &Contestant::Plain);
        gate("1 writer: events per second / plain INSERT, on a free disk and machine", Bound::AtLeast(0.75), figure);
    }
    gates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_itself_is_good_enough_and_a_missing_figure_is_not() {
        let met = |bound, figure| Gate { what: "", bound, figure }.met();
        assert!(met(Bound::AtLeast(4.0), Some(4.0)) && met(Bound::AtMost(0.27), Some(0.27)));
        assert!(!met(Bound::AtLeast(4.0), Some(3.9)) && !met(Bound::AtMost(0.27), Some(0.28)));
        assert!(!met(Bound::AtLeast(0.0), None));
    }
}
