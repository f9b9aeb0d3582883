//! A range of positions as one COPY brings it, and which of its rows belongs to which share.

use std::sync::Arc;

use domain::{BookId, Event};
use futures::TryStreamExt;
use sqlx::postgres::{PgPool, PgRow};
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use super::RebuildError;
use super::copying::Copying;
use super::row::{self, Malformed};
use crate::feed;

/// Which events are read, and how many hands fold them.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    pub book_id: BookId,
    /// Stored names that do not concern the projection; sorted out by the database.
    pub skipped: Arc<[&'static str]>,
    pub shares: usize,
}

/// The events after one position and up to another.
#[derive(Debug)]
pub(super) struct Range {
    pub to: i64,
    /// How many events it stands for, those that do not concern the projection too.
    pub events: i64,
    bytes: Vec<u8>,
    /// Where the rows of each share begin.
    starts: Vec<Vec<u32>>,
    /// The partitions of its rows, without those that came just before.
    pub partitions: Vec<Uuid>,
    /// Rows of those partitions that were written before and are taken back.
    pub taken_back: Vec<PgRow>,
}

impl Range {
    /// How much memory it takes.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The rows of a share, in order.
    pub fn rows(&self, share: usize) -> impl Iterator<Item = Result<row::Row<'_>, Malformed>> {
        self.starts[share].iter().map(|start| row::Row::parse(&self.bytes[*start as usize..]))
    }
}

/// The share that a partition belongs to. The end of a UUIDv7 is random.
pub(super) fn share(partition_id: Uuid, shares: usize) -> usize {
    let [.., a, b, c, d] = partition_id.into_bytes();
    u32::from_be_bytes([a, b, c, d]) as usize % shares
}

/// The partitions that rows belong to, each once where they lie together.
pub(super) fn partitions_of(rows: &[PgRow]) -> Vec<Uuid> {
    let mut partitions: Vec<Uuid> = rows.iter().map(|row| row.get("partition_id")).collect();
    partitions.sort_unstable();
    partitions.dedup();
    partitions
}

/// Reads a range in a snapshot of its own.
pub(super) async fn read(pool: PgPool, reading: Reading, after: i64, to: i64) -> Result<Range, RebuildError> {
    let mut copying = Copying::acquire(&pool).await?;
    let db = copying.db();
    let erased = feed::erased_sessions(db, reading.book_id).await?;
    let bytes = copy_out(db, &reading, &erased, (after, to)).await?;
    // Where the database sorts events out, they cannot be counted here.
    if !reading.skipped.is_empty() {
        let sql = "SELECT count(*) AS n FROM events WHERE book_id = $1 AND position > $2 AND position <= $3";
        let row = sqlx::query(sql).bind(reading.book_id.uuid()).bind(after).bind(to).fetch_one(db).await?;
        complete(&reading, after, to, row.get("n"))?;
    }
    copying.done();
    index(reading, after, to, bytes)
}

async fn copy_out(
    db: &mut PgConnection,
    reading: &Reading,
    erased: &[Uuid],
    (after, to): (i64, i64),
) -> Result<Vec<u8>, RebuildError> {
    // COPY takes no parameters; what stands in the text is numbers, a UUID and names from the code.
    let names: Vec<_> = reading.skipped.iter().map(|name| format!("'{name}'")).collect();
    let concerns = match names.is_empty() {
        true => String::new(),
        false => format!(" AND event_type <> ALL (ARRAY[{}])", names.join(",")),
    };
    let sql = format!(
        "COPY (SELECT {}, {} FROM events WHERE book_id = '{}' AND position > {after} AND position <= {to}{concerns} \
         ORDER BY position) TO STDOUT (FORMAT binary)",
        row::COLUMNS,
        payload(erased),
        reading.book_id.uuid()
    );
    let mut rows = db.copy_out_raw(&sql).await?;
    let mut bytes = vec![];
    while let Some(row) = rows.try_next().await? {
        bytes.extend_from_slice(&row);
    }
    Ok(bytes)
}

/// The payload, as everybody reads it: that of an erased session is gone, also while it is still being removed.
fn payload(erased: &[Uuid]) -> String {
    if erased.is_empty() {
        return "payload".to_owned();
    }
    let quoted = |texts: Vec<String>| texts.iter().map(|text| format!("'{text}'")).collect::<Vec<_>>().join(",");
    let surviving = Event::all_stored().map(|stored| stored.name).filter(|name| domain::erasure::survives(name));
    format!(
        "CASE WHEN session_id IN ({}) AND event_type NOT IN ({}) THEN NULL ELSE payload END",
        quoted(erased.iter().map(Uuid::to_string).collect()),
        quoted(surviving.map(str::to_owned).collect()),
    )
}

/// Finds where the rows begin and sees that none is missing.
fn index(reading: Reading, after: i64, to: i64, bytes: Vec<u8>) -> Result<Range, RebuildError> {
    let mut starts = vec![vec![]; reading.shares];
    let mut partitions = vec![];
    let mut rest = row::after_header(&bytes)?;
    let (mut last, mut count) = (after, 0);
    loop {
        let start = bytes.len() - rest.len();
        let Some((position, partition_id)) = row::skim(&mut rest)? else { break };
        if position <= last {
            return Err(Malformed.into());
        }
        (last, count) = (position, count + 1);
        starts[share(partition_id, reading.shares)].push(u32::try_from(start).map_err(|_| Malformed)?);
        if partitions.last() != Some(&partition_id) {
            partitions.push(partition_id);
        }
    }
    if reading.skipped.is_empty() {
        complete(&reading, after, to, count)?;
    }
    Ok(Range { to, events: to - after, bytes, starts, partitions, taken_back: vec![] })
}

/// Positions are dense: a range holds as many events as it has positions, or the log is damaged.
fn complete(reading: &Reading, after: i64, to: i64, events: i64) -> Result<(), RebuildError> {
    match to - after == events {
        true => Ok(()),
        false => Err(RebuildError::Incomplete { book_id: reading.book_id, after, to, events }),
    }
}
