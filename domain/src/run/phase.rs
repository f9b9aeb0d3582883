//! The phases of a run and the only ways between them.

use serde::{Deserialize, Serialize};

/// Where a run is in its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Not begun.
    Idle,
    /// The model makes a plan.
    Planning,
    /// The model acts.
    Executing,
    /// Tests run.
    Testing,
    /// The model mends what the tests found.
    Fixing,
    /// Finished.
    Done,
    /// Failed.
    Error,
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Idle, Self::Planning, Self::Executing, Self::Testing, Self::Fixing, Self::Done, Self::Error];

    /// Whether a run may go from here to there. Everything that is not listed is refused.
    pub fn may_become(self, to: Self) -> bool {
        use Phase::{Done, Error, Executing, Fixing, Idle, Planning, Testing};
        matches!(
            (self, to),
            (Idle, Planning)
                | (Planning, Executing | Error)
                | (Executing, Testing | Error)
                | (Testing, Fixing | Done | Error)
                | (Fixing, Testing | Done | Error)
                | (Error, Idle | Planning)
                | (Done, Idle)
        )
    }
}

/// What a turn of the model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// To make a plan.
    Plan,
    /// To act on it.
    Act,
    /// To mend what the tests found.
    Fix,
    /// To say what came of it.
    Deliver,
}
