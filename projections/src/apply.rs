//! Takes a page of events into a projection's table: load the touched rows, fold, write what changed.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};

use domain::{BookId, Event};
use futures::future::BoxFuture;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::column::{Type, arrays};
use crate::feed::{Body, FeedError, Partition, Recorded};
use crate::projection::Projection;
use crate::rebuild::Bulk;

/// Why events could not be taken in.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The database failed, or refuses a row.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// An event that concerns the projection cannot be read.
    #[error("position {position}: {reason}")]
    Poison {
        /// Where the event stands.
        position: i64,
        /// The partition that it belongs to.
        partition: Partition,
        /// What is wrong with it.
        reason: String,
    },
}

/// Why a database refuses a row, by the class of the error's code: bad data, a broken constraint, a row that is too
/// large, an error that a trigger raised. Everything else says nothing about the event.
const REFUSALS: [&str; 4] = ["22", "23", "54", "P0"];

impl ApplyError {
    /// Whether it is an event's fault, and not one of the connection or of the server.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Poison { .. } => true,
            Self::Database(error) => {
                let code = error.as_database_error().and_then(|error| error.code());
                code.is_some_and(|code| REFUSALS.iter().any(|class| code.starts_with(class)))
            }
        }
    }
}

impl From<FeedError> for ApplyError {
    fn from(FeedError::Database(error): FeedError) -> Self {
        Self::Database(error)
    }
}

/// A projection without its types.
pub trait Apply: Bulk + Send + Sync {
    /// The projection's name.
    fn name(&self) -> &'static str;
    /// The projection's version.
    fn version(&self) -> i32;
    /// Whether it stops in a book at an event that it cannot take in.
    fn stops(&self) -> bool;
    /// Makes the table, its indexes and constraints.
    fn create<'a>(&'a self, db: &'a mut PgConnection, schema: &'a str) -> BoxFuture<'a, sqlx::Result<()>>;
    /// Takes in events of one book, in order.
    fn apply<'a>(
        &'a self,
        db: &'a mut PgConnection,
        schema: &'a str,
        book_id: BookId,
        events: &'a [Recorded],
    ) -> BoxFuture<'a, Result<(), ApplyError>>;
    /// Removes the rows of a partition.
    fn clear<'a>(
        &'a self,
        db: &'a mut PgConnection,
        schema: &'a str,
        partition: Partition,
    ) -> BoxFuture<'a, sqlx::Result<()>>;
    /// Folds one partition anew from the log, up to a position, in place of whatever rows it has. What was skipped is
    /// left out; where it cannot go all the way, it waits in quarantine.
    fn refold<'a>(
        &'a self,
        db: &'a mut PgConnection,
        schema: &'a str,
        partition: Partition,
        to: i64,
    ) -> BoxFuture<'a, Result<(), ApplyError>>;
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

    fn stops(&self) -> bool {
        P::MONEY
    }

    fn create<'a>(&'a self, db: &'a mut PgConnection, schema: &'a str) -> BoxFuture<'a, sqlx::Result<()>> {
        Box::pin(async move {
            self.create_bare(db, schema).await?;
            self.complete(db, schema).await
        })
    }

    fn apply<'a>(
        &'a self,
        db: &'a mut PgConnection,
        schema: &'a str,
        book_id: BookId,
        events: &'a [Recorded],
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(apply::<P>(db, schema, book_id, events))
    }

    fn clear<'a>(
        &'a self,
        db: &'a mut PgConnection,
        schema: &'a str,
        partition: Partition,
    ) -> BoxFuture<'a, sqlx::Result<()>> {
        Box::pin(async move {
            let sql = format!("DELETE FROM {} WHERE book_id = $1 AND partition_id = $2", table::<P>(schema));
            sqlx::query(&sql).bind(partition.book_id.uuid()).bind(partition.id).execute(db).await.map(|_| ())
        })
    }

    fn refold<'a>(
        &'a self,
        db: &'a mut PgConnection,
        schema: &'a str,
        partition: Partition,
        to: i64,
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move { crate::post::refold(db, self, schema, partition, to).await.map(|_| ()) })
    }
}

