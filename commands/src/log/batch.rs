//! The statement that appends a batch: take the next position of each book, insert the rest, notify once.
//!
//! The primary key `(book_id, position)` is the fence between processes. Each asks for the position after the last one
//! that it knows; the first event of its batch gets it, or nothing of the book's batch is written, because another
//! process was there before. A position is free only if it is the next one: events are never removed, so the one that
//! this process knows is still there. Hence positions have no gaps, and are committed in their order.

use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{PgConnection, Postgres, Row as _};
use uuid::Uuid;

use super::rows::{JsonText, Row, Rows};

macro_rules! insert_into_events {
    () => {
        "INSERT INTO events (book_id, position, stream_id, sequence, session_id, event_id, event_type, event_version, \
           occurred_at, recorded_at, actor_id, correlation_id, causation_id, request_id, request_hash, payload, \
           metadata, salt, commitment, hash) "
    };
}

/// The first event of one book: `$1` book, `$3..$21` the event.
///
/// Whoever appends to a book holds its lock until the commit, so that processes queue there in the order they came.
macro_rules! first_event {
    ($also:literal) => {
        concat!(
            insert_into_events!(),
            "SELECT $1, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21 \
             WHERE pg_advisory_xact_lock(append_lock($1)) IS NOT NULL ",
            $also,
            " ON CONFLICT (book_id, position) DO NOTHING"
        )
    };
}

/// One event of one book, which is all that a lone writer ever has waiting: without arrays, and without a row for an
/// answer. `$2` what to notify of, which is true also where the position is taken.
const ONE_EVENT: &str = first_event!("AND pg_notify('daybook_log', $2) IS NOT NULL");

/// Several events of one book: the first, `$22..$40` the others, `$2` what to notify of.
const ONE_BOOK: &str = concat!(
    "WITH first AS (",
    first_event!(""),
    " RETURNING book_id), rest AS (",
    insert_into_events!(),
    "SELECT book_id, unnest($22::bigint[]), unnest($23::uuid[]), unnest($24::bigint[]), unnest($25::uuid[]), \
         unnest($26::uuid[]), unnest($27::text[]), unnest($28::smallint[]), unnest($29::timestamptz[]), \
         unnest($30::timestamptz[]), unnest($31::text[]), unnest($32::uuid[]), unnest($33::uuid[]), \
         unnest($34::uuid[]), unnest($35::bytea[]), unnest($36::json[]), unnest($37::json[]), unnest($38::bytea[]), \
         unnest($39::bytea[]), unnest($40::bytea[]) FROM first) \
     SELECT book_id, pg_notify('daybook_log', $2) FROM first"
);

/// Several books. `$1` books, `$2` what to notify of each, `$3..$21` the first event of each, `$22` the book of each other
/// event, `$23..$41` the other events. Books are locked in their order, so that two processes never wait for each other
/// in a circle.
const MANY_BOOKS: &str = concat!(
    "WITH first AS (",
    insert_into_events!(),
    "SELECT * FROM (SELECT unnest($1::uuid[]) AS book_id, unnest($3::bigint[]), unnest($4::uuid[]), \
         unnest($5::bigint[]), unnest($6::uuid[]), unnest($7::uuid[]), unnest($8::text[]), unnest($9::smallint[]), \
         unnest($10::timestamptz[]), unnest($11::timestamptz[]), unnest($12::text[]), unnest($13::uuid[]), \
         unnest($14::uuid[]), unnest($15::uuid[]), unnest($16::bytea[]), unnest($17::json[]), unnest($18::json[]), \
         unnest($19::bytea[]), unnest($20::bytea[]), unnest($21::bytea[])) AS one \
       WHERE pg_advisory_xact_lock(append_lock(one.book_id)) IS NOT NULL \
       ON CONFLICT (book_id, position) DO NOTHING RETURNING book_id \
     ), rest AS (",
    insert_into_events!(),
    "SELECT * FROM (SELECT unnest($22::uuid[]) AS book_id, unnest($23::bigint[]), unnest($24::uuid[]), \
         unnest($25::bigint[]), unnest($26::uuid[]), unnest($27::uuid[]), unnest($28::text[]), unnest($29::smallint[]), \
         unnest($30::timestamptz[]), unnest($31::timestamptz[]), unnest($32::text[]), unnest($33::uuid[]), \
         unnest($34::uuid[]), unnest($35::uuid[]), unnest($36::bytea[]), unnest($37::json[]), unnest($38::json[]), \
         unnest($39::bytea[]), unnest($40::bytea[]), unnest($41::bytea[])) AS other \
       WHERE other.book_id IN (SELECT book_id FROM first)) \
     SELECT book_id, pg_notify('daybook_log', notice) \
     FROM first JOIN unnest($1::uuid[], $2::text[]) AS grown (book_id, notice) USING (book_id)"
);

