//! The shape of every aggregate: `decide` says what follows from a command, `evolve` takes in what happened.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::event::Event;

/// State that is folded from one stream of events and decides on commands. It can be written down and read again, so
/// that a long stream need not be folded from its beginning.
pub trait Aggregate: Default + Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What can be asked of it.
    type Command;
    /// What happens to it.
    type Event: Into<Event> + TryFrom<Event, Error = Event> + Clone;
    /// Why it refuses.
    type Error: std::error::Error + Send + Sync + 'static;

    /// What follows from a command: events, nothing (it is already so), or a refusal. Pure.
    fn decide(&self, command: &Self::Command) -> Result<Vec<Self::Event>, Self::Error>;

    /// Takes in a fact. Never refuses.
    fn evolve(&mut self, event: &Self::Event);
}

/// Names the code that folds: SHA-256 over every file of this crate, computed when it is built. A state that was folded
/// by other code is not to be trusted, and one hash over all of it cannot forget a file that an `evolve` calls.
pub const FINGERPRINT: &str = env!("DOMAIN_FINGERPRINT");

/// Folds a stream from its beginning.
pub fn fold<'a, A: Aggregate>(events: impl IntoIterator<Item = &'a A::Event>) -> A {
    events.into_iter().fold(A::default(), |mut state, event| {
        state.evolve(event);
        state
    })
}

/// Sentences for tests of rules: `given(events).when(command).then(events)`.
#[cfg(test)]
pub(crate) mod testing {
    use std::fmt::Debug;

    use super::*;

    /// A past, waiting for a command.
    pub struct Given<A>(pub A);
    /// A past and what came of a command.
    pub struct When<A: Aggregate>(A, Result<Vec<A::Event>, A::Error>);

    pub fn given<A: Aggregate>(events: impl IntoIterator<Item = A::Event>) -> Given<A> {
        Given(fold(&events.into_iter().collect::<Vec<_>>()))
    }

    impl<A: Aggregate> Given<A> {
        pub fn when(self, command: A::Command) -> When<A> {
            let result = self.0.decide(&command);
            When(self.0, result)
        }
    }

    impl<A: Aggregate> When<A>
    where
        A::Event: Debug + PartialEq,
        A::Error: PartialEq,
    {
        /// The command led to exactly these events.
        #[track_caller]
        pub fn then(self, events: impl IntoIterator<Item = A::Event>) -> Given<A> {
            let got = self.1.expect("the command was refused");
            assert_eq!(got, events.into_iter().collect::<Vec<_>>());
            self.0.evolved(&got)
        }

        /// The command was refused for this reason.
        #[track_caller]
        pub fn refused(self, error: A::Error) {
            assert_eq!(self.1.expect_err("the command was accepted"), error);
        }

        /// The command led to events of these stored types; answers the state after them.
        #[track_caller]
        pub fn then_types(self, types: &[&str]) -> Given<A> {
            let got = self.1.expect("the command was refused");
            let names: Vec<_> = got.iter().map(|e| Into::<Event>::into(e.clone()).stored_type().name).collect();
            assert_eq!(names, types);
            self.0.evolved(&got)
        }
    }

    trait Evolved: Aggregate {
        fn evolved(self, events: &[Self::Event]) -> Given<Self>;
    }

    impl<A: Aggregate> Evolved for A {
        fn evolved(mut self, events: &[A::Event]) -> Given<A> {
            events.iter().for_each(|event| self.evolve(event));
            Given(self)
        }
    }
}
