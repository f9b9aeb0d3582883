//! The ledger: postings, newest first.

use async_graphql::connection::{Connection, Edge, EmptyFields};
use async_graphql::{Context, Enum, ID, Object, SimpleObject};
use domain::NanoUsd;
use projections::ledger::{self, Filter, Row};

use crate::State;
use crate::as_of::{self, AsOf};
use crate::cursor::cursor;
use crate::error::{ErrorCode, Refused, read, refuse};
use crate::ids::{id, parse};
use crate::session::page_size;
use crate::viewer::viewer;

/// The ledger.
#[derive(Default)]
pub struct AccountQuery;

/// Who stands behind a charge.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "domain::account::ChargeOrigin")]
pub enum ChargeOrigin {
    /// A provider bills it.
    Metered,
    /// Nobody bills it: the scripted model.
    Notional,
    /// A record of another system says so.
    Imported,
}

/// A posting. Positive amounts debit the account, negative ones credit it.
#[derive(SimpleObject)]
struct LedgerEntry {
    /// The charge's event.
    position: String,
    account: String,
    amount_usd: String,
    origin: ChargeOrigin,
    session_id: ID,
    run_id: ID,
    llm_call_id: ID,
    model: Option<String>,
    price_id: Option<ID>,
    posted_at: domain::Timestamp,
}

type Entries = Connection<String, LedgerEntry, EmptyFields, EmptyFields>;

#[Object]
impl AccountQuery {
    /// Postings, newest first; memo accounts (notional, imported) only where asked for.
    #[expect(clippy::too_many_arguments, reason = "they are the field's arguments")]
    async fn ledger(
        &self,
        ctx: &Context<'_>,
        session_id: Option<ID>,
        #[graphql(default = false)] include_memo: bool,
        #[graphql(default = 50)] first: i32,
        after: Option<String>,
        #[graphql(desc = "The ledger as it was then.")] as_of: Option<AsOf>,
    ) -> Refused<Entries> {
        let viewer = viewer(ctx)?;
        let first = page_size(first)?;
        let until = match as_of {
            Some(as_of) => Some(as_of::position(ctx, viewer.book_id, as_of).await?),
            None => None,
        };
        let filter = Filter {
            session_id: session_id.as_ref().map(|id| parse("sessionId", id)).transpose()?,
            memo: include_memo,
            before: after.as_deref().map(place).transpose()?,
            until,
        };
        let mut db = ctx.data_unchecked::<State>().reader.book(viewer.book_id).await.map_err(read)?;
        let mut rows = ledger::list(&mut db, viewer.book_id, filter, first + 1).await.map_err(read)?;
        let more = rows.len() as i64 > first;
        rows.truncate(usize::try_from(first).unwrap_or(0));
        let mut connection = Connection::new(filter.before.is_some(), more);
        connection.edges.extend(rows.into_iter().map(|((position, line), row)| {
            Edge::new(format!("{position}.{line}"), LedgerEntry::of(cursor(ctx, position), row))
        }));
        Ok(connection)
    }
}

impl LedgerEntry {
    fn of(position: String, row: Row) -> Self {
        Self {
            position,
            account: row.account,
            amount_usd: NanoUsd(row.amount_nanousd).to_string(),
            origin: row.origin.into(),
            session_id: id(row.session_id),
            run_id: id(row.run_id),
            llm_call_id: id(row.llm_call_id),
            model: row.model,
            price_id: row.price_id.map(id),
            posted_at: row.posted_at,
        }
    }
}

/// Where a page of the ledger ended: position of the charge and which of its postings.
fn place(cursor: &str) -> Refused<(i64, usize)> {
    let parsed = cursor.split_once('.').and_then(|(p, l)| Some((p.parse().ok()?, l.parse().ok()?)));
    parsed.ok_or_else(|| refuse(ErrorCode::BadCursor, "after: expected a cursor as the ledger gave it"))
}
