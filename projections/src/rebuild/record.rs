//! The row of a build, from its beginning to its end.

use domain::RequestId;
use sqlx::postgres::{PgPool, PgRow};
use sqlx::types::Json;
use sqlx::{Executor, PgConnection, Row};

use super::held::{Tries, lock_posting};
use super::owner::this_process;
use super::report::{Named, Phase, Progress};
use super::{Options, RebuildError};
use crate::apply::Apply;
use crate::build::{self, Build};

/// A build that is to serve.
#[derive(Debug, Clone)]
pub(super) struct Green {
    pub schema: String,
    pub version: i32,
    pub number: i32,
    /// Whether it still has to be loaded.
    pub bare: bool,
    /// Whether it never served: all that it holds was read from the log for it.
    pub fresh: bool,
    /// Whether somebody wants it given up.
    pub unwanted: bool,
}

const COLUMNS: &str = "projection, version, build, schema_name, state, served_at IS NULL AS fresh, cancel";

impl Green {
    fn read(row: &PgRow) -> Self {
        Self {
            schema: row.get("schema_name"),
            version: row.get("version"),
            number: row.get("build"),
            bare: row.get::<String, _>("state") == "rebuilding",
            fresh: row.get("fresh"),
            unwanted: row.get("cancel"),
        }
    }

    pub fn named(&self, projection: &dyn Apply) -> Named {
        Named { projection: projection.name().to_owned(), version: self.version, build: self.number }
    }

    /// As the runner knows it, at a position of a book.
    pub fn at(&self, projection: &dyn Apply, position: i64) -> Build {
        Build {
            projection: projection.name().to_owned(),
            version: self.version,
            schema: self.schema.clone(),
            serving: false,
            position,
        }
    }

    /// What is to be told at its end.
    pub fn ended(&self, projection: &dyn Apply, phase: Phase) -> Progress {
        Progress {
            build: self.named(projection),
            phase,
            events_done: 0,
            events_total: 0,
            events_per_second: 0.0,
            percent: if phase == Phase::Switched { 100.0 } else { 0.0 },
            eta_seconds: None,
        }
    }
}

/// The build of a projection that is on its way.
pub(super) async fn under_way(pool: &PgPool, name: &str) -> sqlx::Result<Option<Green>> {
    let sql = format!("SELECT {COLUMNS} FROM builds WHERE projection = $1 AND state IN ('rebuilding', 'following')");
    Ok(sqlx::query(&sql).bind(name).fetch_optional(pool).await?.as_ref().map(Green::read))
}

/// What came of a request that was asked before and is over: nothing more is to be done, or why it failed.
pub(super) async fn answered(pool: &PgPool, name: &str, request_id: RequestId) -> sqlx::Result<Option<Option<String>>> {
    let row = sqlx::query(
        "SELECT coalesce(failure, CASE WHEN state IN ('failed', 'cancelled') THEN state END) AS failure FROM builds \
         WHERE projection = $1 AND request_id = $2 AND state NOT IN ('rebuilding', 'following')",
    )
    .bind(name)
    .bind(request_id.uuid())
    .fetch_optional(pool)
    .await?;
    Ok(row.map(|row| row.get("failure")))
}

/// Whether the build on its way answers this request.
pub(super) async fn works_on(pool: &PgPool, name: &str, request_id: RequestId) -> sqlx::Result<bool> {
    let row = sqlx::query(
        "SELECT EXISTS (SELECT 1 FROM builds WHERE projection = $1 AND request_id = $2 \
         AND state IN ('rebuilding', 'following')) AS same",
    )
    .bind(name)
    .bind(request_id.uuid())
    .fetch_one(pool)
    .await?;
    Ok(row.get("same"))
}

