//! A session as the API shows it.

use std::sync::Arc;

use async_graphql::connection::{Connection, Edge, EmptyFields};
use async_graphql::dataloader::DataLoader;
use async_graphql::{Context, Enum, ID, Object, SimpleObject};
use domain::{BookId, RunId, SessionId};
use projections::as_of::Past;
use projections::session::{self, Row};
use projections::{file, run, timeline, usage};

use crate::State;
use crate::as_of::{self, AsOf};
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
    async fn session(
        &self,
        ctx: &Context<'_>,
        id: ID,
        #[graphql(desc = "The session, and all that belongs to it, as it was then; null where it was not there yet.")]
        as_of: Option<AsOf>,
    ) -> Refused<Option<Session>> {
        let (book_id, session_id) = (viewer(ctx)?.book_id, parse("id", &id)?);
        let Some(as_of) = as_of else { return Session::load(ctx, book_id, session_id).await };
        let position = as_of::position(ctx, book_id, as_of).await?;
        let past = as_of::past(ctx, book_id, session_id, position).await?;
        let row = past.session.clone();
        Ok(row.map(|row| Session { book_id, session_id, row, past: Some(past) }))
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
        connection.edges.extend(rows.into_iter().map(|(session_id, row)| {
            Edge::new(session_id.to_string(), Session { book_id, session_id, row, past: None })
        }));
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
    /// All of it as it was, where the past was asked for.
    pub past: Option<Arc<Past>>,
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
        if let Some(past) = &self.past {
            let runs = past.runs.iter();
            let runs = runs.map(|(id, row)| Run { book_id, run_id: *id, row: row.clone(), past: Some(past.clone()) });
            return Ok(runs.collect());
        }
        let mut db = ctx.data_unchecked::<State>().reader.book(book_id).await.map_err(read)?;
        let runs = run::of_session(&mut db, book_id, self.session_id).await.map_err(read)?;
        Ok(runs.into_iter().map(|(run_id, row)| Run { book_id, run_id, row, past: None }).collect())
    }

    async fn latest_run(&self, ctx: &Context<'_>) -> Refused<Option<Run>> {
        let Some(run_id) = self.row.run_id.map(RunId::new) else { return Ok(None) };
        let book_id = self.book_id;
        if let Some(past) = &self.past {
            let row = past.runs.get(&run_id).cloned();
            return Ok(row.map(|row| Run { book_id, run_id, row, past: Some(past.clone()) }));
        }
        let row = ctx.data_unchecked::<DataLoader<RunLoader>>().load_one((book_id, run_id)).await?;
        Ok(row.map(|row| Run { book_id, run_id, row, past: None }))
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
        if let Some(past) = &self.past {
            rows.retain(|(position, _)| *position <= past.position);
        }
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
    async fn files(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The files as they were then.")] as_of: Option<AsOf>,
    ) -> Refused<Vec<File>> {
        let book_id = self.book_id;
        if let Some(past) = self.past(ctx, as_of).await? {
            let files = past.files.iter();
            return Ok(files.map(|((_, path), row)| File { book_id, path: path.clone(), row: row.clone() }).collect());
        }
        let mut db = ctx.data_unchecked::<State>().reader.book(book_id).await.map_err(read)?;
        let files = file::of_workspace(&mut db, book_id, self.row.workspace_id).await.map_err(read)?;
        Ok(files.into_iter().map(|((_, path), row)| File { book_id, path, row }).collect())
    }

    async fn usage(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What had been used by then.")] as_of: Option<AsOf>,
    ) -> Refused<Usage> {
        if let Some(past) = self.past(ctx, as_of).await? {
            return Ok(usage::sum(past.usage.values()).into());
        }
        let mut db = ctx.data_unchecked::<State>().reader.book(self.book_id).await.map_err(read)?;
        Ok(usage::totals(&mut db, self.book_id, self.session_id, None).await.map_err(read)?.into())
    }
}

impl Session {
    /// The session with this id, if the book holds it.
    pub async fn load(ctx: &Context<'_>, book_id: BookId, session_id: SessionId) -> Refused<Option<Self>> {
        let mut db = ctx.data_unchecked::<State>().reader.book(book_id).await.map_err(read)?;
        let found = session::get(&mut db, book_id, session_id).await.map_err(read)?;
        Ok(found.map(|(session_id, row)| Self { book_id, session_id, row, past: None }))
    }

    /// The moment that a field asks about, or else the one that the whole session is shown at.
    async fn past(&self, ctx: &Context<'_>, as_of: Option<AsOf>) -> Refused<Option<Arc<Past>>> {
        let Some(as_of) = as_of else { return Ok(self.past.clone()) };
        let position = as_of::position(ctx, self.book_id, as_of).await?;
        as_of::past(ctx, self.book_id, self.session_id, position).await.map(Some)
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
