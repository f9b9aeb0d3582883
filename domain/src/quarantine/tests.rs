use proptest::prelude::*;

use super::*;
use crate::aggregate::fold;
use crate::aggregate::testing::given;

fn skipped(position: i64) -> QuarantineSkipped {
    QuarantineSkipped { projection: "timeline".into(), position, reason: "written by mistake".into() }
}

fn skip(position: i64, standing: bool) -> QuarantineCommand {
    QuarantineCommand::Skip { order: skipped(position), standing }
}

fn retried(position: i64) -> QuarantineRetried {
    QuarantineRetried { projection: "timeline".into(), position }
}

fn retry(position: i64, standing: bool) -> QuarantineCommand {
    QuarantineCommand::Retry { order: retried(position), standing }
}

fn unknown(position: i64) -> QuarantineError {
    QuarantineError::Unknown { projection: "timeline".into(), position }
}

#[test]
fn what_is_in_quarantine_is_tried_again_as_often_as_somebody_asks() {
    given::<Quarantine>([])
        .when(retry(7, true))
        .then([retried(7).into()])
        .when(retry(7, true))
        .then([retried(7).into()]);
}

#[test]
fn skipping_twice_is_already_so() {
    given::<Quarantine>([]).when(skip(7, true)).then([skipped(7).into()]).when(skip(7, false)).then([]);
}

#[test]
fn what_is_not_in_quarantine_is_neither_tried_nor_skipped() {
    given::<Quarantine>([]).when(retry(7, false)).refused(unknown(7));
    given::<Quarantine>([skipped(8).into()]).when(skip(7, false)).refused(unknown(7));
}

#[test]
fn what_is_skipped_is_not_tried_again() {
    let refusal = QuarantineError::Skipped { projection: "timeline".into(), position: 7 };
    given::<Quarantine>([skipped(7).into()]).when(retry(7, true)).refused(refusal);
}

#[test]
fn nothing_is_skipped_without_a_reason() {
    let order = QuarantineSkipped { reason: " \n".into(), ..skipped(7) };
    given::<Quarantine>([]).when(QuarantineCommand::Skip { order, standing: true }).refused(QuarantineError::NoReason);
}

#[test]
fn a_book_that_skips_too_much_skips_no_more() {
    let many = (0..).take(SKIPPED_MAX).map(|position| skipped(position).into());
    given::<Quarantine>(many).when(skip(-1, true)).refused(QuarantineError::TooMany);
}

#[test]
fn each_book_has_a_stream_of_its_own() {
    let book = |n| BookId::new(Uuid::from_u128(n));
    assert_eq!(stream(book(1)), stream(book(1)));
    assert_ne!(stream(book(1)), stream(book(2)));
    assert_eq!(stream(book(1)).get_version_num(), 8);
}

proptest! {
    /// Whatever is ordered in whatever order: each event is skipped at most once, and never more than is allowed.
    #[test]
    fn each_event_is_skipped_once(orders in proptest::collection::vec((0..9_i64, any::<bool>(), any::<bool>()), 0..60)) {
        let mut events: Vec<QuarantineEvent> = vec![];
        for (position, standing, again) in orders {
            let command = if again { retry(position, standing) } else { skip(position, standing) };
            events.extend(fold::<Quarantine>(&events).decide(&command).unwrap_or_default());
        }
        let mut skips: Vec<_> = events.iter().filter_map(|event| match event {
            QuarantineEvent::QuarantineSkipped(order) => Some(order.position),
            QuarantineEvent::QuarantineRetried(_) => None,
        }).collect();
        let all = skips.len();
        skips.sort_unstable();
        skips.dedup();
        prop_assert_eq!(all, skips.len());
    }
}
