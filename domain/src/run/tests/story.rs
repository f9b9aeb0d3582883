//! The rules of a run as sentences.

use super::*;

#[test]
fn a_run_goes_from_plan_to_green_by_way_of_a_fix() {
    let green = planning()
        .when(answer(1, true, &[]))
        .then_types(&["plan.proposed", "step.completed", "run.phase_changed", "step.requested"])
        .when(start(2, 1))
        .then_types(&["step.started"])
        .when(answer(2, false, &[(20, "write_file", "{}"), (21, "run_tests", "{}")]))
        .then_types(&["tool_call.requested", "tool_call.requested", "step.completed", "tool_call.approved"])
        .when(start_call(20))
        .then_types(&["tool_call.started"])
        .when(finish_call(20, None))
        .then_types(&["tool_call.succeeded", "run.phase_changed", "tool_call.approved"])
        .when(start_call(21))
        .then_types(&["tool_call.started"])
        .when(finish_call(21, Some((2, 1))))
        .then_types(&["tool_call.succeeded", "tests.ran", "run.phase_changed", "fix.attempted", "step.requested"])
        .when(start(3, 1))
        .then_types(&["step.started"])
        .when(answer(3, false, &[(30, "edit_file", "{}"), (31, "run_tests", "{}")]))
        .then_types(&["tool_call.requested", "tool_call.requested", "step.completed", "tool_call.approved"])
        .when(start_call(30))
        .then_types(&["tool_call.started"])
        .when(finish_call(30, None))
        .then_types(&["tool_call.succeeded", "run.phase_changed", "tool_call.approved"])
        .when(start_call(31))
        .then_types(&["tool_call.started"])
        .when(finish_call(31, Some((3, 0))))
        .then_types(&["tool_call.succeeded", "tests.ran", "step.requested"])
        .when(start(4, 1))
        .then_types(&["step.started"])
        .when(answer(4, false, &[]))
        .then_types(&["step.completed", "run.phase_changed", "run.completed"]);
    let state = green.0.state().unwrap();
    assert_eq!((state.phase, state.outcome()), (Phase::Done, Some(Outcome::Succeeded)));
    assert_eq!(state.cost_nanousd, NanoUsd(40));
}

#[test]
fn a_run_without_tests_says_so() {
    planning().when(answer(1, false, &[])).then_types(&[
        "step.completed",
        "run.phase_changed",
        "run.phase_changed",
        "tests.skipped",
        "run.phase_changed",
        "run.completed",
    ]);
}

#[test]
fn giving_up_on_red_tests_is_a_failure() {
    planning()
        .when(answer(1, false, &[(10, "run_tests", "{}")]))
        .then_types(&[
            "tool_call.requested",
            "step.completed",
            "run.phase_changed",
            "run.phase_changed",
            "tool_call.approved",
        ])
        .when(start_call(10))
        .then_types(&["tool_call.started"])
        .when(finish_call(10, Some((0, 1))))
        .then_types(&["tool_call.succeeded", "tests.ran", "run.phase_changed", "fix.attempted", "step.requested"])
        .when(start(2, 1))
        .then_types(&["step.started"])
        .when(answer(2, false, &[]))
        .then_types(&["step.completed", "run.phase_changed", "run.failed"])
        .when(RunCommand::Retry { requested_by: "user:1".into() })
        .then_types(&["run.retried", "run.phase_changed", "step.requested"]);
}

fn asked() -> Given<Run> {
    planning().when(answer(1, false, &[(10, "bash", WRITES), (11, "bash", WRITES)])).then_types(&[
        "tool_call.requested",
        "tool_call.requested",
        "step.completed",
        "run.phase_changed",
        "approval.requested",
    ])
}

