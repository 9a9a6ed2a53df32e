//! Randomness, and the ids made with it: the only place that draws any.

use std::sync::Mutex;

use ring::rand::{SecureRandom as _, SystemRandom};
use tenantry_core::Timestamp;
use tenantry_core::id::Id;
use uuid::{ContextV7, Uuid};

use crate::problem::{Error, Result};

/// A source of random bytes and of time-ordered ids.
pub struct Chance {
    random: SystemRandom,
    // Keeps ids made within one millisecond in the order in which they were made.
    order: Mutex<ContextV7>,
}

impl Default for Chance {
    fn default() -> Self {
        Self { random: SystemRandom::new(), order: Mutex::new(ContextV7::new()) }
    }
}

impl Chance {
    /// Fresh random bytes.
    ///
    /// # Errors
    /// If the operating system has none to give.
    pub fn bytes<const N: usize>(&self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes).map_err(|_| Error::internal("no randomness"))?;
        Ok(bytes)
    }

    /// A new id that sorts after all ids made before `now`.
    pub fn id<T: Id>(&self, now: Timestamp) -> T {
        let seconds = u64::try_from(now.0.div_euclid(1_000_000)).unwrap_or_default();
        let nanos = u32::try_from(now.0.rem_euclid(1_000_000) * 1_000).unwrap_or_default();
        let order = self.order.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let at = uuid::Timestamp::from_unix(&*order, seconds, nanos);
        T::from_bytes(Uuid::new_v7(at).into_bytes())
    }
}
