//! The streams that are loaded: events as the product writes them, of the kinds of stream that grow long.

use commands::log::{Append, Context, Log, StreamAppend};
use domain::account::{
    Account, AccountEvent, ChargeLine, ChargeOrigin, ReservationSettled, SpendReserved, TokenCounts, UsageCharged,
    UsageMetered, UsageSource, postings,
};
use domain::id::Id;
use domain::session::{Delivery, MessageReceived, Session, SessionEvent};
use domain::workspace::{FileChange, FileModified, Workspace, WorkspaceEvent};
use domain::{Aggregate, BookId, Content, Event, NanoUsd, Sha256};
use uuid::Uuid;

use crate::contestants::now;

/// How many events of one stream stand together; as many of another follow them.
const TOGETHER: usize = 50;
/// How many files a workspace has.
const FILES: usize = 200;

/// A kind of stream, and the events that such a stream has.
pub trait Kind: Aggregate {
    /// What the table calls it.
    const NAME: &'static str;
    /// The event at a place of the stream, from 0.
    fn event(at: usize) -> Self::Event;
}

/// The same id for the same number.
fn id<N>(number: usize) -> Id<N> {
    Id::new(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + number as u128))
}

impl Kind for Account {
    const NAME: &'static str = "account";

    /// Four events for each call of a model: money is set aside, used, charged, settled.
    fn event(at: usize) -> AccountEvent {
        let call = at / 4;
        let (llm_call_id, session_id, run_id) = (id(call), id(call / 100), id(call / 20));
        let (model, cost) = ("provider/model".to_owned(), NanoUsd(1_234_567));
        match at % 4 {
            0 => SpendReserved {
                llm_call_id,
                session_id,
                run_id,
                model,
                price_id: id(1),
                origin: ChargeOrigin::Metered,
                est_input_tokens: 4_000,
                max_output_tokens: 8_000,
                est_nanousd: NanoUsd(20_000_000),
            }
            .into(),
            1 => UsageMetered {
                llm_call_id,
                session_id,
                run_id,
                model: Some(model),
                calls: 1,
                tokens: TokenCounts { input_tokens: Some(4_000), output_tokens: Some(300), ..TokenCounts::default() },
                usage_source: UsageSource::Provider,
                ttft_ms: Some(400),
                duration_ms: Some(4_000),
            }
            .into(),
            2 => UsageCharged {
                llm_call_id,
                session_id,
                run_id,
                postings: postings(ChargeOrigin::Metered, Some(&model), cost).expect("a small amount"),
                model: Some(model),
                price_id: Some(id(1)),
                origin: ChargeOrigin::Metered,
                lines: vec![ChargeLine { kind: "input".into(), tokens: Some(4_000), nanousd: cost }],
                cost_nanousd: cost,
            }
            .into(),
            _ => ReservationSettled {
                llm_call_id,
                session_id,
                reserved_nanousd: NanoUsd(20_000_000),
                actual_nanousd: cost,
            }
            .into(),
        }
    }
}

impl Kind for Session {
    const NAME: &'static str = "session";

    fn event(at: usize) -> SessionEvent {
        let content = Content::inline("a message of some length, as people write them to an agent. ".repeat(5));
        MessageReceived { message_id: id(at), content, delivery: Delivery::Steer, run_id: id(1) }.into()
    }
}

impl Kind for Workspace {
    const NAME: &'static str = "workspace";

    fn event(at: usize) -> WorkspaceEvent {
        let hash = |version: usize| Sha256(std::array::from_fn(|byte| version.to_be_bytes()[byte % 8]));
        FileModified(FileChange {
            path: format!("src/module_{}/file.py", at % FILES),
            before_sha256: Some(hash(at)),
            after_sha256: Some(hash(at + 1)),
            bytes: Some(2_000),
            lines_added: 3,
            lines_removed: 1,
            patch: Some(Content::inline("@@ -1,3 +1,5 @@\n-old\n+new\n+newer\n+newest\n".repeat(8))),
            run_id: id(1),
            tool_call_id: Some(id(at)),
        })
        .into()
    }
}

/// Writes a stream, its rows in short runs among those of another.
pub async fn write<A: Kind>(log: &Log, book_id: BookId, length: usize) -> anyhow::Result<Uuid> {
    let (stream, other): (Id<()>, Id<()>) = (commands::ids::new_id(), commands::ids::new_id());
    for from in (0..length).step_by(TOGETHER) {
        let upto = length.min(from + TOGETHER);
        for stream_id in [stream.uuid(), other.uuid()] {
            let events: Vec<Event> = (from..upto).map(|at| A::event(at).into()).collect();
            let streams = vec![StreamAppend { stream_id, expected: i64::try_from(from)?, session_id: None, events }];
            let context = Context { actor_id: "bench".into(), correlation_id: None, causation_id: None };
            log.append(Append { book_id, request: None, context, occurred_at: now(), streams }).await?;
        }
    }
    Ok(stream.uuid())
}
