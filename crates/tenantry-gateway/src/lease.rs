//! The last step of the decision: whether there are credits for a call.
//!
//! Credits are debited when they are leased, a number of them at a time, so that a node can spend what it holds without asking anybody.
//! A call reserves what it may cost, and is settled at what it did cost. An API without plans is free of charge: for it there is no
//! lease, and nothing is reserved.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tenantry_core::refusal::Code;

/// Credits that this node may spend for an account.
#[derive(Debug)]
pub struct Lease(AtomicI64);

impl Lease {
    /// A lease of so many credits.
    #[must_use]
    pub const fn new(credits: i64) -> Self {
        Self(AtomicI64::new(credits))
    }

    /// What is left of it and not reserved.
    #[must_use]
    pub fn left(&self) -> i64 {
        self.0.load(Ordering::Acquire)
    }
}

/// Credits that are set aside for a call. What is not settled when it is dropped goes back.
#[derive(Debug, Default)]
#[must_use]
pub struct Reserved {
    lease: Option<Arc<Lease>>,
    credits: i64,
}

/// Sets aside what a call costs, by the lease of the account that it is for, if its API has plans.
///
/// # Errors
/// `credits_exhausted` if the lease does not hold that much.
pub fn reserve(lease: Option<&Arc<Lease>>, cost: i64) -> Result<Reserved, Code> {
    let Some(lease) = lease else { return Ok(Reserved::default()) };
    let less = |left: i64| left.checked_sub(cost).filter(|rest| *rest >= 0);
    match lease.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, less) {
        Ok(_) => Ok(Reserved { lease: Some(Arc::clone(lease)), credits: cost }),
        Err(_) => Err(Code::CreditsExhausted),
    }
}

impl Reserved {
    /// Spends what the call did cost; the rest goes back.
    pub fn settle(mut self, credits: i64) {
        self.credits = (self.credits - credits).max(0);
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if let Some(lease) = &self.lease {
            lease.0.fetch_add(self.credits, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_lease_nothing_is_set_aside() {
        reserve(None, i64::MAX).expect("it is free").settle(1);
    }

    #[test]
    fn what_is_not_spent_goes_back() {
        let lease = Arc::new(Lease::new(10));
        reserve(Some(&lease), 4).expect("room").settle(4);
        assert_eq!(lease.left(), 6);
        reserve(Some(&lease), 6).expect("room").settle(0);
        assert_eq!(lease.left(), 6);
        drop(reserve(Some(&lease), 5).expect("room"));
        assert_eq!(lease.left(), 6);
        let held = reserve(Some(&lease), 6).expect("room");
        assert_eq!(reserve(Some(&lease), 1).expect_err("none is left"), Code::CreditsExhausted);
        drop(held);
    }

    #[test]
    fn a_thousand_calls_at_once_for_one_credit_spend_one() {
        for _ in 0..20 {
            let lease = Arc::new(Lease::new(1));
            let spent: usize = std::thread::scope(|scope| {
                let call = || (0..125).filter(|_| reserve(Some(&lease), 1).map(|held| held.settle(1)).is_ok()).count();
                let calls: Vec<_> = (0..8).map(|_| scope.spawn(call)).collect();
                calls.into_iter().map(|calls| calls.join().expect("calls")).sum()
            });
            assert_eq!((spent, lease.left()), (1, 0));
        }
    }
}
