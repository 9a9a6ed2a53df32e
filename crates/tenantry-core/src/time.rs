//! Instants. The core never asks what time it is: `now` is a parameter.

/// Microseconds since 1970-01-01T00:00:00Z, as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// A length of time in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub i64);

/// Nanoseconds since a start that only who measures knows: what matters is what lies between two of them. Setting a clock does not
/// move it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Monotonic(pub u64);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A span of whole seconds.
    #[must_use]
    pub const fn seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// A span of whole hours.
    #[must_use]
    pub const fn hours(hours: i64) -> Self {
        Self::seconds(hours.saturating_mul(3_600))
    }

    /// A span of whole days of 24 hours.
    #[must_use]
    pub const fn days(days: i64) -> Self {
        Self::hours(days.saturating_mul(24))
    }
}

impl Timestamp {
    /// This instant and `span` later; saturates at the end of time.
    #[must_use]
    pub const fn plus(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// This instant and `span` earlier; saturates at the beginning of time.
    #[must_use]
    pub const fn minus(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }

    /// How long after `earlier` this is.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}
