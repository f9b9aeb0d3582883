//! Compares a build with the one that serves: book by book, under the book's lock, at one position.

use domain::BookId;
use serde::Serialize;
use serde_json::Value;
use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{Row, types::Json};

use super::RebuildError;
use super::pace::Pace;
use super::record::Green;
use super::report::Named;
use crate::apply::Apply;
use crate::build::Build;
use crate::check::{Comparison, digest, fold_to, wait_alike};
use crate::feed::{self, PAGE};
use crate::runner::lock_book;

/// How many differing rows of a projection are shown.
const SHOWN: usize = 5;

/// How a build compares with the one that serves.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// The build.
    pub build: Named,
    /// The version that serves.
    pub serving_version: i32,
    /// Book by book.
    pub books: Vec<Comparison>,
    /// Some of the rows that differ.
    pub differences: Vec<Difference>,
}

/// A row that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// The book.
    pub book_id: BookId,
    /// As it serves; absent where it does not.
    pub serving: Option<Value>,
    /// As it was rebuilt; absent where it was not.
    pub rebuilt: Option<Value>,
}

impl Compared {
    /// Whether both are of one version, so that they must be equal.
    pub fn same_version(&self) -> bool {
        self.build.version == self.serving_version
    }

    /// In how many books they differ.
    pub fn different_books(&self) -> usize {
        self.books.iter().filter(|book| !book.equal).count()
    }
}

/// Compares; `None` where nothing serves.
pub(super) async fn compare(
    pool: &PgPool,
    projection: &dyn Apply,
    green: &Green,
) -> Result<Option<Compared>, RebuildError> {
    let row = sqlx::query("SELECT schema_name, version FROM builds WHERE projection = $1 AND state = 'serving'")
        .bind(projection.name())
        .fetch_optional(pool)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let (schema, version): (String, i32) = (row.get("schema_name"), row.get("version"));
    let serving = Build { version, schema, serving: true, ..green.at(projection, 0) };
    let mut compared =
        Compared { build: green.named(projection), serving_version: version, books: vec![], differences: vec![] };
    let books = sqlx::query("SELECT DISTINCT book_id FROM checkpoints WHERE schema_name IN ($1, $2) ORDER BY book_id")
        .bind(&serving.schema)
        .bind(&green.schema)
        .fetch_all(pool)
        .await?;
    let mut pace = Pace::begin(pool).await?;
    for book in books {
        let book_id = BookId::new(book.get("book_id"));
        let mut tx = pool.begin().await?;
        // Under the book's lock nobody posts, so both stand still while they are compared.
        lock_book(&mut tx, book_id).await?;
        let mut pair = Pair { projection, serving: serving.clone(), green, book_id };
        let comparison = pair.compare(&mut tx).await?;
        if !comparison.equal && compared.same_version() && compared.differences.len() < SHOWN {
            compared.differences.extend(pair.differences(&mut tx, SHOWN - compared.differences.len()).await?);
        }
        compared.books.push(comparison);
        // To look at both as if they stood alike, partitions were folded as far as they wait elsewhere: nothing of that
        // may stay in a build that is to serve.
        tx.rollback().await?;
        pace.rest().await?;
    }
    Ok(Some(compared))
}

struct Pair<'a> {
    projection: &'a dyn Apply,
    serving: Build,
    green: &'a Green,
    book_id: BookId,
}

impl Pair<'_> {
    async fn compare(&mut self, db: &mut PgConnection) -> Result<Comparison, RebuildError> {
        let mut serving_at = position(db, &self.serving.schema, self.book_id).await?;
        if self.serving.version == self.green.version && feed::erased_after(db, self.book_id, serving_at).await? {
            // What serves was folded before the content went. Past the erasure both have read the same.
            let (head, _) = feed::head(db, self.book_id).await?;
            let serving = Build { position: serving_at, ..self.serving.clone() };
            serving_at = fold_to(db, self.projection, &serving, self.book_id, serving_at..head).await?;
        }
        let green_at = position(db, &self.green.schema, self.book_id).await?;
        let green = self.green.at(self.projection, green_at);
        let green_at = fold_to(db, self.projection, &green, self.book_id, green_at..serving_at).await?.max(green_at);
        if self.serving.version == self.green.version {
            // What serves may have been posted a moment less far. Where it has stopped, it stays where it is.
            if green_at - serving_at <= PAGE {
                let serving = Build { position: serving_at, ..self.serving.clone() };
                serving_at = fold_to(db, self.projection, &serving, self.book_id, serving_at..green_at).await?;
            }
            let schemas = [self.serving.schema.as_str(), self.green.schema.as_str()];
            wait_alike(db, self.projection, schemas, self.book_id, green_at).await?;
        }
        let (serving_rows, serving_digest) = digest(db, &self.serving, self.book_id).await?;
        let (rebuilt_rows, rebuilt_digest) = digest(db, &green, self.book_id).await?;
        let same = self.serving.version == self.green.version && serving_at == green_at;
        Ok(Comparison {
            projection: self.projection.name().to_owned(),
            book_id: self.book_id,
            position: green_at,
            serving_rows,
            rebuilt_rows,
            equal: same && serving_rows == rebuilt_rows && serving_digest == rebuilt_digest,
        })
    }

    async fn differences(&self, db: &mut PgConnection, most: usize) -> Result<Vec<Difference>, RebuildError> {
        let name = self.projection.name();
        let key: Vec<_> = self.projection.columns()[..self.projection.key()].iter().map(|column| column.name).collect();
        let sql = format!(
            "SELECT to_jsonb(s) AS serving, to_jsonb(g) AS rebuilt \
             FROM (SELECT * FROM {}.{name} WHERE book_id = $1) s \
             FULL JOIN (SELECT * FROM {}.{name} WHERE book_id = $1) g USING ({}) \
             WHERE to_jsonb(s) IS DISTINCT FROM to_jsonb(g) LIMIT $2",
            self.serving.schema,
            self.green.schema,
            key.join(", ")
        );
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = sqlx::query(&sql).bind(self.book_id.uuid()).bind(most).fetch_all(db).await?;
        let json =
            |row: &sqlx::postgres::PgRow, column: &str| row.get::<Option<Json<Value>>, _>(column).map(|json| json.0);
        let differences = rows.iter().map(|row| Difference {
            book_id: self.book_id,
            serving: json(row, "serving"),
            rebuilt: json(row, "rebuilt"),
        });
        Ok(differences.collect())
    }
}

async fn position(db: &mut PgConnection, schema: &str, book_id: BookId) -> sqlx::Result<i64> {
    let row = sqlx::query("SELECT position FROM checkpoints WHERE schema_name = $1 AND book_id = $2")
        .bind(schema)
        .bind(book_id.uuid())
        .fetch_optional(db)
        .await?;
    Ok(row.map_or(0, |row| row.get("position")))
}
