//! The rules of Daybook: aggregates that decide and evolve, the events they write, ids and money.
//!
//! Never here: a clock, a random number, a database, a file, a socket, `async`. Whatever a rule needs to
//! know arrives inside the command. Every stored event type of the product is declared in this crate.

pub mod account;
pub mod aggregate;
pub mod chain;
pub mod checkpoint_key;
pub mod content;
pub mod erasure;
pub mod event;
pub mod export;
pub mod id;
pub mod model;
pub mod money;
pub mod proof;
pub mod quarantine;
pub mod rebuild;
pub mod run;
pub mod sandbox;
pub mod session;
pub mod text;
pub mod user;
pub mod viewer;
pub mod workspace;

pub use aggregate::Aggregate;
pub use content::{BlobRef, Content, Sha256};
pub use event::{DecodeError, Event, StoredType};
pub use id::{
    ApprovalId, BookId, EventId, LlmCallId, MessageId, PriceId, RequestId, RunId, SessionId, ToolCallId, UserId,
    WorkerId, WorkspaceId,
};
pub use money::NanoUsd;
pub use viewer::{Role, Viewer};

/// A moment in UTC; stored with microseconds.
pub type Timestamp = chrono::DateTime<chrono::Utc>;
