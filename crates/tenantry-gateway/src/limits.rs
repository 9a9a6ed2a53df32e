//! Rate and concurrency limits, counted in this process.
//!
//! Whose calls are not limited is not looked for. Where several limits apply to a call, all of them let it through, or none of
//! them counts it: their counts are locked together for that moment, in one order for everybody. Counts of which nothing matters any
//! more are forgotten as new ones come.

mod report;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tenantry_core::id::Id as _;
use tenantry_core::limit::{Applying, Due, Holder, Rate};
use tenantry_core::time::Monotonic;

pub use report::{Exceeded, Exhausted, Fields, Report, Standing};

/// Into how many parts the counts are divided, so that few wait for each other.
const SHARDS: usize = 64;
/// How many counts a part may hold before it is looked through.
const FEW: usize = 64;

/// What was counted for all whose calls are limited.
#[derive(Debug)]
pub struct Limiter {
    shards: Vec<Mutex<Shard>>,
}

/// What was counted for one of them.
#[derive(Debug, Default)]
struct Count {
    /// When the next call is due, and by which rate that was counted.
    due: Due,
    rate: Option<Rate>,
    in_flight: u32,
}

type SharedCount = Arc<Mutex<Count>>;

#[derive(Debug)]
struct Shard {
    counts: HashMap<Holder, SharedCount>,
    /// How many have to be there before it is looked through.
    sweep_at: usize,
}

/// A call that was let through. Where calls at once are limited it counts as one of them until this is dropped.
#[derive(Debug, Default)]
#[must_use]
pub struct Admitted {
    /// What is left.
    pub report: Report,
    _slots: Slots,
}

/// Places among the calls at once.
#[derive(Debug, Default)]
struct Slots(Vec<SharedCount>);

impl Drop for Slots {
    fn drop(&mut self) {
        for count in &self.0 {
            let mut count = locked(count);
            count.in_flight = count.in_flight.saturating_sub(1);
        }
    }
}

/// Limits with the count that goes with them.
struct Counted {
    applying: Applying,
    count: SharedCount,
}

/// Nothing that is done under these locks can leave a count half made.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Limiter {
    fn default() -> Self {
        let shard = || Mutex::new(Shard { counts: HashMap::new(), sweep_at: FEW });
        Self { shards: std::iter::repeat_with(shard).take(SHARDS).collect() }
    }
}

impl Limiter {
    /// Lets a call through if all limits do; it is told when the call ends.
    ///
    /// # Errors
    /// If there is no room: then nothing was counted.
    pub fn admit(&self, limits: impl Iterator<Item = Applying>, now: Monotonic) -> Result<Admitted, Exceeded> {
        let counted = |applying: Applying| Counted { applying, count: self.count(applying.holder, now) };
        let mut counted: Vec<Counted> = limits.map(counted).collect();
        if counted.is_empty() {
            return Ok(Admitted::default());
        }
        let report = take(&mut counted, now)?;
        let slots = counted.into_iter().filter(|counted| counted.applying.limits.in_flight.is_some());
        Ok(Admitted { report, _slots: Slots(slots.map(|counted| counted.count).collect()) })
    }

    /// Lets a call begin if all rates do. When it ends is not known, so limits of calls at once are not looked at.
    ///
    /// # Errors
    /// If there is no room: then nothing was counted.
    pub fn take(&self, limits: impl Iterator<Item = Applying>, now: Monotonic) -> Result<Report, Exceeded> {
        self.admit(limits.filter_map(Applying::to_begin), now).map(|admitted| admitted.report)
    }

    /// What [`Limiter::take`] would say, without counting a call.
    ///
    /// # Errors
    /// If there is no room.
    pub fn peek(&self, limits: impl Iterator<Item = Applying>, now: Monotonic) -> Result<Report, Exceeded> {
        let standing = |applying: Applying| match self.known(applying.holder) {
            Some(count) => locked(&count).standing(applying, now),
            None => Count::default().standing(applying, now),
        };
        judged(limits.filter_map(Applying::to_begin).map(standing).collect())
    }

