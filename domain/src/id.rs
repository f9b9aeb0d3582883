//! Typed ids. Each is a UUIDv7 with its noun in front (`run:0190…`), so that an id of one kind is never
//! taken for another, neither by the compiler nor by a person who pastes it into the wrong field.
//!
//! Never here: the making of ids. They are made at the edge and arrive in commands.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// A noun that has ids of its own.
pub trait Noun {
    /// The word before the colon.
    const NOUN: &'static str;
}

/// The id of one `N`.
pub struct Id<N>(Uuid, PhantomData<fn() -> N>);

/// Why a text is no id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a {noun} id such as {noun}:01900000-0000-7000-8000-000000000000, got {got:?}")]
pub struct IdError {
    /// The noun that was expected.
    pub noun: &'static str,
    /// What came instead, cut to 60 characters.
    pub got: String,
}

impl<N> Id<N> {
    /// Takes a UUID for an id of this kind.
    pub const fn new(uuid: Uuid) -> Self {
        Self(uuid, PhantomData)
    }

    /// The bare UUID, as the database holds it.
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

impl<N> Clone for Id<N> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<N> Copy for Id<N> {}
impl<N> PartialEq for Id<N> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<N> Eq for Id<N> {}
impl<N> PartialOrd for Id<N> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<N> Ord for Id<N> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<N> Hash for Id<N> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<N: Noun> fmt::Display for Id<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", N::NOUN, self.0)
    }
}
impl<N: Noun> fmt::Debug for Id<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<N: Noun> FromStr for Id<N> {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        text.strip_prefix(N::NOUN)
            .and_then(|rest| rest.strip_prefix(':'))
            .and_then(|uuid| Uuid::try_parse(uuid).ok())
            .map(Self::new)
            .ok_or_else(|| IdError { noun: N::NOUN, got: text.chars().take(60).collect() })
    }
}

impl<N: Noun> Serialize for Id<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, N: Noun> Deserialize<'de> for Id<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// An id has the shape of its noun: one of another kind in its place is another shape.
#[cfg(test)]
impl<N: Noun> schemars::JsonSchema for Id<N> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        N::NOUN.into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": format!("{}:uuid", N::NOUN) })
    }
}

/// Declares the noun behind an id type.
macro_rules! nouns {
    ($($(#[$doc:meta])* $alias:ident = $noun:ident, $word:literal;)*) => {$(
        #[doc = concat!("The noun `", $word, "`.")]
        pub enum $noun {}
        impl Noun for $noun {
            const NOUN: &'static str = $word;
        }
        $(#[$doc])*
        pub type $alias = Id<$noun>;
    )*};
}

nouns! {
    /// One organisation's log.
    BookId = BookNoun, "book";
    /// One session: a conversation with its workspace.
    SessionId = SessionNoun, "session";
    /// One run of an agent inside a session.
    RunId = RunNoun, "run";
    /// One workspace: the files an agent works on.
    WorkspaceId = WorkspaceNoun, "workspace";
    /// One person.
    UserId = UserNoun, "user";
    /// One message of a person or of an agent.
    MessageId = MessageNoun, "message";
    /// One call of a tool.
    ToolCallId = ToolCallNoun, "tool_call";
    /// One question whether a tool call may go ahead; shares its UUID with the call.
    ApprovalId = ApprovalNoun, "approval";
    /// One call of a model; also names the reservation made for it.
    LlmCallId = LlmCallNoun, "llm_call";
    /// One version of a model's price.
    PriceId = PriceNoun, "price";
    /// One process that does work.
    WorkerId = WorkerNoun, "worker";
    /// One stored event.
    EventId = EventNoun, "event";
    /// One request of a caller; the same id asked again gets the first answer.
    RequestId = RequestNoun, "request";
}

impl From<ToolCallId> for ApprovalId {
    fn from(id: ToolCallId) -> Self {
        Self::new(id.uuid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "01900000-0000-7000-8000-000000000001";

    #[test]
    fn an_id_reads_back_what_it_wrote() {
        let id: RunId = format!("run:{UUID}").parse().unwrap();
        assert_eq!(id.to_string(), format!("run:{UUID}"));
        assert_eq!(serde_json::from_str::<RunId>(&serde_json::to_string(&id).unwrap()).unwrap(), id);
    }

    #[test]
    fn an_id_of_another_kind_is_refused_by_name() {
        let error = format!("session:{UUID}").parse::<RunId>().unwrap_err();
        assert!(error.to_string().starts_with("expected a run id"), "{error}");
        assert!("run:nonsense".parse::<RunId>().is_err());
        assert!(UUID.parse::<RunId>().is_err());
    }
}
