//! The account of a book: money is set aside before a model call and settled after it, by double entry.
//!
//! One stream per book holds it all, so that a reservation is one event whatever it touches.

mod charge;
mod event;
pub use charge::{charge_lines, postings};
pub use event::*;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::aggregate::Aggregate;
use crate::id::{LlmCallId, RunId, SessionId};
use crate::model::ModelPriced;
use crate::money::{NanoUsd, Overflow};

/// What a finished model call used.
#[derive(Debug, Clone, PartialEq)]
pub struct Usage {
    /// By class.
    pub tokens: TokenCounts,
    /// Who counted.
    pub source: UsageSource,
    /// From the request to the first frame, in milliseconds.
    pub ttft_ms: Option<u64>,
    /// From the request to the end, in milliseconds.
    pub duration_ms: Option<u64>,
}

/// What another system's record says of a run's cost.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedUsage {
    /// Names the total.
    pub llm_call_id: LlmCallId,
    /// The imported session.
    pub session_id: SessionId,
    /// The imported run.
    pub run_id: RunId,
    /// `provider/name`, where it is known.
    pub model: Option<String>,
    /// How many model calls it covers.
    pub calls: u32,
    /// By class, where they were reported.
    pub tokens: TokenCounts,
    /// The sum, where it was reported.
    pub cost_nanousd: Option<NanoUsd>,
}

/// What can be asked of an account.
#[derive(Debug, Clone)]
pub enum AccountCommand {
    /// Set money aside for a call.
    Reserve(SpendReserved),
    /// The call is over: charge what it used under the price that was reserved.
    Settle {
        /// The call.
        llm_call_id: LlmCallId,
        /// The price that the reservation named.
        price: ModelPriced,
        /// What it used; `None` charges an estimate from the request, marked as such.
        usage: Option<Usage>,
    },
    /// The call was never made.
    Release {
        /// The call.
        llm_call_id: LlmCallId,
        /// Why.
        reason: String,
    },
    /// Post what a record of another system says to the memo accounts.
    Import(ImportedUsage),
}

/// Why an account refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// Nothing is set aside for this call, so nothing can be charged.
    #[error("no money is reserved for {0}: it was settled, released or never reserved")]
    NotReserved(LlmCallId),
    /// Another reservation has this id.
    #[error("{0} is reserved already, with other figures")]
    Taken(LlmCallId),
    /// The price is not the one the reservation named.
    #[error("the reservation for {0} names another price")]
    OtherPrice(LlmCallId),
    /// An amount that does not fit.
    #[error(transparent)]
    Overflow(#[from] Overflow),
}

/// What is known of an account: open reservations and balances.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Account {
    open: BTreeMap<LlmCallId, SpendReserved>,
    balances: BTreeMap<String, NanoUsd>,
}

impl Account {
    /// What is set aside and not yet settled.
    pub fn reserved(&self, llm_call_id: LlmCallId) -> Option<&SpendReserved> {
        self.open.get(&llm_call_id)
    }

    /// Everything that is set aside and not yet settled.
    pub fn open(&self) -> impl Iterator<Item = &SpendReserved> {
        self.open.values()
    }

    /// The open reservations of a run.
    pub fn reserved_for(&self, run_id: RunId) -> impl Iterator<Item = &SpendReserved> {
        self.open().filter(move |reserved| reserved.run_id == run_id)
    }

    /// The balance of every account; they sum to zero.
    pub fn balances(&self) -> &BTreeMap<String, NanoUsd> {
        &self.balances
    }

