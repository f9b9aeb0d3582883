//! Every event that can be stored: one enum over the aggregates' events, their stored names and versions.
//!
//! A stored shape never changes. A new shape is a new version, the old struct with a `From` to the new one, and a
//! fixture; names are `noun.verb_past` and are never used again for something else.

pub(crate) mod declare;
pub(crate) use declare::events;

use crate::account::AccountEvent;
use crate::checkpoint_key::CheckpointKeyEvent;
use crate::model::ModelEvent;
use crate::quarantine::QuarantineEvent;
use crate::rebuild::RebuildEvent;
use crate::run::RunEvent;
use crate::sandbox::SandboxEvent;
use crate::session::SessionEvent;
use crate::user::UserEvent;
use crate::workspace::WorkspaceEvent;

/// The name and version under which an event is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StoredType {
    /// `noun.verb_past`.
    pub name: &'static str,
    /// 1 and up.
    pub version: i16,
}

/// A stored event that this program cannot read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The type or version is not known, for example because a later release wrote it.
    #[error("event type {name} version {version} is unknown to this release")]
    Unknown { name: String, version: i16 },
    /// The payload does not have the shape of its type.
    #[error("the payload of {name} version {version} is malformed: {source}")]
    Malformed { name: String, version: i16, source: serde_json::Error },
}

/// Declares the enum over all aggregates.
macro_rules! all_events {
    ($($(#[$doc:meta])* $variant:ident($inner:ident),)*) => {
        /// Any event.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Event {
            $($(#[$doc])* $variant($inner),)*
        }

        impl Event {
            /// Every stored type of the product, in the version that is written now.
            pub fn all_stored() -> impl Iterator<Item = StoredType> {
                [$($inner::STORED,)*].into_iter().flatten().copied()
            }

            /// Every stored type of the product in every version that was ever written.
            pub fn all_readable() -> impl Iterator<Item = StoredType> {
                [$($inner::READABLE,)*].into_iter().flatten().copied()
            }

            /// The name and version under which this event is stored.
            pub fn stored_type(&self) -> StoredType {
                match self {
                    $(Self::$variant(event) => event.stored_type(),)*
                }
            }

            /// Whether this release knows events of this name, in whatever version.
            pub fn is_known(name: &str) -> bool {
                $($inner::stores(name))||*
            }

            /// Whether this is the version in which this release writes events of this name.
            pub fn is_current(name: &str, version: i16) -> bool {
                Self::all_stored().any(|stored| (stored.name, stored.version) == (name, version))
            }

            /// The payload as JSON.
            pub fn payload(&self) -> String {
                match self {
                    $(Self::$variant(event) => event.payload(),)*
                }
            }

            /// Reads a stored event; one of an older version comes out in the present shape.
            pub fn decode(name: &str, version: i16, payload: &str) -> Result<Self, DecodeError> {
                $(if let Some(result) = $inner::decode(name, version, payload) {
                    return result
                        .map(Self::$variant)
                        .map_err(|source| DecodeError::Malformed { name: name.to_owned(), version, source });
                })*
                Err(DecodeError::Unknown { name: name.to_owned(), version })
            }

            /// The shape of every type that this release can read.
            #[cfg(test)]
            pub(crate) fn shapes() -> Vec<(StoredType, serde_json::Value)> {
                [$($inner::shapes(),)*].into_iter().flatten().collect()
            }
        }
    };
}

all_events! {
    /// Of a run.
    Run(RunEvent),
    /// Of an account.
    Account(AccountEvent),
    /// Of a workspace.
    Workspace(WorkspaceEvent),
    /// Of a session.
    Session(SessionEvent),
    /// Of the price list.
    Model(ModelEvent),
    /// Of a person.
    User(UserEvent),
    /// Of a process's sandbox.
    Sandbox(SandboxEvent),
    /// Of the keys that sign checkpoints.
    CheckpointKey(CheckpointKeyEvent),
    /// Of what projections could not take in.
    Quarantine(QuarantineEvent),
    /// Of a projection's builds.
    Rebuild(RebuildEvent),
}

#[cfg(test)]
pub(crate) mod tests;
