//! Erasure: which events of a session lose their content, and what stays.
//!
//! Headers stay, and so do the chain and every proof. Money stays: what an account recorded names models, ids and
//! amounts and nothing that a person wrote, and the ledger must balance for ever. The events that say that something
//! was erased stay too. Everything else that belongs to the session goes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::account::AccountEvent;

/// The events by which the streams of a session learn that they were erased.
const MARKS: [&str; 3] = ["content.erased", "run.erased", "workspace.erased"];

/// Whether events of this name keep their content when their session is erased.
pub fn survives(event_type: &str) -> bool {
    AccountEvent::stores(event_type) || marks(event_type)
}

/// Whether events of this name say that a session, or a stream of it, was erased.
pub fn marks(event_type: &str) -> bool {
    MARKS.contains(&event_type)
}

/// Positions of a book, from the first to the last, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PositionRange {
    /// The first.
    pub first: i64,
    /// The last.
    pub last: i64,
}

impl PositionRange {
    /// The fewest ranges that hold these positions, which rise, and no others.
    pub fn cover(positions: impl IntoIterator<Item = i64>) -> Vec<Self> {
        let mut ranges: Vec<Self> = vec![];
        for position in positions {
            match ranges.last_mut() {
                Some(range) if range.last + 1 == position => range.last = position,
                _ => ranges.push(Self { first: position, last: position }),
            }
        }
        ranges
    }

    /// How many positions it holds.
    pub fn count(self) -> i64 {
        self.last - self.first + 1
    }
}

/// What the erasures of a log name: positions, by the session whose erasure names them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named(BTreeMap<(Uuid, i64), i64>);

impl Named {
    /// Takes in what the erasure of a session names. It has power over what stands before it, and over nothing else.
    pub fn add(&mut self, session_id: Uuid, at: i64, ranges: impl IntoIterator<Item = PositionRange>) {
        for PositionRange { first, last } in ranges.into_iter().filter(|range| range.last < at) {
            let known = self.0.entry((session_id, first)).or_insert(last);
            *known = last.max(*known);
        }
    }

    /// Whether an erasure of its own session names an event. The ranges of one session never overlap.
    pub fn contains(&self, session_id: Option<Uuid>, position: i64) -> bool {
        session_id.is_some_and(|session| {
            let before = self.0.range((session, i64::MIN)..=(session, position)).next_back();
            before.is_some_and(|(_, last)| position <= *last)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::Event;

    #[test]
    fn ranges_hold_the_positions_and_no_others() {
        let range = |first, last| PositionRange { first, last };
        assert_eq!(PositionRange::cover([]), []);
        assert_eq!(PositionRange::cover([3]), [range(3, 3)]);
        assert_eq!(PositionRange::cover([1, 2, 3, 7, 9, 10]), [range(1, 3), range(7, 7), range(9, 10)]);
        assert_eq!(range(9, 10).count(), 2);
    }

    #[test]
    fn an_erasure_names_events_of_its_own_session_that_stand_before_it() {
        let range = |first, last| PositionRange { first, last };
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut named = Named::default();
        named.add(one, 10, [range(7, 7), range(1, 3), range(9, 10), range(6, 5)]);
        named.add(other, 20, [range(4, 5)]);
        let held = |session| (0..30).filter(|position| named.contains(session, *position)).collect::<Vec<_>>();
        assert_eq!(held(Some(one)), [1, 2, 3, 7]);
        assert_eq!(held(Some(other)), [4, 5]);
        assert!(held(None).is_empty());
    }

    /// Each new event must be given to one side or the other, by whoever reads this list.
    #[test]
    fn what_survives_is_money_and_the_marks() {
        let names: BTreeSet<_> = Event::all_stored().map(|t| t.name).filter(|name| survives(name)).collect();
        let expected = [
            "content.erased",
            "reservation.released",
            "reservation.settled",
            "run.erased",
            "spend.reserved",
            "usage.charged",
            "usage.metered",
            "workspace.erased",
        ];
        assert_eq!(names.into_iter().collect::<Vec<_>>(), expected);
    }

    /// Texts in the events of an account are names of models, accounts and classes of token, and why Daybook itself gave
    /// money back. A field in which a person's words could stand would be a new one here.
    #[test]
    fn money_holds_nothing_that_a_person_wrote() {
        let mut texts = BTreeSet::new();
        for (_, shape) in Event::shapes().into_iter().filter(|(stored, _)| AccountEvent::stores(stored.name)) {
            free_texts("", &shape, &mut texts);
        }
        assert_eq!(texts.into_iter().collect::<Vec<_>>(), ["account", "kind", "model", "reason"]);
    }

    /// The names of fields that hold any text, as against an id, a hash, a time or one of a few words.
    fn free_texts(name: &str, shape: &serde_json::Value, found: &mut BTreeSet<String>) {
        let types = &shape["type"];
        let is_text = types == "string" || types.as_array().is_some_and(|types| types.contains(&"string".into()));
        if is_text && ["format", "const", "enum"].iter().all(|limit| shape[limit].is_null()) {
            found.insert(name.to_owned());
        }
        let fields = shape["properties"].as_object().into_iter().flatten();
        fields.for_each(|(name, field)| free_texts(name, field, found));
        let parts = ["oneOf", "anyOf", "allOf"].iter().filter_map(|key| shape[key].as_array()).flatten();
        parts.chain([&shape["items"]]).filter(|part| !part.is_null()).for_each(|part| free_texts(name, part, found));
    }
}
