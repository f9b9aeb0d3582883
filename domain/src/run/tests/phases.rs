//! The phases of a run, whatever the order of commands.

use proptest::prelude::*;

use super::*;
use crate::Aggregate;

/// The table of the requirements, written a second time by hand.
const ALLOWED: &[(Phase, &[Phase])] = &[
    (Phase::Idle, &[Phase::Planning]),
    (Phase::Planning, &[Phase::Executing, Phase::Error]),
    (Phase::Executing, &[Phase::Testing, Phase::Error]),
    (Phase::Testing, &[Phase::Fixing, Phase::Done, Phase::Error]),
    (Phase::Fixing, &[Phase::Testing, Phase::Done, Phase::Error]),
    (Phase::Error, &[Phase::Idle, Phase::Planning]),
    (Phase::Done, &[Phase::Idle]),
];

#[test]
fn every_listed_transition_is_allowed_and_every_other_refused() {
    for (from, allowed) in ALLOWED {
        for to in Phase::ALL {
            assert_eq!(from.may_become(to), allowed.contains(&to), "{from:?} -> {to:?}");
        }
    }
}

/// A command for a run in any state: most fit what the run waits for, the rest are stale, early or foreign.
fn command(run: &Run, pick: u8, detail: u8, n: u128) -> RunCommand {
    let Some(state) = run.state() else { return RunCommand::Request(requested()) };
    let step_no = state.last_step.max(1);
    let attempt = match state.waiting {
        Waiting::Step(step) => step.attempt,
        _ => 1,
    };
    let some_call =
        state.calls.get(usize::from(detail) % state.calls.len().max(1)).map_or(1, |c| c.tool_call_id.uuid().as_u128());
    let open_call = match state.waiting {
        Waiting::Call(id) | Waiting::Approval(id) => id.uuid().as_u128(),
        _ => some_call,
    };
    let tools = ["bash", "run_tests", "write_file", "read_file"];
    let tool = |i: u8| tools[usize::from(detail.wrapping_add(i)) % tools.len()];
    let (a, b) = ((1_000_000 + n * 2, tool(0), WRITES), (1_000_001 + n * 2, tool(1), WRITES));
    let answer = |calls: &[(u128, &str, &str)]| match answer(step_no, detail.is_multiple_of(3), calls) {
        RunCommand::CompleteStep(mut done) => {
            done.step.attempt = attempt;
            RunCommand::CompleteStep(done)
        }
        other => other,
    };
    let error = RunError { retryable: detail.is_multiple_of(2), ..RunError::limit("no") };
    let step = step_ref(step_no, attempt);
    match pick % 16 {
        0..=2 => start(step_no, attempt),
        3 => answer(&[]),
        4 => answer(&[a]),
        5 => answer(&[a, b]),
        6 | 7 => start_call(open_call),
        8 => finish_call(open_call, None),
        9 => finish_call(open_call, Some((1, u32::from(detail % 2)))),
        10 => decide(open_call, Decision::Grant(if detail.is_multiple_of(2) { Scope::Once } else { Scope::Run })),
        11 => decide(some_call, Decision::Deny("no".into())),
        12 => RunCommand::InterruptStep { step, reason: "gone".into(), cost_nanousd: NanoUsd(1) },
        13 => RunCommand::OrphanCall { tool_call_id: call_id(open_call), reason: "gone".into(), at: at(4) },
        14 if detail < 40 => cancel(),
        14 => RunCommand::Retry { requested_by: "user:1".into() },
        _ if detail < 60 => {
            RunCommand::FailStep(FailStep { step, error, cost_nanousd: NanoUsd(1), at: at(4), retry_after_ms: 1 })
        }
        _ => RunCommand::Steer { message_id: MessageId::new(uuid(n)), content: Content::inline("more") },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever is asked in whatever order: every phase change is on the list, an ended run does nothing more
    /// unless it is tried again, and a run that is not over always waits for exactly one thing that exists.
    #[test]
    fn no_order_of_commands_breaks_the_phases(picks in prop::collection::vec((any::<u8>(), any::<u8>()), 1..120)) {
        let mut run = Run::default();
        for (n, (pick, detail)) in picks.into_iter().enumerate() {
            let command = command(&run, pick, detail, n as u128);
            let ended = run.state().and_then(RunState::outcome);
            let Ok(events) = run.decide(&command) else { continue };
            if ended.is_some() && !events.is_empty() {
                prop_assert!(matches!(events[0], RunEvent::RunRetried(_)), "{command:?}");
            }
            for event in &events {
                if let RunEvent::RunPhaseChanged(change) = event {
                    prop_assert!(change.from.may_become(change.to));
                    prop_assert_eq!(run.state().unwrap().phase, change.from);
                }
                run.evolve(event);
            }
            let state = run.state().unwrap();
            let open = state.calls.iter().filter(|c| !matches!(c.state, CallState::Settled | CallState::Requested)).count();
            match state.waiting {
                Waiting::Step(step) => prop_assert!(open == 0 && step.step_no == state.last_step),
                Waiting::Call(id) => {
                    prop_assert_eq!(open, 1);
                    let open = matches!(state.call(id).unwrap().state, CallState::Approved | CallState::Started { .. });
                    prop_assert!(open);
                }
                Waiting::Approval(id) => {
                    prop_assert_eq!(open, 1);
                    let asked = matches!(state.call(id).unwrap().state, CallState::Asked { .. });
                    prop_assert!(asked);
                }
                Waiting::Ended(_) => {
                    let all_settled = state.calls.iter().all(|c| c.state == CallState::Settled);
                    prop_assert!(all_settled);
                }
            }
        }
    }
}
