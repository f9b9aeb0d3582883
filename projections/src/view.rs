//! The view that serves a projection. It only ever gains columns, so releases that know other columns read it too:
//! what a build does not hold is null.

use sqlx::{Executor, PgConnection, Row};

use crate::apply::Apply;
use crate::projection::Projection;

/// A column's name and type, as PostgreSQL calls it.
type Named = (String, String);

/// A query of what serves. It names its columns: one prepared before a switch is right after it, whatever the view has
/// gained.
pub(crate) fn select<P: Projection>(rest: &str) -> String {
    let columns: Vec<_> = P::COLUMNS.iter().map(|column| column.name).collect();
    format!("SELECT book_id, partition_id, {} FROM serving.{} {rest}", columns.join(", "), P::NAME)
}

/// Whether the view lacks columns that this release reads.
pub(crate) async fn lacks(db: &mut PgConnection, projection: &dyn Apply) -> sqlx::Result<bool> {
    let shown = columns(db, "serving", projection.name()).await?;
    Ok(projection.columns().iter().any(|column| shown.iter().all(|(name, _)| name != column.name)))
}

/// Has the view show a build.
pub(crate) async fn replace(db: &mut PgConnection, projection: &dyn Apply, schema: &str) -> sqlx::Result<()> {
    let name = projection.name();
    let shown = columns(db, "serving", name).await?;
    let held = columns(db, schema, name).await?;
    let find = |wanted: &str, among: &[Named]| among.iter().find(|(name, _)| name == wanted).cloned();
    // A view cannot change the type of a column; then it is made anew, and statements prepared on it are planned again.
    let fits = shown.iter().all(|(name, holds)| find(name, &held).is_none_or(|(_, now)| now == *holds));
    if !fits {
        db.execute(format!("DROP VIEW serving.{name}").as_str()).await?;
    }
    let mut list: Vec<Named> = if fits { shown } else { vec![] };
    let own = projection.columns().iter().map(|column| (column.name.to_owned(), column.holds.sql().to_owned()));
    for column in held.iter().cloned().chain(own) {
        if find(&column.0, &list).is_none() {
            list.push(column);
        }
    }
    let list: Vec<_> = list
        .into_iter()
        .map(|(name, holds)| if find(&name, &held).is_some() { name } else { format!("NULL::{holds} AS {name}") })
        .collect();
    let view = format!(
        "CREATE OR REPLACE VIEW serving.{name} WITH (security_invoker = true) AS SELECT {} FROM {schema}.{name}",
        list.join(", ")
    );
    db.execute(view.as_str()).await?;
    db.execute(format!("GRANT SELECT ON serving.{name} TO daybook_reader").as_str()).await.map(|_| ())
}

async fn columns(db: &mut PgConnection, schema: &str, name: &str) -> sqlx::Result<Vec<Named>> {
    let rows = sqlx::query(
        "SELECT a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS holds FROM pg_attribute a \
         JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
    )
    .bind(schema)
    .bind(name)
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.get("name"), row.get("holds"))).collect())
}
