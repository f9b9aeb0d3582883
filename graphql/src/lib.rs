//! The API: shows read models, takes commands, follows the log. One file per noun; no file knows all fields.
//!
//! Never here: SQL, a business rule, who is asking (that is `access`).

mod account;
mod as_of;
mod book;
mod cursor;
mod error;
mod file;
mod granted;
mod http;
mod ids;
mod projection;
mod rebuild;
mod run;
mod session;
mod timeline;
mod tool_call;
mod usage;
mod viewer;

pub use error::ErrorCode;
pub use http::routes;

use async_graphql::{MergedObject, MergedSubscription};
use commands::Commands;
use projections::rebuild::Rebuilder;
use projections::{Follower, Reader, Runner, tree};

/// How deep a query may nest.
const DEPTH: usize = 12;
/// How much a query may ask for.
const COMPLEXITY: usize = 2_000;

/// Everything that can be read.
#[derive(MergedObject, Default)]
pub struct Query(
    viewer::ViewerQuery,
    book::BookQuery,
    session::SessionQuery,
    run::RunQuery,
    account::AccountQuery,
    projection::ProjectionQuery,
    projection::QuarantineQuery,
    error::ErrorQuery,
);

/// Everything that can be asked for.
#[derive(MergedObject, Default)]
pub struct Mutation(
    session::SessionMutation,
    run::RunMutation,
    book::BookMutation,
    rebuild::RebuildMutation,
    projection::ProjectionMutation,
);

/// Everything that can be followed.
#[derive(MergedSubscription, Default)]
pub struct Subscription(session::SessionSubscription, rebuild::RebuildSubscription);

/// The schema.
pub type Schema = async_graphql::Schema<Query, Mutation, Subscription>;

/// What answers: the provider in force, as the API shows it.
#[derive(Debug, Clone)]
pub struct ModelProvider {
    /// `openai`, `scripted`.
    pub provider: String,
    /// The model's name.
    pub model: String,
    /// The most tokens that input and output may have together.
    pub context_window_tokens: u32,
    /// How to set another one, in Markdown.
    pub how_to_change: String,
}

/// What resolvers work with.
pub(crate) struct State {
    pub commands: Commands,
    pub reader: Reader,
    pub runner: Runner,
    pub rebuilder: Rebuilder,
    pub trees: tree::Follower,
    pub follower: Follower,
    pub provider: ModelProvider,
}

impl State {
    /// The model of new runs, as charges name it.
    pub fn model(&self) -> String {
        format!("{}/{}", self.provider.provider, self.provider.model)
    }
}

/// The read side of this process.
pub struct ReadSide {
    /// Reads what is there.
    pub reader: Reader,
    /// Says how far the read models are, and makes them anew.
    pub rebuilder: Rebuilder,
    /// Follows the log.
    pub follower: Follower,
    /// Signs and proves.
    pub trees: tree::Follower,
}

/// The schema on this process's two sides.
pub fn schema(commands: Commands, read_side: ReadSide, provider: ModelProvider) -> Schema {
    let ReadSide { reader, rebuilder, follower, trees } = read_side;
    let (runs, runner) = (run::loader(reader.clone()), rebuilder.runner().clone());
    Schema::build(Query::default(), Mutation::default(), Subscription::default())
        .data(State { commands, reader, runner, rebuilder, follower, trees, provider })
        .data(runs)
        .limit_depth(DEPTH)
        .limit_complexity(COMPLEXITY)
        .finish()
}

/// The schema as text, as it is checked in.
pub fn sdl() -> String {
    Schema::build(Query::default(), Mutation::default(), Subscription::default()).finish().sdl()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checked_in_schema_is_the_schema() {
        let written = include_str!("../schema.graphql");
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql");
        if written != super::sdl() && std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(path, super::sdl()).unwrap();
            return;
        }
        assert_eq!(written, super::sdl(), "the schema changed: review it, and write it with UPDATE_SCHEMA=1");
    }
}
