//! Every process looks for erasures, its own and others': it forgets what it has in memory, and finishes what a process
//! that died left behind.

use std::collections::BTreeMap;

use domain::{BookId, SessionId, WorkspaceId};
use sqlx::Row;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::finish;
use crate::commands::Commands;

/// How many erasures are looked at together.
const AT_ONCE: i64 = 1_000;

/// A session whose content was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erased {
    /// The book.
    pub book_id: BookId,
    /// Where its `content.erased` stands.
    pub position: i64,
    /// The session.
    pub session_id: SessionId,
    /// Where its files were.
    pub workspace_id: WorkspaceId,
}

/// The erasures of every book, as one process has come to know them.
pub struct Erasures {
    commands: Commands,
    seen: BTreeMap<BookId, i64>,
}

impl Erasures {
    /// Begins with those that are furthest back: what a process that died has not finished is among them.
    pub fn new(commands: Commands) -> Self {
        Self { commands, seen: BTreeMap::new() }
    }

    /// Carries out what has come since the last look; answers what that was. Blobs that were put lately go at a later
    /// look.
    pub async fn look(&mut self) -> sqlx::Result<Vec<Erased>> {
        let (books, seen): (Vec<Uuid>, Vec<i64>) = self.seen.iter().map(|(book, at)| (book.uuid(), at)).unzip();
        let rows = sqlx::query(
            "SELECT e.book_id, e.position, e.session_id, e.payload->'kept'->>'workspace_id' AS workspace_id \
             FROM events e LEFT JOIN unnest($1::uuid[], $2::bigint[]) AS s (book_id, position) ON s.book_id = e.book_id \
             WHERE e.event_type = 'content.erased' AND e.position > coalesce(s.position, 0) \
             ORDER BY e.book_id, e.position LIMIT $3",
        )
        .bind(books)
        .bind(seen)
        .bind(AT_ONCE)
        .fetch_all(self.commands.log().pool())
        .await?;
        let found = rows.iter().map(erased).collect::<sqlx::Result<Vec<_>>>()?;
        for erased in &found {
            self.carry_out(*erased).await?;
            self.seen.insert(erased.book_id, erased.position);
        }
        finish::blobs(self.commands.log().pool()).await?;
        Ok(found)
    }

    /// Carries out the erasure of one session, if there is one.
    pub(super) async fn finish(&self, book_id: BookId, session_id: SessionId) -> sqlx::Result<()> {
        let row = sqlx::query(
            "SELECT book_id, position, session_id, payload->'kept'->>'workspace_id' AS workspace_id FROM events \
             WHERE event_type = 'content.erased' AND book_id = $1 AND session_id = $2",
        )
        .bind(book_id.uuid())
        .bind(session_id.uuid())
        .fetch_optional(self.commands.log().pool())
        .await?;
        if let Some(row) = row {
            self.carry_out(erased(&row)?).await?;
            finish::blobs(self.commands.log().pool()).await?;
        }
        Ok(())
    }

    async fn carry_out(&self, erased: Erased) -> sqlx::Result<()> {
        let Erased { book_id, position, session_id, .. } = erased;
        let pool = self.commands.log().pool();
        let streams = sqlx::query("SELECT DISTINCT stream_id FROM events WHERE book_id = $1 AND session_id = $2")
            .bind(book_id.uuid())
            .bind(session_id.uuid())
            .fetch_all(pool)
            .await?;
        for row in streams {
            self.commands.forget_stream(book_id, row.get("stream_id"));
        }
        self.commands.bus().forget(session_id);
        let gone = finish::payloads(pool, book_id, position).await?;
        if gone > 0 {
            tracing::info!(%session_id, events = gone, "the content of a session is erased");
        }
        Ok(())
    }
}

fn erased(row: &PgRow) -> sqlx::Result<Erased> {
    let workspace: &str = row.try_get("workspace_id")?;
    Ok(Erased {
        book_id: BookId::new(row.try_get("book_id")?),
        position: row.try_get("position")?,
        session_id: SessionId::new(row.try_get("session_id")?),
        workspace_id: workspace.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
    })
}

impl Commands {
    /// Forgets a stream of an erased session. The account's is the book's own and stays.
    fn forget_stream(&self, book_id: BookId, stream_id: Uuid) {
        if stream_id != crate::commands::account_stream(book_id) {
            self.inner.sessions.forget(book_id, stream_id);
            self.inner.runs.forget(book_id, stream_id);
            self.inner.workspaces.forget(book_id, stream_id);
        }
    }
}