/// Appends; answers the books whose next position was free. The others are untouched. No book comes without rows.
pub(super) async fn append(db: &mut PgConnection, batch: &[&Rows]) -> sqlx::Result<Vec<Uuid>> {
    match batch {
        [one] => {
            let written = append_to_one(one).execute(db).await?.rows_affected() > 0;
            Ok(Vec::from_iter(written.then(|| one.book_id.uuid())))
        }
        many => append_to_many(db, many).await,
    }
}

fn append_to_one(rows: &Rows) -> Query<'_, Postgres, PgArguments> {
    let (first, rest) = rows.rows.split_first().expect("no book comes without rows");
    let sql = if rest.is_empty() { ONE_EVENT } else { ONE_BOOK };
    let query = bind_row(sqlx::query(sql).bind(rows.book_id.uuid()).bind(notice(rows)), first);
    if rest.is_empty() { query } else { bind_columns(query, rest.iter()) }
}

async fn append_to_many(db: &mut PgConnection, batch: &[&Rows]) -> sqlx::Result<Vec<Uuid>> {
    let books: Vec<Uuid> = batch.iter().map(|rows| rows.book_id.uuid()).collect();
    let notices: Vec<String> = batch.iter().map(|rows| notice(rows)).collect();
    let first = batch.iter().flat_map(|rows| rows.rows.first());
    let rest = batch.iter().flat_map(|rows| rows.rows.iter().skip(1));
    let book_of = |rows: &&Rows| std::iter::repeat_n(rows.book_id.uuid(), rows.rows.len() - 1);
    let book_of_rest: Vec<Uuid> = batch.iter().flat_map(book_of).collect();
    let query = bind_columns(sqlx::query(MANY_BOOKS).bind(books).bind(notices), first);
    let written = bind_columns(query.bind(book_of_rest), rest).fetch_all(db).await?;
    Ok(written.into_iter().map(|row| row.get("book_id")).collect())
}

/// What those who listen on `daybook_log` get: a book and its newest position.
fn notice(rows: &Rows) -> String {
    format!("{} {}", rows.book_id.uuid(), rows.after.position)
}

fn bind_row<'q>(query: Query<'q, Postgres, PgArguments>, row: &'q Row) -> Query<'q, Postgres, PgArguments> {
    query
        .bind(row.position)
        .bind(row.stream_id)
        .bind(row.sequence)
        .bind(row.session_id)
        .bind(row.event_id)
        .bind(row.event_type)
        .bind(row.event_version)
        .bind(row.occurred_at)
        .bind(row.recorded_at)
        .bind(&row.actor_id)
        .bind(row.correlation_id)
        .bind(row.causation_id)
        .bind(row.request_id)
        .bind(row.request_hash)
        .bind(JsonText(&*row.payload))
        .bind(JsonText(&*row.metadata))
        .bind(row.salt)
        .bind(row.commitment)
        .bind(row.hash)
}

/// The same of many rows, each column as an array.
fn bind_columns<'q>(
    query: Query<'q, Postgres, PgArguments>,
    rows: impl Iterator<Item = &'q Row> + Clone,
) -> Query<'q, Postgres, PgArguments> {
    macro_rules! column {
        ($value:expr) => {
            rows.clone().map($value).collect::<Vec<_>>()
        };
    }
    query
        .bind(column!(|row| row.position))
        .bind(column!(|row| row.stream_id))
        .bind(column!(|row| row.sequence))
        .bind(column!(|row| row.session_id))
        .bind(column!(|row| row.event_id))
        .bind(column!(|row| row.event_type))
        .bind(column!(|row| row.event_version))
        .bind(column!(|row| row.occurred_at))
        .bind(column!(|row| row.recorded_at))
        .bind(column!(|row| &*row.actor_id))
        .bind(column!(|row| row.correlation_id))
        .bind(column!(|row| row.causation_id))
        .bind(column!(|row| row.request_id))
        .bind(column!(|row| row.request_hash))
        .bind(column!(|row| JsonText(&*row.payload)))
        .bind(column!(|row| JsonText(&*row.metadata)))
        .bind(column!(|row| row.salt))
        .bind(column!(|row| row.commitment))
        .bind(column!(|row| row.hash))
}
