//! The keys that sign checkpoints of this installation: the public part of each stands in the log from its first use.
//!
//! The log does not vouch for them: whoever can write a log anew can name another key. It says when a key came.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use crate::aggregate::Aggregate;
use crate::event::events;
use crate::proof::PUBLIC_KEY_BYTES;

/// A key was made, and signs from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CheckpointKeyCreated {
    /// `ed25519`.
    pub algorithm: String,
    /// The public part, in base64.
    pub public_key: String,
}

impl CheckpointKeyCreated {
    /// That an Ed25519 key with this public part was made.
    pub fn ed25519(public: &[u8; PUBLIC_KEY_BYTES]) -> Self {
        Self { algorithm: "ed25519".into(), public_key: BASE64_STANDARD.encode(public) }
    }
}

events! {
    /// What happens to the keys.
    CheckpointKeyEvent in CheckpointKey {
        CheckpointKeyCreated = "checkpoint_key.created" v 1,
    }
}

/// What can be asked of the record of keys.
#[derive(Debug, Clone)]
pub enum CheckpointKeyCommand {
    /// Write down a key.
    Record(CheckpointKeyCreated),
}

/// The record of keys refuses nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointKeyError {}

/// The keys there have been.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CheckpointKeys {
    keys: Vec<CheckpointKeyCreated>,
}

impl Aggregate for CheckpointKeys {
    type Command = CheckpointKeyCommand;
    type Event = CheckpointKeyEvent;
    type Error = CheckpointKeyError;

    fn decide(&self, command: &CheckpointKeyCommand) -> Result<Vec<CheckpointKeyEvent>, CheckpointKeyError> {
        let CheckpointKeyCommand::Record(key) = command;
        Ok(if self.keys.contains(key) { vec![] } else { vec![key.clone().into()] })
    }

    fn evolve(&mut self, event: &CheckpointKeyEvent) {
        let CheckpointKeyEvent::CheckpointKeyCreated(key) = event;
        self.keys.push(key.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::testing::given;

    #[test]
    fn a_key_is_written_down_once() {
        let (first, second) = (CheckpointKeyCreated::ed25519(&[1; 32]), CheckpointKeyCreated::ed25519(&[2; 32]));
        given::<CheckpointKeys>([])
            .when(CheckpointKeyCommand::Record(first.clone()))
            .then([first.clone().into()])
            .when(CheckpointKeyCommand::Record(second.clone()))
            .then([second.into()])
            .when(CheckpointKeyCommand::Record(first))
            .then([]);
    }
}