    /// For how many there are counts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| locked(shard).counts.len()).sum()
    }

    /// Whether nothing was counted that matters.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, holder: Holder) -> Option<MutexGuard<'_, Shard>> {
        // The last byte of an id is random.
        let [.., last] = match holder {
            Holder::Key(id) => id.bytes(),
            Holder::Account(id) => id.bytes(),
        };
        self.shards.get(usize::from(last) % SHARDS).map(locked)
    }

    fn known(&self, holder: Holder) -> Option<SharedCount> {
        self.shard(holder)?.counts.get(&holder).cloned()
    }

    fn count(&self, holder: Holder, now: Monotonic) -> SharedCount {
        // There is a shard for every remainder.
        self.shard(holder).map(|mut shard| shard.count(holder, now)).unwrap_or_default()
    }
}

impl Shard {
    fn count(&mut self, holder: Holder, now: Monotonic) -> SharedCount {
        if let Some(there) = self.counts.get(&holder) {
            return Arc::clone(there);
        }
        if self.counts.len() >= self.sweep_at {
            self.sweep(now);
        }
        Arc::clone(self.counts.entry(holder).or_default())
    }

    /// Forgets counts of which nothing matters any more. Whoever has hold of one may be about to count.
    fn sweep(&mut self, now: Monotonic) {
        self.counts.retain(|_, count| Arc::strong_count(count) > 1 || !locked(count).is_idle(now));
        self.sweep_at = (2 * self.counts.len()).max(FEW);
        self.counts.shrink_to(self.sweep_at);
    }
}

impl Count {
    /// When the next call is due by this rate: it may have been counted by another.
    fn due_by(&self, rate: Rate, now: Monotonic) -> Due {
        self.rate.map_or(self.due, |before| rate.carry(before, self.due, now))
    }

    fn standing(&self, applying: Applying, now: Monotonic) -> Standing {
        let limits = applying.limits;
        Standing {
            applying,
            room: limits.rate.map(|rate| rate.room(self.due_by(rate, now), now)),
            free: limits.in_flight.map(|most| most.saturating_sub(self.in_flight)),
        }
    }

    /// Counts a call for which there is room.
    fn take(&mut self, applying: Applying, now: Monotonic) -> Standing {
        if let Some(rate) = applying.limits.rate
            && let Ok((due, _)) = rate.take(self.due_by(rate, now), now)
        {
            (self.due, self.rate) = (due, Some(rate));
        }
        self.in_flight += u32::from(applying.limits.in_flight.is_some());
        self.standing(applying, now)
    }

    fn is_idle(&self, now: Monotonic) -> bool {
        self.in_flight == 0 && self.rate.is_none_or(|rate| rate.is_full(self.due, now))
    }
}

/// Counts a call for all of them, or for none.
fn take(counted: &mut Vec<Counted>, now: Monotonic) -> Result<Report, Exceeded> {
    // In the order of their places in memory: else two calls could wait for each other; and each once, or it would wait for itself.
    counted.sort_unstable_by_key(|counted| Arc::as_ptr(&counted.count));
    counted.dedup_by(|a, b| Arc::ptr_eq(&a.count, &b.count));
    let mut counts: Vec<_> = counted.iter().map(|counted| (counted.applying, locked(&counted.count))).collect();
    judged(counts.iter().map(|(applying, count)| count.standing(*applying, now)).collect())?;
    Ok(Report::new(counts.iter_mut().map(|(applying, count)| count.take(*applying, now)).collect()))
}

fn judged(standings: Vec<Standing>) -> Result<Report, Exceeded> {
    let report = Report::new(standings);
    match report.deciding() {
        None => Ok(report),
        Some(deciding) => Err(Exceeded::new(deciding, report)),
    }
}

#[cfg(test)]
mod tests;
