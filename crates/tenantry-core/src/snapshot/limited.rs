//! The limits that a call has to keep to: those of its key, of its subject, and of all accounts above that.

use super::decide::Decision;
use super::line::Line;
use super::{Credential, NONE, Number, Snapshot};
use crate::limit::{Applying, Holder};

/// Where the limits of a call are. Most calls have none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limited {
    /// Number of the key's among `limits`.
    key: Number,
    /// The account with which the line of those with limits begins.
    subject: Number,
}

impl Limited {
    pub(super) const NOWHERE: Self = Self { key: NONE, subject: NONE };

    /// Of a call with this key for the account at the end of this line.
    pub(super) fn new(key: &Credential, line: &Line<'_>) -> Self {
        Self { key: key.limits, subject: if line.limited { line.end() } else { NONE } }
    }
}

impl Snapshot {
    /// The limits that apply to a call that this snapshot allowed: those of the key first, then those of its subject, then those of
    /// the accounts above it.
    pub fn limits<'s>(&'s self, decision: &Decision<'_>) -> impl Iterator<Item = Applying> + use<'s> {
        let Limited { key, subject } = decision.limited;
        let of_key = self.limits.get(key).zip(decision.key);
        let of_key = of_key.map(|(limits, id)| Applying { holder: Holder::Key(id), above: 0, limits: *limits });
        let line = std::iter::successors(self.node(subject), |node| self.node(node.parent));
        let of_accounts = line.enumerate().filter_map(|(above, node)| {
            let limits = *self.limits.get(node.limits)?;
            Some(Applying { holder: Holder::Account(node.id), above, limits })
        });
        of_key.into_iter().chain(of_accounts)
    }
}
