//! The session list: one row per session.

use domain::account::{AccountEvent, ChargeOrigin};
use domain::run::{ApprovalPolicy, RunEvent};
use domain::session::{ImportSource, KeptFacts, Origin, SessionEvent};
use domain::{BookId, Event, SessionId, Timestamp, UserId, WorkspaceId};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use crate::column::{Column, Type, Value, column};
use crate::feed::{Body, Recorded};
use crate::projection::Projection;
use crate::view::select;

/// What lists call a session whose content was erased.
const ERASED_TITLE: &str = "(erased)";
/// The event with which a session begins.
const STARTED: &str = "session.started";

/// The session list.
pub enum Sessions {}

/// A session.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What lists call it.
    pub title: String,
    /// Where it comes from.
    pub origin: Origin,
    /// The file, where it is an import.
    pub import_source: Option<ImportSource>,
    /// The model of its runs.
    pub model: Option<String>,
    /// Which tool calls ask first.
    pub approval_policy: ApprovalPolicy,
    /// Whose it is.
    pub owner_user_id: UserId,
    /// Its files.
    pub workspace_id: WorkspaceId,
    /// When its content was erased.
    pub erased_at: Option<Timestamp>,
    /// When it began.
    pub created_at: Timestamp,
    /// When its newest event was written down.
    pub updated_at: Timestamp,
    /// The position of its newest event.
    pub position: i64,
    /// The newest run.
    pub run_id: Option<Uuid>,
    /// How many questions wait for an answer.
    pub pending_approvals: i64,
    /// How many messages people wrote.
    pub messages: i64,
    /// What it cost, by whoever stands behind it, in nano-USD.
    pub metered_nanousd: i64,
    /// The same for notional charges.
    pub notional_nanousd: i64,
    /// The same for imported charges.
    pub imported_nanousd: i64,
}

impl Projection for Sessions {
    const NAME: &'static str = "sessions";
    const VERSION: i32 = 3;
    const COLUMNS: &'static [Column] = &[
        column("session_id", Type::Uuid),
        column("title", Type::Text),
        column("origin", Type::Json),
        column("import_source", Type::Json),
        column("model", Type::Text),
        column("approval_policy", Type::Json),
        column("owner_user_id", Type::Uuid),
        column("workspace_id", Type::Uuid),
        column("erased_at", Type::Time),
        column("created_at", Type::Time),
        column("updated_at", Type::Time),
        column("position", Type::Int),
        column("run_id", Type::Uuid),
        column("pending_approvals", Type::Int),
        column("messages", Type::Int),
        column("metered_nanousd", Type::Int),
        column("notional_nanousd", Type::Int),
        column("imported_nanousd", Type::Int),
    ];
    const KEY: usize = 1;
    const EXTRA: &'static [&'static str] = &["CREATE INDEX ON {table} (book_id, session_id DESC)"];

    type Key = SessionId;
    type Row = Row;

    fn concerns(_: &str) -> bool {
        true
    }

    fn keys(event: &Recorded) -> Vec<SessionId> {
        event.session_id.into_iter().collect()
    }

    fn fold(row: &mut Option<Row>, _: &SessionId, event: &Recorded) {
        if let Some(Event::Session(SessionEvent::SessionStarted(started))) = event.event() {
            *row = Some(Row {
                title: started.title.clone(),
                origin: started.origin,
                import_source: started.import_source.clone(),
                model: started.model.clone(),
                approval_policy: started.approval_policy,
                owner_user_id: started.owner_user_id,
                workspace_id: started.workspace_id,
                erased_at: None,
                created_at: event.recorded_at,
                updated_at: event.recorded_at,
                position: event.position,
                run_id: None,
                pending_approvals: 0,
                messages: 0,
                metered_nanousd: 0,
                notional_nanousd: 0,
                imported_nanousd: 0,
            });
        }
        if row.is_none() && event.body == Body::Erased && event.event_type == STARTED {
            *row = Some(Row::of_erased(event));
        }
        let Some(row) = row else { return };
        (row.updated_at, row.position) = (event.recorded_at, event.position);
        match event.event() {
            Some(Event::Session(SessionEvent::MessageReceived(_))) => row.messages += 1,
            Some(Event::Session(SessionEvent::ContentErased(erased))) => {
                let KeptFacts { origin, owner_user_id, workspace_id } = erased.kept.clone();
                (row.origin, row.owner_user_id, row.workspace_id) = (origin, owner_user_id, workspace_id);
                row.erased_at = Some(event.recorded_at);
            }
            Some(Event::Run(event)) => fold_run(row, event),
            Some(Event::Account(AccountEvent::UsageCharged(charged))) => {
                let sum = match charged.origin {
                    ChargeOrigin::Metered => &mut row.metered_nanousd,
                    ChargeOrigin::Notional => &mut row.notional_nanousd,
                    ChargeOrigin::Imported => &mut row.imported_nanousd,
                };
                *sum = sum.saturating_add(charged.cost_nanousd.0);
            }
            _ => {}
        }
    }

    fn key_values(key: &SessionId) -> Vec<Value> {
        vec![key.uuid().into()]
    }

    fn row_values(row: &Row) -> Vec<Value> {
        vec![
            (&row.title).into(),
            Value::json(&row.origin),
            Value::Json(row.import_source.as_ref().map(|s| serde_json::to_string(s).expect("it is plain data"))),
            (&row.model).into(),
            Value::json(&row.approval_policy),
            row.owner_user_id.uuid().into(),
            row.workspace_id.uuid().into(),
            row.erased_at.into(),
            row.created_at.into(),
            row.updated_at.into(),
            row.position.into(),
            row.run_id.into(),
            row.pending_approvals.into(),
            row.messages.into(),
            row.metered_nanousd.into(),
            row.notional_nanousd.into(),
            row.imported_nanousd.into(),
        ]
    }

    fn read_key(row: &PgRow) -> SessionId {
        SessionId::new(row.get("session_id"))
    }

    fn read_row(row: &PgRow) -> Row {
        Row {
            title: row.get("title"),
            origin: row.get::<sqlx::types::Json<_>, _>("origin").0,
            import_source: row.get::<Option<sqlx::types::Json<_>>, _>("import_source").map(|json| json.0),
            model: row.get("model"),
            approval_policy: row.get::<sqlx::types::Json<_>, _>("approval_policy").0,
            owner_user_id: UserId::new(row.get("owner_user_id")),
            workspace_id: WorkspaceId::new(row.get("workspace_id")),
            erased_at: row.get("erased_at"),
            created_at: row.get("created_at"),
            updated_at: row.get("updated_at"),
            position: row.get("position"),
            run_id: row.get("run_id"),
            pending_approvals: row.get("pending_approvals"),
            messages: row.get("messages"),
            metered_nanousd: row.get("metered_nanousd"),
            notional_nanousd: row.get("notional_nanousd"),
            imported_nanousd: row.get("imported_nanousd"),
        }
    }
}

