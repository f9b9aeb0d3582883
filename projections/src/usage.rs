//! Usage: one row per model call, with what was set aside, what was used and what it cost.

use domain::account::{AccountEvent, ChargeOrigin, TokenCounts, UsageSource};
use domain::{BookId, Event, LlmCallId, RunId, SessionId, Timestamp};
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgConnection, Row as _};

use crate::column::{Column, Type, Value, column};
use crate::feed::Recorded;
use crate::projection::Projection;

/// Usage.
pub enum Usage {}

/// A model call, or the total of several in an imported record.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The session it served.
    pub session_id: SessionId,
    /// The run it served.
    pub run_id: RunId,
    /// `provider/name`.
    pub model: Option<String>,
    /// How many calls this is.
    pub calls: i64,
    /// Who stands behind the charge.
    pub origin: Option<ChargeOrigin>,
    /// What is set aside and not yet settled, in nano-USD.
    pub reserved_nanousd: i64,
    /// Tokens by class; absent ones were not reported.
    pub tokens: TokenCounts,
    /// Where the counts come from; absent while the call is under way.
    pub source: Option<UsageSource>,
    /// What it cost, in nano-USD; absent where nothing was charged.
    pub cost_nanousd: Option<i64>,
    /// When it was set aside or written down.
    pub at: Timestamp,
}

impl Projection for Usage {
    const NAME: &'static str = "usage";
    const VERSION: i32 = 2;
    const COLUMNS: &'static [Column] = &[
        column("llm_call_id", Type::Uuid),
        column("session_id", Type::Uuid),
        column("run_id", Type::Uuid),
        column("model", Type::Text),
        column("calls", Type::Int),
        column("origin", Type::Json),
        column("reserved_nanousd", Type::Int),
        column("input_tokens", Type::Int),
        column("cache_read_tokens", Type::Int),
        column("cache_write_tokens", Type::Int),
        column("output_tokens", Type::Int),
        column("reasoning_tokens", Type::Int),
        column("source", Type::Json),
        column("cost_nanousd", Type::Int),
        column("at", Type::Time),
    ];
    const KEY: usize = 1;
    const MONEY: bool = true;

    type Key = LlmCallId;
    type Row = Row;

    fn concerns(event_type: &str) -> bool {
        AccountEvent::stores(event_type)
    }

    fn keys(event: &Recorded) -> Vec<LlmCallId> {
        let Some(Event::Account(event)) = event.event() else { return vec![] };
        vec![match event {
            AccountEvent::SpendReserved(e) => e.llm_call_id,
            AccountEvent::UsageMetered(e) => e.llm_call_id,
            AccountEvent::UsageCharged(e) => e.llm_call_id,
            AccountEvent::ReservationSettled(e) => e.llm_call_id,
            AccountEvent::ReservationReleased(e) => e.llm_call_id,
        }]
    }

    fn fold(row: &mut Option<Row>, _: &LlmCallId, recorded: &Recorded) {
        let Some(Event::Account(event)) = recorded.event() else { return };
        let blank = |session_id, run_id, model| Row {
            session_id,
            run_id,
            model,
            calls: 0,
            origin: None,
            reserved_nanousd: 0,
            tokens: TokenCounts::default(),
            source: None,
            cost_nanousd: None,
            at: recorded.occurred_at,
        };
        match event {
            AccountEvent::SpendReserved(e) => {
                let row = row.insert(blank(e.session_id, e.run_id, Some(e.model.clone())));
                row.reserved_nanousd = e.est_nanousd.0;
                row.origin = Some(e.origin);
            }
            AccountEvent::UsageMetered(e) => {
                let row = row.get_or_insert_with(|| blank(e.session_id, e.run_id, e.model.clone()));
                (row.calls, row.tokens, row.source) = (i64::from(e.calls), e.tokens, Some(e.usage_source));
            }
            AccountEvent::UsageCharged(e) => {
                let row = row.get_or_insert_with(|| blank(e.session_id, e.run_id, e.model.clone()));
                (row.cost_nanousd, row.origin) = (Some(e.cost_nanousd.0), Some(e.origin));
            }
            AccountEvent::ReservationSettled(_) => {
                if let Some(row) = row {
                    row.reserved_nanousd = 0;
                }
            }
            AccountEvent::ReservationReleased(_) => *row = None,
        }
    }

    fn key_values(key: &LlmCallId) -> Vec<Value> {
        vec![key.uuid().into()]
    }

    fn row_values(row: &Row) -> Vec<Value> {
        let count = |tokens: Option<u64>| Value::Int(tokens.and_then(|n| i64::try_from(n).ok()));
        vec![
            row.session_id.uuid().into(),
            row.run_id.uuid().into(),
            (&row.model).into(),
            row.calls.into(),
            Value::Json(row.origin.map(|o| serde_json::to_string(&o).expect("it is plain data"))),
            row.reserved_nanousd.into(),
            count(row.tokens.input_tokens),
            count(row.tokens.cache_read_tokens),
            count(row.tokens.cache_write_tokens),
            count(row.tokens.output_tokens),
            count(row.tokens.reasoning_tokens),
            Value::Json(row.source.map(|s| serde_json::to_string(&s).expect("it is plain data"))),
            row.cost_nanousd.into(),
            row.at.into(),
        ]
    }

    fn read_key(row: &PgRow) -> LlmCallId {
        LlmCallId::new(row.get("llm_call_id"))
    }

    fn read_row(row: &PgRow) -> Row {
        let count = |name: &str| row.get::<Option<i64>, _>(name).and_then(|n| u64::try_from(n).ok());
        Row {
            session_id: SessionId::new(row.get("session_id")),
            run_id: RunId::new(row.get("run_id")),
            model: row.get("model"),
            calls: row.get("calls"),
            origin: row.get::<Option<Json<_>>, _>("origin").map(|json| json.0),
            reserved_nanousd: row.get("reserved_nanousd"),
            tokens: TokenCounts {
                input_tokens: count("input_tokens"),
                cache_read_tokens: count("cache_read_tokens"),
                cache_write_tokens: count("cache_write_tokens"),
                output_tokens: count("output_tokens"),
                reasoning_tokens: count("reasoning_tokens"),
            },
            source: row.get::<Option<Json<_>>, _>("source").map(|json| json.0),
            cost_nanousd: row.get("cost_nanousd"),
            at: row.get("at"),
        }
    }
}