    /// Whether every balance can hold what these events would post, one after the other.
    pub fn holds<'e>(&self, events: impl IntoIterator<Item = &'e AccountEvent>) -> Result<(), AccountError> {
        let mut moved: BTreeMap<&str, NanoUsd> = BTreeMap::new();
        for event in events {
            let AccountEvent::UsageCharged(charged) = event else { continue };
            for Posting { account, nanousd } in &charged.postings {
                let before = moved.get(account.as_str()).or(self.balances.get(account)).copied().unwrap_or_default();
                moved.insert(account, before.checked_add(*nanousd)?);
            }
        }
        Ok(())
    }

    /// The same events, where every balance can hold them.
    fn held(&self, events: Vec<AccountEvent>) -> Result<Vec<AccountEvent>, AccountError> {
        self.holds(&events).map(|()| events)
    }

    fn settle(
        &self,
        llm_call_id: LlmCallId,
        price: &ModelPriced,
        usage: Option<&Usage>,
    ) -> Result<Vec<AccountEvent>, AccountError> {
        let reserved = self.open.get(&llm_call_id).ok_or(AccountError::NotReserved(llm_call_id))?;
        if reserved.price_id != price.price_id {
            return Err(AccountError::OtherPrice(llm_call_id));
        }
        let usage = usage.cloned().unwrap_or_else(|| estimate(reserved));
        let lines = charge_lines(&usage.tokens, &price.nanousd_per_mtok)?;
        let cost = NanoUsd::sum(lines.iter().map(|line| line.nanousd))?;
        let (session_id, run_id) = (reserved.session_id, reserved.run_id);
        let model = Some(reserved.model.clone());
        Ok(vec![
            UsageMetered {
                llm_call_id,
                session_id,
                run_id,
                model: model.clone(),
                calls: 1,
                tokens: usage.tokens,
                usage_source: usage.source,
                ttft_ms: usage.ttft_ms,
                duration_ms: usage.duration_ms,
            }
            .into(),
            UsageCharged {
                llm_call_id,
                session_id,
                run_id,
                postings: postings(reserved.origin, model.as_deref(), cost)?,
                model,
                price_id: Some(price.price_id),
                origin: reserved.origin,
                lines,
                cost_nanousd: cost,
            }
            .into(),
            ReservationSettled {
                llm_call_id,
                session_id,
                reserved_nanousd: reserved.est_nanousd,
                actual_nanousd: cost,
            }
            .into(),
        ])
    }
}

/// A call without an answer is settled by what is known to have been sent: its input, and no output.
fn estimate(reserved: &SpendReserved) -> Usage {
    let tokens = TokenCounts { input_tokens: Some(reserved.est_input_tokens), ..TokenCounts::default() };
    Usage { tokens, source: UsageSource::Estimated, ttft_ms: None, duration_ms: None }
}

impl Aggregate for Account {
    type Command = AccountCommand;
    type Event = AccountEvent;
    type Error = AccountError;

    fn decide(&self, command: &AccountCommand) -> Result<Vec<AccountEvent>, AccountError> {
        match command {
            AccountCommand::Reserve(wanted) => match self.open.get(&wanted.llm_call_id) {
                None => Ok(vec![wanted.clone().into()]),
                Some(known) if known == wanted => Ok(vec![]),
                Some(_) => Err(AccountError::Taken(wanted.llm_call_id)),
            },
            AccountCommand::Settle { llm_call_id, price, usage } => {
                self.held(self.settle(*llm_call_id, price, usage.as_ref())?)
            }
            AccountCommand::Release { llm_call_id, reason } => {
                let reserved = self.open.get(llm_call_id).ok_or(AccountError::NotReserved(*llm_call_id))?;
                let released = ReservationReleased {
                    llm_call_id: *llm_call_id,
                    session_id: reserved.session_id,
                    reserved_nanousd: reserved.est_nanousd,
                    reason: reason.clone(),
                };
                Ok(vec![released.into()])
            }
            AccountCommand::Import(imported) => self.held(import(imported)?),
        }
    }

    fn evolve(&mut self, event: &AccountEvent) {
        match event {
            AccountEvent::SpendReserved(reserved) => {
                self.open.insert(reserved.llm_call_id, reserved.clone());
            }
            AccountEvent::UsageMetered(_) => {}
            AccountEvent::UsageCharged(charged) => {
                for posting in &charged.postings {
                    let balance = self.balances.entry(posting.account.clone()).or_default();
                    // Whoever decides refuses what a balance cannot hold. A log in which it stands can be read still.
                    *balance = balance.saturating_add(posting.nanousd);
                }
            }
            AccountEvent::ReservationSettled(settled) => {
                self.open.remove(&settled.llm_call_id);
            }
            AccountEvent::ReservationReleased(released) => {
                self.open.remove(&released.llm_call_id);
            }
        }
    }
}

fn import(imported: &ImportedUsage) -> Result<Vec<AccountEvent>, AccountError> {
    let ImportedUsage { llm_call_id, session_id, run_id, model, calls, tokens, cost_nanousd } = imported.clone();
    let metered = UsageMetered {
        llm_call_id,
        session_id,
        run_id,
        model: model.clone(),
        calls,
        tokens,
        usage_source: UsageSource::Imported,
        ttft_ms: None,
        duration_ms: None,
    };
    let mut events = vec![metered.into()];
    if let Some(cost) = cost_nanousd {
        let charged = UsageCharged {
            llm_call_id,
            session_id,
            run_id,
            postings: postings(ChargeOrigin::Imported, model.as_deref(), cost)?,
            model,
            price_id: None,
            origin: ChargeOrigin::Imported,
            lines: vec![ChargeLine { kind: "total".into(), tokens: None, nanousd: cost }],
            cost_nanousd: cost,
        };
        events.push(charged.into());
    }
    Ok(events)
}

#[cfg(test)]
mod tests;
