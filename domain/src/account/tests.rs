use proptest::prelude::*;

use super::*;
use crate::aggregate::testing::given;
use crate::id::PriceId;
use crate::model::Rates;

fn uuid(n: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(n)
}

fn price() -> ModelPriced {
    let nanousd_per_mtok = Rates { input: NanoUsd(3_000_000_000), output: NanoUsd(15_000_000_000), ..Rates::default() };
    ModelPriced { price_id: PriceId::new(uuid(7)), model: "openai/m".into(), nanousd_per_mtok, notional: false }
}

fn reserved(call: u128) -> SpendReserved {
    SpendReserved {
        llm_call_id: LlmCallId::new(uuid(call)),
        session_id: SessionId::new(uuid(1)),
        run_id: RunId::new(uuid(2)),
        model: "openai/m".into(),
        price_id: price().price_id,
        origin: ChargeOrigin::Metered,
        est_input_tokens: 1_000,
        max_output_tokens: 100,
        est_nanousd: NanoUsd(4_500_000),
    }
}

fn used(input: u64, output: u64) -> Option<Usage> {
    let tokens = TokenCounts { input_tokens: Some(input), output_tokens: Some(output), ..TokenCounts::default() };
    Some(Usage { tokens, source: UsageSource::Provider, ttft_ms: None, duration_ms: None })
}

fn settle(call: u128, usage: Option<Usage>) -> AccountCommand {
    AccountCommand::Settle { llm_call_id: LlmCallId::new(uuid(call)), price: price(), usage }
}

#[test]
fn a_call_is_charged_once() {
    given::<Account>([reserved(5).into()])
        .when(settle(5, used(1_000, 10)))
        .then_types(&["usage.metered", "usage.charged", "reservation.settled"])
        .when(settle(5, used(1_000, 10)))
        .refused(AccountError::NotReserved(LlmCallId::new(uuid(5))));
}

#[test]
fn a_call_without_an_answer_is_charged_by_estimate() {
    let events = given::<Account>([reserved(5).into()]).0.decide(&settle(5, None)).unwrap();
    let [AccountEvent::UsageMetered(metered), AccountEvent::UsageCharged(charged), _] = &events[..] else {
        panic!("unexpected events {events:?}");
    };
    assert_eq!((metered.usage_source, metered.tokens.input_tokens), (UsageSource::Estimated, Some(1_000)));
    assert_eq!(charged.cost_nanousd, NanoUsd(3_000_000));
}

#[test]
fn nothing_is_charged_that_was_not_reserved() {
    given::<Account>([]).when(settle(5, used(1, 1))).refused(AccountError::NotReserved(LlmCallId::new(uuid(5))));
    let release = AccountCommand::Release { llm_call_id: LlmCallId::new(uuid(5)), reason: "refused".into() };
    given::<Account>([reserved(5).into()])
        .when(release)
        .then_types(&["reservation.released"])
        .when(settle(5, used(1, 1)))
        .refused(AccountError::NotReserved(LlmCallId::new(uuid(5))));
}

#[test]
fn an_unreported_usage_is_not_zero() {
    let imported = ImportedUsage {
        llm_call_id: LlmCallId::new(uuid(5)),
        session_id: SessionId::new(uuid(1)),
        run_id: RunId::new(uuid(2)),
        model: None,
        calls: 11,
        tokens: TokenCounts::default(),
        cost_nanousd: None,
    };
    given::<Account>([]).when(AccountCommand::Import(imported.clone())).then_types(&["usage.metered"]);
    let cost_nanousd = Some(NanoUsd(538_390_000));
    given::<Account>([])
        .when(AccountCommand::Import(ImportedUsage { cost_nanousd, ..imported }))
        .then_types(&["usage.metered", "usage.charged"]);
}

fn record_of(call: u128, cost: i64) -> ImportedUsage {
    ImportedUsage {
        llm_call_id: LlmCallId::new(uuid(call)),
        session_id: SessionId::new(uuid(1)),
        run_id: RunId::new(uuid(2)),
        model: Some("other/model".into()),
        calls: 1,
        tokens: TokenCounts::default(),
        cost_nanousd: Some(NanoUsd(cost)),
    }
}

#[test]
fn a_charge_that_no_balance_can_hold_is_refused() {
    let imported = |call, cost| AccountCommand::Import(record_of(call, cost));
    let full = AccountError::Overflow(Overflow);
    given::<Account>([])
        .when(imported(5, i64::MAX))
        .then_types(&["usage.metered", "usage.charged"])
        .when(imported(6, 1))
        .refused(full.clone());
    given::<Account>([]).when(imported(5, i64::MIN)).refused(full.clone());
    // The same where nothing is imported: the account of what is owed is full.
    let most = UsageCharged {
        llm_call_id: LlmCallId::new(uuid(6)),
        session_id: SessionId::new(uuid(1)),
        run_id: RunId::new(uuid(2)),
        model: None,
        price_id: None,
        origin: ChargeOrigin::Metered,
        lines: vec![],
        cost_nanousd: NanoUsd(i64::MAX),
        postings: postings(ChargeOrigin::Metered, Some("openai/m"), NanoUsd(i64::MAX)).unwrap(),
    };
    given::<Account>([most.into(), reserved(5).into()]).when(settle(5, used(1, 1))).refused(full);
}

#[test]
fn a_log_with_more_than_a_balance_can_hold_is_read() {
    let charge = |call| import(&record_of(call, i64::MAX)).unwrap();
    let account = given::<Account>([charge(5), charge(6)].concat()).0;
    assert_eq!(account.balances()["memo:imported:model"], NanoUsd(i64::MAX));
    assert_eq!(account.balances()["memo:imported:other"], NanoUsd(i64::MIN));
}

proptest! {
    /// Whatever is reserved, settled and released, in whatever order: every charge posts zero in sum, no
    /// call is charged twice, and the balances sum to zero.
    #[test]
    fn the_books_balance(steps in prop::collection::vec((0..6u128, 0..3u8, 0..2_000_000u64, 0..500_000u64), 0..60)) {
        let mut account = Account::default();
        let mut charged = 0;
        let mut settled = 0;
        for (call, what, input, output) in steps {
            let command = match what {
                0 => AccountCommand::Reserve(reserved(call)),
                1 => settle(call, (input > 0).then(|| used(input, output)).flatten()),
                _ => AccountCommand::Release { llm_call_id: LlmCallId::new(uuid(call)), reason: String::new() },
            };
            let open = account.reserved(LlmCallId::new(uuid(call))).is_some();
            match account.decide(&command) {
                Ok(events) => {
                    for event in &events {
                        if let AccountEvent::UsageCharged(charge) = event {
                            charged += 1;
                            prop_assert_eq!(NanoUsd::sum(charge.postings.iter().map(|p| p.nanousd)), Ok(NanoUsd::ZERO));
                            prop_assert_eq!(NanoUsd::sum(charge.lines.iter().map(|l| l.nanousd)), Ok(charge.cost_nanousd));
                        }
                        account.evolve(event);
                    }
                    settled += i32::from(what == 1);
                }
                Err(_) => prop_assert!(!open),
            }
        }
        prop_assert_eq!(charged, settled);
        prop_assert_eq!(NanoUsd::sum(account.balances().values().copied()), Ok(NanoUsd::ZERO));
    }
}
