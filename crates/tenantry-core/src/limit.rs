//! Limits of calls: how many in a time (the generic cell rate algorithm), and how many at once.
//!
//! As many calls as the limit says may come at once; from then on they come back at an even pace. What was counted is one
//! number: when the next call would be due at that pace. It is kept in parts of a nanosecond of which the distance of two calls
//! is a whole number, so that no rounding ever adds up.

use std::fmt;
use std::time::Duration;

use crate::id::{AccountId, KeyId};
use crate::time::Monotonic;

/// The most calls of a limit.
pub const MOST_CALLS: u32 = 1_000_000_000;
/// The longest time of a limit, in seconds: a day.
pub const LONGEST_WINDOW: u32 = 86_400;
/// The most calls at once of a limit.
pub const MOST_IN_FLIGHT: u32 = 1_000_000;

const NANOSECONDS: u128 = 1_000_000_000;

/// At most so many calls in so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    calls: u32,
    seconds: u32,
}

/// When the next call would be due at an even pace. Its unit depends on the rate that it was counted by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Due(u128);

/// What is left of a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// How many calls may come at once.
    pub remaining: u32,
    /// In what time one more may come; nothing, if all may.
    pub next_in: Duration,
    /// In what time all may come, if none does before.
    pub full_in: Duration,
}

impl Rate {
    /// At most `calls` in `seconds`; `None` if either is zero or too much.
    #[must_use]
    pub fn new(calls: u32, seconds: u32) -> Option<Self> {
        let sound = (1..=MOST_CALLS).contains(&calls) && (1..=LONGEST_WINDOW).contains(&seconds);
        sound.then_some(Self { calls, seconds })
    }

    /// How many calls.
    #[must_use]
    pub const fn calls(self) -> u32 {
        self.calls
    }

    /// In how many seconds.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        self.seconds
    }

    /// An instant in parts of a nanosecond: one for each call.
    fn scaled(self, at: Monotonic) -> u128 {
        u128::from(at.0) * u128::from(self.calls)
    }

    /// From one call to the next at an even pace, in these parts: as many as the whole time has nanoseconds.
    fn distance(self) -> u128 {
        u128::from(self.seconds) * NANOSECONDS
    }

    /// A length of time out of these parts, rounded up.
    fn duration(self, parts: u128) -> Duration {
        let nanoseconds = parts.div_ceil(u128::from(self.calls));
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }

    /// What is left at `now`.
    #[must_use]
    pub fn room(self, due: Due, now: Monotonic) -> Room {
        let (spent, whole) = (due.0.saturating_sub(self.scaled(now)), self.distance() * u128::from(self.calls));
        let remaining = whole.saturating_sub(spent) / self.distance();
        let next = (spent + (remaining + 1) * self.distance()).saturating_sub(whole);
        let is_full = spent == 0;
        Room {
            remaining: u32::try_from(remaining).unwrap_or(self.calls),
            next_in: if is_full { Duration::ZERO } else { self.duration(next) },
            full_in: self.duration(spent),
        }
    }

    /// Takes one call at `now`: what is due then, and what is left.
    ///
    /// # Errors
    /// What is left, if that is not one call.
    pub fn take(self, due: Due, now: Monotonic) -> Result<(Due, Room), Room> {
        let room = self.room(due, now);
        if room.remaining == 0 {
            return Err(room);
        }
        let after = Due(due.0.max(self.scaled(now)) + self.distance());
        Ok((after, self.room(after, now)))
    }

    /// The same count under this rate, if it was kept under another `before`: calls that were made stay made.
    #[must_use]
    pub fn carry(self, before: Self, due: Due, now: Monotonic) -> Due {
        if self == before {
            return due;
        }
        let made = before.calls - before.room(due, now).remaining;
        Due(self.scaled(now) + u128::from(made.min(self.calls)) * self.distance())
    }

    /// Whether nothing that was counted matters any more.
    #[must_use]
    pub fn is_full(self, due: Due, now: Monotonic) -> bool {
        due.0 <= self.scaled(now)
    }

    /// Whether this rate never lets more through than `other`, however long one looks.
    #[must_use]
    pub fn within(self, other: Self) -> bool {
        let of = |calls: u32, seconds: u32| u64::from(calls) * u64::from(seconds);
        self.calls <= other.calls && of(self.calls, other.seconds) <= of(other.calls, self.seconds)
    }
}

/// What somebody's calls are limited to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallLimits {
    /// How many in what time.
    pub rate: Option<Rate>,
    /// How many at once.
    pub in_flight: Option<u32>,
}

impl CallLimits {
    /// No limits.
    pub const NONE: Self = Self { rate: None, in_flight: None };

    /// Whether there is no limit.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.rate.is_none() && self.in_flight.is_none()
    }

    /// Whether nothing gets through that `other` would not let through.
    #[must_use]
    pub fn within(self, other: Self) -> bool {
        let rate = other.rate.is_none_or(|most| self.rate.is_some_and(|own| own.within(most)));
        let in_flight = other.in_flight.is_none_or(|most| self.in_flight.is_some_and(|own| own <= most));
        rate && in_flight
    }

    /// These limits, with those of `other` where there is none.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { rate: self.rate.or(other.rate), in_flight: self.in_flight.or(other.in_flight) }
    }
}

/// Changes to limits: what is `None` stays, what is `Some(None)` is lifted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LimitsChange {
    /// How many in what time.
    pub rate: Option<Option<Rate>>,
    /// How many at once.
    pub in_flight: Option<Option<u32>>,
}

impl LimitsChange {
    /// The limits afterwards.
    #[must_use]
    pub fn of(self, before: CallLimits) -> CallLimits {
        CallLimits { rate: self.rate.unwrap_or(before.rate), in_flight: self.in_flight.unwrap_or(before.in_flight) }
    }
}

/// Whose calls are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holder {
    /// Those of a key.
    Key(KeyId),
    /// Those for an account and all accounts below it.
    Account(AccountId),
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(id) => id.fmt(f),
            Self::Account(id) => id.fmt(f),
        }
    }
}

/// What about calls is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// How many come in a time.
    Rate,
    /// How many are there at once.
    InFlight,
}

impl Kind {
    /// The text on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rate => "rateLimit",
            Self::InFlight => "inFlight",
        }
    }
}

/// Limits that a call has to keep to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applying {
    /// Whose they are.
    pub holder: Holder,
    /// How far above the subject of the call the account is that they are of; 0 for the subject itself, and for keys.
    pub above: usize,
    /// The limits.
    pub limits: CallLimits,
}

impl Applying {
    /// The same for who is not told when a call ends: how many there are at once cannot be known then.
    #[must_use]
    pub fn to_begin(self) -> Option<Self> {
        let limits = CallLimits { in_flight: None, ..self.limits };
        (!limits.is_none()).then_some(Self { limits, ..self })
    }
}

#[cfg(test)]
mod tests;
