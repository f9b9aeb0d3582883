//! Rebuilds of a projection, as the system book knows them: one stream per projection. What is reported twice, after a
//! crash or by two processes, is written once.

mod event;
pub use event::*;

use serde::{Deserialize, Serialize};

use crate::aggregate::Aggregate;

/// What can be asked.
#[derive(Debug, Clone)]
pub enum RebuildCommand {
    /// Write down what happened.
    Record(RebuildEvent),
}

/// The record of rebuilds refuses nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RebuildError {}

/// The rebuilds of one projection.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Rebuild {
    /// The newest build that was begun, by its number.
    begun: i32,
    /// The build that serves, if one ever took the place of another.
    serving: Option<i32>,
    compared: Option<RebuildCompared>,
    /// The newest build that was given up.
    ended: Option<i32>,
}

impl Rebuild {
    /// The build that serves, if one ever took the place of another.
    pub fn serving(&self) -> Option<i32> {
        self.serving
    }
}

impl Aggregate for Rebuild {
    type Command = RebuildCommand;
    type Event = RebuildEvent;
    type Error = RebuildError;

    fn decide(&self, command: &RebuildCommand) -> Result<Vec<RebuildEvent>, RebuildError> {
        let RebuildCommand::Record(event) = command;
        let known = match event {
            RebuildEvent::RebuildStarted(started) => started.build <= self.begun,
            RebuildEvent::RebuildCompared(compared) => self.compared.as_ref() == Some(compared),
            RebuildEvent::RebuildSwitched(RebuildSwitched { build, .. })
            | RebuildEvent::RebuildUndone(RebuildUndone { build, .. }) => self.serving == Some(*build),
            RebuildEvent::RebuildFailed(RebuildFailed { build, .. })
            | RebuildEvent::RebuildCancelled(RebuildCancelled { build, .. }) => self.ended == Some(*build),
        };
        Ok(if known { vec![] } else { vec![event.clone()] })
    }

    fn evolve(&mut self, event: &RebuildEvent) {
        match event {
            RebuildEvent::RebuildStarted(started) => self.begun = started.build,
            RebuildEvent::RebuildCompared(compared) => self.compared = Some(compared.clone()),
            RebuildEvent::RebuildSwitched(RebuildSwitched { build, .. })
            | RebuildEvent::RebuildUndone(RebuildUndone { build, .. }) => {
                (self.serving, self.ended) = (Some(*build), None);
            }
            RebuildEvent::RebuildFailed(RebuildFailed { build, .. })
            | RebuildEvent::RebuildCancelled(RebuildCancelled { build, .. }) => self.ended = Some(*build),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::testing::given;

    fn started(build: i32) -> RebuildEvent {
        RebuildStarted { projection: "timeline".into(), version: 2, build }.into()
    }

    fn switched(build: i32) -> RebuildEvent {
        RebuildSwitched { projection: "timeline".into(), build }.into()
    }

    fn undone(build: i32) -> RebuildEvent {
        RebuildUndone { projection: "timeline".into(), build }.into()
    }

    #[test]
    fn what_is_reported_twice_is_written_once() {
        let record = |event: RebuildEvent| RebuildCommand::Record(event);
        given::<Rebuild>([started(2)])
            .when(record(started(2)))
            .then([])
            .when(record(switched(2)))
            .then([switched(2)])
            .when(record(switched(2)))
            .then([]);
    }

    #[test]
    fn switching_and_undoing_take_turns() {
        let record = |event: RebuildEvent| RebuildCommand::Record(event);
        given::<Rebuild>([started(2), switched(2)])
            .when(record(undone(1)))
            .then([undone(1)])
            .when(record(undone(1)))
            .then([])
            .when(record(undone(2)))
            .then([undone(2)]);
    }
}
