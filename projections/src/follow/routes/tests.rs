use domain::Timestamp;
use uuid::Uuid;

use super::*;

fn session(n: u128) -> SessionId {
    SessionId::new(Uuid::from_u128(n))
}

fn event(position: i64, session_id: Option<SessionId>) -> Logged {
    Logged {
        position,
        stream_id: Uuid::nil(),
        sequence: position,
        session_id,
        event_type: "tests.skipped".into(),
        event_version: 1,
        occurred_at: Timestamp::UNIX_EPOCH,
        recorded_at: Timestamp::UNIX_EPOCH,
        actor_id: "test".into(),
        payload: None,
    }
}

fn events(positions: std::ops::RangeInclusive<i64>, session_id: SessionId) -> Vec<Logged> {
    positions.map(|position| event(position, Some(session_id))).collect()
}

fn received(place: &mut Place) -> Vec<Vec<i64>> {
    let batches = std::iter::from_fn(|| place.batches.try_recv().ok());
    batches.map(|batch| batch.events().iter().map(|event| event.position).collect()).collect()
}

#[test]
fn a_lone_event_goes_at_once_and_only_to_its_session() {
    let (now, mut routes) = (Instant::now(), Routes::from(7));
    let (mut ours, mut theirs) = (routes.join(session(1), now), routes.join(session(2), now));
    assert_eq!(ours.after, 7);
    routes.take_in(vec![event(8, None), event(9, Some(session(1))), event(10, Some(session(3)))], now);
    assert_eq!(received(&mut ours), [[9]]);
    assert!(received(&mut theirs).is_empty());
    assert_eq!((routes.position(), routes.handed_out(session(1)), routes.next_due()), (10, 10, None));
}

#[test]
fn events_that_come_soon_after_a_batch_wait_for_each_other_and_not_for_long() {
    let (now, mut routes) = (Instant::now(), Routes::from(0));
    let mut places: Vec<Place> = (0..1_000).map(|_| routes.join(session(1), now)).collect();
    routes.take_in(events(1..=1, session(1)), now);
    routes.take_in(events(2..=3, session(1)), now);
    routes.take_in(events(4..=4, session(1)), now);
    assert_eq!(received(&mut places[0]), [[1]]);
    assert_eq!(routes.next_due(), Some(now + LONGEST_PAUSE));
    routes.hand_out_due(now + LONGEST_PAUSE);
    assert_eq!(received(&mut places[0]), [[2, 3, 4]]);
    assert_eq!(routes.next_due(), None);
}

#[test]
fn who_joins_while_events_wait_is_told_of_the_position_before_them() {
    let (now, mut routes) = (Instant::now(), Routes::from(0));
    let _many: Vec<Place> = (0..100).map(|_| routes.join(session(1), now)).collect();
    routes.take_in(events(1..=1, session(1)), now);
    routes.take_in(vec![event(2, None), event(3, Some(session(1))), event(4, None)], now);
    let mut late = routes.join(session(1), now);
    assert_eq!((late.after, routes.handed_out(session(2))), (2, 4));
    routes.hand_out_due(now + LONGEST_PAUSE);
    assert_eq!(received(&mut late), [[3]]);
}

#[test]
fn what_is_held_for_a_stalled_subscriber_is_bounded_and_others_get_all() {
    let (now, mut routes) = (Instant::now(), Routes::from(0));
    let (mut stalled, mut quick) = (routes.join(session(1), now), routes.join(session(1), now));
    let mut got = 0;
    for position in 1..=1_000 {
        routes.take_in(events(position..=position, session(1)), now + LONGEST_PAUSE * position as u32);
        got += received(&mut quick).concat().len();
    }
    assert_eq!(got, 1_000);
    assert!(matches!(stalled.batches.try_recv(), Err(broadcast::error::TryRecvError::Lagged(_))));
    assert_eq!(received(&mut stalled).len(), BATCHES);
}

#[test]
fn a_batch_has_its_most_events() {
    let (now, mut routes) = (Instant::now(), Routes::from(0));
    let mut place = routes.join(session(1), now);
    routes.take_in(events(1..=1_201, session(1)), now);
    let sizes: Vec<usize> = received(&mut place).iter().map(Vec::len).collect();
    assert_eq!(sizes, [500, 500]);
    routes.hand_out_due(now + LONGEST_PAUSE);
    assert_eq!(received(&mut place).concat(), (1_001..=1_201).collect::<Vec<_>>());
}

#[test]
fn nothing_is_kept_of_those_who_left() {
    let (now, mut routes) = (Instant::now(), Routes::from(0));
    let (first, second) = (routes.join(session(1), now), routes.join(session(1), now));
    routes.take_in(events(1..=1, session(1)), now);
    routes.take_in(events(2..=2, session(1)), now);
    drop(first);
    routes.leave(session(1));
    assert!(!routes.is_empty());
    drop(second);
    routes.leave(session(1));
    assert!(routes.is_empty() && routes.next_due().is_none());
}
