//! When a server behind is left alone: after so many failures in a row it is not asked for a while, then by one call at a time.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// So many failures in a row, and no success between.
const PATIENCE: u32 = 10;

/// For how long nobody is let through then.
const PAUSE: Duration = Duration::from_secs(5);

/// The failures of one endpoint of one server. Times are counted from an instant that the caller chooses.
///
/// A call that failed while others went well says nothing about the server: so whoever has calls hang for whatever reason of their
/// own does not take it away from others.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    failures: AtomicU32,
    /// Until when nobody is let through, in milliseconds.
    until: AtomicU64,
    /// When a call last went well, in milliseconds.
    succeeded: AtomicU64,
}

impl Breaker {
    /// Whether a call may go on.
    ///
    /// # Errors
    /// How long to wait.
    pub(crate) fn check(&self, now: Duration) -> Result<(), Duration> {
        if self.failures.load(Ordering::Relaxed) < PATIENCE {
            return Ok(());
        }
        let (until, at) = (self.until.load(Ordering::Acquire), millis(now));
        if at < until {
            return Err(Duration::from_millis(until - at));
        }
        // Of those who come when the pause is over one goes on, and finds out for all.
        let next = millis(now + PAUSE);
        match self.until.compare_exchange(until, next, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => Ok(()),
            Err(_) => Err(PAUSE),
        }
    }

    /// The server answered.
    pub(crate) fn succeeded(&self, now: Duration) {
        let at = millis(now);
        // Read first: a line of memory that everybody writes to is slow.
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
        if self.succeeded.load(Ordering::Relaxed) != at {
            self.succeeded.store(at, Ordering::Relaxed);
        }
    }

    /// The server could not be reached, broke off, or was too slow for a call that had begun then.
    pub(crate) fn failed(&self, begun: Duration, now: Duration) {
        if self.succeeded.load(Ordering::Relaxed) > millis(begun) {
            return;
        }
        if self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= PATIENCE {
            self.until.store(millis(now + PAUSE), Ordering::Release);
        }
    }
}

fn millis(at: Duration) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn opens_after_failures_in_a_row_and_closes_after_one_success() {
        let breaker = Breaker::default();
        for _ in 1..PATIENCE {
            breaker.failed(at(1), at(1));
        }
        breaker.succeeded(at(1));
        for _ in 1..PATIENCE {
            breaker.failed(at(1), at(1));
            assert_eq!(breaker.check(at(1)), Ok(()));
        }
        breaker.failed(at(1), at(1));
        assert_eq!(breaker.check(at(2)), Err(at(4)));
        assert_eq!((breaker.check(at(6)), breaker.check(at(6))), (Ok(()), Err(PAUSE)), "one finds out");
        breaker.failed(at(6), at(7));
        assert_eq!(breaker.check(at(8)), Err(at(4)));
        assert_eq!(breaker.check(at(12)), Ok(()));
        breaker.succeeded(at(12));
        assert_eq!((breaker.check(at(12)), breaker.check(at(12))), (Ok(()), Ok(())));
    }

    #[test]
    fn calls_that_hang_while_others_go_well_do_not_count() {
        let breaker = Breaker::default();
        breaker.succeeded(at(30));
        for _ in 0..100 * PATIENCE {
            breaker.failed(at(1), at(61));
        }
        assert_eq!(breaker.check(at(61)), Ok(()));
        for _ in 0..PATIENCE {
            breaker.failed(at(31), at(91));
        }
        assert_eq!(breaker.check(at(91)), Err(PAUSE));
    }
}
