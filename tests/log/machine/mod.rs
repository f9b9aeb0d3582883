//! The log against a plain model in memory, by random steps: appends with right and wrong expectations, retries, reused
//! request ids, bursts from two processes, crashes, cut connections, clocks that jump. `PROPTEST_CASES` asks for more.

mod process;
mod reference;
mod system;

use proptest::test_runner::{Config, RngSeed, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};

use self::reference::{Model, Step};
use self::system::{Field, System};

/// How many sequences of steps are tried unless told otherwise.
const CASES: u32 = 24;
const STEPS: std::ops::Range<usize> = 5..40;
/// Each try of a shorter sequence runs it on the database.
const SHRINKS: u32 = 300;

struct Machine;

impl StateMachineTest for Machine {
    type SystemUnderTest = System;
    type Reference = Model;

    fn init_test(_: &Model) -> System {
        System::new()
    }

    fn apply(mut system: System, model: &Model, step: Step) -> System {
        system.take(model, &step);
        system
    }

    fn check_invariants(system: &System, model: &Model) {
        system.compare(model);
    }

    fn teardown(system: System, model: Model) {
        system.finish(&model);
    }
}

#[test]
fn the_log_does_what_a_plain_model_does() {
    let field = Field::open();
    let default = Config::default();
    let cases = std::env::var("PROPTEST_CASES").map_or(CASES, |_| default.cases);
    let seed = match default.rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => commands::ids::new_id::<()>().uuid().as_u64_pair().1,
    };
    println!("PROPTEST_RNG_SEED={seed} for the same {cases} cases");
    let rng_seed = RngSeed::Fixed(seed);
    let config = Config { cases, rng_seed, failure_persistence: None, max_shrink_iters: SHRINKS, ..default };
    let mut runner = TestRunner::new(config.clone());
    let tried = runner.run(&Model::sequential_strategy(STEPS), |(model, steps, seen)| {
        Machine::test_sequential(config.clone(), model, steps, seen);
        Ok(())
    });
    field.close();
    tried.unwrap_or_else(|failure| panic!("{failure}"));
}
