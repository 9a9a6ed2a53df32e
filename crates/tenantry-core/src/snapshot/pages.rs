//! Arrays and look-up tables whose copies share what did not change.
//!
//! Both are directories of small parts behind [`Arc`]s. Cloning one copies nothing; changing something copies the directory and
//! the part that it is in, if another copy still needs them.

use std::sync::Arc;

use super::{NONE, Number};

/// How many items are in a page: small enough to be copied in microseconds, and a million of them make a directory of a
/// thousand.
const PAGE: usize = 1024;

/// An array that grows at its end. Places that are free are used again. What is in a full page is two steps away: decisions wait
/// for memory more than for anything else.
#[derive(Debug, Clone)]
pub(super) struct Pages<T> {
    full: Arc<Vec<Arc<[T]>>>,
    /// What is behind the full pages.
    rest: Arc<Vec<T>>,
    free: Arc<Vec<Number>>,
}

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self { full: Arc::default(), rest: Arc::default(), free: Arc::default() }
    }
}

impl<T: Clone> Pages<T> {
    pub(super) fn get(&self, number: Number) -> Option<&T> {
        let number = number as usize;
        match self.full.get(number / PAGE) {
            Some(page) => page.get(number % PAGE),
            None => self.rest.get(number - self.full.len() * PAGE),
        }
    }

    /// Puts an item in a free place; answers where.
    pub(super) fn add(&mut self, item: T) -> Number {
        if !self.free.is_empty()
            && let Some(number) = Arc::make_mut(&mut self.free).pop()
        {
            self.set(number, item);
            return number;
        }
        let number = self.full.len() * PAGE + self.rest.len();
        let rest = Arc::make_mut(&mut self.rest);
        rest.push(item);
        if rest.len() == PAGE {
            let page = std::mem::take(rest);
            Arc::make_mut(&mut self.full).push(page.into());
        }
        Number::try_from(number).unwrap_or(NONE)
    }

    /// Replaces an item.
    pub(super) fn set(&mut self, number: Number, item: T) {
        if let Some(place) = self.get_mut(number) {
            *place = item;
        }
    }

    pub(super) fn get_mut(&mut self, number: Number) -> Option<&mut T> {
        let number = number as usize;
        let behind = number.checked_sub(self.full.len() * PAGE);
        match behind {
            Some(behind) => Arc::make_mut(&mut self.rest).get_mut(behind),
            None => Arc::make_mut(Arc::make_mut(&mut self.full).get_mut(number / PAGE)?).get_mut(number % PAGE),
        }
    }

    /// Leaves a place for somebody else. What is in it stays readable until then, so nothing may lead there any more.
    pub(super) fn release(&mut self, number: Number) {
        if number != NONE {
            Arc::make_mut(&mut self.free).push(number);
        }
    }
}

/// How many parts a look-up table has.
const SHARDS: usize = 1024;
/// A slot that nothing was ever in, and one whose number is gone.
const EMPTY: u64 = u64::MAX;
const GONE: u64 = u64::MAX - 1;

/// From hashes to numbers. Who looks up says whether a number is the right one; a slot holds half of the hash, so that the
/// question is rarely asked in vain.
#[derive(Debug, Clone)]
pub(super) struct Index {
    shards: Arc<Vec<Arc<Shard>>>,
}

impl Default for Index {
    fn default() -> Self {
        Self { shards: Arc::new(vec![Arc::default(); SHARDS]) }
    }
}

#[derive(Debug, Clone, Default)]
struct Shard {
    /// A power of two of slots, each a tag above and a number below.
    slots: Vec<u64>,
    /// How many are not empty.
    used: usize,
}

/// The hash of 16 or 32 bytes of which the last are random: those.
pub(super) fn hash_of(bytes: &[u8]) -> u64 {
    bytes.last_chunk::<8>().map_or(0, |last| u64::from_be_bytes(*last))
}

/// The upper bits, but for the first two: in an id they say which kind of UUID it is.
const fn shard_of(hash: u64) -> usize {
    ((hash >> 52) & 0x3ff) as usize
}

const fn tag(hash: u64) -> u64 {
    hash & 0xffff_ffff
}

const fn slot(hash: u64, number: Number) -> u64 {
    (tag(hash) << 32) | number as u64
}

const fn number_in(slot: u64) -> Number {
    (slot & 0xffff_ffff) as Number
}

