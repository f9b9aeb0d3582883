//! What a rebuild tells those who listen.

use serde::{Deserialize, Serialize};

use super::compare::Compared;

/// A build, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// The projection.
    pub projection: String,
    /// Its version.
    pub version: i32,
    /// Which build of the projection, 1 and up.
    pub build: i32,
}

/// What a rebuild is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Reads the log, folds it and loads rows.
    Reading,
    /// Makes indexes and constraints.
    Indexing,
    /// Posts what was appended meanwhile.
    CatchingUp,
    /// Compares with what serves.
    Comparing,
    /// Serves.
    Switched,
    /// Was given up because of an error.
    Failed,
    /// Was given up because somebody said so.
    Cancelled,
}

/// How far a rebuild has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The build.
    #[serde(flatten)]
    pub build: Named,
    /// What it is doing.
    pub phase: Phase,
    /// Events taken in.
    pub events_done: i64,
    /// Events there are.
    pub events_total: i64,
    /// Events per second, since it began or was resumed.
    pub events_per_second: f64,
    /// 0 to 100.
    pub percent: f64,
    /// How long reading will take yet; absent where it cannot be told.
    pub eta_seconds: Option<f64>,
}

/// What happened to a rebuild.
#[derive(Debug, Clone)]
pub enum Report {
    /// It began, or goes on after a crash.
    Started {
        /// The build.
        build: Named,
        /// Whether it was begun before.
        resumed: bool,
        /// Who wanted it; absent where nobody in particular did.
        asked_by: Option<String>,
    },
    /// It goes on. Who is slow misses some of these.
    Progress(Progress),
    /// It was compared with what serves.
    Compared(Compared),
    /// It serves.
    Switched {
        /// The build.
        build: Named,
    },
    /// It serves again.
    Undone {
        /// The build.
        build: Named,
        /// Who wanted it; absent where nobody in particular did.
        asked_by: Option<String>,
    },
    /// It was given up because of an error.
    Failed {
        /// The build.
        build: Named,
        /// The error.
        reason: String,
    },
    /// It was given up because somebody said so.
    Cancelled {
        /// The build.
        build: Named,
        /// Who wanted it; absent where nobody in particular did.
        asked_by: Option<String>,
    },
}
