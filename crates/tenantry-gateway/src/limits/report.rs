//! What limits have to say about a call: whether there was room for it, and what is left, as callers are told.
//!
//! Callers are told in the header fields of draft-ietf-httpapi-ratelimit-headers-11: all limits in `RateLimit-Policy`, and in `RateLimit`
//! what is left of the tightest. `t` is the time after which all calls may come again; where none may, that after which one may.

use std::cmp::Reverse;
use std::time::Duration;

use tenantry_core::limit::{Applying, Holder, Kind, Rate, Room};
use tenantry_core::refusal::Code;
use tenantry_core::snapshot::{Denial, Rule};

/// How long to wait for a call to end: nobody knows, so it is tried again soon.
const SOON: Duration = Duration::from_secs(1);

/// Limits, and what is left of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The limits.
    pub applying: Applying,
    /// What is left of the rate, if there is one.
    pub room: Option<Room>,
    /// How many more calls there may be at once, if that is limited.
    pub free: Option<u32>,
}

/// All limits that apply to a call: those of the key, of its subject, and of the accounts above it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    standings: Vec<Standing>,
}

/// A limit that leaves no room for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted {
    /// Whose.
    pub holder: Holder,
    /// Of what.
    pub kind: Kind,
    /// How long until there is room.
    pub wait: Duration,
}

/// There was no room for a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exceeded {
    deciding: Exhausted,
    /// How all limits stand.
    pub report: Report,
}

/// Header fields for the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields {
    /// The value of `RateLimit-Policy`.
    pub policy: String,
    /// The value of `RateLimit`.
    pub limit: String,
}

/// A length of time in whole seconds, rounded up.
fn seconds(span: Duration) -> u64 {
    span.as_secs() + u64::from(span.subsec_nanos() > 0)
}

impl Exhausted {
    /// The seconds to wait before a call is worth a try; at least one.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        seconds(self.wait).max(1)
    }
}

impl Standing {
    fn exhausted(&self) -> impl Iterator<Item = Exhausted> {
        let holder = self.applying.holder;
        let room = self.room.filter(|room| room.remaining == 0);
        let rate = room.map(|room| Exhausted { holder, kind: Kind::Rate, wait: room.next_in });
        let slots = self.free.filter(|free| *free == 0).map(|_| Exhausted { holder, kind: Kind::InFlight, wait: SOON });
        rate.into_iter().chain(slots)
    }

    /// What callers know the limits by. Whose accounts are above theirs is not their business.
    fn name(&self) -> String {
        match (self.applying.holder, self.applying.above) {
            (Holder::Key(_), _) => "key".to_owned(),
            (Holder::Account(_), 0) => "account".to_owned(),
            (Holder::Account(_), above) => format!("above-{above}"),
        }
    }

    fn rate(&self) -> Option<(Rate, Room)> {
        self.applying.limits.rate.zip(self.room)
    }

    fn slots(&self) -> Option<(u32, u32)> {
        self.applying.limits.in_flight.zip(self.free)
    }

    fn policies(&self) -> impl Iterator<Item = String> {
        let name = self.name();
        let rate = self.rate().map(|(rate, _)| format!("\"{name}\";q={};w={}", rate.calls(), rate.seconds()));
        let slots = self.slots().map(|(most, _)| format!("\"{name}-in-flight\";q={most};qu=\"concurrent-requests\""));
        rate.into_iter().chain(slots)
    }
}

impl Report {
    pub(super) fn new(mut standings: Vec<Standing>) -> Self {
        standings.sort_unstable_by_key(|standing| (standing.applying.above, standing.applying.holder));
        Self { standings }
    }

    /// How each of the limits stands: that of the key first, then the accounts' from the subject up.
    #[must_use]
    pub fn standings(&self) -> &[Standing] {
        &self.standings
    }

    /// The limit that keeps a call out for longest, if one does.
    pub(super) fn deciding(&self) -> Option<Exhausted> {
        self.exhausted().min_by_key(|exhausted| Reverse(exhausted.wait))
    }

    fn exhausted(&self) -> impl Iterator<Item = Exhausted> {
        self.standings.iter().flat_map(Standing::exhausted)
    }

    /// What the caller is told; nothing, if no limits apply.
    #[must_use]
    pub fn fields(&self) -> Option<Fields> {
        let policies: Vec<String> = self.standings.iter().flat_map(Standing::policies).collect();
        let limits: Vec<String> = self.tightest_rate().into_iter().chain(self.tightest_slots()).collect();
        (!policies.is_empty()).then(|| Fields { policy: policies.join(", "), limit: limits.join(", ") })
    }

    /// Of the rates, the one with the fewest calls left; among several, the one that it takes longest to wait for.
    fn tightest_rate(&self) -> Option<String> {
        let of = |standing: &Standing| {
            let (_, room) = standing.rate()?;
            let back = if room.remaining == 0 { room.next_in } else { room.full_in };
            Some((room.remaining, back, standing.name()))
        };
        let tightest = self.standings.iter().filter_map(of).min_by_key(|(left, back, _)| (*left, Reverse(*back)));
        tightest.map(|(left, back, name)| format!("\"{name}\";r={left};t={}", seconds(back)))
    }

    fn tightest_slots(&self) -> Option<String> {
        let of = |standing: &Standing| standing.slots().map(|(_, free)| (free, standing.name()));
        let tightest = self.standings.iter().filter_map(of).min_by_key(|(free, _)| *free);
        tightest.map(|(free, name)| format!("\"{name}-in-flight\";r={free}"))
    }
}

impl Exceeded {
    pub(super) fn new(deciding: Exhausted, report: Report) -> Self {
        Self { deciding, report }
    }

    /// The limit that keeps the call out for longest: once that has room, all have.
    #[must_use]
    pub fn deciding(&self) -> Exhausted {
        self.deciding
    }

    /// All limits that leave no room.
    pub fn exhausted(&self) -> impl Iterator<Item = Exhausted> {
        self.report.exhausted()
    }

    /// What becomes of the decision.
    #[must_use]
    pub fn denial(&self) -> Denial<'static> {
        let Exhausted { holder, kind, .. } = self.deciding;
        Denial { code: Code::RateLimited, rule: Some(Rule::Limit(holder, kind)) }
    }
}
