//! Whatever was ever stored folds, and what was folded can be written down and read again.

use proptest::prelude::*;

use super::{Fixture, fixtures};
use crate::account::Account;
use crate::aggregate::{Aggregate, fold};
use crate::checkpoint_key::CheckpointKeys;
use crate::event::Event;
use crate::model::PriceList;
use crate::quarantine::Quarantine;
use crate::rebuild::Rebuild;
use crate::run::Run;
use crate::sandbox::Sandbox;
use crate::session::Session;
use crate::user::User;
use crate::workspace::Workspace;

/// The fixtures that are events of an aggregate, in the order of the file.
fn events_of<A: Aggregate>() -> Vec<A::Event> {
    let read = |fixture: Fixture| Event::decode(&fixture.name, fixture.version, &fixture.payload.to_string()).unwrap();
    fixtures().into_iter().map(read).filter_map(|event| A::Event::try_from(event).ok()).collect()
}

/// Folds every fixture of an aggregate; answers how many there are.
fn folds<A: Aggregate + PartialEq>() -> usize {
    let events = events_of::<A>();
    let all: A = fold(&events);
    assert!(all != A::default(), "the fixtures say something");
    for event in &events {
        let _: A = fold([event]);
    }
    events.len()
}

#[test]
fn every_fixture_folds() {
    let folded = [
        folds::<Run>(),
        folds::<Account>(),
        folds::<Workspace>(),
        folds::<Session>(),
        folds::<PriceList>(),
        folds::<User>(),
        folds::<Sandbox>(),
        folds::<CheckpointKeys>(),
        folds::<Quarantine>(),
        folds::<Rebuild>(),
    ];
    assert_eq!(folded.iter().sum::<usize>(), fixtures().len(), "every fixture is an event of one of these");
}

/// Folds a log whole, and in two parts with the state written down and read again in between.
fn survives_being_written_down<A: Aggregate + PartialEq + std::fmt::Debug>(picked: &[usize], cut: usize) {
    let pool = events_of::<A>();
    let log: Vec<_> = picked.iter().map(|index| &pool[index % pool.len()]).collect();
    let (before, after) = log.split_at(cut.min(log.len()));
    let half: A = fold(before.iter().copied());
    let mut state: A = serde_json::from_slice(&serde_json::to_vec(&half).unwrap()).unwrap();
    assert_eq!(state, half);
    after.iter().for_each(|event| state.evolve(event));
    assert_eq!(state, fold(log));
}

proptest! {
    #[test]
    fn a_state_that_was_written_down_goes_on_as_if_it_had_not_been(
        picked in prop::collection::vec(any::<usize>(), 0..80),
        cut in 0..80_usize,
    ) {
        survives_being_written_down::<Run>(&picked, cut);
        survives_being_written_down::<Account>(&picked, cut);
        survives_being_written_down::<Workspace>(&picked, cut);
        survives_being_written_down::<Session>(&picked, cut);
        survives_being_written_down::<PriceList>(&picked, cut);
        survives_being_written_down::<User>(&picked, cut);
        survives_being_written_down::<Sandbox>(&picked, cut);
    }
}