async fn apply<P: Projection>(
    db: &mut PgConnection,
    schema: &str,
    book_id: BookId,
    events: &[Recorded],
) -> Result<(), ApplyError> {
    let mut touched: BTreeMap<P::Key, Vec<&Recorded>> = BTreeMap::new();
    for event in events {
        readable::<P>(event)?;
        for key in guarded(event, || P::keys(event))? {
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
        let partition_id = events[0].partition().id;
        for event in events {
            guarded(event, || P::fold(&mut row, &key, event))?;
        }
        match row {
            Some(row) if old.as_ref() != Some(&row) => written.push((partition_id, key, row)),
            None if old.is_some() => removed.push(key),
            _ => {}
        }
    }
    write::<P>(db, schema, book_id, &written).await?;
    remove::<P>(db, schema, book_id, &removed).await?;
    Ok(())
}

/// A fold that panics says that the event cannot be taken in; it must not end the task that posts everything else.
pub(crate) fn guarded<T>(event: &Recorded, fold: impl FnOnce() -> T) -> Result<T, ApplyError> {
    catch_unwind(AssertUnwindSafe(fold)).map_err(|panic| {
        let words = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        let reason = format!("the fold panicked: {}", words.unwrap_or("it does not say why"));
        ApplyError::Poison { position: event.position, partition: event.partition(), reason }
    })
}

/// Refuses an event that the projection would have to look at and cannot. One whose name is not known may concern all.
pub(crate) fn readable<P: Projection>(event: &Recorded) -> Result<(), ApplyError> {
    match &event.body {
        Body::Unreadable(reason) if P::concerns(&event.event_type) || !Event::is_known(&event.event_type) => {
            let (position, partition) = (event.position, event.partition());
            Err(ApplyError::Poison { position, partition, reason: reason.clone() })
        }
        _ => Ok(()),
    }
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
    rows: &[(Uuid, P::Key, P::Row)],
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
        "INSERT INTO {} (book_id, {}, partition_id) SELECT $1, {}, u.partition_id FROM unnest({}, ${}::uuid[]) AS u ({}, partition_id)",
        table::<P>(schema),
        names::<P>(all),
        values.join(", "),
        parameters::<P>(all),
        all + 2,
        names::<P>(all)
    );
    if !P::INSERT_ONLY {
        let set: Vec<_> = P::COLUMNS[P::KEY..].iter().map(|c| format!("{0} = EXCLUDED.{0}", c.name)).collect();
        sql.push_str(&format!(" ON CONFLICT (book_id, {}) DO UPDATE SET {}", names::<P>(P::KEY), set.join(", ")));
    }
    let mut query = sqlx::query(&sql).bind(book_id.uuid());
    let values = rows.iter().map(|(_, key, row)| [P::key_values(key), P::row_values(row)].concat());
    for array in arrays(P::COLUMNS, values) {
        query = array.bind(query);
    }
    let partitions: Vec<Uuid> = rows.iter().map(|(partition_id, ..)| *partition_id).collect();
    query.bind(partitions).execute(db).await.map(|_| ())
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

/// The statement that makes the table, without indexes and constraints.
pub(crate) fn create_table<P: Projection>(schema: &str) -> String {
    let columns: Vec<_> = P::COLUMNS.iter().map(|c| format!("{} {}", c.name, c.holds.sql())).collect();
    format!("CREATE TABLE {} (book_id uuid, partition_id uuid NOT NULL, {})", table::<P>(schema), columns.join(", "))
}

/// The table of a build.
pub(crate) fn table<P: Projection>(schema: &str) -> String {
    format!("{schema}.{}", P::NAME)
}

/// The names of the first columns.
pub(crate) fn names<P: Projection>(first: usize) -> String {
    P::COLUMNS[..first].iter().map(|c| c.name).collect::<Vec<_>>().join(", ")
}

/// The first columns as rows of the arrays from `$2` on, named `u`.
fn unnest<P: Projection>(first: usize) -> String {
    format!("unnest({}) AS u ({})", parameters::<P>(first), names::<P>(first))
}

/// The arrays of the first columns, from `$2` on.
fn parameters<P: Projection>(first: usize) -> String {
    let columns = P::COLUMNS[..first].iter();
    let arrays: Vec<_> = (2..).zip(columns).map(|(n, c)| format!("${n}::{}", c.holds.sql_array())).collect();
    arrays.join(", ")
}
