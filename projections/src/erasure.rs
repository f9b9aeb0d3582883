//! What the log says of erasures: which events were to lose their content, and what is left of a session in read tables.

use domain::erasure::PositionRange;
use domain::session::SessionEvent;
use domain::{BookId, Event};
use sqlx::{PgConnection, Row};

use crate::feed::Partition;
use crate::projection;

/// The positions of a book that its `content.erased` events name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named(Vec<PositionRange>);

impl Named {
    /// The positions in these ranges.
    pub fn new(mut ranges: Vec<PositionRange>) -> Self {
        ranges.sort_by_key(|range| range.first);
        Self(ranges)
    }

    /// Whether this position was erased. No two sessions share an event, so the ranges never overlap.
    pub fn contains(&self, position: i64) -> bool {
        let before = self.0.partition_point(|range| range.first <= position);
        before.checked_sub(1).and_then(|last| self.0.get(last)).is_some_and(|range| position <= range.last)
    }
}

/// What a book says was erased, up to a position. An erasure names only what stands before it.
pub async fn named(db: &mut PgConnection, book_id: BookId, to: i64) -> sqlx::Result<Named> {
    let rows = sqlx::query(
        "SELECT position, event_type, event_version, payload::text AS payload FROM events \
         WHERE book_id = $1 AND event_type = 'content.erased' AND position <= $2 AND payload IS NOT NULL ORDER BY position",
    )
    .bind(book_id.uuid())
    .bind(to)
    .fetch_all(db)
    .await?;
    let mut ranges = vec![];
    for row in rows {
        let at: i64 = row.get("position");
        // One that cannot be read names nothing; the chain says what is wrong with it.
        let event = Event::decode(row.get("event_type"), row.get("event_version"), row.get("payload"));
        if let Ok(Event::Session(SessionEvent::ContentErased(erased))) = event {
            ranges.extend(erased.positions.into_iter().filter(|range| range.last < at));
        }
    }
    Ok(Named::new(ranges))
}

/// How many rows each read model has of a partition.
pub async fn rows(db: &mut PgConnection, partition: Partition) -> sqlx::Result<Vec<(&'static str, i64)>> {
    let mut rows = vec![];
    for projection in projection::all() {
        let name = projection.name();
        let sql = format!("SELECT count(*) AS n FROM serving.{name} WHERE book_id = $1 AND partition_id = $2");
        let row = sqlx::query(&sql).bind(partition.book_id.uuid()).bind(partition.id).fetch_one(&mut *db).await?;
        rows.push((name, row.get("n")));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_named_by_the_range_that_holds_it() {
        let range = |first, last| PositionRange { first, last };
        let named = Named::new(vec![range(7, 7), range(1, 3)]);
        let held: Vec<i64> = (0..10).filter(|position| named.contains(*position)).collect();
        assert_eq!(held, [1, 2, 3, 7]);
        assert!(!Named::default().contains(1));
    }
}
