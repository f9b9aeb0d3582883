//! Erasure: which events of a session lose their content, and what stays.
//!
//! Headers stay, and so do the chain and every proof. Money stays: what an account recorded names models, ids and
//! amounts and nothing that a person wrote, and the ledger must balance for ever. The events that say that something
//! was erased stay too. Everything else that belongs to the session goes.

use serde::{Deserialize, Serialize};

use crate::account::AccountEvent;

/// The events by which the streams of a session learn that they were erased.
const MARKS: [&str; 3] = ["content.erased", "run.erased", "workspace.erased"];

/// Whether events of this name keep their content when their session is erased.
pub fn survives(event_type: &str) -> bool {
    AccountEvent::stores(event_type) || MARKS.contains(&event_type)
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
