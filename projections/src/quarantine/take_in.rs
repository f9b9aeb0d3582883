//! Takes in what can be taken in, and finds the events that cannot: a page is tried whole, and split until the culprit
//! stands alone.

use std::collections::HashSet;

use sqlx::{Connection, PgConnection};

use super::Culprit;
use crate::apply::{Apply, ApplyError};
use crate::feed::Recorded;

/// Why events were not taken in.
struct Refusal {
    /// Which event, where that is known.
    position: Option<i64>,
    reason: String,
}

/// Takes events into a build, each partition by itself as far as it goes; answers where those stand that did not go
/// all the way.
pub(crate) async fn apart(
    db: &mut PgConnection,
    projection: &dyn Apply,
    schema: &str,
    events: &[Recorded],
) -> Result<Vec<Culprit>, ApplyError> {
    if attempt(db, projection, schema, events).await?.is_none() {
        return Ok(vec![]);
    }
    let mut culprits = vec![];
    let mut work = halves(events).unwrap_or_else(|| vec![events.to_vec()]);
    while let Some(events) = work.pop() {
        match halves(&events) {
            None => culprits.extend(as_far(db, projection, schema, &events).await?),
            Some(halves) => {
                if attempt(db, projection, schema, &events).await?.is_some() {
                    work.extend(halves);
                }
            }
        }
    }
    Ok(culprits)
}

/// Takes events into a build in order, up to the first one that cannot be taken in.
pub(crate) async fn as_far(
    db: &mut PgConnection,
    projection: &dyn Apply,
    schema: &str,
    events: &[Recorded],
) -> Result<Option<Culprit>, ApplyError> {
    // What is before `from` is in, what is from `end` on is not wanted any more, and `to` is tried next.
    let (mut from, mut to, mut end) = (0, events.len(), events.len());
    let mut culprit = None;
    while from < end {
        let Some(refusal) = attempt(db, projection, schema, &events[from..to]).await? else {
            (from, to) = (to, end);
            continue;
        };
        let known = refusal.position.and_then(|position| events.iter().position(|event| event.position == position));
        match known.or((to - from == 1).then_some(from)) {
            Some(index) => {
                let event = &events[index];
                let (position, partition) = (event.position, event.partition());
                let event_type = event.event_type.clone();
                culprit = Some(Culprit { position, partition, event_type, reason: refusal.reason });
                (to, end) = (index, index);
            }
            None => to = from + (to - from) / 2,
        }
    }
    Ok(culprit)
}

/// Takes events in whole, or not at all and says why; an error is none of the events' fault.
async fn attempt(
    db: &mut PgConnection,
    projection: &dyn Apply,
    schema: &str,
    events: &[Recorded],
) -> Result<Option<Refusal>, ApplyError> {
    let Some(Recorded { book_id, .. }) = events.first() else { return Ok(None) };
    let mut savepoint = db.begin().await?;
    let refusal = match projection.apply(&mut savepoint, schema, *book_id, events).await {
        Ok(()) => {
            savepoint.commit().await?;
            return Ok(None);
        }
        Err(ApplyError::Poison { position, reason, .. }) => Refusal { position: Some(position), reason },
        Err(error) if !error.is_refusal() => return Err(error),
        Err(ApplyError::Database(sqlx::Error::Database(error))) => {
            Refusal { position: None, reason: error.message().to_owned() }
        }
        Err(error) => Refusal { position: None, reason: error.to_string() },
    };
    savepoint.rollback().await?;
    Ok(Some(refusal))
}

/// The events of one half of their partitions, and those of the other; none where they are of one partition.
fn halves(events: &[Recorded]) -> Option<Vec<Vec<Recorded>>> {
    let mut partitions: Vec<_> = events.iter().map(Recorded::partition).collect();
    let mut seen = HashSet::new();
    partitions.retain(|partition| seen.insert(*partition));
    if partitions.len() < 2 {
        return None;
    }
    let first: HashSet<_> = partitions.drain(..partitions.len() / 2).collect();
    let (left, right) = events.iter().cloned().partition(|event| first.contains(&event.partition()));
    Some(vec![right, left])
}
