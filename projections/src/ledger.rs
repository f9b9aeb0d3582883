//! The ledger: one row per posting. Every charge sums to zero, and the database checks it once more.

use domain::account::{AccountEvent, ChargeOrigin};
use domain::{BookId, Event, LlmCallId, PriceId, RunId, SessionId, Timestamp};
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgConnection, Row as _};

use crate::column::{Column, Type, Value, column};
use crate::feed::Recorded;
use crate::projection::Projection;
use crate::view::select;

/// The ledger.
pub enum Ledger {}

/// A posting.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The account.
    pub account: String,
    /// Positive debits, negative credits, in nano-USD.
    pub amount_nanousd: i64,
    /// Who stands behind it.
    pub origin: ChargeOrigin,
    /// The session.
    pub session_id: SessionId,
    /// The run.
    pub run_id: RunId,
    /// The model call.
    pub llm_call_id: LlmCallId,
    /// `provider/name`.
    pub model: Option<String>,
    /// The price that was applied.
    pub price_id: Option<PriceId>,
    /// When the charge was written down.
    pub posted_at: Timestamp,
}

impl Projection for Ledger {
    const NAME: &'static str = "ledger";
    const VERSION: i32 = 2;
    const COLUMNS: &'static [Column] = &[
        column("position", Type::Int),
        column("line", Type::Int),
        column("account", Type::Text),
        column("amount_nanousd", Type::Int),
        column("origin", Type::Json),
        column("session_id", Type::Uuid),
        column("run_id", Type::Uuid),
        column("llm_call_id", Type::Uuid),
        column("model", Type::Text),
        column("price_id", Type::Uuid),
        column("posted_at", Type::Time),
    ];
    const KEY: usize = 2;
    const EXTRA: &'static [&'static str] = &[
        "CREATE FUNCTION {schema}.check_balance() RETURNS trigger LANGUAGE plpgsql AS $$
         DECLARE
             wrong record;
         BEGIN
             SELECT book_id, position, sum(amount_nanousd) AS rest INTO wrong FROM inserted
             GROUP BY book_id, position HAVING sum(amount_nanousd) <> 0 LIMIT 1;
             IF FOUND THEN
                 RAISE EXCEPTION 'the charge at position % does not sum to zero: % is left', wrong.position, wrong.rest;
             END IF;
             RETURN NULL;
         END $$",
        "CREATE TRIGGER balanced AFTER INSERT ON {table} REFERENCING NEW TABLE AS inserted
         FOR EACH STATEMENT EXECUTE FUNCTION {schema}.check_balance()",
    ];
    const WRONG: &'static [&'static str] =
        &["SELECT format('the charge at position %s does not sum to zero', position) AS wrong FROM {table}
         GROUP BY book_id, position HAVING sum(amount_nanousd) <> 0 LIMIT 1"];
    const INSERT_ONLY: bool = true;
    const MONEY: bool = true;

    /// Position of the charge, and which of its postings.
    type Key = (i64, usize);
    type Row = Row;

    fn concerns(event_type: &str) -> bool {
        AccountEvent::stores(event_type)
    }

    fn keys(event: &Recorded) -> Vec<Self::Key> {
        match event.event() {
            Some(Event::Account(AccountEvent::UsageCharged(charged))) => {
                (0..charged.postings.len()).map(|line| (event.position, line)).collect()
            }
            _ => vec![],
        }
    }

    fn fold(row: &mut Option<Row>, (_, line): &Self::Key, recorded: &Recorded) {
        let Some(Event::Account(AccountEvent::UsageCharged(charged))) = recorded.event() else { return };
        *row = charged.postings.get(*line).map(|posting| Row {
            account: posting.account.clone(),
            amount_nanousd: posting.nanousd.0,
            origin: charged.origin,
            session_id: charged.session_id,
            run_id: charged.run_id,
            llm_call_id: charged.llm_call_id,
            model: charged.model.clone(),
            price_id: charged.price_id,
            posted_at: recorded.recorded_at,
        });
    }

    fn key_values((position, line): &Self::Key) -> Vec<Value> {
        vec![(*position).into(), Value::Int(i64::try_from(*line).ok())]
    }

    fn row_values(row: &Row) -> Vec<Value> {
        vec![
            (&row.account).into(),
            row.amount_nanousd.into(),
            Value::json(&row.origin),
            row.session_id.uuid().into(),
            row.run_id.uuid().into(),
            row.llm_call_id.uuid().into(),
            (&row.model).into(),
            row.price_id.map(PriceId::uuid).into(),
            row.posted_at.into(),
        ]
    }

    fn read_key(row: &PgRow) -> Self::Key {
        (row.get("position"), usize::try_from(row.get::<i64, _>("line")).unwrap_or(0))
    }

    fn read_row(row: &PgRow) -> Row {
        Row {
            account: row.get("account"),
            amount_nanousd: row.get("amount_nanousd"),
            origin: row.get::<Json<_>, _>("origin").0,
            session_id: SessionId::new(row.get("session_id")),
            run_id: RunId::new(row.get("run_id")),
            llm_call_id: LlmCallId::new(row.get("llm_call_id")),
            model: row.get("model"),
            price_id: row.get::<Option<_>, _>("price_id").map(PriceId::new),
            posted_at: row.get("posted_at"),
        }
    }
}

/// Which postings are wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter {
    /// Of this session only.
    pub session_id: Option<SessionId>,
    /// The memo accounts too: notional and imported charges.
    pub memo: bool,
    /// Older than this one.
    pub before: Option<(i64, usize)>,
    /// As the ledger was at this position.
    pub until: Option<i64>,
}

/// Postings, newest first.
pub async fn list(
    db: &mut PgConnection,
    book_id: BookId,
    filter: Filter,
    limit: i64,
) -> sqlx::Result<Vec<((i64, usize), Row)>> {
    let before = filter.before.map(|(position, line)| (position, i64::try_from(line).unwrap_or(i64::MAX)));
    let rows = sqlx::query(&select::<Ledger>(
        "WHERE book_id = $1 AND ($2::uuid IS NULL OR partition_id = $2) \
         AND ($3 OR origin = '\"metered\"') AND ($4::bigint IS NULL OR (position, line) < ($4, $5::bigint)) \
         AND ($6::bigint IS NULL OR position <= $6) ORDER BY position DESC, line DESC LIMIT $7",
    ))
    .bind(book_id.uuid())
    .bind(filter.session_id.map(SessionId::uuid))
    .bind(filter.memo)
    .bind(before.map(|b| b.0))
    .bind(before.map(|b| b.1))
    .bind(filter.until)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows.iter().map(|row| (Ledger::read_key(row), Ledger::read_row(row))).collect())
}
