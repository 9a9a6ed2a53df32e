//! What a call that was let through costs, and its record. Every one is settled once: by its answer, or by having had none.

use std::sync::Arc;

use tenantry_core::Timestamp;
use tenantry_core::catalogue::Settle;
use tenantry_core::usage::{Outcome, Usage};

use crate::journal::{Journal, Position};
use crate::lease::Reserved;
use crate::verdict::Allowed;

/// A call that is under way. If it is dropped it had no answer.
pub(crate) struct Charge {
    journal: Arc<Journal>,
    allowed: Allowed,
    at: Timestamp,
    reserved: Reserved,
    settled: bool,
}

/// How a call was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settled {
    /// What it cost, in credits.
    pub(crate) credits: i64,
    /// Where its record is, if there was room for it.
    pub(crate) position: Option<Position>,
}

impl Charge {
    pub(crate) fn new(journal: Arc<Journal>, allowed: Allowed, at: Timestamp, reserved: Reserved) -> Self {
        Self { journal, allowed, at, reserved, settled: false }
    }

    /// Who makes the call, and what it is.
    pub(crate) const fn allowed(&self) -> &Allowed {
        &self.allowed
    }

    /// Settles the call by the status of its answer.
    pub(crate) fn answered(mut self, status: u16) -> Settled {
        self.settle(Outcome::of_status(status), credits(self.allowed.settle, self.allowed.cost, status))
    }

    fn settle(&mut self, outcome: Outcome, credits: i64) -> Settled {
        self.settled = true;
        std::mem::take(&mut self.reserved).settle(credits);
        let allowed = &self.allowed;
        let usage = Usage {
            at: self.at,
            line: allowed.line,
            actor: allowed.actor,
            user: allowed.user,
            key: allowed.key,
            api: &allowed.api,
            endpoint: allowed.endpoint,
            credits,
            outcome,
        };
        let taken = self.journal.append(&usage);
        if let Err(error) = taken {
            tracing::error!(key = %allowed.key, credits, %error, "what a call used was not recorded");
        }
        Settled { credits, position: taken.ok() }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if !self.settled {
            self.settle(Outcome::Unanswered, 0);
        }
    }
}

/// What an answer costs. A connection that is handed over is what was asked for.
fn credits(settle: Settle, cost: i64, status: u16) -> i64 {
    match settle {
        Settle::Always => cost,
        Settle::Success if matches!(status, 101 | 200..=299) => cost,
        Settle::Success => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_answers_cost() {
        for (settle, status, expected) in [
            (Settle::Success, 200, 7),
            (Settle::Success, 204, 7),
            (Settle::Success, 101, 7),
            (Settle::Success, 304, 0),
            (Settle::Success, 404, 0),
            (Settle::Success, 500, 0),
            (Settle::Always, 404, 7),
            (Settle::Always, 500, 7),
        ] {
            assert_eq!(credits(settle, 7, status), expected, "{settle} {status}");
        }
    }
}