/// Sums over model calls. Token sums are absent where no call reported any.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Totals {
    /// How many calls.
    pub calls: i64,
    /// How many of them were settled by estimate.
    pub estimated_calls: i64,
    /// Tokens by class.
    pub tokens: TokenCounts,
    /// Billed by a provider, in nano-USD.
    pub metered_nanousd: i64,
    /// Billed by nobody.
    pub notional_nanousd: i64,
    /// From records of other systems.
    pub imported_nanousd: i64,
    /// Set aside for calls under way.
    pub reserved_nanousd: i64,
}

/// What model calls sum up to.
pub fn sum<'r>(calls: impl IntoIterator<Item = &'r Row>) -> Totals {
    let add = |sum: &mut Option<u64>, count: Option<u64>| {
        if let Some(count) = count {
            *sum = Some(sum.unwrap_or(0).saturating_add(count));
        }
    };
    calls.into_iter().fold(Totals::default(), |mut totals, row| {
        totals.calls += row.calls;
        totals.estimated_calls += i64::from(row.source == Some(UsageSource::Estimated));
        add(&mut totals.tokens.input_tokens, row.tokens.input_tokens);
        add(&mut totals.tokens.cache_read_tokens, row.tokens.cache_read_tokens);
        add(&mut totals.tokens.cache_write_tokens, row.tokens.cache_write_tokens);
        add(&mut totals.tokens.output_tokens, row.tokens.output_tokens);
        add(&mut totals.tokens.reasoning_tokens, row.tokens.reasoning_tokens);
        let cost = match row.origin {
            Some(ChargeOrigin::Metered) => Some(&mut totals.metered_nanousd),
            Some(ChargeOrigin::Notional) => Some(&mut totals.notional_nanousd),
            Some(ChargeOrigin::Imported) => Some(&mut totals.imported_nanousd),
            None => None,
        };
        if let Some(cost) = cost {
            *cost = cost.saturating_add(row.cost_nanousd.unwrap_or(0));
        }
        totals.reserved_nanousd = totals.reserved_nanousd.saturating_add(row.reserved_nanousd);
        totals
    })
}

/// What the model calls of a session, or of one run, sum up to.
pub async fn totals(
    db: &mut PgConnection,
    book_id: BookId,
    session_id: SessionId,
    run_id: Option<RunId>,
) -> sqlx::Result<Totals> {
    let row = sqlx::query(
        "SELECT coalesce(sum(calls), 0)::bigint AS calls, \
           count(*) FILTER (WHERE source = '\"estimated\"') AS estimated_calls, \
           sum(input_tokens)::bigint AS input_tokens, sum(cache_read_tokens)::bigint AS cache_read_tokens, \
           sum(cache_write_tokens)::bigint AS cache_write_tokens, sum(output_tokens)::bigint AS output_tokens, \
           sum(reasoning_tokens)::bigint AS reasoning_tokens, \
           coalesce(sum(cost_nanousd) FILTER (WHERE origin = '\"metered\"'), 0)::bigint AS metered, \
           coalesce(sum(cost_nanousd) FILTER (WHERE origin = '\"notional\"'), 0)::bigint AS notional, \
           coalesce(sum(cost_nanousd) FILTER (WHERE origin = '\"imported\"'), 0)::bigint AS imported, \
           coalesce(sum(reserved_nanousd), 0)::bigint AS reserved \
         FROM serving.usage WHERE book_id = $1 AND partition_id = $2 AND ($3::uuid IS NULL OR run_id = $3)",
    )
    .bind(book_id.uuid())
    .bind(session_id.uuid())
    .bind(run_id.map(RunId::uuid))
    .fetch_one(db)
    .await?;
    let count = |name: &str| row.get::<Option<i64>, _>(name).and_then(|n| u64::try_from(n).ok());
    Ok(Totals {
        calls: row.get("calls"),
        estimated_calls: row.get("estimated_calls"),
        tokens: TokenCounts {
            input_tokens: count("input_tokens"),
            cache_read_tokens: count("cache_read_tokens"),
            cache_write_tokens: count("cache_write_tokens"),
            output_tokens: count("output_tokens"),
            reasoning_tokens: count("reasoning_tokens"),
        },
        metered_nanousd: row.get("metered"),
        notional_nanousd: row.get("notional"),
        imported_nanousd: row.get("imported"),
        reserved_nanousd: row.get("reserved"),
    })
}
