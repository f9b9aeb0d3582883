//! What is changed in an event that is taken in: whose it is, that it is a record, and who stands behind its money.

use crate::account::{AccountEvent, ChargeOrigin, postings};
use crate::event::Event;
use crate::id::UserId;
use crate::money::Overflow;
use crate::run::{RunEvent, Trigger};
use crate::session::{ImportSource, Origin, SessionEvent};

/// The event as it is written down here. Everything else in it stays as it was.
pub(super) fn rewritten(event: Event, source: &ImportSource, owner: UserId) -> Result<Event, Overflow> {
    Ok(match event {
        Event::Session(SessionEvent::SessionStarted(mut e)) => {
            (e.origin, e.import_source, e.owner_user_id) = (Origin::Import, Some(source.clone()), owner);
            SessionEvent::from(e).into()
        }
        Event::Run(RunEvent::RunRequested(mut e)) => {
            e.trigger = Trigger::Import;
            RunEvent::from(e).into()
        }
        Event::Account(AccountEvent::SpendReserved(mut e)) => {
            e.origin = ChargeOrigin::Imported;
            AccountEvent::from(e).into()
        }
        Event::Account(AccountEvent::UsageCharged(mut e)) => {
            e.origin = ChargeOrigin::Imported;
            e.postings = postings(e.origin, e.model.as_deref(), e.cost_nanousd)?;
            AccountEvent::from(e).into()
        }
        event => event,
    })
}
