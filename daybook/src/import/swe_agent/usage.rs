//! What a record says of the whole run: tokens and cost, the model, the end.

use domain::NanoUsd;
use serde_json::Value;

use super::super::error::ImportError;
use super::super::trajectory::{Outcome, Totals};
use super::json::At;

/// Nano-dollars have nine decimals.
const DECIMALS: i64 = 9;

/// The run's totals. SWE-agent writes zeros when the provider reported nothing (a replay, a model without a price),
/// so a zero beside calls that were made is "not reported" and not a price of nothing.
pub fn totals(info: &At<'_>, notes: &mut Vec<String>) -> Result<Option<Totals>, ImportError> {
    let Some(stats) = info.field("model_stats")? else { return Ok(None) };
    let count = |key: &str| stats.field(key)?.map(|count| count.count()).transpose();
    let (sent, received, calls) = (count("tokens_sent")?, count("tokens_received")?, count("api_calls")?.unwrap_or(0));
    // `total_cost` may cover other runs of the same batch; `instance_cost` is this run's.
    let cost = match stats.field("instance_cost")? {
        Some(cost) => Some(cost),
        None => stats.field("total_cost")?,
    };
    let cost = cost.map(|cost| dollars(&cost, notes)).transpose()?;
    let tokens_reported = calls == 0 || sent.unwrap_or(0) > 0 || received.unwrap_or(0) > 0;
    Ok(Some(Totals {
        calls: u32::try_from(calls).unwrap_or(u32::MAX),
        input_tokens: sent.filter(|_| tokens_reported),
        output_tokens: received.filter(|_| tokens_reported),
        cost: cost.filter(|cost| calls == 0 || *cost != NanoUsd::ZERO),
    }))
}

/// Dollars in whole nano-dollars. The text of the number is taken, not its value: the shortest text that names a
/// double is what was written, and no arithmetic is done on it.
fn dollars(cost: &At<'_>, notes: &mut Vec<String>) -> Result<NanoUsd, ImportError> {
    let expected = "an amount in US dollars, 0 or more";
    let number = cost.value().as_number().ok_or_else(|| cost.wrong(expected))?;
    let (amount, exact) = nano_usd(&number.to_string()).ok_or_else(|| cost.wrong(expected))?;
    if !exact {
        notes.push(format!("{} is {number}, which is rounded to {amount} USD", cost.place()));
    }
    Ok(amount)
}

/// A decimal number, with or without an exponent, in nano-dollars; rounded half to even where it has more than nine
/// decimals, and then the second answer is false.
fn nano_usd(text: &str) -> Option<(NanoUsd, bool)> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // How many of the digits stand left of the ninth decimal's end.
    let exponent = exponent.parse::<i32>().ok()?;
    let significant = digits.trim_start_matches('0');
    let leading_zeros = i64::try_from(digits.len() - significant.len()).ok()?;
    let kept = i64::try_from(whole.len()).ok()? + i64::from(exponent) + DECIMALS - leading_zeros;
    let digits = significant;
    if kept > 19 && !digits.is_empty() {
        return None;
    }
    let split = usize::try_from(kept.max(0)).ok()?.min(digits.len());
    let zeros = usize::try_from(kept.max(0)).ok()?.saturating_sub(digits.len()).min(19);
    let (left, right) = digits.split_at(split);
    let floor: i64 = if left.is_empty() { 0 } else { format!("{left}{}", "0".repeat(zeros)).parse().ok()? };
    // A number whose first digit stands behind the tenth decimal rounds to nothing.
    let right = if kept < 0 { "0" } else { right };
    let up = match right.as_bytes() {
        [] | [b'0'..=b'4', ..] => false,
        [b'5', rest @ ..] if rest.iter().all(|b| *b == b'0') => floor % 2 == 1,
        _ => true,
    };
    let exact = digits.is_empty() || (kept >= 0 && right.bytes().all(|b| b == b'0'));
    Some((NanoUsd(floor.checked_add(i64::from(up))?), exact))
}

/// The part of `replay_config` that is read: an object, or in later releases a text that holds one. It also holds
/// keys and addresses, and of those nothing is taken.
pub fn config(file: &At<'_>) -> Result<Option<Value>, ImportError> {
    Ok(match file.field("replay_config")? {
        Some(config) if config.value().is_string() => serde_json::from_str(&config.text()?).ok(),
        Some(config) => Some(config.value().clone()),
        None => None,
    })
}

/// The model, `provider/name`. A name without a provider could be anybody's deployment, so it stays `unknown/`.
pub fn model(config: Option<&Value>) -> Option<String> {
    let name = config?.pointer("/agent/model/name")?.as_str()?.replace('\0', "").trim().to_owned();
    match name.as_str() {
        "" => None,
        name if name.contains('/') => Some(name.to_owned()),
        name => Some(format!("unknown/{name}")),
    }
}

/// How the run ended; `last_words` and `submitted` describe the last turn.
pub fn outcome(info: Option<&At<'_>>, last_words: &str, submitted: bool) -> Result<Outcome, ImportError> {
    let status = info.map(|info| info.field_text("exit_status")).transpose()?.flatten();
    Ok(match status.as_deref() {
        Some("submitted") => Outcome::Succeeded(last_words.to_owned()),
        Some(other) => Outcome::Failed(format!("the record says how the run ended: {other}")),
        None if submitted => Outcome::Succeeded(last_words.to_owned()),
        None => Outcome::Failed("the record does not say how the run ended, and the agent submitted nothing".into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_read_from_their_digits() {
        let read = |text| nano_usd(text).map(|(amount, exact)| (amount.0, exact));
        assert_eq!(read("0.53839"), Some((538_390_000, true)));
        assert_eq!(read("0"), Some((0, true)));
        assert_eq!(read("0.0"), Some((0, true)));
        assert_eq!(read("12"), Some((12_000_000_000, true)));
        assert_eq!(read("5e-05"), Some((50_000, true)));
        assert_eq!(read("1.5e3"), Some((1_500_000_000_000, true)));
        assert_eq!(read("0.12345678949"), Some((123_456_789, false)));
        assert_eq!(read("0.1234567885"), Some((123_456_788, false)));
        assert_eq!(read("0.1234567895"), Some((123_456_790, false)));
        assert_eq!(read("0.0000000006"), Some((1, false)));
        assert_eq!(read("9e-11"), Some((0, false)));
        assert_eq!(read("1e300"), None);
        assert_eq!(read("-1"), None);
        assert_eq!(read("1e99999999999999999999"), None);
    }
}
