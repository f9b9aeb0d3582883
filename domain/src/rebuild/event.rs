//! What happens when a projection is rebuilt.

use serde::{Deserialize, Serialize};

use crate::event::events;

/// The next build of a projection was begun beside the one that serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RebuildStarted {
    /// The projection.
    pub projection: String,
    /// The version of the build.
    pub version: i32,
    /// Which build of the projection, 1 and up.
    pub build: i32,
}

/// A build was compared with the one that serves, book by book at one position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RebuildCompared {
    /// The projection.
    pub projection: String,
    /// Which build.
    pub build: i32,
    /// Its version.
    pub version: i32,
    /// The version of the one that serves; rows of two versions may well differ.
    pub serving_version: i32,
    /// How many books were compared.
    pub books: u32,
    /// In how many of them rows differ.
    pub different_books: u32,
    /// Rows that serve, in all books together.
    pub serving_rows: i64,
    /// Rows of the build.
    pub rebuilt_rows: i64,
}

/// A build serves in the place of another, which is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RebuildSwitched {
    /// The projection.
    pub projection: String,
    /// Which build.
    pub build: i32,
}

/// A build that was kept serves again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RebuildUndone {
    /// The projection.
    pub projection: String,
    /// The build that serves again.
    pub build: i32,
}

/// A build was given up because of an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RebuildFailed {
    /// The projection.
    pub projection: String,
    /// Which build.
    pub build: i32,
    /// The error, in a sentence.
    pub reason: String,
}

/// A build was given up because somebody said so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RebuildCancelled {
    /// The projection.
    pub projection: String,
    /// Which build.
    pub build: i32,
}

events! {
    /// What happens to a projection's builds.
    RebuildEvent in Rebuild {
        RebuildStarted = "rebuild.started" v 1,
        RebuildCompared = "rebuild.compared" v 1,
        RebuildSwitched = "rebuild.switched" v 1,
        RebuildUndone = "rebuild.undone" v 1,
        RebuildFailed = "rebuild.failed" v 1,
        RebuildCancelled = "rebuild.cancelled" v 1,
    }
}
