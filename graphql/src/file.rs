//! Files of a session's workspace.

use async_graphql::{Context, ID, Object};
use domain::BookId;
use projections::file::Row;

use crate::State;
use crate::error::{Refused, read};
use crate::ids::id;

/// The largest content that is shown, in bytes.
const SHOWN_BYTES: usize = 512 * 1024;

/// A file as its newest change left it.
pub struct File {
    /// The book that holds its content.
    pub book_id: BookId,
    /// Relative to the workspace.
    pub path: String,
    /// What is known of it.
    pub row: Row,
}

#[Object]
impl File {
    async fn path(&self) -> &str {
        &self.path
    }

    /// Null where it is unknown.
    async fn bytes(&self) -> Option<i64> {
        self.row.bytes
    }

    /// Null where it is unknown.
    async fn sha256(&self) -> Option<String> {
        self.row.sha256.map(|hash| hash.to_string())
    }

    /// How often it changed.
    async fn version(&self) -> i64 {
        self.row.version
    }

    async fn deleted(&self) -> bool {
        self.row.deleted
    }

    /// Lines added by all changes together.
    async fn lines_added(&self) -> i64 {
        self.row.lines_added
    }

    /// Lines removed by all changes together.
    async fn lines_removed(&self) -> i64 {
        self.row.lines_removed
    }

    /// The newest change as a unified diff.
    async fn patch(&self) -> Option<&str> {
        self.row.patch.as_ref().map(|patch| patch.text.as_str())
    }

    /// The content, where it is known, is text and is not too long.
    async fn content(&self, ctx: &Context<'_>) -> Refused<Option<String>> {
        let Some(sha256) = self.row.sha256 else { return Ok(None) };
        let mut db = ctx.data_unchecked::<State>().reader.book(self.book_id).await.map_err(read)?;
        let bytes = projections::file::content(&mut db, self.book_id, sha256).await.map_err(read)?;
        Ok(bytes.filter(|bytes| bytes.len() <= SHOWN_BYTES).and_then(|bytes| String::from_utf8(bytes).ok()))
    }

    async fn changed_at(&self) -> domain::Timestamp {
        self.row.changed_at
    }

    /// The call that changed it last.
    async fn tool_call_id(&self) -> Option<ID> {
        self.row.tool_call_id.map(id)
    }
}
