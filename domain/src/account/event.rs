//! What happens to an account: reservations, usage and charges.

use serde::{Deserialize, Serialize};

use crate::event::events;
use crate::id::{LlmCallId, PriceId, RunId, SessionId};
use crate::money::NanoUsd;

/// Who stands behind a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChargeOrigin {
    /// A provider bills it.
    Metered,
    /// Nobody bills it: the scripted model. Posts to memo accounts.
    Notional,
    /// A record of another system says so. Posts to memo accounts.
    Imported,
}

/// Where the token counts come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum UsageSource {
    /// The provider said so.
    Provider,
    /// Counted from the request, because no answer came.
    Estimated,
    /// A record of another system says so, as totals.
    Imported,
}

/// Tokens by class; the classes never overlap. An absent count was not reported, which is not zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TokenCounts {
    /// Input that was in no cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Input read from the provider's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read_tokens: Option<u64>,
    /// Input written to the provider's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write_tokens: Option<u64>,
    /// Output, without reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// Reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
}

/// Money was set aside for a model call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SpendReserved {
    /// The call; it also names the reservation.
    pub llm_call_id: LlmCallId,
    /// The session it serves.
    pub session_id: SessionId,
    /// The run it serves.
    pub run_id: RunId,
    /// `provider/name`.
    pub model: String,
    /// The price in force.
    pub price_id: PriceId,
    /// Whether the price is notional.
    pub origin: ChargeOrigin,
    /// Tokens in the request, counted before it was sent.
    pub est_input_tokens: u64,
    /// The most that the answer may have.
    pub max_output_tokens: u64,
    /// The most that the call can cost.
    pub est_nanousd: NanoUsd,
}

/// Tokens were used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct UsageMetered {
    /// The call, or the first of `calls`.
    pub llm_call_id: LlmCallId,
    /// The session it served.
    pub session_id: SessionId,
    /// The run it served.
    pub run_id: RunId,
    /// `provider/name`; absent where a record does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// How many model calls this covers: 1 but for imported totals.
    pub calls: u32,
    /// By class.
    pub tokens: TokenCounts,
    /// Where the counts come from.
    pub usage_source: UsageSource,
    /// From the request to the first frame, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttft_ms: Option<u64>,
    /// From the request to the end, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
}

/// One line of a charge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ChargeLine {
    /// The class of token, or `total` for an imported sum.
    pub kind: String,
    /// How many; absent where only the sum is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// What they cost, rounded once.
    pub nanousd: NanoUsd,
}

/// One leg of a double entry: positive debits, negative credits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Posting {
    /// The account, such as `expense:model`.
    pub account: String,
    /// The amount; all postings of a charge sum to zero.
    pub nanousd: NanoUsd,
}

/// Usage was charged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct UsageCharged {
    /// The call.
    pub llm_call_id: LlmCallId,
    /// The session it served.
    pub session_id: SessionId,
    /// The run it served.
    pub run_id: RunId,
    /// `provider/name`; absent where a record does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The price that was applied; absent for imported sums.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_id: Option<PriceId>,
    /// Who stands behind it.
    pub origin: ChargeOrigin,
    /// What it consists of.
    pub lines: Vec<ChargeLine>,
    /// The sum of the lines.
    pub cost_nanousd: NanoUsd,
    /// Debits and credits; they sum to zero.
    pub postings: Vec<Posting>,
}

/// A reservation was replaced by what the call really cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ReservationSettled {
    /// The call.
    pub llm_call_id: LlmCallId,
    /// The session it served.
    pub session_id: SessionId,
    /// What had been set aside.
    pub reserved_nanousd: NanoUsd,
    /// What it cost.
    pub actual_nanousd: NanoUsd,
}

/// A reservation was given back: the call was never made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ReservationReleased {
    /// The call.
    pub llm_call_id: LlmCallId,
    /// The session it would have served.
    pub session_id: SessionId,
    /// What had been set aside.
    pub reserved_nanousd: NanoUsd,
    /// Why.
    pub reason: String,
}

events! {
    /// What happens to an account.
    AccountEvent in Account {
        SpendReserved = "spend.reserved" v 1,
        UsageMetered = "usage.metered" v 1,
        UsageCharged = "usage.charged" v 1,
        ReservationSettled = "reservation.settled" v 1,
        ReservationReleased = "reservation.released" v 1,
    }
}
