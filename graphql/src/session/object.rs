//! A session as the API shows it.

use async_graphql::connection::{Connection, Edge, EmptyFields};
use async_graphql::dataloader::DataLoader;
use async_graphql::{Context, Enum, ID, Object, SimpleObject};
use domain::{BookId, RunId, SessionId};
use projections::session::{self, Row};
use projections::{file, run, timeline, usage};

use crate::State;
use crate::cursor::{self, cursor};
use crate::error::{ErrorCode, Refused, read, refuse};
use crate::file::File;
use crate::ids::{id, parse};
use crate::run::{ApprovalPolicy, Run, RunLoader};
use crate::timeline::TimelineEntry;
use crate::usage::Usage;
use crate::viewer::viewer;

/// The most entries of one page.
const PAGE_MAX: i32 = 100;
/// The longest text to search for, in characters.
const SEARCH_MAX: usize = 200;

/// Sessions.
#[derive(Default)]
pub struct SessionQuery;

/// Where a session comes from.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "domain::session::Origin")]
pub enum SessionOrigin {
    /// A person in the browser.
    Web,
    /// A person at the command line.
    Cli,
    /// The demo of a first visit.
    Demo,
    /// A record of another agent's run.
    Import,
}

/// The file that an imported session was read from.
#[derive(SimpleObject)]
struct ImportSource {
    format: String,
    file_name: String,
    sha256: String,
    bytes: u64,
}

/// Sessions, and how many there are.
#[derive(SimpleObject)]
struct SessionCount {
    /// How many there are in all pages together.
    total_count: i64,
}

type Sessions = Connection<String, Session, SessionCount, EmptyFields>;
type TimelineEntries = Connection<String, TimelineEntry, EmptyFields, EmptyFields>;

#[Object]
impl SessionQuery {
    /// One session.
    async fn session(&self, ctx: &Context<'_>, id: ID) -> Refused<Option<Session>> {
        let book_id = viewer(ctx)?.book_id;
        Session::load(ctx, book_id, parse("id", &id)?).await
    }

    /// Newest first. `search` matches titles.
    async fn sessions(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 30)] first: i32,
        after: Option<String>,
        search: Option<String>,
    ) -> Refused<Sessions> {
        let book_id = viewer(ctx)?.book_id;
        let first = page_size(first)?;
        let search = search.filter(|search| !search.trim().is_empty());
        if search.as_ref().is_some_and(|search| search.chars().count() > SEARCH_MAX || search.contains('\0')) {
            return Err(refuse(ErrorCode::BadInput, "search: at most 200 characters, without null bytes"));
        }
        let before: Option<SessionId> = after.as_ref().map(|after| parse("after", &ID(after.clone()))).transpose()?;
        let mut db = ctx.data_unchecked::<State>().reader.book(book_id).await.map_err(read)?;
        let search = search.as_deref().map(str::trim);
        let total_count = session::count(&mut db, book_id, search).await.map_err(read)?;
        let mut rows = session::list(&mut db, book_id, before, search, first + 1).await.map_err(read)?;
        let more = rows.len() as i64 > first;
        rows.truncate(usize::try_from(first).unwrap_or(0));
        let mut connection = Connection::with_additional_fields(before.is_some(), more, SessionCount { total_count });
        connection.edges.extend(
            rows.into_iter()
                .map(|(session_id, row)| Edge::new(session_id.to_string(), Session { book_id, session_id, row })),
        );
        Ok(connection)
    }
}

/// A conversation with agents about one workspace.
pub struct Session {
    /// The book that holds it.
    pub book_id: BookId,
    /// The session.
    pub session_id: SessionId,
    /// What is known of it.
    pub row: Row,
}

#[Object]
impl Session {
    async fn id(&self) -> ID {
        id(self.session_id)
    }

    async fn title(&self) -> &str {
        &self.row.title
    }

    async fn origin(&self) -> SessionOrigin {
        self.row.origin.into()
    }

    /// The file, where it is an import.
    async fn import_source(&self) -> Option<ImportSource> {
        self.row.import_source.as_ref().map(|source| ImportSource {
            format: source.format.clone(),
            file_name: source.file_name.clone(),
            sha256: source.sha256.to_string(),
            bytes: source.bytes,
        })
    }

    /// `provider/name`; null where a record does not say.
    async fn model(&self) -> Option<&str> {
        self.row.model.as_deref()
    }

