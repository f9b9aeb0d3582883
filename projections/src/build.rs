//! Builds: one set of tables of one version of a projection, in a schema of its own, behind a view that serves it.

use domain::BookId;
use sqlx::postgres::PgPool;
use sqlx::{Connection, Executor, PgConnection, Row};

use crate::apply::Apply;
use crate::view;

/// A lock that makes builds one at a time across processes; the number only has to be always the same.
const BUILD_LOCK: i64 = 0x6461_7962_6f6f_6b01;

/// A build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Build {
    pub projection: String,
    pub version: i32,
    pub schema: String,
    /// Whether readers see it. One that does not is on its way to, and follows the log already.
    pub serving: bool,
    /// The last position of the book that it has taken in.
    pub position: i64,
}

/// Makes sure that something serves for every projection: the first build where there never was one, and what an
/// earlier version left until a rebuild has made this version's.
pub(crate) async fn ensure(db: &mut PgConnection, projections: &[Box<dyn Apply>]) -> sqlx::Result<()> {
    for projection in projections {
        let mut tx = db.begin().await?;
        lock(&mut tx).await?;
        match serving(&mut tx, projection.name()).await? {
            None => {
                let schema = create(&mut tx, projection.as_ref(), "serving").await?;
                serve(&mut tx, projection.as_ref(), &schema).await?;
            }
            Some((schema, version)) if version != projection.version() => {
                if view::lacks(&mut tx, projection.as_ref()).await? {
                    serve(&mut tx, projection.as_ref(), &schema).await?;
                }
            }
            Some(_) => {}
        }
        tx.commit().await?;
    }
    Ok(())
}

/// The schema and the version of the build that serves.
async fn serving(db: &mut PgConnection, projection: &str) -> sqlx::Result<Option<(String, i32)>> {
    let row = sqlx::query("SELECT schema_name, version FROM builds WHERE projection = $1 AND state = 'serving'")
        .bind(projection)
        .fetch_optional(db)
        .await?;
    Ok(row.map(|row| (row.get("schema_name"), row.get("version"))))
}

/// The projections for which a build of an earlier version serves, or a rebuild was interrupted before it was compared.
/// A build of a later version is a later release's.
pub(crate) async fn outdated(pool: &PgPool, projections: &[Box<dyn Apply>]) -> sqlx::Result<Vec<&'static str>> {
    let mut db = pool.acquire().await?;
    let mut outdated = vec![];
    for projection in projections {
        let serving = serving(&mut db, projection.name()).await?;
        let interrupted = sqlx::query(
            "SELECT 1 FROM builds WHERE projection = $1 AND version = $2 AND served_at IS NULL AND compared IS NULL \
             AND state IN ('rebuilding', 'following')",
        )
        .bind(projection.name())
        .bind(projection.version())
        .fetch_optional(&mut *db)
        .await?;
        if interrupted.is_some() || serving.is_some_and(|(_, version)| version < projection.version()) {
            outdated.push(projection.name());
        }
    }
    Ok(outdated)
}

/// The builds that follow a book: those that serve, and those that are about to.
pub(crate) async fn following(db: &mut PgConnection, book_id: BookId) -> sqlx::Result<Vec<Build>> {
    let rows = sqlx::query(
        "SELECT b.projection, b.version, b.schema_name, b.state = 'serving' AS serving, coalesce(c.position, 0) AS position \
         FROM builds b LEFT JOIN checkpoints c ON c.schema_name = b.schema_name AND c.book_id = $1 \
         WHERE b.state IN ('serving', 'following') ORDER BY b.schema_name",
    )
    .bind(book_id.uuid())
    .fetch_all(db)
    .await?;
    let builds = rows.into_iter().map(|row| Build {
        projection: row.get("projection"),
        version: row.get("version"),
        schema: row.get("schema_name"),
        serving: row.get("serving"),
        position: row.get("position"),
    });
    Ok(builds.collect())
}

/// The builds of a projection that served before and are kept to go back to, where they have not come to a position of
/// a book yet.
pub(crate) async fn kept_before(
    db: &mut PgConnection,
    projection: &str,
    book_id: BookId,
    position: i64,
) -> sqlx::Result<Vec<String>> {
    let rows = sqlx::query(
        "SELECT b.schema_name FROM builds b \
         LEFT JOIN checkpoints c ON c.schema_name = b.schema_name AND c.book_id = $2 \
         WHERE b.projection = $1 AND b.state = 'retired' AND coalesce(c.position, 0) < $3 \
         AND to_regclass(b.schema_name || '.' || b.projection) IS NOT NULL",
    )
    .bind(projection)
    .bind(book_id.uuid())
    .bind(position)
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| row.get("schema_name")).collect())
}

/// Makes the next build of a projection: bare where it is to be loaded, complete otherwise.
pub(crate) async fn create(db: &mut PgConnection, projection: &dyn Apply, state: &str) -> sqlx::Result<String> {
    lock(db).await?;
    let row = sqlx::query("SELECT coalesce(max(build), 0) + 1 AS build FROM builds WHERE projection = $1")
        .bind(projection.name())
        .fetch_one(&mut *db)
        .await?;
    let build: i32 = row.get("build");
    let schema = format!("{}_v{}_b{build}", projection.name(), projection.version());
    sqlx::query(
        "INSERT INTO builds (projection, version, build, schema_name, state, served_at) \
         VALUES ($1, $2, $3, $4, $5, CASE WHEN $5 = 'serving' THEN now() END)",
    )
    .bind(projection.name())
    .bind(projection.version())
    .bind(build)
    .bind(&schema)
    .bind(state)
    .execute(&mut *db)
    .await?;
    db.execute(format!("CREATE SCHEMA {schema}").as_str()).await?;
    if state == "rebuilding" {
        projection.create_bare(db, &schema).await?;
    } else {
        projection.create(db, &schema).await?;
    }
    sqlx::query("SELECT protect_build($1)").bind(&schema).execute(db).await?;
    Ok(schema)
}

/// Builds are made one at a time; the lock goes with the transaction.
async fn lock(db: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(BUILD_LOCK).execute(db).await.map(|_| ())
}

/// Lets a build serve: its view answers with the rights of whoever asks.
pub(crate) async fn serve(db: &mut PgConnection, projection: &dyn Apply, schema: &str) -> sqlx::Result<()> {
    view::replace(db, projection, schema).await
}

/// Removes a build that does not serve.
pub(crate) async fn drop_build(db: &mut PgConnection, schema: &str) -> sqlx::Result<()> {
    drop_tables(db, schema).await?;
    sqlx::query("DELETE FROM builds WHERE schema_name = $1 AND state <> 'serving'").bind(schema).execute(db).await?;
    Ok(())
}

/// Removes everything that a build holds but the row that names it.
pub(crate) async fn drop_tables(db: &mut PgConnection, schema: &str) -> sqlx::Result<()> {
    db.execute(format!("DROP SCHEMA {schema} CASCADE").as_str()).await?;
    sqlx::query("DELETE FROM checkpoints WHERE schema_name = $1").bind(schema).execute(db).await?;
    Ok(())
}
