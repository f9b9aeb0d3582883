//! What a rebuild asks of a projection: tables without indexes first, rows in bulk, indexes after.

use domain::{BookId, Event};
use futures::future::BoxFuture;
use sqlx::postgres::PgRow;
use sqlx::{Executor, PgConnection, Row};
use uuid::Uuid;

use super::fold::{self, Fold, Folded};
use crate::apply::{Of, create_table, names, table};
use crate::column::Column;
use crate::projection::Projection;

/// A projection without its types, as a rebuild sees it.
pub trait Bulk {
    /// Its columns after `book_id` and `partition_id`; the first `key` of them are the key.
    fn columns(&self) -> &'static [Column];
    /// How many columns the key has.
    fn key(&self) -> usize;
    /// Whether each row is touched by one event only.
    fn insert_only(&self) -> bool;
    /// The stored names that do not concern it.
    fn unconcerned(&self) -> Vec<&'static str>;
    /// A fold in memory, without rows.
    fn folded(&self, book_id: BookId) -> Box<dyn Fold>;
    /// Makes the table without indexes and constraints.
    fn create_bare<'a>(&'a self, db: &'a mut PgConnection, schema: &'a str) -> BoxFuture<'a, sqlx::Result<()>>;
    /// Makes the index by partition, if it is not there.
    fn index_partitions<'a>(&'a self, db: &'a mut PgConnection, schema: &'a str) -> BoxFuture<'a, sqlx::Result<()>>;
    /// Makes whatever a bare table lacks.
    fn complete<'a>(&'a self, db: &'a mut PgConnection, schema: &'a str) -> BoxFuture<'a, sqlx::Result<()>>;
    /// What is wrong with the rows of a build; `None` if nothing is.
    fn wrong<'a>(&'a self, db: &'a mut PgConnection, schema: &'a str) -> BoxFuture<'a, sqlx::Result<Option<String>>>;
    /// The statement that takes rows as a fold gives them.
    fn copy_in(&self, schema: &str) -> String;
    /// The rows of some partitions.
    fn rows_of<'a>(
        &'a self,
        db: &'a mut PgConnection,
        schema: &'a str,
        book_id: BookId,
        partitions: &'a [Uuid],
    ) -> BoxFuture<'a, sqlx::Result<Vec<PgRow>>>;
    /// Removes the rows of some partitions.
    fn remove_partitions<'a>(
        &'a self,
        db: &'a mut PgConnection,
        schema: &'a str,
        book_id: BookId,
        partitions: &'a [Uuid],
    ) -> BoxFuture<'a, sqlx::Result<()>>;
}

impl<P: Projection> Bulk for Of<P> {
    fn columns(&self) -> &'static [Column] {
        P::COLUMNS
    }

    fn key(&self) -> usize {
        P::KEY
    }

    fn insert_only(&self) -> bool {
        P::INSERT_ONLY
    }

    fn unconcerned(&self) -> Vec<&'static str> {
        let mut names: Vec<_> =
            Event::all_stored().map(|stored| stored.name).filter(|name| !P::concerns(name)).collect();
        names.dedup();
        names
    }

    fn folded(&self, book_id: BookId) -> Box<dyn Fold> {
        Box::new(Folded::<P>::new(book_id))
    }

    fn create_bare<'a>(&'a self, db: &'a mut PgConnection, schema: &'a str) -> BoxFuture<'a, sqlx::Result<()>> {
        Box::pin(async move { db.execute(create_table::<P>(schema).as_str()).await.map(|_| ()) })
    }

    fn index_partitions<'a>(&'a self, db: &'a mut PgConnection, schema: &'a str) -> BoxFuture<'a, sqlx::Result<()>> {
        // What belongs to one session is read, and folded anew, together.
        let sql = format!(
            "CREATE INDEX IF NOT EXISTS {}_by_partition ON {} (book_id, partition_id, {})",
            P::NAME,
            table::<P>(schema),
            names::<P>(P::KEY)
        );
        Box::pin(async move { db.execute(sql.as_str()).await.map(|_| ()) })
    }

    fn complete<'a>(&'a self, db: &'a mut PgConnection, schema: &'a str) -> BoxFuture<'a, sqlx::Result<()>> {
        Box::pin(async move {
            let key = format!("ALTER TABLE {} ADD PRIMARY KEY (book_id, {})", table::<P>(schema), names::<P>(P::KEY));
            db.execute(key.as_str()).await?;
            self.index_partitions(db, schema).await?;
            for extra in P::EXTRA {
                db.execute(extra.replace("{table}", &table::<P>(schema)).replace("{schema}", schema).as_str()).await?;
            }
            Ok(())
        })
    }

    fn wrong<'a>(&'a self, db: &'a mut PgConnection, schema: &'a str) -> BoxFuture<'a, sqlx::Result<Option<String>>> {
        Box::pin(async move {
            for wrong in P::WRONG {
                let sql = wrong.replace("{table}", &table::<P>(schema));
                if let Some(row) = sqlx::query(&sql).fetch_optional(&mut *db).await? {
                    return Ok(Some(row.get("wrong")));
                }
            }
            Ok(None)
        })
    }

    fn copy_in(&self, schema: &str) -> String {
        format!("COPY {} ({}) FROM STDIN (FORMAT binary)", table::<P>(schema), fold::columns(P::COLUMNS))
    }

    fn rows_of<'a>(
        &'a self,
        db: &'a mut PgConnection,
        schema: &'a str,
        book_id: BookId,
        partitions: &'a [Uuid],
    ) -> BoxFuture<'a, sqlx::Result<Vec<PgRow>>> {
        let sql = format!("SELECT * FROM {} WHERE book_id = $1 AND partition_id = ANY ($2)", table::<P>(schema));
        Box::pin(async move { sqlx::query(&sql).bind(book_id.uuid()).bind(partitions).fetch_all(db).await })
    }

    fn remove_partitions<'a>(
        &'a self,
        db: &'a mut PgConnection,
        schema: &'a str,
        book_id: BookId,
        partitions: &'a [Uuid],
    ) -> BoxFuture<'a, sqlx::Result<()>> {
        let sql = format!("DELETE FROM {} WHERE book_id = $1 AND partition_id = ANY ($2)", table::<P>(schema));
        Box::pin(async move {
            if !partitions.is_empty() {
                sqlx::query(&sql).bind(book_id.uuid()).bind(partitions).execute(db).await?;
            }
            Ok(())
        })
    }
}
