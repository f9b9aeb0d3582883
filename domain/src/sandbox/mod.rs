//! The sandbox of this installation: what the newest probe found. A probe that finds the same again is not written.

use serde::{Deserialize, Serialize};

use crate::aggregate::Aggregate;
use crate::event::events;

/// What came of one attempt to escape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CheckOutcome {
    /// The sandbox held.
    Held,
    /// It did not, or gave no answer.
    Escaped,
    /// This machine gives no way to try it.
    NotTried,
}

/// One attempt to escape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SandboxCheck {
    /// Stable name, such as `read_host_files`.
    pub name: String,
    /// What came of it.
    pub outcome: CheckOutcome,
    /// Why, where it was not tried or did not hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// How one limit is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SandboxLimit {
    /// Stable name, such as `memory`.
    pub name: String,
    /// Its value, for people.
    pub value: String,
    /// `enforced`, `watched` or `absent`.
    pub enforcement: String,
    /// By what means.
    pub how: String,
}

/// The sandbox tried to be escaped from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SandboxProbed {
    /// The engine's tier; `none` where it refuses to run.
    pub tier: String,
    /// Whether nothing escaped.
    pub holds: bool,
    /// Every attempt.
    pub checks: Vec<SandboxCheck>,
    /// Every limit.
    pub limits: Vec<SandboxLimit>,
}

events! {
    /// What happens to the sandbox.
    SandboxEvent in Sandbox {
        SandboxProbed = "sandbox.probed" v 1,
    }
}

/// What can be asked of the sandbox's record.
#[derive(Debug, Clone)]
pub enum SandboxCommand {
    /// Write down what a probe found.
    Record(SandboxProbed),
}

/// The sandbox's record refuses nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SandboxError {}

/// What the newest probe found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sandbox {
    newest: Option<SandboxProbed>,
}

impl Aggregate for Sandbox {
    type Command = SandboxCommand;
    type Event = SandboxEvent;
    type Error = SandboxError;

    fn decide(&self, command: &SandboxCommand) -> Result<Vec<SandboxEvent>, SandboxError> {
        let SandboxCommand::Record(found) = command;
        Ok(if self.newest.as_ref() == Some(found) { vec![] } else { vec![found.clone().into()] })
    }

    fn evolve(&mut self, event: &SandboxEvent) {
        let SandboxEvent::SandboxProbed(found) = event;
        self.newest = Some(found.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::testing::given;

    #[test]
    fn a_probe_that_finds_the_same_is_not_written_again() {
        let found = SandboxProbed { tier: "process".into(), holds: true, checks: vec![], limits: vec![] };
        let worse = SandboxProbed { tier: "none".into(), holds: false, ..found.clone() };
        given::<Sandbox>([])
            .when(SandboxCommand::Record(found.clone()))
            .then([found.clone().into()])
            .when(SandboxCommand::Record(found))
            .then([])
            .when(SandboxCommand::Record(worse.clone()))
            .then([worse.into()]);
    }
}
