//! Money: whole nano-dollars in 64 bits, products in 128, rounded half to even once per charge line.
//!
//! Never here: a float. 1 USD is 1,000,000,000 nano-USD; the largest amount is about 9.2 billion USD.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Nano-USD in one US dollar.
pub const NANO_PER_USD: i64 = 1_000_000_000;
const TOKENS_PER_PRICE: i128 = 1_000_000;

/// An amount in units of 1e-9 US dollars; may be negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct NanoUsd(pub i64);

/// An amount that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the amount, or a sum with it, is larger than Daybook can hold (about 9.2 billion USD)")]
pub struct Overflow;

impl NanoUsd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The sum, unless it does not fit.
    pub fn checked_add(self, other: Self) -> Result<Self, Overflow> {
        self.0.checked_add(other.0).map(Self).ok_or(Overflow)
    }

    /// The sum, or the nearest amount that fits.
    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, unless it does not fit.
    pub fn checked_sub(self, other: Self) -> Result<Self, Overflow> {
        self.0.checked_sub(other.0).map(Self).ok_or(Overflow)
    }

    /// The amount with its sign turned.
    pub fn negated(self) -> Result<Self, Overflow> {
        self.0.checked_neg().map(Self).ok_or(Overflow)
    }

    /// The sum of all, unless it does not fit.
    pub fn sum(amounts: impl IntoIterator<Item = Self>) -> Result<Self, Overflow> {
        amounts.into_iter().try_fold(Self::ZERO, Self::checked_add)
    }

    /// What `tokens` cost at a price per million tokens, rounded half to even: the one place where money is rounded.
    pub fn for_tokens(tokens: u64, per_million: Self) -> Result<Self, Overflow> {
        let product = i128::from(tokens) * i128::from(per_million.0);
        let (quotient, rest) = (product.div_euclid(TOKENS_PER_PRICE), product.rem_euclid(TOKENS_PER_PRICE));
        let up = match (rest * 2).cmp(&TOKENS_PER_PRICE) {
            std::cmp::Ordering::Greater => 1,
            std::cmp::Ordering::Equal => quotient & 1,
            std::cmp::Ordering::Less => 0,
        };
        i64::try_from(quotient + up).map(Self).map_err(|_| Overflow)
    }

    /// Reads a plain decimal number of dollars such as `0.53839`: at most nine decimals, no exponent.
    pub fn parse_usd(text: &str) -> Option<Self> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || fraction.len() > 9 || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let nano: i64 = format!("{fraction:0<9}").parse().ok()?;
        let amount = whole.parse::<i64>().ok()?.checked_mul(NANO_PER_USD)?.checked_add(nano)?;
        Some(Self(if negative { -amount } else { amount }))
    }
}

/// Dollars as a plain decimal with all nine places, trailing zeros cut down to two: `0.53839`, `1.00`.
impl fmt::Display for NanoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        let (whole, nano) = (magnitude / NANO_PER_USD.unsigned_abs(), magnitude % NANO_PER_USD.unsigned_abs());
        let digits = format!("{nano:09}");
        let kept = digits.trim_end_matches('0').len().max(2);
        write!(f, "{}{whole}.{}", if self.0 < 0 { "-" } else { "" }, &digits[..kept])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_rounds_half_to_even() {
        let at = |tokens, per_million| NanoUsd::for_tokens(tokens, NanoUsd(per_million)).unwrap().0;
        assert_eq!(at(1, 500_000), 0);
        assert_eq!(at(3, 500_000), 2);
        assert_eq!(at(1, 500_001), 1);
        assert_eq!(at(1_000_000, 3_000_000_000), 3_000_000_000);
        assert!(NanoUsd::for_tokens(u64::MAX, NanoUsd(i64::MAX)).is_err());
    }

    #[test]
    fn dollars_read_back_what_they_wrote() {
        for nano in [0, 1, -1, 538_390_000, 1_000_000_000, -2_500_000_000, i64::MAX] {
            assert_eq!(NanoUsd::parse_usd(&NanoUsd(nano).to_string()), Some(NanoUsd(nano)));
        }
        assert_eq!(NanoUsd(538_390_000).to_string(), "0.53839");
        for bad in ["", ".", "1e3", "0.1234567890", "1,0", "--1"] {
            assert_eq!(NanoUsd::parse_usd(bad), None, "{bad}");
        }
    }
}
