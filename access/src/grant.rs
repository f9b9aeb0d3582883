//! A sign-in that lasts: who it is, and whether it is still good while something that was begun with it goes on.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use commands::Commands;
use commands::secrets::{self, SecretKind};
use domain::{Timestamp, Viewer};

/// How long an answer of the database about a sign-in is believed. What was ended elsewhere ends here within this time.
const BELIEVED: Duration = Duration::from_secs(2);

/// A sign-in. Cheap to clone; all that was begun with one token shares it.
#[derive(Clone)]
pub struct Grant {
    ticket: Arc<Ticket>,
}

struct Ticket {
    commands: Commands,
    viewer: Viewer,
    token: String,
    expires_at: Timestamp,
    /// It was ended; it never becomes good again.
    over: AtomicBool,
    asked_at: Mutex<Instant>,
}

/// Every sign-in that something goes on with, by token.
#[derive(Default)]
pub(crate) struct Grants {
    tickets: Mutex<HashMap<String, Weak<Ticket>>>,
}

impl Grants {
    /// The grant of a token that was just found good.
    pub fn of(&self, commands: &Commands, viewer: Viewer, token: &str, expires_at: Timestamp) -> Grant {
        let mut tickets = self.tickets.lock().expect("no holder panics");
        if let Some(ticket) = tickets.get(token).and_then(Weak::upgrade).filter(|ticket| !ticket.is_over()) {
            return Grant { ticket };
        }
        tickets.retain(|_, ticket| ticket.strong_count() > 0);
        let (commands, token, asked_at) = (commands.clone(), token.to_owned(), Mutex::new(Instant::now()));
        let over = AtomicBool::new(false);
        let ticket = Arc::new(Ticket { commands, viewer, token: token.clone(), expires_at, over, asked_at });
        tickets.insert(token, Arc::downgrade(&ticket));
        Grant { ticket }
    }
}

impl Grant {
    /// Who it is.
    pub fn viewer(&self) -> &Viewer {
        &self.ticket.viewer
    }

    /// Whether it is still good. The database is asked now and then, by one of all who ask.
    pub async fn is_good(&self) -> bool {
        let ticket = &self.ticket;
        if ticket.is_over() {
            return false;
        }
        if !ticket.is_due() {
            return true;
        }
        match secrets::look_up(ticket.commands.log().pool(), SecretKind::Cookie, &ticket.token).await {
            Ok(Some(found)) if found.user_id == ticket.viewer.user_id => true,
            Ok(_) => {
                ticket.over.store(true, Ordering::Release);
                false
            }
            Err(error) => {
                // Nothing can be read either while the database is away.
                tracing::warn!(%error, "whether a sign-in is still good cannot be seen; asking again");
                true
            }
        }
    }
}

impl Ticket {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire) || self.commands.log().now() >= self.expires_at
    }

    /// Whether the database is to be asked again; whoever is told so does it for all.
    fn is_due(&self) -> bool {
        let mut asked_at = self.asked_at.lock().expect("no holder panics");
        let due = asked_at.elapsed() >= BELIEVED;
        if due {
            *asked_at = Instant::now();
        }
        due
    }
}
