//! Time as a parameter: the system's, or one that tests move.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tenantry_core::Timestamp;
use tenantry_core::time::Span;

/// Tells what time it is.
#[derive(Debug, Clone)]
pub enum Clock {
    /// The time of the machine.
    System,
    /// A time that somebody sets: microseconds since 1970.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands still at `now` until it is moved.
    #[must_use]
    pub fn manual(now: Timestamp) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(now.0)))
    }

    /// The present instant.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine")]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => Timestamp(jiff::Timestamp::now().as_microsecond()),
            Self::Manual(at) => Timestamp(at.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock; the machine's own stays as it is.
    pub fn advance(&self, span: Span) {
        if let Self::Manual(at) = self {
            at.fetch_add(span.0, Ordering::SeqCst);
        }
    }
}
