//! Folds events in memory, partition by partition, and writes the rows as a binary COPY.

use std::collections::{BTreeMap, HashMap};

use domain::BookId;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::apply::{ApplyError, guarded, readable};
use crate::column::{Column, Value, copy_field};
use crate::feed::Recorded;
use crate::projection::Projection;

/// How many fields a row has besides those of the projection: the book and the partition.
const OWN_FIELDS: usize = 2;

/// Folds a share of a book's partitions.
pub trait Fold: Send {
    /// Takes in the next event of the share.
    fn take(&mut self, event: &Recorded) -> Result<(), ApplyError>;
    /// Goes on from rows that were written before.
    fn take_back(&mut self, row: &PgRow);
    /// Gives all rows away, as rows of a binary COPY, about so many bytes at once.
    fn give(&mut self, chunk: usize, send: &mut dyn FnMut(Vec<u8>));
}

/// The rows of `P` in memory.
pub(crate) struct Folded<P: Projection> {
    book_id: BookId,
    partitions: HashMap<Uuid, BTreeMap<P::Key, Option<P::Row>>>,
    /// Rows that no later event can touch.
    finished: Vec<u8>,
}

impl<P: Projection> Folded<P> {
    pub fn new(book_id: BookId) -> Self {
        Self { book_id, partitions: HashMap::new(), finished: vec![] }
    }
}

impl<P: Projection> Fold for Folded<P> {
    fn take(&mut self, event: &Recorded) -> Result<(), ApplyError> {
        readable::<P>(event)?;
        let partition_id = event.partition().id;
        for key in guarded(event, || P::keys(event))? {
            if P::INSERT_ONLY {
                let mut row = None;
                guarded(event, || P::fold(&mut row, &key, event))?;
                if let Some(row) = row {
                    write::<P>(self.book_id, partition_id, &key, &row, &mut self.finished);
                }
                continue;
            }
            let rows = self.partitions.entry(partition_id).or_default();
            let row = rows.entry(key.clone()).or_default();
            guarded(event, || P::fold(row, &key, event))?;
            if row.is_none() {
                rows.remove(&key);
            }
        }
        Ok(())
    }

    fn take_back(&mut self, row: &PgRow) {
        let rows = self.partitions.entry(row.get("partition_id")).or_default();
        rows.insert(P::read_key(row), Some(P::read_row(row)));
    }

    fn give(&mut self, chunk: usize, send: &mut dyn FnMut(Vec<u8>)) {
        let mut out = std::mem::take(&mut self.finished);
        for (partition_id, rows) in std::mem::take(&mut self.partitions) {
            for (key, row) in &rows {
                if let Some(row) = row {
                    write::<P>(self.book_id, partition_id, key, row, &mut out);
                }
            }
            if out.len() >= chunk {
                send(std::mem::take(&mut out));
            }
        }
        if !out.is_empty() {
            send(out);
        }
    }
}

/// The columns of a row in the order in which `write` writes them.
pub(crate) fn columns(columns: &[Column]) -> String {
    let names = columns.iter().map(|column| column.name);
    ["book_id", "partition_id"].into_iter().chain(names).collect::<Vec<_>>().join(", ")
}

fn write<P: Projection>(book_id: BookId, partition_id: Uuid, key: &P::Key, row: &P::Row, out: &mut Vec<u8>) {
    let fields = i16::try_from(P::COLUMNS.len() + OWN_FIELDS).expect("a table has fewer than 1,600 columns");
    out.extend_from_slice(&fields.to_be_bytes());
    copy_field(out, book_id.uuid().as_bytes());
    copy_field(out, partition_id.as_bytes());
    let values = P::key_values(key).into_iter().chain(P::row_values(row));
    let copy = |(column, value): (&Column, Value)| value.copy_into(column.holds, out);
    P::COLUMNS.iter().zip(values).for_each(copy);
}