impl Row {
    /// What is known of a session from the header of its erased first event. The rest follows from `content.erased`.
    fn of_erased(started: &Recorded) -> Self {
        Self {
            title: ERASED_TITLE.to_owned(),
            origin: Origin::Web,
            import_source: None,
            model: None,
            approval_policy: ApprovalPolicy::default(),
            owner_user_id: UserId::new(Uuid::nil()),
            workspace_id: WorkspaceId::new(Uuid::nil()),
            erased_at: None,
            created_at: started.recorded_at,
            updated_at: started.recorded_at,
            position: started.position,
            run_id: None,
            pending_approvals: 0,
            messages: 0,
            metered_nanousd: 0,
            notional_nanousd: 0,
            imported_nanousd: 0,
        }
    }
}

fn fold_run(row: &mut Row, event: &RunEvent) {
    match event {
        RunEvent::RunRequested(requested) => row.run_id = Some(requested.run_id.uuid()),
        RunEvent::ApprovalRequested(_) => row.pending_approvals += 1,
        RunEvent::ApprovalGranted(_) | RunEvent::ApprovalDenied(_) => row.pending_approvals -= 1,
        // One question at a time waits in a run, and cancelling withdraws it.
        RunEvent::RunCancelled(_) => row.pending_approvals = 0,
        _ => {}
    }
}

/// One session.
pub async fn get(db: &mut PgConnection, book_id: BookId, id: SessionId) -> sqlx::Result<Option<(SessionId, Row)>> {
    let row = sqlx::query(&select::<Sessions>("WHERE book_id = $1 AND session_id = $2"))
        .bind(book_id.uuid())
        .bind(id.uuid())
        .fetch_optional(db)
        .await?;
    Ok(row.map(|row| (Sessions::read_key(&row), Sessions::read_row(&row))))
}

/// Sessions, newest first, older than `before`, whose title contains `search`.
pub async fn list(
    db: &mut PgConnection,
    book_id: BookId,
    before: Option<SessionId>,
    search: Option<&str>,
    limit: i64,
) -> sqlx::Result<Vec<(SessionId, Row)>> {
    let rows = sqlx::query(&select::<Sessions>(
        "WHERE book_id = $1 AND ($2::uuid IS NULL OR session_id < $2) \
         AND ($3::text IS NULL OR position(lower($3) IN lower(title)) > 0) ORDER BY session_id DESC LIMIT $4",
    ))
    .bind(book_id.uuid())
    .bind(before.map(SessionId::uuid))
    .bind(search)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows.iter().map(|row| (Sessions::read_key(row), Sessions::read_row(row))).collect())
}

/// The newest sessions that had begun by a time, newest first.
pub async fn begun(
    db: &mut PgConnection,
    book_id: BookId,
    time: Timestamp,
    limit: i64,
) -> sqlx::Result<Vec<SessionId>> {
    let rows = sqlx::query(
        "SELECT session_id FROM serving.sessions WHERE book_id = $1 AND created_at <= $2 \
         ORDER BY session_id DESC LIMIT $3",
    )
    .bind(book_id.uuid())
    .bind(time)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows.iter().map(Sessions::read_key).collect())
}

/// How many sessions there are whose title contains `search`.
pub async fn count(db: &mut PgConnection, book_id: BookId, search: Option<&str>) -> sqlx::Result<i64> {
    let row = sqlx::query(
        "SELECT count(*) AS n FROM serving.sessions WHERE book_id = $1 \
         AND ($2::text IS NULL OR position(lower($2) IN lower(title)) > 0)",
    )
    .bind(book_id.uuid())
    .bind(search)
    .fetch_one(db)
    .await?;
    Ok(row.get("n"))
}
