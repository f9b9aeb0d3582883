//! The statement that appends a batch: take the next position of each book, insert the rest, notify once.
//!
//! The primary key `(book_id, position)` is the fence between processes. Each asks for the position after the last one
//! that it knows; the first event of its batch gets it, or nothing of the book's batch is written, because another
//! process was there before. A position is free only if it is the next one: events are never removed, so the one that
//! this process knows is still there. Hence positions have no gaps, and are committed in their order.

use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{PgConnection, Postgres, Row};
use uuid::Uuid;

use super::rows::{Columns, Rows};

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

/// Appends; answers the books whose next position was free. The others are untouched.
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
    let query = sqlx::query(if rows.rest.is_empty() { ONE_EVENT } else { ONE_BOOK });
    let query = bind_event(query.bind(rows.book_id.uuid()).bind(notice(rows)), &rows.first);
    if rows.rest.is_empty() { query } else { bind_columns(query, &rows.rest) }
}

async fn append_to_many(db: &mut PgConnection, batch: &[&Rows]) -> sqlx::Result<Vec<Uuid>> {
    let (mut first, mut rest) = (Columns::default(), Columns::default());
    let (mut books, mut notices, mut book_of_rest) = (vec![], vec![], vec![]);
    for rows in batch {
        let book = rows.book_id.uuid();
        books.push(book);
        notices.push(notice(rows));
        first.extend(&rows.first);
        book_of_rest.extend(std::iter::repeat_n(book, rows.rest.len()));
        rest.extend(&rows.rest);
    }
    let query = bind_columns(sqlx::query(MANY_BOOKS).bind(books).bind(notices), &first);
    let written = bind_columns(query.bind(book_of_rest), &rest).fetch_all(db).await?;
    Ok(written.into_iter().map(|row| row.get("book_id")).collect())
}

/// What those who listen on `daybook_log` get: a book and its newest position.
fn notice(rows: &Rows) -> String {
    format!("{} {}", rows.book_id.uuid(), rows.after.position)
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
