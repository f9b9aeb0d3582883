//! The statement that appends a batch: take the next position of each book, insert the rest, notify once.
//!
//! The primary key `(book_id, position)` is the fence between processes. Each asks for the position after the last one
//! that it knows; the first event of its batch gets it, or nothing of the book's batch is written, because another
//! process was there before. A position is free only if it is the next one: events are never removed, so the one that
//! this process knows is still there. Hence positions have no gaps, and are committed in their order.

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{PgConnection, Postgres, Row};
use uuid::Uuid;

use super::NOTIFY_CHANNEL;
use super::rows::{Columns, Rows};

macro_rules! insert_into_events {
    () => {
        "INSERT INTO events (book_id, position, stream_id, sequence, session_id, event_id, event_type, event_version, \
           occurred_at, recorded_at, actor_id, correlation_id, causation_id, request_id, request_hash, payload, \
           metadata, salt, commitment, hash) "
    };
}

/// What a lone writer has: one event, and all values plain. `$1` book, `$2` channel, `$3..$21` the event.
///
/// Whoever appends to a book holds its lock until the commit, so that processes queue there in the order they came.
const ONE_EVENT: &str = concat!(
    insert_into_events!(),
    "SELECT $1, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21 \
     WHERE pg_advisory_xact_lock(append_lock($1)) IS NOT NULL \
     ON CONFLICT (book_id, position) DO NOTHING \
     RETURNING book_id, pg_notify($2, book_id::text || ' ' || position::text)::text"
);

/// Any batch. `$1` books, `$2` their positions after it, `$3` channel, `$4..$22` the first event of each book, `$23` the
/// book of each other event, `$24..$42` the other events. Books are locked in their order, so that two processes never
/// wait for each other in a circle.
const BATCH: &str = concat!(
    "WITH first AS (",
    insert_into_events!(),
    "SELECT * FROM (SELECT unnest($1::uuid[]) AS book_id, unnest($4::bigint[]), unnest($5::uuid[]), \
         unnest($6::bigint[]), unnest($7::uuid[]), unnest($8::uuid[]), unnest($9::text[]), unnest($10::smallint[]), \
         unnest($11::timestamptz[]), unnest($12::timestamptz[]), unnest($13::text[]), unnest($14::uuid[]), \
         unnest($15::uuid[]), unnest($16::uuid[]), unnest($17::bytea[]), unnest($18::json[]), unnest($19::json[]), \
         unnest($20::bytea[]), unnest($21::bytea[]), unnest($22::bytea[])) AS one \
       WHERE pg_advisory_xact_lock(append_lock(one.book_id)) IS NOT NULL \
       ON CONFLICT (book_id, position) DO NOTHING RETURNING book_id \
     ), rest AS (",
    insert_into_events!(),
    "SELECT * FROM (SELECT unnest($23::uuid[]) AS book_id, unnest($24::bigint[]), unnest($25::uuid[]), \
         unnest($26::bigint[]), unnest($27::uuid[]), unnest($28::uuid[]), unnest($29::text[]), unnest($30::smallint[]), \
         unnest($31::timestamptz[]), unnest($32::timestamptz[]), unnest($33::text[]), unnest($34::uuid[]), \
         unnest($35::uuid[]), unnest($36::uuid[]), unnest($37::bytea[]), unnest($38::json[]), unnest($39::json[]), \
         unnest($40::bytea[]), unnest($41::bytea[]), unnest($42::bytea[])) AS other \
       WHERE other.book_id IN (SELECT book_id FROM first)) \
     SELECT book_id, pg_notify($3, book_id::text || ' ' || after::text)::text \
     FROM first JOIN unnest($1::uuid[], $2::bigint[]) AS written (book_id, after) USING (book_id)"
);

/// Appends; answers the books whose next position was free. The others are untouched.
pub(super) async fn append(db: &mut PgConnection, batch: &[&Rows]) -> sqlx::Result<Vec<Uuid>> {
    let rows = match batch {
        [one] if one.rest.is_empty() => append_event(one).fetch_all(db).await?,
        [one] => append_batch(db, batch, &one.first, &one.rest).await?,
        many => {
            let (mut first, mut rest) = (Columns::default(), Columns::default());
            for rows in many {
                first.extend(&rows.first);
                rest.extend(&rows.rest);
            }
            append_batch(db, many, &first, &rest).await?
        }
    };
    Ok(rows.into_iter().map(|row| row.get("book_id")).collect())
}

