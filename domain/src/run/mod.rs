//! A run: the agent at work on one task, from request to outcome.
//!
//! `decide` alone names the next work, a step of the model or a call of a tool; workers do it and come back with
//! commands. So a run that crashed is a run whose next work item is still open. Never here: doing the work.

mod command;
mod decide;
mod error;
mod event;
mod import;
mod next;
mod phase;
mod policy;
mod state;

pub use command::*;
pub use error::RunRefusal;
pub use event::*;
pub use import::{ImportedCall, ImportedOutcome, ImportedRun, ImportedStep};
pub use phase::{Phase, Purpose};
pub use policy::{ApprovalPolicy, Verdict};
pub use state::{Call, CallState, Outcome, Run, RunState, Step, Tests, Waiting};

/// How often one step may be attempted before its run fails.
pub const MAX_STEP_ATTEMPTS: u32 = 4;
/// How many calls one step may ask for.
pub const MAX_CALLS_PER_STEP: usize = 32;
/// The built-in tool by which a model lays out its plan; it never reaches the sandbox.
pub const PLAN_TOOL: &str = "update_plan";
/// The tool whose calls are the testing phase.
pub const TEST_TOOL: &str = "run_tests";

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_steps: 40,
            max_cost_nanousd: crate::NanoUsd(2 * crate::money::NANO_PER_USD),
            max_wall_ms: 60 * 60 * 1000,
            max_fix_attempts: 5,
        }
    }
}

#[cfg(test)]
mod tests;
