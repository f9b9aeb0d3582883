//! Who is asking. A `Viewer` is made by `access` alone; everybody else only reads it.

use serde::{Deserialize, Serialize};

use crate::id::{BookId, UserId};

/// What a user may do within one organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything.
    Admin,
    /// Works with agents.
    Developer,
    /// Looks on.
    Viewer,
    /// Reads everything, changes nothing.
    Auditor,
}

impl Role {
    /// Whether this role may change anything at all.
    pub fn may_write(self) -> bool {
        matches!(self, Self::Admin | Self::Developer)
    }

    /// Whether this role may change the installation itself.
    pub fn may_administer(self) -> bool {
        self == Self::Admin
    }

    /// Whether this role may look into the workings of the installation.
    pub fn may_oversee(self) -> bool {
        matches!(self, Self::Admin | Self::Auditor)
    }
}

/// A signed-in person within one organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewer {
    /// The person.
    pub user_id: UserId,
    /// The organisation's log; nothing outside it is visible.
    pub book_id: BookId,
    /// What the person may do there.
    pub role: Role,
    /// The name to show.
    pub name: String,
}

impl Viewer {
    /// The name under which this person's events are recorded.
    pub fn actor(&self) -> String {
        self.user_id.to_string()
    }
}