/// Goes on with a build of this version that was begun, or begins one. Answers whether it was begun before.
/// Nothing is under way that somebody wants given up.
pub(super) async fn begin(
    pool: &PgPool,
    projection: &dyn Apply,
    request_id: Option<RequestId>,
) -> Result<(Green, bool), RebuildError> {
    match under_way(pool, projection.name()).await? {
        Some(green) if green.version == projection.version() && green.fresh => {
            own(&mut *pool.acquire().await?, &green.schema, request_id).await?;
            return Ok((green, true));
        }
        // What another release left behind can only be finished by that release. What an undo left behind served
        // before, so nothing of it would be read from the log.
        Some(other) => {
            end(pool, &other, "cancelled", Some("another build was begun")).await?;
        }
        None => {}
    }
    let mut tx = pool.begin().await?;
    let schema = build::create(&mut tx, projection, "rebuilding").await?;
    own(&mut tx, &schema, request_id).await?;
    tx.commit().await?;
    let green = under_way(pool, projection.name()).await?;
    green.map(|green| (green, false)).ok_or(RebuildError::Lost)
}

/// Whoever wants it given up from here on is heard by this process, so `cancel` stays as it is.
async fn own(db: &mut PgConnection, schema: &str, request_id: Option<RequestId>) -> sqlx::Result<()> {
    sqlx::query("UPDATE builds SET owner = $2, request_id = coalesce($3, request_id) WHERE schema_name = $1")
        .bind(schema)
        .bind(this_process())
        .bind(request_id.map(RequestId::uuid))
        .execute(db)
        .await
        .map(|_| ())
}

/// The builds that serve and were put in the place of others.
pub(super) async fn serving(pool: &PgPool) -> sqlx::Result<Vec<Named>> {
    let sql = "SELECT projection, version, build FROM builds WHERE state = 'serving' AND progress IS NOT NULL";
    let rows = sqlx::query(sql).fetch_all(pool).await?;
    let named =
        |row: PgRow| Named { projection: row.get("projection"), version: row.get("version"), build: row.get("build") };
    Ok(rows.into_iter().map(named).collect())
}

/// Has the build follow the log again that served before the one that serves now. From then on it answers this request
/// and not the one that it was made for.
pub(super) async fn revive<'a>(
    pool: &PgPool,
    name: &str,
    known: &'a [Box<dyn Apply>],
    request_id: Option<RequestId>,
) -> Result<(&'a dyn Apply, Green), RebuildError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM builds WHERE projection = $1 AND (state = 'retired' \
         OR (state = 'following' AND served_at IS NOT NULL)) ORDER BY served_at DESC LIMIT 1"
    );
    let row = sqlx::query(&sql).bind(name).fetch_optional(pool).await?;
    let green = row.as_ref().map(Green::read).ok_or_else(|| RebuildError::NothingToUndo(name.to_owned()))?;
    let same = |known: &&dyn Apply| known.name() == name && known.version() == green.version;
    let projection = known.iter().map(AsRef::as_ref).find(same);
    let projection = projection.ok_or_else(|| RebuildError::OtherVersion(name.to_owned(), green.version))?;
    if let Some(other) = under_way(pool, name).await?.filter(|other| other.schema != green.schema) {
        end(pool, &other, "cancelled", Some("an earlier build is to serve again")).await?;
    }
    sqlx::query(
        "UPDATE builds SET state = 'following', owner = $2, request_id = $3, failure = NULL WHERE schema_name = $1",
    )
    .bind(&green.schema)
    .bind(this_process())
    .bind(request_id.map(RequestId::uuid))
    .execute(pool)
    .await?;
    Ok((projection, green))
}

/// Asks whoever works on a projection to give up; answers whether a build is on its way. The same request asks once:
/// what is on its way later is another build. Of several who ask, the first one is remembered.
pub(super) async fn ask_to_cancel(pool: &PgPool, name: &str, asked: &Options) -> sqlx::Result<bool> {
    let request_id = asked.request_id.map(RequestId::uuid);
    let known = sqlx::query("SELECT 1 FROM builds WHERE projection = $1 AND $2 = ANY (cancel_requests)");
    if known.bind(name).bind(request_id).fetch_optional(pool).await?.is_some() {
        return Ok(true);
    }
    let asked = sqlx::query(
        "UPDATE builds SET cancel = true, cancel_by = CASE WHEN cancel THEN cancel_by ELSE $2 END, \
           cancel_requests = array_remove(array_append(cancel_requests, $3), NULL) \
         WHERE projection = $1 AND state IN ('rebuilding', 'following')",
    )
    .bind(name)
    .bind(asked.asked_by.as_deref())
    .bind(request_id)
    .execute(pool)
    .await?;
    Ok(asked.rows_affected() > 0)
}