impl Index {
    /// The number with this hash that `is` right.
    pub(super) fn find(&self, hash: u64, is: impl FnMut(Number) -> bool) -> Option<Number> {
        self.shards.get(shard_of(hash))?.find(hash, is)
    }

    /// Adds a number that is not in the table.
    pub(super) fn insert(&mut self, hash: u64, number: Number) {
        if let Some(shard) = Arc::make_mut(&mut self.shards).get_mut(shard_of(hash)) {
            Arc::make_mut(shard).insert(hash, number);
        }
    }

    /// Takes a number out.
    pub(super) fn remove(&mut self, hash: u64, number: Number) {
        if let Some(shard) = Arc::make_mut(&mut self.shards).get_mut(shard_of(hash)) {
            Arc::make_mut(shard).remove(hash, number);
        }
    }
}

impl Shard {
    /// The places where a hash may be, the first one first.
    fn probe(&self, hash: u64) -> impl Iterator<Item = usize> + use<> {
        let mask = self.slots.len().wrapping_sub(1);
        // The upper bits chose the shard. The place comes from the tag, so that a shard can grow without asking for hashes.
        let first = tag(hash) as usize;
        (0..self.slots.len()).map(move |step| first.wrapping_add(step) & mask)
    }

    fn find(&self, hash: u64, mut is: impl FnMut(Number) -> bool) -> Option<Number> {
        for place in self.probe(hash) {
            let slot = *self.slots.get(place)?;
            if slot == EMPTY {
                return None;
            }
            if slot != GONE && slot >> 32 == tag(hash) && is(number_in(slot)) {
                return Some(number_in(slot));
            }
        }
        None
    }

    fn insert(&mut self, hash: u64, number: Number) {
        if (self.used + 1) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        self.put(slot(hash, number), hash);
    }

    fn put(&mut self, value: u64, hash: u64) {
        for place in self.probe(hash) {
            if let Some(slot) = self.slots.get_mut(place)
                && (*slot == EMPTY || *slot == GONE)
            {
                self.used += usize::from(*slot == EMPTY);
                *slot = value;
                return;
            }
        }
    }

    fn remove(&mut self, hash: u64, number: Number) {
        let own = slot(hash, number);
        let found = self.probe(hash).find(|place| self.slots.get(*place) == Some(&own));
        if let Some(slot) = found.and_then(|place| self.slots.get_mut(place)) {
            *slot = GONE;
        }
    }

    fn grow(&mut self) {
        let kept: Vec<u64> = self.slots.iter().copied().filter(|slot| *slot != EMPTY && *slot != GONE).collect();
        let size = ((kept.len() + 1) * 2).next_power_of_two().max(4);
        self.slots = vec![EMPTY; size];
        self.used = 0;
        kept.into_iter().for_each(|slot| self.put(slot, slot >> 32));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_copy_keeps_what_it_had() {
        let mut pages = Pages::default();
        let numbers: Vec<Number> = (0..3_000).map(|n| pages.add(n)).collect();
        let before = pages.clone();
        pages.set(700, 0);
        pages.set(2_900, 1);
        pages.release(3);
        assert_eq!(pages.add(77), 3, "a free place is used again");
        assert_eq!(
            (before.get(700), pages.get(700), before.get(3), pages.get(3)),
            (Some(&700), Some(&0), Some(&3), Some(&77))
        );
        assert_eq!((before.get(2_900), pages.get(2_900), pages.get(2_999)), (Some(&2_900), Some(&1), Some(&2_999)));
        assert_eq!((numbers.len(), pages.get(3_000), pages.get(NONE)), (3_000, None, None));
    }

    proptest! {
        #[test]
        fn an_index_is_a_map(steps in prop::collection::vec((any::<bool>(), 0_u64..64), 0..300)) {
            // Few shards and few tags, so that they collide.
            let hash = |key: u64| ((key & 1) << 52) | (key / 16);
            let (mut index, mut model) = (Index::default(), std::collections::BTreeMap::new());
            for (number, (insert, key)) in (0..).zip(steps) {
                match (insert, model.get(&key).copied()) {
                    (true, None) => {
                        index.insert(hash(key), number);
                        model.insert(key, number);
                    }
                    (false, Some(there)) => {
                        index.remove(hash(key), there);
                        model.remove(&key);
                    }
                    _ => (),
                }
                for key in 0..64 {
                    let there = model.get(&key).copied();
                    prop_assert_eq!(index.find(hash(key), |number| Some(number) == there), there);
                }
            }
        }
    }
}
