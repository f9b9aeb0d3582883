//! Every process looks for erasures, its own and others': it forgets what it has in memory, and finishes what a process
//! that died left behind.

use std::collections::BTreeMap;

use domain::{BookId, SessionId, WorkspaceId};
use sqlx::Row;
use sqlx::postgres::{PgPool, PgRow};
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
}

/// The erasures of every book, as one process has come to know them.
pub struct Erasures {
    commands: Commands,
    seen: BTreeMap<BookId, i64>,
    /// Seen, and not carried out yet.
    left: Vec<Erased>,
}

impl Erasures {
    /// Begins with what nobody has finished, such as what a process that died left behind. Whoever opens it before a
    /// session is loaded has nothing in memory of those that were erased before.
    pub async fn open(commands: Commands) -> sqlx::Result<Self> {
        let pool = commands.log().pool();
        let newest = sqlx::query(
            "SELECT h.book_id, e.position FROM book_heads h CROSS JOIN LATERAL ( \
               SELECT position FROM events WHERE book_id = h.book_id AND event_type = 'content.erased' \
               ORDER BY position DESC LIMIT 1) AS e",
        )
        .fetch_all(pool)
        .await?;
        let seen: BTreeMap<BookId, i64> =
            newest.iter().map(|row| (BookId::new(row.get("book_id")), row.get("position"))).collect();
        let left = unfinished(pool, &seen).await?;
        Ok(Self { commands, seen, left })
    }

    /// Carries out what has come since the last look and what was left then; answers what is done. One that fails holds
    /// up no other, and is tried again at the next look. Blobs that were put lately go at a later look.
    pub async fn look(&mut self) -> sqlx::Result<Vec<Erased>> {
        let newer = self.newer().await?;
        self.seen.extend(newer.iter().map(|erased| (erased.book_id, erased.position)));
        let mut done = vec![];
        for erased in std::mem::take(&mut self.left).into_iter().chain(newer) {
            match self.commands.carry_out_erasure(erased).await {
                Ok(()) => done.push(erased),
                Err(error) => {
                    let Erased { book_id, position, .. } = erased;
                    tracing::warn!(%error, %book_id, position, "an erasure could not be carried out; trying again");
                    self.left.push(erased);
                }
            }
        }
        finish::blobs(self.commands.log().pool()).await?;
        Ok(done)
    }

    /// What has come since the last look, in the order of each book.
    async fn newer(&self) -> sqlx::Result<Vec<Erased>> {
        let (books, seen): (Vec<Uuid>, Vec<i64>) = self.seen.iter().map(|(book, at)| (book.uuid(), at)).unzip();
        let rows = sqlx::query(
            "SELECT h.book_id, e.position, e.session_id FROM book_heads h \
             LEFT JOIN unnest($1::uuid[], $2::bigint[]) AS s (book_id, position) ON s.book_id = h.book_id \
             CROSS JOIN LATERAL ( \
               SELECT position, session_id FROM events WHERE book_id = h.book_id AND event_type = 'content.erased' \
                 AND position > coalesce(s.position, 0) AND session_id IS NOT NULL ORDER BY position LIMIT $3) AS e \
             ORDER BY h.book_id, e.position",
        )
        .bind(books)
        .bind(seen)
        .bind(AT_ONCE)
        .fetch_all(self.commands.log().pool())
        .await?;
        Ok(rows.iter().map(erased).collect())
    }
}

/// Erasures up to these positions that are not noted as finished.
async fn unfinished(pool: &PgPool, seen: &BTreeMap<BookId, i64>) -> sqlx::Result<Vec<Erased>> {
    let (books, seen): (Vec<Uuid>, Vec<i64>) = seen.iter().map(|(book, at)| (book.uuid(), at)).unzip();
    let rows = sqlx::query(
        "SELECT e.book_id, e.position, e.session_id FROM unnest($1::uuid[], $2::bigint[]) AS s (book_id, position) \
         JOIN events e ON e.book_id = s.book_id AND e.position <= s.position \
         WHERE e.event_type = 'content.erased' AND e.session_id IS NOT NULL AND NOT EXISTS ( \
           SELECT 1 FROM finished_erasures f WHERE f.book_id = e.book_id AND f.position = e.position) \
         ORDER BY e.book_id, e.position",
    )
    .bind(books)
    .bind(seen)
    .fetch_all(pool)
    .await?;
    Ok(rows.iter().map(erased).collect())
}

fn erased(row: &PgRow) -> Erased {
    Erased {
        book_id: BookId::new(row.get("book_id")),
        position: row.get("position"),
        session_id: SessionId::new(row.get("session_id")),
    }
}

impl Commands {
    /// Carries out the erasure of one session, if there is one.
    pub(super) async fn finish_erasure(&self, book_id: BookId, session_id: SessionId) -> sqlx::Result<()> {
        let row = sqlx::query(
            "SELECT book_id, position, session_id FROM events \
             WHERE event_type = 'content.erased' AND book_id = $1 AND session_id = $2",
        )
        .bind(book_id.uuid())
        .bind(session_id.uuid())
        .fetch_optional(self.log().pool())
        .await?;
        if let Some(row) = row {
            self.carry_out_erasure(erased(&row)).await?;
            finish::blobs(self.log().pool()).await?;
        }
        Ok(())
    }

    async fn carry_out_erasure(&self, erased: Erased) -> sqlx::Result<()> {
        let Erased { book_id, position, session_id } = erased;
        let pool = self.log().pool();
        let streams = sqlx::query("SELECT DISTINCT stream_id FROM events WHERE book_id = $1 AND session_id = $2")
            .bind(book_id.uuid())
            .bind(session_id.uuid())
            .fetch_all(pool)
            .await?;
        for row in streams {
            self.forget_stream(book_id, row.get("stream_id"));
        }
        self.bus().forget(session_id);
        let gone = finish::payloads(pool, book_id, position).await?;
        finish::note(pool, book_id, position).await?;
        if gone > 0 {
            tracing::info!(%session_id, events = gone, "the content of a session is erased");
        }
        Ok(())
    }

    /// Which of these workspaces were erased, as the newest event of each says.
    pub async fn erased_workspaces(&self, workspaces: &[WorkspaceId]) -> sqlx::Result<Vec<WorkspaceId>> {
        let rows = sqlx::query(
            "SELECT w.id FROM unnest($1::uuid[]) AS w (id) CROSS JOIN LATERAL ( \
               SELECT event_type FROM events WHERE stream_id = w.id ORDER BY sequence DESC LIMIT 1) AS e \
             WHERE e.event_type = 'workspace.erased'",
        )
        .bind(workspaces.iter().map(|id| id.uuid()).collect::<Vec<_>>())
        .fetch_all(self.log().pool())
        .await?;
        Ok(rows.iter().map(|row| WorkspaceId::new(row.get("id"))).collect())
    }

    /// Forgets a stream of an erased session. The account's is the book's own and stays.
    fn forget_stream(&self, book_id: BookId, stream_id: Uuid) {
        if stream_id != crate::commands::account_stream(book_id) {
            self.inner.sessions.forget(book_id, stream_id);
            self.inner.runs.forget(book_id, stream_id);
            self.inner.workspaces.forget(book_id, stream_id);
        }
    }
}
