//! How usage becomes charge lines, and charge lines become postings.

use super::{ChargeLine, ChargeOrigin, Posting, TokenCounts};
use crate::model::Rates;
use crate::money::{NanoUsd, Overflow};

/// One line per class of token that was reported, each rounded once.
pub fn charge_lines(tokens: &TokenCounts, rates: &Rates) -> Result<Vec<ChargeLine>, Overflow> {
    let classes = [
        ("input", tokens.input_tokens, rates.input),
        ("cache_read", tokens.cache_read_tokens, rates.cache_read),
        ("cache_write", tokens.cache_write_tokens, rates.cache_write),
        ("output", tokens.output_tokens, rates.output),
        ("reasoning", tokens.reasoning_tokens, rates.reasoning),
    ];
    classes
        .into_iter()
        .filter_map(|(kind, tokens, rate)| tokens.map(|tokens| (kind, tokens, rate)))
        .map(|(kind, tokens, rate)| {
            let nanousd = NanoUsd::for_tokens(tokens, rate)?;
            Ok(ChargeLine { kind: kind.into(), tokens: Some(tokens), nanousd })
        })
        .collect()
}

/// The double entry of a charge: what was used is debited, whom it is owed to is credited.
///
/// Notional and imported charges post to memo accounts, which no budget, statement or export includes unless asked.
pub fn postings(origin: ChargeOrigin, model: Option<&str>, cost: NanoUsd) -> Result<Vec<Posting>, Overflow> {
    let provider = model.and_then(|model| model.split('/').next()).unwrap_or("unknown");
    let (debit, credit) = match origin {
        ChargeOrigin::Metered => ("expense:model".to_owned(), format!("payable:{provider}")),
        ChargeOrigin::Notional => ("memo:notional:model".to_owned(), format!("memo:notional:{provider}")),
        ChargeOrigin::Imported => ("memo:imported:model".to_owned(), format!("memo:imported:{provider}")),
    };
    Ok(vec![Posting { account: debit, nanousd: cost }, Posting { account: credit, nanousd: cost.negated()? }])
}