fn append_event(rows: &Rows) -> Query<'_, Postgres, PgArguments> {
    bind_event(sqlx::query(ONE_EVENT).bind(rows.book_id.uuid()).bind(NOTIFY_CHANNEL), &rows.first)
}

async fn append_batch(
    db: &mut PgConnection,
    batch: &[&Rows],
    first: &Columns,
    rest: &Columns,
) -> sqlx::Result<Vec<PgRow>> {
    let books: Vec<Uuid> = batch.iter().map(|rows| rows.book_id.uuid()).collect();
    let after: Vec<i64> = batch.iter().map(|rows| rows.after.position).collect();
    let book_of = |rows: &&Rows| std::iter::repeat_n(rows.book_id.uuid(), rows.rest.len());
    let others: Vec<Uuid> = batch.iter().flat_map(book_of).collect();
    let query = sqlx::query(BATCH).bind(books).bind(after).bind(NOTIFY_CHANNEL);
    bind_columns(bind_columns(query, first).bind(others), rest).fetch_all(db).await
}

fn bind_columns<'q>(query: Query<'q, Postgres, PgArguments>, c: &'q Columns) -> Query<'q, Postgres, PgArguments> {
    query
        .bind(&c.position)
        .bind(&c.stream_id)
        .bind(&c.sequence)
        .bind(&c.session_id)
        .bind(&c.event_id)
        .bind(&c.event_type)
        .bind(&c.event_version)
        .bind(&c.occurred_at)
        .bind(&c.recorded_at)
        .bind(&c.actor_id)
        .bind(&c.correlation_id)
        .bind(&c.causation_id)
        .bind(&c.request_id)
        .bind(&c.request_hash)
        .bind(&c.payload)
        .bind(&c.metadata)
        .bind(&c.salt)
        .bind(&c.commitment)
        .bind(&c.hash)
}

/// The first event of the columns.
fn bind_event<'q>(query: Query<'q, Postgres, PgArguments>, c: &'q Columns) -> Query<'q, Postgres, PgArguments> {
    query
        .bind(c.position[0])
        .bind(c.stream_id[0])
        .bind(c.sequence[0])
        .bind(c.session_id[0])
        .bind(c.event_id[0])
        .bind(c.event_type[0])
        .bind(c.event_version[0])
        .bind(c.occurred_at[0])
        .bind(c.recorded_at[0])
        .bind(&c.actor_id[0])
        .bind(c.correlation_id[0])
        .bind(c.causation_id[0])
        .bind(c.request_id[0])
        .bind(c.request_hash[0])
        .bind(&c.payload[0])
        .bind(&c.metadata[0])
        .bind(c.salt[0])
        .bind(c.commitment[0])
        .bind(c.hash[0])
}

impl Columns {
    pub(super) fn len(&self) -> usize {
        self.position.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.position.is_empty()
    }

    fn extend(&mut self, other: &Self) {
        self.position.extend_from_slice(&other.position);
        self.stream_id.extend_from_slice(&other.stream_id);
        self.sequence.extend_from_slice(&other.sequence);
        self.session_id.extend_from_slice(&other.session_id);
        self.event_id.extend_from_slice(&other.event_id);
        self.event_type.extend_from_slice(&other.event_type);
        self.event_version.extend_from_slice(&other.event_version);
        self.occurred_at.extend_from_slice(&other.occurred_at);
        self.recorded_at.extend_from_slice(&other.recorded_at);
        self.actor_id.extend_from_slice(&other.actor_id);
        self.correlation_id.extend_from_slice(&other.correlation_id);
        self.causation_id.extend_from_slice(&other.causation_id);
        self.request_id.extend_from_slice(&other.request_id);
        self.request_hash.extend_from_slice(&other.request_hash);
        self.payload.extend_from_slice(&other.payload);
        self.metadata.extend_from_slice(&other.metadata);
        self.salt.extend_from_slice(&other.salt);
        self.commitment.extend_from_slice(&other.commitment);
        self.hash.extend_from_slice(&other.hash);
    }
}
