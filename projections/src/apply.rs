//! Takes a page of events into a projection's table: load the touched rows, fold, write what changed.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use domain::BookId;
use futures::future::BoxFuture;
use sqlx::{Executor, PgConnection};

use crate::column::{Type, arrays};
use crate::feed::Recorded;
use crate::projection::Projection;

/// A projection without its types.
pub trait Apply: Send + Sync {
    /// The projection's name.
    fn name(&self) -> &'static str;
    /// The projection's version.
    fn version(&self) -> i32;
    /// Makes the table, its indexes and constraints.
    fn create<'a>(&'a self, db: &'a mut PgConnection, schema: &'a str) -> BoxFuture<'a, sqlx::Result<()>>;
    /// Takes in events of one book, in order.
    fn apply<'a>(
        &'a self,
        db: &'a mut PgConnection,
        schema: &'a str,
        book_id: BookId,
        events: &'a [Recorded],
    ) -> BoxFuture<'a, sqlx::Result<()>>;
}

/// The projection `P` as the runner holds it.
pub(crate) struct Of<P>(PhantomData<fn() -> P>);

impl<P> Default for Of<P> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<P: Projection> Apply for Of<P> {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn version(&self) -> i32 {
        P::VERSION
    }

    fn create<'a>(&'a self, db: &'a mut PgConnection, schema: &'a str) -> BoxFuture<'a, sqlx::Result<()>> {
        Box::pin(async move {
            db.execute(create_table::<P>(schema).as_str()).await?;
            for extra in P::EXTRA {
                db.execute(extra.replace("{table}", &table::<P>(schema)).replace("{schema}", schema).as_str()).await?;
            }
            Ok(())
        })
    }

    fn apply<'a>(
        &'a self,
        db: &'a mut PgConnection,
        schema: &'a str,
        book_id: BookId,
        events: &'a [Recorded],
    ) -> BoxFuture<'a, sqlx::Result<()>> {
        Box::pin(apply::<P>(db, schema, book_id, events))
    }
}

async fn apply<P: Projection>(
    db: &mut PgConnection,
    schema: &str,
    book_id: BookId,
    events: &[Recorded],
) -> sqlx::Result<()> {
    let mut touched: BTreeMap<P::Key, Vec<&Recorded>> = BTreeMap::new();
    for event in events {
        for key in P::keys(event) {
            touched.entry(key).or_default().push(event);
        }
    }
    if touched.is_empty() {
        return Ok(());
    }
    let mut before =
        if P::INSERT_ONLY { BTreeMap::new() } else { load::<P>(db, schema, book_id, touched.keys()).await? };
    let (mut written, mut removed) = (vec![], vec![]);
    for (key, events) in touched {
        let old = before.remove(&key);
        let mut row = old.clone();
        for event in events {
            P::fold(&mut row, &key, event);
        }
        match row {
            Some(row) if old.as_ref() != Some(&row) => written.push((key, row)),
            None if old.is_some() => removed.push(key),
            _ => {}
        }
    }
    write::<P>(db, schema, book_id, &written).await?;
    remove::<P>(db, schema, book_id, &removed).await
}

async fn load<P: Projection>(
    db: &mut PgConnection,
    schema: &str,
    book_id: BookId,
    keys: impl Iterator<Item = &P::Key>,
) -> sqlx::Result<BTreeMap<P::Key, P::Row>> {
    let sql = format!(
        "SELECT t.* FROM {} t JOIN {} USING ({}) WHERE t.book_id = $1",
        table::<P>(schema),
        unnest::<P>(P::KEY),
        names::<P>(P::KEY)
    );
    let mut query = sqlx::query(&sql).bind(book_id.uuid());
    for array in arrays(&P::COLUMNS[..P::KEY], keys.map(P::key_values)) {
        query = array.bind(query);
    }
    let rows = query.fetch_all(db).await?;
    Ok(rows.iter().map(|row| (P::read_key(row), P::read_row(row))).collect())
}

async fn write<P: Projection>(
    db: &mut PgConnection,
    schema: &str,
    book_id: BookId,
    rows: &[(P::Key, P::Row)],
) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let all = P::COLUMNS.len();
    let values: Vec<String> = P::COLUMNS
        .iter()
        .map(|c| if c.holds == Type::Json { format!("u.{}::jsonb", c.name) } else { format!("u.{}", c.name) })
        .collect();
    let mut sql = format!(
        "INSERT INTO {} (book_id, {}) SELECT $1, {} FROM {}",
        table::<P>(schema),
        names::<P>(all),
        values.join(", "),
        unnest::<P>(all)
    );
    if !P::INSERT_ONLY {
        let set: Vec<_> = P::COLUMNS[P::KEY..].iter().map(|c| format!("{0} = EXCLUDED.{0}", c.name)).collect();
        sql.push_str(&format!(" ON CONFLICT (book_id, {}) DO UPDATE SET {}", names::<P>(P::KEY), set.join(", ")));
    }
    let mut query = sqlx::query(&sql).bind(book_id.uuid());
    let values = rows.iter().map(|(key, row)| [P::key_values(key), P::row_values(row)].concat());
    for array in arrays(P::COLUMNS, values) {
        query = array.bind(query);
    }
    query.execute(db).await.map(|_| ())
}

async fn remove<P: Projection>(
    db: &mut PgConnection,
    schema: &str,
    book_id: BookId,
    keys: &[P::Key],
) -> sqlx::Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let same: Vec<_> = P::COLUMNS[..P::KEY].iter().map(|c| format!("t.{0} = u.{0}", c.name)).collect();
    let sql = format!(
        "DELETE FROM {} t USING {} WHERE t.book_id = $1 AND {}",
        table::<P>(schema),
        unnest::<P>(P::KEY),
        same.join(" AND ")
    );
    let mut query = sqlx::query(&sql).bind(book_id.uuid());
    for array in arrays(&P::COLUMNS[..P::KEY], keys.iter().map(P::key_values)) {
        query = array.bind(query);
    }
    query.execute(db).await.map(|_| ())
}

fn create_table<P: Projection>(schema: &str) -> String {
    let columns: Vec<_> = P::COLUMNS.iter().map(|c| format!("{} {}", c.name, c.holds.sql())).collect();
    format!(
        "CREATE TABLE {} (book_id uuid, {}, PRIMARY KEY (book_id, {}))",
        table::<P>(schema),
        columns.join(", "),
        names::<P>(P::KEY)
    )
}

fn table<P: Projection>(schema: &str) -> String {
    format!("{schema}.{}", P::NAME)
}

fn names<P: Projection>(first: usize) -> String {
    P::COLUMNS[..first].iter().map(|c| c.name).collect::<Vec<_>>().join(", ")
}

/// The first columns as rows of the arrays from `$2` on, named `u`.
fn unnest<P: Projection>(first: usize) -> String {
    let columns = P::COLUMNS[..first].iter();
    let arrays: Vec<_> = (2..).zip(columns).map(|(n, c)| format!("${n}::{}", c.holds.sql_array())).collect();
    format!("unnest({}) AS u ({})", arrays.join(", "), names::<P>(first))
}
