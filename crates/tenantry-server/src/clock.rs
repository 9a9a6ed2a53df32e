//! Time as a parameter: the system's, or one that tests move.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Instant;

use tenantry_core::Timestamp;
use tenantry_core::time::{Monotonic, Span};

/// Tells what time it is.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The time of the machine, measured since this was made.
    System(Instant),
    /// A time that somebody sets.
    Manual(Arc<Hands>),
}

/// What a manual clock shows.
#[derive(Debug)]
pub struct Hands {
    /// Microseconds since 1970.
    at: AtomicI64,
    /// Nanoseconds that have passed.
    passed: AtomicU64,
}

impl Clock {
    /// The clock of the machine.
    #[must_use]
    pub fn system() -> Self {
        Self::System(Instant::now())
    }

    /// A clock that stands still at `now` until it is moved.
    #[must_use]
    pub fn manual(now: Timestamp) -> Self {
        Self::Manual(Arc::new(Hands { at: AtomicI64::new(now.0), passed: AtomicU64::new(0) }))
    }

    /// The present instant.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine")]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System(_) => Timestamp(jiff::Timestamp::now().as_microsecond()),
            Self::Manual(hands) => Timestamp(hands.at.load(Ordering::SeqCst)),
        }
    }

    /// How much time has passed, whatever the clock was set to meanwhile.
    #[must_use]
    pub fn monotonic(&self) -> Monotonic {
        match self {
            Self::System(start) => Monotonic(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)),
            Self::Manual(hands) => Monotonic(hands.passed.load(Ordering::SeqCst)),
        }
    }

    /// Lets time pass on a manual clock; the machine's own stays as it is.
    pub fn advance(&self, span: Span) {
        if let Self::Manual(hands) = self {
            let passed = u64::try_from(span.0).unwrap_or_default().saturating_mul(1_000);
            hands.passed.fetch_add(passed, Ordering::SeqCst);
            self.set(span);
        }
    }

    /// Sets a manual clock by this much, as somebody might set that of the machine: no time passes.
    pub fn set(&self, by: Span) {
        if let Self::Manual(hands) = self {
            hands.at.fetch_add(by.0, Ordering::SeqCst);
        }
    }
}
