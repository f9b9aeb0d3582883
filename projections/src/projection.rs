//! What a projection is, and the list of all of them.

use std::fmt::Debug;

use sqlx::postgres::PgRow;

use crate::apply::Apply;
use crate::column::{Column, Value};
use crate::feed::Recorded;

/// A read model: rows by key, folded from events. Pure.
pub trait Projection: Send + Sync + 'static {
    /// The name of its table, and of the view that serves it.
    const NAME: &'static str;
    /// Raised whenever a row would come out differently; a build belongs to one version.
    const VERSION: i32;
    /// Its columns after `book_id`; the first `KEY` of them are the key.
    const COLUMNS: &'static [Column];
    /// How many columns the key has.
    const KEY: usize;
    /// Indexes and constraints; `{table}` stands for the table.
    const EXTRA: &'static [&'static str] = &[];
    /// Queries that answer a column `wrong` where the rows are not what they must be. Asked after rows were loaded in
    /// bulk, when no trigger of `EXTRA` looked at them.
    const WRONG: &'static [&'static str] = &[];
    /// Whether each key is touched by one event only, so that nothing need be loaded.
    const INSERT_ONLY: bool = false;

    /// Names a row within a book.
    type Key: Ord + Clone + Debug + Send + Sync;
    /// A row without its key.
    type Row: Clone + PartialEq + Debug + Send + Sync;

    /// Whether it stops in a book at an event that it cannot take in. Others set the event's partition aside and go on.
    const MONEY: bool = false;
    /// Whether it looks at stored events of this name.
    fn concerns(event_type: &str) -> bool;

    /// The rows that an event touches, each once; all of them belong to the event's partition.
    fn keys(event: &Recorded) -> Vec<Self::Key>;
    /// Takes an event into a row; `None` is no row.
    fn fold(row: &mut Option<Self::Row>, key: &Self::Key, event: &Recorded);
    /// The key's columns.
    fn key_values(key: &Self::Key) -> Vec<Value>;
    /// The row's other columns.
    fn row_values(row: &Self::Row) -> Vec<Value>;
    /// Reads a key back.
    fn read_key(row: &PgRow) -> Self::Key;
    /// Reads a row back.
    fn read_row(row: &PgRow) -> Self::Row;
}

/// A projection as the runner holds it.
pub type Applier = Box<dyn Apply>;

/// The projection `P` as the runner holds it.
pub fn applier<P: Projection>() -> Applier {
    Box::new(crate::apply::Of::<P>::default())
}

/// Every projection of the product.
pub fn all() -> Vec<Applier> {
    vec![
        Box::new(crate::apply::Of::<crate::session::Sessions>::default()),
        Box::new(crate::apply::Of::<crate::run::Runs>::default()),
        Box::new(crate::apply::Of::<crate::tool_call::ToolCalls>::default()),
        Box::new(crate::apply::Of::<crate::timeline::Timeline>::default()),
        Box::new(crate::apply::Of::<crate::file::Files>::default()),
        Box::new(crate::apply::Of::<crate::usage::Usage>::default()),
        Box::new(crate::apply::Of::<crate::ledger::Ledger>::default()),
        Box::new(crate::apply::Of::<crate::work::Work>::default()),
    ]
}
