//! Every event that can be stored: one enum over the aggregates' events, their stored names and versions.
//!
//! A stored shape never changes. A new shape is a new version, an upcast in `decode` and a fixture; names are
//! `noun.verb_past` and are never used again for something else.

use crate::account::AccountEvent;
use crate::checkpoint_key::CheckpointKeyEvent;
use crate::model::ModelEvent;
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

/// Declares an aggregate's events: a variant per payload struct, with its stored name and version.
macro_rules! events {
    ($(#[$doc:meta])* $name:ident in $wrap:ident { $($variant:ident = $stored:literal v $version:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub enum $name {
            $(#[doc = concat!("`", $stored, "`")] $variant($variant),)*
        }

        impl $name {
            /// Every type that this aggregate writes.
            pub const STORED: &'static [$crate::event::StoredType] =
                &[$($crate::event::StoredType { name: $stored, version: $version },)*];

            /// Whether this aggregate writes events of this name, in whatever version.
            pub fn stores(name: &str) -> bool {
                matches!(name, $($stored)|*)
            }

            /// The name and version under which this event is stored.
            pub fn stored_type(&self) -> $crate::event::StoredType {
                match self {
                    $(Self::$variant(_) => $crate::event::StoredType { name: $stored, version: $version },)*
                }
            }

            /// The payload as JSON.
            pub fn payload(&self) -> String {
                match self {
                    $(Self::$variant(payload) => serde_json::to_string(payload),)*
                }
                .expect("payload structs hold nothing that JSON cannot")
            }

            /// Reads a payload; `None` when the type is not one of this aggregate's.
            pub(crate) fn decode(name: &str, version: i16, payload: &str) -> Option<serde_json::Result<Self>> {
                match (name, version) {
                    $(($stored, $version) => Some(serde_json::from_str(payload).map(Self::$variant)),)*
                    _ => None,
                }
            }
        }

        impl From<$name> for $crate::event::Event {
            fn from(event: $name) -> Self {
                Self::$wrap(event)
            }
        }

        impl TryFrom<$crate::event::Event> for $name {
            type Error = $crate::event::Event;

            fn try_from(event: $crate::event::Event) -> Result<Self, Self::Error> {
                match event {
                    $crate::event::Event::$wrap(event) => Ok(event),
                    other => Err(other),
                }
            }
        }

        $(impl From<$variant> for $name {
            fn from(payload: $variant) -> Self {
                Self::$variant(payload)
            }
        })*
    };
}
pub(crate) use events;

/// Declares the enum over all aggregates.
macro_rules! all_events {
    ($($(#[$doc:meta])* $variant:ident($inner:ident),)*) => {
        /// Any event.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Event {
            $($(#[$doc])* $variant($inner),)*
        }

        impl Event {
            /// Every stored type of the product.
            pub fn all_stored() -> impl Iterator<Item = StoredType> {
                [$($inner::STORED,)*].into_iter().flatten().copied()
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

            /// The payload as JSON.
            pub fn payload(&self) -> String {
                match self {
                    $(Self::$variant(event) => event.payload(),)*
                }
            }

            /// Reads a stored event.
            pub fn decode(name: &str, version: i16, payload: &str) -> Result<Self, DecodeError> {
                $(if let Some(result) = $inner::decode(name, version, payload) {
                    return result
                        .map(Self::$variant)
                        .map_err(|source| DecodeError::Malformed { name: name.to_owned(), version, source });
                })*
                Err(DecodeError::Unknown { name: name.to_owned(), version })
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
}

#[cfg(test)]
mod tests;
