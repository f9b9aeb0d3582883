//! The statement that appends a batch: swap the head if it is where this process last saw it, insert, notify once.

use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{PgConnection, Postgres, Row};
use uuid::Uuid;

use super::NOTIFY_CHANNEL;
use super::rows::{Columns, Rows};

/// `$1` book, `$2` position before, `$3` hash before, `$4` position after, `$5` hash after, `$6` recorded_at after, `$7` channel.
const ONE_BOOK: &str = "
WITH head AS (
    UPDATE book_heads SET position = $4, hash = $5, recorded_at = $6
    WHERE book_id = $1 AND position = $2 AND hash = $3 RETURNING book_id
), inserted AS (
    INSERT INTO events (book_id, position, stream_id, sequence, session_id, event_id, event_type, event_version,
        occurred_at, recorded_at, actor_id, correlation_id, causation_id, request_id, request_hash, payload,
        metadata, salt, commitment, hash)
    SELECT book_id, unnest($8::bigint[]), unnest($9::uuid[]), unnest($10::bigint[]), unnest($11::uuid[]),
        unnest($12::uuid[]), unnest($13::text[]), unnest($14::smallint[]), unnest($15::timestamptz[]),
        unnest($16::timestamptz[]), unnest($17::text[]), unnest($18::uuid[]), unnest($19::uuid[]), unnest($20::uuid[]),
        unnest($21::bytea[]), unnest($22::json[]), unnest($23::json[]), unnest($24::bytea[]), unnest($25::bytea[]),
        unnest($26::bytea[])
    FROM head
)
SELECT book_id, pg_notify($7, book_id::text || ' ' || $4::text)::text FROM head";

/// The same for one event, which is all that a lone writer ever has waiting: without arrays, and with a plan of two
/// steps where the other has three.
const ONE_EVENT: &str = "
WITH head AS (
    UPDATE book_heads SET position = $4, hash = $5, recorded_at = $6
    WHERE book_id = $1 AND position = $2 AND hash = $3 RETURNING book_id
)
INSERT INTO events (book_id, position, stream_id, sequence, session_id, event_id, event_type, event_version,
    occurred_at, recorded_at, actor_id, correlation_id, causation_id, request_id, request_hash, payload,
    metadata, salt, commitment, hash)
SELECT book_id, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26
FROM head
RETURNING book_id, pg_notify($7, book_id::text || ' ' || $4::text)::text";

/// `$1..$6` as arrays over the books; `$27` the book of each event. Heads are locked in book order, so that two
/// processes never wait for each other in a circle.
const MANY_BOOKS: &str = "
WITH want AS (
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::bytea[], $4::bigint[], $5::bytea[], $6::timestamptz[])
        AS w (book_id, before, before_hash, after, after_hash, recorded_at)
), locked AS MATERIALIZED (
    SELECT h.book_id, h.position, h.hash FROM book_heads h WHERE h.book_id = ANY ($1::uuid[]) ORDER BY h.book_id FOR UPDATE
), head AS (
    UPDATE book_heads h SET position = w.after, hash = w.after_hash, recorded_at = w.recorded_at
    FROM want w JOIN locked l USING (book_id)
    WHERE h.book_id = w.book_id AND l.position = w.before AND l.hash = w.before_hash
    RETURNING h.book_id, w.after
), inserted AS (
    INSERT INTO events (book_id, position, stream_id, sequence, session_id, event_id, event_type, event_version,
        occurred_at, recorded_at, actor_id, correlation_id, causation_id, request_id, request_hash, payload,
        metadata, salt, commitment, hash)
    SELECT u.* FROM (
        SELECT unnest($27::uuid[]) AS book_id, unnest($8::bigint[]), unnest($9::uuid[]), unnest($10::bigint[]),
            unnest($11::uuid[]), unnest($12::uuid[]), unnest($13::text[]), unnest($14::smallint[]),
            unnest($15::timestamptz[]), unnest($16::timestamptz[]), unnest($17::text[]), unnest($18::uuid[]),
            unnest($19::uuid[]), unnest($20::uuid[]), unnest($21::bytea[]), unnest($22::json[]), unnest($23::json[]),
            unnest($24::bytea[]), unnest($25::bytea[]), unnest($26::bytea[])
    ) AS u WHERE u.book_id IN (SELECT book_id FROM head)
)
SELECT book_id, pg_notify($7, book_id::text || ' ' || after::text)::text FROM head";

/// Appends; answers the books whose head was where it was thought to be. The others are untouched.
pub(super) async fn append(db: &mut PgConnection, batch: &[&Rows]) -> sqlx::Result<Vec<Uuid>> {
    let rows = match batch {
        [one] => append_to_one(one).fetch_all(db).await?,
        many => append_to_many(db, many).await?,
    };
    Ok(rows.into_iter().map(|row| row.get("book_id")).collect())
}

fn append_to_one(rows: &Rows) -> Query<'_, Postgres, PgArguments> {
    let single = rows.columns.position.len() == 1;
    let query = sqlx::query(if single { ONE_EVENT } else { ONE_BOOK })
        .bind(rows.book_id.uuid())
        .bind(rows.before.position)
        .bind(&rows.before.hash[..])
        .bind(rows.after.position)
        .bind(&rows.after.hash[..])
        .bind(rows.after.recorded_at)
        .bind(NOTIFY_CHANNEL);
    if single { bind_event(query, &rows.columns) } else { bind_columns(query, &rows.columns) }
}

async fn append_to_many(db: &mut PgConnection, batch: &[&Rows]) -> sqlx::Result<Vec<sqlx::postgres::PgRow>> {
    let mut all = Columns::default();
    let mut book_of = Vec::new();
    for rows in batch {
        book_of.extend(std::iter::repeat_n(rows.book_id.uuid(), rows.columns.position.len()));
        all.extend(&rows.columns);
    }
    let books: Vec<Uuid> = batch.iter().map(|rows| rows.book_id.uuid()).collect();
    let before: Vec<i64> = batch.iter().map(|rows| rows.before.position).collect();
    let before_hash: Vec<Vec<u8>> = batch.iter().map(|rows| rows.before.hash.to_vec()).collect();
    let after: Vec<i64> = batch.iter().map(|rows| rows.after.position).collect();
    let after_hash: Vec<Vec<u8>> = batch.iter().map(|rows| rows.after.hash.to_vec()).collect();
    let recorded_at: Vec<_> = batch.iter().map(|rows| rows.after.recorded_at).collect();
    let query = sqlx::query(MANY_BOOKS)
        .bind(books)
        .bind(before)
        .bind(before_hash)
        .bind(after)
        .bind(after_hash)
        .bind(recorded_at)
        .bind(NOTIFY_CHANNEL);
    bind_columns(query, &all).bind(book_of).fetch_all(db).await
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
