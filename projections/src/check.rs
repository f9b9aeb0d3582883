//! Compares what serves with what the log says: folds every projection into a scratch build and compares both, book by
//! book, at one position, by row count and by a digest that does not depend on the order of rows.

use std::ops::Range;

use domain::BookId;
use sqlx::postgres::PgPool;
use sqlx::{Connection, PgConnection, Row};

use crate::apply::{Apply, ApplyError};
use crate::build::{self, Build};
use crate::feed::{self, PAGE, Partition};
use crate::post::{UpTo, refold};
use crate::projection;
use crate::quarantine::Standing;
use crate::runner::{lock_book, post};

/// How one projection compares in one book.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Comparison {
    /// The projection.
    pub projection: String,
    /// The book.
    pub book_id: BookId,
    /// The position at which both were compared.
    pub position: i64,
    /// Rows that serve.
    pub serving_rows: i64,
    /// Rows that the log says there should be.
    pub rebuilt_rows: i64,
    /// Whether both are the same, row for row.
    pub equal: bool,
}

/// Checks every projection; `progress` hears what is being done.
pub async fn check(pool: &PgPool, mut progress: impl FnMut(&str)) -> Result<Vec<Comparison>, ApplyError> {
    let mut comparisons = vec![];
    let mut db = pool.acquire().await?;
    for projection in projection::all() {
        progress(projection.name());
        let scratch = {
            let mut tx = db.begin().await?;
            let schema = build::create(&mut tx, projection.as_ref(), "building").await?;
            tx.commit().await?;
            Build {
                projection: projection.name().to_owned(),
                version: projection.version(),
                schema,
                serving: false,
                position: 0,
            }
        };
        let result = compare(&mut db, projection.as_ref(), &scratch).await;
        build::drop_build(&mut db, &scratch.schema).await?;
        comparisons.extend(result?);
    }
    Ok(comparisons)
}

async fn compare(
    db: &mut PgConnection,
    projection: &dyn Apply,
    scratch: &Build,
) -> Result<Vec<Comparison>, ApplyError> {
    let row = sqlx::query("SELECT schema_name FROM builds WHERE projection = $1 AND state = 'serving'")
        .bind(projection.name())
        .fetch_one(&mut *db)
        .await?;
    let serving = Build { schema: row.get("schema_name"), serving: true, ..scratch.clone() };
    let books = sqlx::query("SELECT book_id, position FROM checkpoints WHERE schema_name = $1 ORDER BY book_id")
        .bind(&serving.schema)
        .fetch_all(&mut *db)
        .await?;
    let mut comparisons = vec![];
    for book in books {
        let book_id = BookId::new(book.get("book_id"));
        let near = fold_to(db, projection, scratch, book_id, 0..book.get("position")).await?;
        // Under the book's lock nobody posts, so both stand still at one position while they are compared.
        let mut tx = db.begin().await?;
        lock_book(&mut tx, book_id).await?;
        let at = sqlx::query("SELECT position FROM checkpoints WHERE schema_name = $1 AND book_id = $2")
            .bind(&serving.schema)
            .bind(book_id.uuid())
            .fetch_one(&mut *tx)
            .await?;
        let mut position = at.get("position");
        if feed::erased_after(&mut tx, book_id, position).await? {
            // What serves was folded before the content went. Past the erasure both have read the same.
            let (head, _) = feed::head(&mut tx, book_id).await?;
            let serving = Build { position, ..serving.clone() };
            position = fold_to(&mut tx, projection, &serving, book_id, position..head).await?;
        }
        let position = fold_to(&mut tx, projection, scratch, book_id, near..position).await?;
        wait_alike(&mut tx, projection, [&serving.schema, &scratch.schema], book_id, position).await?;
        let (serving_rows, serving_digest) = digest(&mut tx, &serving, book_id).await?;
        let (rebuilt_rows, rebuilt_digest) = digest(&mut tx, scratch, book_id).await?;
        tx.commit().await?;
        comparisons.push(Comparison {
            projection: scratch.projection.clone(),
            book_id,
            position,
            serving_rows,
            rebuilt_rows,
            equal: serving_rows == rebuilt_rows && serving_digest == rebuilt_digest,
        });
    }
    Ok(comparisons)
}

/// Posts the events after one position and up to another, where the build stands.
pub(crate) async fn fold_to(
    db: &mut PgConnection,
    projection: &dyn Apply,
    scratch: &Build,
    book_id: BookId,
    positions: Range<i64>,
) -> Result<i64, ApplyError> {
    let Range { start: mut at, end: to } = positions;
    while at < to {
        let events = feed::page(db, book_id, at, PAGE.min(to - at)).await?;
        let Some(last) = events.last().map(|event| event.position) else { break };
        let mut tx = db.begin().await?;
        let reached = post(&mut tx, projection, &Build { position: at, ..scratch.clone() }, &events).await?;
        tx.commit().await?;
        at = reached;
        if reached < last {
            break;
        }
    }
    Ok(at)
}

/// Lets those partitions wait in the scratch build that wait in the serving one: a table may refuse what another takes.
pub(crate) async fn wait_alike(
    db: &mut PgConnection,
    projection: &dyn Apply,
    [serving, scratch]: [&str; 2],
    book_id: BookId,
    position: i64,
) -> Result<(), ApplyError> {
    let standing = Standing::load(db, book_id).await?;
    for (id, entry) in standing.entries(serving).filter(|(_, entry)| !entry.stops && entry.position <= position) {
        let to = UpTo { position: entry.position - 1, orders: position };
        refold(db, projection, scratch, Partition { book_id, id }, to).await?;
    }
    Ok(())
}

/// The number of rows, and the sum of a 64-bit hash of each: the same whatever their order.
pub(crate) async fn digest(db: &mut PgConnection, build: &Build, book_id: BookId) -> sqlx::Result<(i64, String)> {
    let sql = format!(
        "SELECT count(*) AS n, coalesce(sum(hash_record_extended(t, 0)), 0)::text AS digest \
         FROM {}.{} t WHERE book_id = $1",
        build.schema, build.projection
    );
    let row = sqlx::query(&sql).bind(book_id.uuid()).fetch_one(db).await?;
    Ok((row.get("n"), row.get("digest")))
}
