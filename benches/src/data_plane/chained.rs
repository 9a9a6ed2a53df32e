//! A hash table as one would write it down: buckets of linked entries, each in a place of its own.

/// Hashes, with the numbers of what they are of.
pub(crate) struct Chained {
    buckets: Vec<Option<Box<Entry>>>,
}

struct Entry {
    hash: [u8; 32],
    number: usize,
    next: Option<Box<Entry>>,
}

impl Chained {
    pub(crate) fn new(hashes: &[[u8; 32]]) -> Self {
        let mut buckets: Vec<Option<Box<Entry>>> = Vec::new();
        buckets.resize_with(hashes.len().next_power_of_two(), || None);
        for (number, hash) in hashes.iter().enumerate() {
            let place = Self::place(hash, buckets.len());
            if let Some(bucket) = buckets.get_mut(place) {
                let next = bucket.take();
                *bucket = Some(Box::new(Entry { hash: *hash, number, next }));
            }
        }
        Self { buckets }
    }

    fn place(hash: &[u8; 32], buckets: usize) -> usize {
        let first = hash.first_chunk::<8>().map_or(0, |first| u64::from_be_bytes(*first));
        usize::try_from(first).unwrap_or_default() & (buckets - 1)
    }

    /// The number of what this is the hash of.
    pub(crate) fn find(&self, hash: &[u8; 32]) -> Option<usize> {
        let mut entry = self.buckets.get(Self::place(hash, self.buckets.len()))?.as_ref();
        while let Some(there) = entry {
            if there.hash == *hash {
                return Some(there.number);
            }
            entry = there.next.as_ref();
        }
        None
    }
}
