//! A person, as the system book knows one.

use serde::{Deserialize, Serialize};

use crate::aggregate::Aggregate;
use crate::event::events;
use crate::id::UserId;

/// A person was registered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct UserRegistered {
    /// The person.
    pub user_id: UserId,
    /// The name to show.
    pub name: String,
    /// Whether this is the built-in user of the demo.
    pub demo: bool,
}

events! {
    /// What happens to a person.
    UserEvent in User {
        UserRegistered = "user.registered" v 1,
    }
}

/// What can be asked about a person.
#[derive(Debug, Clone)]
pub enum UserCommand {
    /// Register this person.
    Register(UserRegistered),
}

/// Why a user command is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// The id belongs to somebody else.
    #[error("this user id is taken")]
    Taken,
}

/// A person.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct User {
    registered: Option<UserRegistered>,
}

impl Aggregate for User {
    type Command = UserCommand;
    type Event = UserEvent;
    type Error = UserError;

    fn decide(&self, command: &UserCommand) -> Result<Vec<UserEvent>, UserError> {
        let UserCommand::Register(wanted) = command;
        match &self.registered {
            None => Ok(vec![wanted.clone().into()]),
            Some(known) if known == wanted => Ok(vec![]),
            Some(_) => Err(UserError::Taken),
        }
    }

    fn evolve(&mut self, event: &UserEvent) {
        let UserEvent::UserRegistered(registered) = event;
        self.registered = Some(registered.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::testing::given;

    fn ada(name: &str) -> UserRegistered {
        UserRegistered { user_id: UserId::new(uuid::Uuid::from_u128(1)), name: name.into(), demo: false }
    }

    #[test]
    fn registering_twice_is_already_so() {
        given::<User>([]).when(UserCommand::Register(ada("Ada"))).then([ada("Ada").into()]);
        given::<User>([ada("Ada").into()]).when(UserCommand::Register(ada("Ada"))).then([]);
    }

    #[test]
    fn an_id_belongs_to_one_person() {
        given::<User>([ada("Ada").into()]).when(UserCommand::Register(ada("Grace"))).refused(UserError::Taken);
    }
}