    async fn approval_policy(&self) -> ApprovalPolicy {
        self.row.approval_policy.into()
    }

    async fn workspace_id(&self) -> ID {
        id(self.row.workspace_id)
    }

    /// When its content was erased; null where it was not.
    async fn erased_at(&self) -> Option<domain::Timestamp> {
        self.row.erased_at
    }

    async fn created_at(&self) -> domain::Timestamp {
        self.row.created_at
    }

    async fn updated_at(&self) -> domain::Timestamp {
        self.row.updated_at
    }

    /// The newest event that this answer has taken in.
    async fn position(&self, ctx: &Context<'_>) -> String {
        cursor(ctx, self.row.position)
    }

    /// Oldest first.
    async fn runs(&self, ctx: &Context<'_>) -> Refused<Vec<Run>> {
        let book_id = self.book_id;
        let mut db = ctx.data_unchecked::<State>().reader.book(book_id).await.map_err(read)?;
        let runs = run::of_session(&mut db, book_id, self.session_id).await.map_err(read)?;
        Ok(runs.into_iter().map(|(run_id, row)| Run { book_id, run_id, row }).collect())
    }

    async fn latest_run(&self, ctx: &Context<'_>) -> Refused<Option<Run>> {
        let Some(run_id) = self.row.run_id.map(RunId::new) else { return Ok(None) };
        let book_id = self.book_id;
        let row = ctx.data_unchecked::<DataLoader<RunLoader>>().load_one((book_id, run_id)).await?;
        Ok(row.map(|row| Run { book_id, run_id, row }))
    }

    /// How many questions wait for an answer.
    async fn pending_approvals(&self) -> i64 {
        self.row.pending_approvals
    }

    /// Oldest first.
    async fn timeline(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 100)] first: i32,
        after: Option<String>,
    ) -> Refused<TimelineEntries> {
        let first = page_size(first)?;
        let state = ctx.data_unchecked::<State>();
        let epoch = state.commands.installation().epoch;
        let from = after.as_deref().map_or(Ok(0), |after| cursor::position(epoch, after))?;
        let mut db = state.reader.book(self.book_id).await.map_err(read)?;
        let mut rows = timeline::list(&mut db, self.book_id, self.session_id, from, first + 1).await.map_err(read)?;
        let more = rows.len() as i64 > first;
        rows.truncate(usize::try_from(first).unwrap_or(0));
        let mut connection = Connection::new(from > 0, more);
        connection.edges.extend(rows.into_iter().map(|(position, row)| {
            let cursor = cursor(ctx, position);
            Edge::new(cursor.clone(), TimelineEntry::of(cursor, row))
        }));
        Ok(connection)
    }

    /// By path, the deleted ones too.
    async fn files(&self, ctx: &Context<'_>) -> Refused<Vec<File>> {
        let book_id = self.book_id;
        let mut db = ctx.data_unchecked::<State>().reader.book(book_id).await.map_err(read)?;
        let files = file::of_workspace(&mut db, book_id, self.row.workspace_id).await.map_err(read)?;
        Ok(files.into_iter().map(|((_, path), row)| File { book_id, path, row }).collect())
    }

    async fn usage(&self, ctx: &Context<'_>) -> Refused<Usage> {
        let mut db = ctx.data_unchecked::<State>().reader.book(self.book_id).await.map_err(read)?;
        Ok(usage::totals(&mut db, self.book_id, self.session_id, None).await.map_err(read)?.into())
    }
}

impl Session {
    /// The session with this id, if the book holds it.
    pub async fn load(ctx: &Context<'_>, book_id: BookId, session_id: SessionId) -> Refused<Option<Self>> {
        let mut db = ctx.data_unchecked::<State>().reader.book(book_id).await.map_err(read)?;
        let found = session::get(&mut db, book_id, session_id).await.map_err(read)?;
        Ok(found.map(|(session_id, row)| Self { book_id, session_id, row }))
    }
}

/// How many entries a page is to have.
pub fn page_size(first: i32) -> Refused<i64> {
    if (1..=PAGE_MAX).contains(&first) {
        Ok(i64::from(first))
    } else {
        Err(refuse(ErrorCode::BadInput, format!("first: 1 to {PAGE_MAX} are allowed, got {first}")))
    }
}