#[test]
fn approving_twice_is_already_so_and_the_opposite_is_refused() {
    let approved = asked()
        .when(decide(10, Decision::Grant(Scope::Once)))
        .then_types(&["approval.granted", "tool_call.approved"])
        .when(decide(10, Decision::Grant(Scope::Once)))
        .then([]);
    approved
        .when(decide(10, Decision::Deny(String::new())))
        .refused(RunRefusal::AlreadyDecided { approval_id: ApprovalId::new(uuid(10)), decided: "granted" });
}

#[test]
fn a_denial_is_told_to_the_model_and_the_next_call_is_asked() {
    asked()
        .when(decide(10, Decision::Deny("not now".into())))
        .then_types(&["approval.denied", "tool_call.declined", "approval.requested"])
        .when(decide(10, Decision::Grant(Scope::Once)))
        .refused(RunRefusal::AlreadyDecided { approval_id: ApprovalId::new(uuid(10)), decided: "denied" });
}

#[test]
fn an_approval_for_the_run_holds_for_later_calls() {
    asked()
        .when(decide(10, Decision::Grant(Scope::Run)))
        .then_types(&["approval.granted", "tool_call.approved"])
        .when(start_call(10))
        .then_types(&["tool_call.started"])
        .when(finish_call(10, None))
        .then_types(&["tool_call.succeeded", "tool_call.approved"]);
}

#[test]
fn an_approval_that_was_not_asked_is_unknown() {
    planning()
        .when(decide(10, Decision::Grant(Scope::Once)))
        .refused(RunRefusal::UnknownApproval(ApprovalId::new(uuid(10))));
    asked()
        .when(decide(11, Decision::Grant(Scope::Once)))
        .refused(RunRefusal::UnknownApproval(ApprovalId::new(uuid(11))));
}

#[test]
fn a_step_is_taken_once() {
    planning().when(start(1, 1)).refused(RunRefusal::StepOver);
}

#[test]
fn an_interrupted_step_is_attempted_again_and_the_late_answer_is_refused() {
    let again = planning()
        .when(RunCommand::InterruptStep { step: step_ref(1, 1), reason: "gone".into(), cost_nanousd: NanoUsd(5) })
        .then_types(&["step.interrupted", "step.requested"]);
    again.when(answer(1, false, &[])).refused(RunRefusal::StepOver);
}

#[test]
fn a_passing_failure_is_tried_again_later_and_a_lasting_one_ends_the_run() {
    let error = |retryable| RunError {
        kind: ErrorKind::RateLimited,
        retryable,
        user_action: UserAction::Retry,
        message: "slow down".into(),
    };
    let fail = |retryable| {
        RunCommand::FailStep(FailStep {
            step: step_ref(1, 1),
            error: error(retryable),
            cost_nanousd: NanoUsd(1),
            at: at(10),
            retry_after_ms: 2_000,
        })
    };
    let later = planning().when(fail(true)).then_types(&["step.failed", "step.requested"]);
    assert!(
        matches!(later.0.state().unwrap().waiting, Waiting::Step(Step { attempt: 2, not_before: Some(t), .. }) if t == at(12))
    );
    planning().when(fail(false)).then_types(&["step.failed", "run.phase_changed", "run.failed"]);
}

#[test]
fn an_orphaned_call_is_never_run_again() {
    planning()
        .when(answer(1, false, &[(10, "read_file", "{}")]))
        .then_types(&["tool_call.requested", "step.completed", "run.phase_changed", "tool_call.approved"])
        .when(start_call(10))
        .then_types(&["tool_call.started"])
        .when(RunCommand::OrphanCall { tool_call_id: call_id(10), reason: "gone".into(), at: at(5) })
        .then_types(&["tool_call.orphaned", "step.requested"])
        .when(finish_call(10, None))
        .refused(RunRefusal::CallOver(call_id(10)));
}

#[test]
fn a_message_that_no_step_has_read_keeps_the_run_going() {
    let steer = RunCommand::Steer { message_id: MessageId::new(uuid(50)), content: Content::inline("and this") };
    planning()
        .when(steer.clone())
        .then_types(&["run.steered"])
        .when(steer)
        .then([])
        .when(answer(1, false, &[]))
        .then_types(&["step.completed", "run.phase_changed", "step.requested"]);
}

