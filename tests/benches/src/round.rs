//! Rounds: every contestant and the disk, one slice each, in an order that rotates from round to round.

use std::path::Path;
use std::time::Duration;

use crate::contestants::Contestant;
use crate::disk;
use crate::server::{Database, Server};
use crate::slice::{self, Slice};

/// How many write at once, and how many events each append has. A plain INSERT always has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scenario {
    pub writers: usize,
    pub events: usize,
}

/// One round's figures, comparable with each other.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    pub daybook: Slice,
    pub plain: Slice,
    pub postgres_es: Slice,
    pub disk_syncs_per_second: f64,
}

/// What is done for one scenario.
pub struct Plan<'a> {
    pub scenario: Scenario,
    pub rounds: usize,
    pub length: Duration,
    pub folder: &'a Path,
}

impl Round {
    /// The figures of one contestant.
    pub fn of(&self, contestant: &Contestant) -> &Slice {
        match contestant {
            Contestant::Plain => &self.plain,
            Contestant::PostgresEs => &self.postgres_es,
            _ => &self.daybook,
        }
    }
}

/// All rounds of one scenario.
pub async fn measure(plan: &Plan<'_>, server: &mut Server, database: &Database) -> anyhow::Result<Vec<Round>> {
    let mut rounds = vec![];
    for number in 0..plan.rounds {
        let round = one(plan, number, server, database).await?;
        let Scenario { writers, events } = plan.scenario;
        let share = |other: &Slice| round.daybook.events_per_second / other.events_per_second;
        eprintln!(
            "{writers} x {events}, round {} of {}: {:.0} events/s, {:.2} of plain INSERT, {:.2} of postgres-es",
            number + 1,
            plan.rounds,
            round.daybook.events_per_second,
            share(&round.plain),
            share(&round.postgres_es),
        );
        rounds.push(round);
    }
    Ok(rounds)
}

async fn one(plan: &Plan<'_>, number: usize, server: &mut Server, database: &Database) -> anyhow::Result<Round> {
    let [mut daybook, mut plain, mut postgres_es] = [None; 3];
    let mut disk = 0.0;
    let mut order = [Some(Contestant::Daybook), Some(Contestant::Plain), Some(Contestant::PostgresEs), None];
    let places = order.len();
    order.rotate_left(number % places);
    for contestant in order {
        let Some(contestant) = contestant else {
            disk = disk::syncs_per_second(plan.folder, plan.length.div_f64(2.0)).await?;
            continue;
        };
        let slice = slice::run(contestant.clone(), plan.scenario, plan.length, (server, database)).await?;
        match contestant {
            Contestant::Plain => plain = Some(slice),
            Contestant::PostgresEs => postgres_es = Some(slice),
            _ => daybook = Some(slice),
        }
    }
    let (daybook, plain, postgres_es) =
        daybook.zip(plain).zip(postgres_es).map(|((a, b), c)| (a, b, c)).expect("each had its turn");
    Ok(Round { daybook, plain, postgres_es, disk_syncs_per_second: disk })
}
