//! How quarantine stands in a book: what waits in which build, and what was ordered. Read under the book's lock, so
//! that every process sees the same.

use std::borrow::Cow;
use std::collections::HashMap;

use domain::quarantine::QuarantineEvent;
use domain::{BookId, Event};
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use crate::apply::Apply;
use crate::feed::Recorded;

/// The code that folds here. What it could not take in, another release tries again.
pub(crate) const RELEASE: &str = env!("DAYBOOK_FOLDING_RELEASE");

/// How quarantine stands in a book.
#[derive(Debug, Clone, Default)]
pub(crate) struct Standing {
    /// By build and partition.
    entries: HashMap<String, HashMap<Uuid, Entry>>,
    orders: Vec<Order>,
}

/// A partition that waits, or because of which a whole build does.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub position: i64,
    pub stops: bool,
    seen: i64,
    tried: bool,
}

/// An order of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    /// Where the order stands in the log.
    pub at: i64,
    pub projection: String,
    /// The event that it is about.
    pub position: i64,
    /// Whether that event is left out from now on.
    skip: bool,
}

impl Order {
    /// The order that an event is, if it is one.
    pub fn of(event: &Event, at: i64) -> Option<Self> {
        let Event::Quarantine(event) = event else { return None };
        Some(match event {
            QuarantineEvent::QuarantineRetried(order) => {
                Self { at, projection: order.projection.clone(), position: order.position, skip: false }
            }
            QuarantineEvent::QuarantineSkipped(order) => {
                Self { at, projection: order.projection.clone(), position: order.position, skip: true }
            }
        })
    }
}

impl Standing {
    pub async fn load(db: &mut PgConnection, book_id: BookId) -> sqlx::Result<Self> {
        let rows = sqlx::query(
            "SELECT schema_name, partition_id, position, stops, seen, tried_by @> ARRAY[$2::text] AS tried \
             FROM quarantine WHERE book_id = $1",
        )
        .bind(book_id.uuid())
        .bind(RELEASE)
        .fetch_all(&mut *db)
        .await?;
        let mut entries: HashMap<String, HashMap<Uuid, Entry>> = HashMap::new();
        for row in rows {
            let entry = Entry {
                position: row.get("position"),
                stops: row.get("stops"),
                seen: row.get("seen"),
                tried: row.get("tried"),
            };
            entries.entry(row.get("schema_name")).or_default().insert(row.get("partition_id"), entry);
        }
        let seen = entries.values().flat_map(HashMap::values).filter(|entry| entry.stops).map(|entry| entry.seen).min();
        Ok(Self { entries, orders: orders(db, book_id, seen).await? })
    }

    /// What waits in a build, by partition.
    pub fn entries(&self, schema: &str) -> impl Iterator<Item = (Uuid, &Entry)> {
        self.entries.get(schema).into_iter().flatten().map(|(partition, entry)| (*partition, entry))
    }

    /// Where a build stopped as a whole.
    pub fn stop(&self, schema: &str) -> Option<i64> {
        self.entries(schema).find(|(_, entry)| entry.stops).map(|(_, entry)| entry.position)
    }

    /// The partitions of a build that are to be tried again: this release has not, or, where the build stopped, it was
    /// ordered. An order about a single partition is carried out where it stands in the log.
    pub fn due(&self, projection: &str, schema: &str) -> Vec<(Uuid, bool)> {
        let ordered = |entry: &Entry| {
            let mut about = self.orders.iter().filter(|order| order.projection == projection);
            entry.stops && about.any(|order| order.position == entry.position && order.at > entry.seen)
        };
        let due = self.entries(schema).filter(|(_, entry)| !entry.tried || ordered(entry));
        due.map(|(partition, entry)| (partition, entry.stops)).collect()
    }

    /// The newest order that is known here.
    pub fn seen(&self) -> i64 {
        self.orders.iter().map(|order| order.at).max().unwrap_or(0)
    }

    /// The events that a projection was told to go on without, as far as the log says so up to a position.
    pub fn skips(&self, projection: &str, to: i64) -> impl Iterator<Item = i64> {
        let skips = self.orders.iter().filter(move |order| order.skip && order.at <= to);
        skips.filter(move |order| order.projection == projection).map(|order| order.position)
    }

    /// The partition no longer waits in a build.
    pub fn forget(&mut self, schema: &str, partition_id: Uuid) {
        if let Some(entries) = self.entries.get_mut(schema) {
            entries.remove(&partition_id);
        }
    }

    /// The events that a build takes in when it goes to position `to`: neither those that wait nor those that are
    /// skipped.
    pub fn keep<'e>(
        &self,
        projection: &dyn Apply,
        schema: Option<&str>,
        events: &'e [Recorded],
        to: i64,
    ) -> Cow<'e, [Recorded]> {
        let entries = schema.and_then(|schema| self.entries.get(schema)).filter(|entries| !entries.is_empty());
        // One that stops looks ahead for orders, since it never reaches them by itself.
        let known = if projection.stops() { i64::MAX } else { to };
        let skips: Vec<i64> = self.skips(projection.name(), known).collect();
        if entries.is_none() && skips.is_empty() {
            return Cow::Borrowed(events);
        }
        let waits = |event: &Recorded| {
            let entry = entries.and_then(|entries| entries.get(&event.partition().id));
            entry.is_some_and(|entry| !entry.stops && event.position >= entry.position)
        };
        events.iter().filter(|event| !waits(event) && !skips.contains(&event.position)).cloned().collect()
    }
}

/// Every skip of a book, and every other order after a position.
async fn orders(db: &mut PgConnection, book_id: BookId, after: Option<i64>) -> sqlx::Result<Vec<Order>> {
    let rows = sqlx::query(
        "SELECT position, event_type, event_version, payload::text AS payload FROM events \
         WHERE book_id = $1 AND stream_id = $2 AND (event_type = 'quarantine.skipped' OR position > $3) ORDER BY sequence",
    )
    .bind(book_id.uuid())
    .bind(domain::quarantine::stream(book_id))
    .bind(after.unwrap_or(i64::MAX))
    .fetch_all(db)
    .await?;
    let orders = rows.iter().filter_map(|row| {
        let payload: Option<&str> = row.get("payload");
        let event = Event::decode(row.get("event_type"), row.get("event_version"), payload?).ok()?;
        Order::of(&event, row.get("position"))
    });
    Ok(orders.collect())
}
