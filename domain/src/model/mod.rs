//! The price list: each version of each model's price, in force from its event on. Charges name the version.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::aggregate::Aggregate;
use crate::event::events;
use crate::id::PriceId;
use crate::money::{NanoUsd, Overflow};

/// A price in nano-USD per million tokens, by class of token; the classes never overlap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rates {
    /// Input that was in no cache.
    pub input: NanoUsd,
    /// Input read from the provider's cache.
    pub cache_read: NanoUsd,
    /// Input written to the provider's cache.
    pub cache_write: NanoUsd,
    /// Output, without reasoning.
    pub output: NanoUsd,
    /// Reasoning.
    pub reasoning: NanoUsd,
}

/// A model has a new price.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ModelPriced {
    /// The version that charges will name.
    pub price_id: PriceId,
    /// The model, as `provider/name`.
    pub model: String,
    /// Nano-USD per million tokens.
    pub nanousd_per_mtok: Rates,
    /// True for a price that nobody is billed: the scripted model's.
    pub notional: bool,
}

events! {
    /// What happens to the price list.
    ModelEvent in Model {
        ModelPriced = "model.priced" v 1,
    }
}

impl ModelPriced {
    /// The most that a call of so many tokens can cost under this price.
    pub fn most(&self, input_tokens: u64, output_tokens: u64) -> Result<NanoUsd, Overflow> {
        let rates = self.nanousd_per_mtok;
        let input = rates.input.max(rates.cache_write).max(rates.cache_read);
        let output = rates.output.max(rates.reasoning);
        NanoUsd::for_tokens(input_tokens, input)?.checked_add(NanoUsd::for_tokens(output_tokens, output)?)
    }
}

/// What can be asked of the price list.
#[derive(Debug, Clone)]
pub enum ModelCommand {
    /// From now on this is the model's price.
    Price(ModelPriced),
}

/// Why a price is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// A rate below zero.
    #[error("a price per token must not be negative")]
    Negative,
}

/// The newest price of every model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PriceList {
    newest: BTreeMap<String, ModelPriced>,
    versions: BTreeMap<PriceId, ModelPriced>,
}

impl PriceList {
    /// The price of a model, `provider/name`, now in force.
    pub fn price(&self, model: &str) -> Option<&ModelPriced> {
        self.newest.get(model)
    }

    /// The price with this id, in force or not.
    pub fn version(&self, price_id: PriceId) -> Option<&ModelPriced> {
        self.versions.get(&price_id)
    }
}

impl Aggregate for PriceList {
    type Command = ModelCommand;
    type Event = ModelEvent;
    type Error = ModelError;

    fn decide(&self, command: &ModelCommand) -> Result<Vec<ModelEvent>, ModelError> {
        let ModelCommand::Price(wanted) = command;
        let rates = wanted.nanousd_per_mtok;
        if [rates.input, rates.cache_read, rates.cache_write, rates.output, rates.reasoning].iter().any(|r| r.0 < 0) {
            return Err(ModelError::Negative);
        }
        match self.newest.get(&wanted.model) {
            Some(known) if known.nanousd_per_mtok == rates && known.notional == wanted.notional => Ok(vec![]),
            _ => Ok(vec![wanted.clone().into()]),
        }
    }

    fn evolve(&mut self, event: &ModelEvent) {
        let ModelEvent::ModelPriced(priced) = event;
        self.newest.insert(priced.model.clone(), priced.clone());
        self.versions.insert(priced.price_id, priced.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::testing::given;

    fn priced(id: u128, input: i64) -> ModelPriced {
        ModelPriced {
            price_id: PriceId::new(uuid::Uuid::from_u128(id)),
            model: "scripted/demo".into(),
            nanousd_per_mtok: Rates { input: NanoUsd(input), ..Rates::default() },
            notional: true,
        }
    }

    #[test]
    fn the_same_price_again_is_already_so() {
        given::<PriceList>([priced(1, 5).into()]).when(ModelCommand::Price(priced(2, 5))).then([]);
        given::<PriceList>([priced(1, 5).into()]).when(ModelCommand::Price(priced(2, 6))).then([priced(2, 6).into()]);
    }

    #[test]
    fn a_price_is_never_negative() {
        given::<PriceList>([]).when(ModelCommand::Price(priced(1, -1))).refused(ModelError::Negative);
    }
}
