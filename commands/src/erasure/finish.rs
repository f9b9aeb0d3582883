//! Removes what a `content.erased` says is gone: payloads and salts, then blobs that no other event names. Each step is
//! a transaction of its own and may be done again, by this process or another.

use std::collections::BTreeMap;

use domain::{BookId, SessionId};
use sqlx::Row;
use sqlx::postgres::PgPool;

use super::plan::name_of;

/// How many events lose their content in one transaction.
const EVENTS_AT_ONCE: i32 = 1_000;
/// How many positions are searched for names of blobs in one statement, so that no snapshot is held for long.
const POSITIONS_AT_ONCE: i64 = 50_000;
/// How many blobs are looked at together.
const BLOBS_AT_ONCE: i64 = 1_000;

/// Removes the content of every event that the event at `erasure` names; answers how many still had some.
pub(super) async fn payloads(pool: &PgPool, book_id: BookId, erasure: i64) -> sqlx::Result<i64> {
    let (mut all, mut after) = (0, 0);
    loop {
        let row = sqlx::query("SELECT erased, reached FROM erase_content($1, $2, $3, $4)")
            .bind(book_id.uuid())
            .bind(erasure)
            .bind(after)
            .bind(EVENTS_AT_ONCE)
            .fetch_one(pool)
            .await?;
        let Some(reached) = row.get::<Option<i64>, _>("reached") else { return Ok(all) };
        all += row.get::<i64, _>("erased");
        after = reached;
    }
}

/// Notes that an erasure is over, so that no process that starts later looks at it again.
pub(super) async fn note(pool: &PgPool, book_id: BookId, erasure: i64) -> sqlx::Result<()> {
    sqlx::query("INSERT INTO finished_erasures (book_id, position) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(book_id.uuid())
        .bind(erasure)
        .execute(pool)
        .await
        .map(|_| ())
}

/// Removes blobs that erased events named or that were put for an erased session, unless another event names them too.
/// One that was put lately waits: somebody may be about to append an event that names it. Answers how many are gone.
pub(super) async fn blobs(pool: &PgPool) -> sqlx::Result<i64> {
    let due = sqlx::query(
        "SELECT e.book_id, array_agg(e.sha256) AS names, array_agg(e.mark) AS marks FROM ( \
           SELECT e.book_id, e.sha256, e.mark FROM erasing_blobs e LEFT JOIN blobs b USING (book_id, sha256) \
           WHERE b.put_at IS NULL OR blob_is_settled(b.put_at) LIMIT $1) AS e GROUP BY e.book_id",
    )
    .bind(BLOBS_AT_ONCE)
    .fetch_all(pool)
    .await?;
    let mut gone = 0;
    for row in due {
        let book_id = BookId::new(row.get("book_id"));
        let names: Vec<Vec<u8>> = row.get("names");
        let shared = shared_blobs(pool, book_id, None, &names).await?;
        let is_shared = |name: &[u8]| name_of(name).is_some_and(|name| shared.contains_key(&name));
        let marked = names.into_iter().zip(row.get::<Vec<i64>, _>("marks"));
        let (kept, unshared): (Vec<_>, Vec<_>) = marked.partition(|(name, _)| is_shared(name));
        unmark(pool, book_id, kept).await?;
        let unshared: Vec<_> = unshared.into_iter().map(|(name, _)| name).collect();
        let row = sqlx::query("SELECT erase_blobs($1, $2) AS gone")
            .bind(book_id.uuid())
            .bind(unshared)
            .fetch_one(pool)
            .await?;
        gone += row.get::<i64, _>("gone");
    }
    Ok(gone)
}

/// Takes marks off blobs that an event names. One that was put on since they were read stays: by now that event may be
/// erased.
async fn unmark(pool: &PgPool, book_id: BookId, kept: Vec<(Vec<u8>, i64)>) -> sqlx::Result<()> {
    let (names, marks): (Vec<_>, Vec<_>) = kept.into_iter().unzip();
    sqlx::query(
        "DELETE FROM erasing_blobs e USING unnest($2::bytea[], $3::bigint[]) AS k (sha256, mark) \
         WHERE e.book_id = $1 AND e.sha256 = k.sha256 AND e.mark = k.mark",
    )
    .bind(book_id.uuid())
    .bind(names)
    .bind(marks)
    .execute(pool)
    .await
    .map(|_| ())
}

/// Which of these blobs an event outside of a session names, and the first that does. Nothing keeps count of the names,
/// because that would slow every append down; so the book is read, in short steps.
pub(super) async fn shared_blobs(
    pool: &PgPool,
    book_id: BookId,
    outside: Option<SessionId>,
    names: &[Vec<u8>],
) -> sqlx::Result<BTreeMap<[u8; 32], i64>> {
    let mut shared = BTreeMap::new();
    if names.is_empty() {
        return Ok(shared);
    }
    let head = crate::commands::head(pool, book_id).await?;
    let mut after: i64 = 0;
    while after < head {
        let rows = sqlx::query(
            "SELECT n.sha256, min(e.position) AS position FROM events e \
             CROSS JOIN LATERAL named_blobs(e.payload::text) AS n (sha256) \
             WHERE e.book_id = $1 AND e.position > $2 AND e.position <= $3 AND e.session_id IS DISTINCT FROM $4 \
               AND e.payload::text LIKE '%sha256:%' AND n.sha256 = ANY ($5) GROUP BY n.sha256",
        )
        .bind(book_id.uuid())
        .bind(after)
        .bind(after + POSITIONS_AT_ONCE)
        .bind(outside.map(SessionId::uuid))
        .bind(names)
        .fetch_all(pool)
        .await?;
        for row in rows {
            if let Some(name) = name_of(row.get("sha256")) {
                shared.entry(name).or_insert_with(|| row.get("position"));
            }
        }
        after += POSITIONS_AT_ONCE;
    }
    Ok(shared)
}
