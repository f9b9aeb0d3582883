//! Usage: sums over model calls.

use async_graphql::SimpleObject;
use domain::NanoUsd;
use projections::usage::Totals;

/// Sums over model calls. Amounts are plain decimals of US dollars; token counts are null where nothing was reported.
#[derive(SimpleObject)]
pub struct Usage {
    calls: i64,
    input_tokens: Option<u64>,
    cache_read_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
    output_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
    /// How many calls were settled by estimate.
    estimated_calls: i64,
    /// Billed by a provider.
    metered_usd: String,
    /// Priced, billed by nobody (the scripted model).
    notional_usd: String,
    /// From a record of another system.
    imported_usd: String,
    /// Set aside for calls under way.
    reserved_usd: String,
}

impl From<Totals> for Usage {
    fn from(totals: Totals) -> Self {
        Self {
            calls: totals.calls,
            input_tokens: totals.tokens.input_tokens,
            cache_read_tokens: totals.tokens.cache_read_tokens,
            cache_write_tokens: totals.tokens.cache_write_tokens,
            output_tokens: totals.tokens.output_tokens,
            reasoning_tokens: totals.tokens.reasoning_tokens,
            estimated_calls: totals.estimated_calls,
            metered_usd: NanoUsd(totals.metered_nanousd).to_string(),
            notional_usd: NanoUsd(totals.notional_nanousd).to_string(),
            imported_usd: NanoUsd(totals.imported_nanousd).to_string(),
            reserved_usd: NanoUsd(totals.reserved_nanousd).to_string(),
        }
    }
}
