//! Files: one row per path of a workspace, as its newest change left it.

use domain::workspace::{FileChange, WorkspaceEvent, change};
use domain::{BookId, Content, Event, Sha256, Timestamp, ToolCallId, WorkspaceId};
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgConnection, Row as _};

use crate::column::{Column, Type, Value, column};
use crate::feed::Recorded;
use crate::projection::Projection;
use crate::view::select;

/// Files.
pub enum Files {}

/// A file.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its size; absent where it is unknown.
    pub bytes: Option<i64>,
    /// The hash of its content; absent where it is unknown.
    pub sha256: Option<Sha256>,
    /// How often it changed.
    pub version: i64,
    /// Whether it is gone.
    pub deleted: bool,
    /// Lines added by all changes together.
    pub lines_added: i64,
    /// Lines removed by all changes together.
    pub lines_removed: i64,
    /// The newest change.
    pub patch: Option<Content>,
    /// When it changed.
    pub changed_at: Timestamp,
    /// The call that changed it.
    pub tool_call_id: Option<ToolCallId>,
}

impl Projection for Files {
    const NAME: &'static str = "files";
    const VERSION: i32 = 2;
    const COLUMNS: &'static [Column] = &[
        column("workspace_id", Type::Uuid),
        column("path", Type::Text),
        column("bytes", Type::Int),
        column("sha256", Type::Text),
        column("version", Type::Int),
        column("deleted", Type::Bool),
        column("lines_added", Type::Int),
        column("lines_removed", Type::Int),
        column("patch", Type::Json),
        column("changed_at", Type::Time),
        column("tool_call_id", Type::Uuid),
    ];
    const KEY: usize = 2;

    type Key = (WorkspaceId, String);
    type Row = Row;

    fn concerns(event_type: &str) -> bool {
        WorkspaceEvent::stores(event_type)
    }

    fn keys(event: &Recorded) -> Vec<Self::Key> {
        let Some(Event::Workspace(workspace)) = event.event() else { return vec![] };
        change(workspace).map(|c| (WorkspaceId::new(event.stream_id), c.path.clone())).into_iter().collect()
    }

    fn fold(row: &mut Option<Row>, _: &Self::Key, recorded: &Recorded) {
        let Some(Event::Workspace(event)) = recorded.event() else { return };
        let Some(change) = change(event) else { return };
        let FileChange { bytes, after_sha256, patch, tool_call_id, .. } = change.clone();
        let (version, added, removed) = row.as_ref().map_or((0, 0, 0), |r| (r.version, r.lines_added, r.lines_removed));
        *row = Some(Row {
            bytes: bytes.and_then(|bytes| i64::try_from(bytes).ok()),
            sha256: after_sha256,
            version: version + 1,
            deleted: matches!(event, WorkspaceEvent::FileDeleted(_)),
            lines_added: added + i64::from(change.lines_added),
            lines_removed: removed + i64::from(change.lines_removed),
            patch,
            changed_at: recorded.occurred_at,
            tool_call_id,
        });
    }

    fn key_values((workspace_id, path): &Self::Key) -> Vec<Value> {
        vec![workspace_id.uuid().into(), path.into()]
    }

    fn row_values(row: &Row) -> Vec<Value> {
        vec![
            row.bytes.into(),
            Value::Text(row.sha256.map(|hash| hash.to_string())),
            row.version.into(),
            row.deleted.into(),
            row.lines_added.into(),
            row.lines_removed.into(),
            Value::Json(row.patch.as_ref().map(|p| serde_json::to_string(p).expect("it is plain data"))),
            row.changed_at.into(),
            row.tool_call_id.map(ToolCallId::uuid).into(),
        ]
    }

    fn read_key(row: &PgRow) -> Self::Key {
        (WorkspaceId::new(row.get("workspace_id")), row.get("path"))
    }

    fn read_row(row: &PgRow) -> Row {
        Row {
            bytes: row.get("bytes"),
            sha256: row.get::<Option<String>, _>("sha256").and_then(|hash| hash.parse().ok()),
            version: row.get("version"),
            deleted: row.get("deleted"),
            lines_added: row.get("lines_added"),
            lines_removed: row.get("lines_removed"),
            patch: row.get::<Option<Json<_>>, _>("patch").map(|json| json.0),
            changed_at: row.get("changed_at"),
            tool_call_id: row.get::<Option<_>, _>("tool_call_id").map(ToolCallId::new),
        }
    }
}

/// The files of a workspace by path, the deleted ones too.
pub async fn of_workspace(
    db: &mut PgConnection,
    book_id: BookId,
    id: WorkspaceId,
) -> sqlx::Result<Vec<((WorkspaceId, String), Row)>> {
    let rows = sqlx::query(&select::<Files>("WHERE book_id = $1 AND workspace_id = $2 ORDER BY path LIMIT 5000"))
        .bind(book_id.uuid())
        .bind(id.uuid())
        .fetch_all(db)
        .await?;
    Ok(rows.iter().map(|row| (Files::read_key(row), Files::read_row(row))).collect())
}

/// The content with this hash, if the book holds it.
pub async fn content(db: &mut PgConnection, book_id: BookId, sha256: Sha256) -> sqlx::Result<Option<Vec<u8>>> {
    let row = sqlx::query("SELECT content FROM blobs WHERE book_id = $1 AND sha256 = $2")
        .bind(book_id.uuid())
        .bind(&sha256.0[..])
        .fetch_optional(db)
        .await?;
    Ok(row.map(|row| row.get("content")))
}