/// Whether somebody wants a build given up.
pub(super) async fn cancelled(pool: &PgPool, green: &Green) -> sqlx::Result<bool> {
    let row =
        sqlx::query("SELECT cancel FROM builds WHERE schema_name = $1").bind(&green.schema).fetch_one(pool).await?;
    Ok(row.get("cancel"))
}

/// Ends a build that will not serve: one that served before is kept as it was, of any other nothing stays but its row.
/// Answers who asked for it, where it was given up.
pub(super) async fn end(
    pool: &PgPool,
    green: &Green,
    state: &str,
    failure: Option<&str>,
) -> Result<Option<String>, RebuildError> {
    let mut tries = Tries::default();
    loop {
        match try_to_end(pool, green, state, failure).await {
            Ok(asked_by) => return Ok(asked_by),
            Err(error) => tries.after(error.into()).await?,
        }
    }
}

async fn try_to_end(pool: &PgPool, green: &Green, state: &str, failure: Option<&str>) -> sqlx::Result<Option<String>> {
    let mut tx = pool.begin().await?;
    // Nobody posts to a table while it goes.
    lock_posting(&mut tx).await?;
    // Of a build that is kept, only its failure says that the request came to nothing.
    let row = sqlx::query(
        "UPDATE builds SET state = CASE WHEN served_at IS NULL THEN $2 ELSE 'retired' END, \
         failure = coalesce($3, $2), owner = NULL, cancel = false, \
         progress = jsonb_set(coalesce(progress, '{}'), '{phase}', to_jsonb($2::text)) \
         WHERE schema_name = $1 AND state IN ('rebuilding', 'following') \
         RETURNING served_at IS NULL AS fresh, cancel_by",
    )
    .bind(&green.schema)
    .bind(state)
    .bind(failure)
    .fetch_optional(&mut *tx)
    .await?;
    if row.as_ref().is_some_and(|row| row.get("fresh")) {
        build::drop_tables(&mut tx, &green.schema).await?;
    }
    tx.commit().await?;
    Ok(row.and_then(|row| row.get("cancel_by")))
}

/// Takes everything out of a build that is not complete, so that it begins anew.
pub(super) async fn empty(db: &mut PgConnection, projection: &dyn Apply, green: &Green) -> sqlx::Result<()> {
    // Waits for whoever is still writing a cut.
    db.execute(format!("TRUNCATE {}.{}", green.schema, projection.name()).as_str()).await?;
    for table in ["checkpoints", "quarantine"] {
        let sql = format!("DELETE FROM {table} WHERE schema_name = $1");
        sqlx::query(&sql).bind(&green.schema).execute(&mut *db).await?;
    }
    Ok(())
}

/// Writes down how far a build has come; answers whether somebody wants it given up.
pub(super) async fn say(pool: &PgPool, green: &Green, progress: &Progress) -> sqlx::Result<bool> {
    let row = sqlx::query("UPDATE builds SET progress = $2 WHERE schema_name = $1 RETURNING cancel")
        .bind(&green.schema)
        .bind(Json(progress))
        .fetch_optional(pool)
        .await?;
    Ok(row.is_none_or(|row| row.get("cancel")))
}

/// The progress of the newest build of a projection that was ever rebuilt.
pub(super) async fn newest_progress(pool: &PgPool, name: &str) -> sqlx::Result<Option<Progress>> {
    let sql = "SELECT progress FROM builds WHERE projection = $1 AND progress IS NOT NULL ORDER BY build DESC LIMIT 1";
    let row = sqlx::query(sql).bind(name).fetch_optional(pool).await?;
    Ok(row.and_then(|row| row.try_get::<Json<Progress>, _>("progress").ok()).map(|json| json.0))
}