#[test]
fn cancelling_settles_everything_that_is_open() {
    let cancelled = asked().when(cancel()).then_types(&["tool_call.declined", "tool_call.declined", "run.cancelled"]);
    let cancelled = cancelled.when(cancel()).then([]);
    cancelled.when(start_call(10)).refused(RunRefusal::Ended);
    planning().when(cancel()).then_types(&["step.interrupted", "run.cancelled"]);
}

#[test]
fn the_limits_end_a_run() {
    let small = RunRequested { limits: Limits { max_cost_nanousd: NanoUsd(99), ..Limits::default() }, ..requested() };
    given::<Run>([])
        .when(RunCommand::Request(small))
        .then_types(&["run.requested", "step.requested"])
        .when(start(1, 1))
        .then_types(&["run.phase_changed", "run.phase_changed", "run.failed"]);
}

#[test]
fn a_blocked_command_is_declined_without_asking() {
    planning().when(answer(1, false, &[(10, "bash", r#"{"command":"rm -rf /"}"#)])).then_types(&[
        "tool_call.requested",
        "step.completed",
        "run.phase_changed",
        "tool_call.declined",
        "step.requested",
    ]);
}

#[test]
fn an_import_is_a_whole_run() {
    let run = ImportedRun {
        request: requested(),
        worker_id: worker(1),
        steps: vec![ImportedStep {
            llm_call_id: LlmCallId::new(uuid(70)),
            thinking: Some(Content::inline("hm")),
            text: None,
            call: Some(ImportedCall {
                tool_call_id: call_id(71),
                provider_call_id: "c".into(),
                tool: "edit".into(),
                arguments: Content::inline("{}"),
                observation: None,
                duration_ms: None,
            }),
        }],
        outcome: ImportedOutcome::Succeeded("submitted".into()),
    };
    let imported = given::<Run>([]).when(RunCommand::Import(run.clone())).then_types(&[
        "run.requested",
        "step.requested",
        "run.phase_changed",
        "step.started",
        "thinking.completed",
        "tool_call.requested",
        "step.completed",
        "run.phase_changed",
        "tool_call.approved",
        "tool_call.started",
        "tool_call.orphaned",
        "run.phase_changed",
        "tests.skipped",
        "run.phase_changed",
        "run.completed",
    ]);
    assert_eq!(imported.0.state().unwrap().outcome(), Some(Outcome::Succeeded));
    imported.when(RunCommand::Import(run)).refused(RunRefusal::Taken);
}

#[test]
fn a_run_is_erased_only_when_it_is_over() {
    let erase = || RunCommand::Erase(RunErased { run_id: RunId::new(uuid(1)) });
    planning().when(erase()).refused(RunRefusal::StillOpen(RunId::new(uuid(1))));
    asked().when(erase()).refused(RunRefusal::StillOpen(RunId::new(uuid(1))));
    let erased = planning().when(cancel()).then_types(&["step.interrupted", "run.cancelled"]);
    let erased = erased.when(erase()).then_types(&["run.erased"]);
    assert_eq!(erased.0, given::<Run>([RunErased { run_id: RunId::new(uuid(1)) }.into()]).0, "nothing else is known");
    let erased = erased.when(erase()).then([]);
    erased.when(RunCommand::Retry { requested_by: "user:1".into() }).refused(RunRefusal::Erased);
}

#[test]
fn a_record_is_erased_even_where_it_has_no_end() {
    let begun = RunRequested { trigger: Trigger::Import, ..requested() };
    let erase = RunCommand::Erase(RunErased { run_id: RunId::new(uuid(1)) });
    given::<Run>([begun.into()]).when(cancel()).refused(RunRefusal::Imported);
    let begun = RunRequested { trigger: Trigger::Import, ..requested() };
    given::<Run>([begun.into()]).when(erase.clone()).then_types(&["run.erased"]).when(erase).then([]);
}
