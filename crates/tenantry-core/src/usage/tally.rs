//! Records, counted: three sums of the same calls, each for one kind of question.

use std::collections::BTreeMap;

use super::{Granularity, Line, Usage};
use crate::id::{EndpointId, KeyId, UserId};
use crate::time::Timestamp;

/// What some calls come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// How many there were.
    pub calls: i64,
    /// How many of them failed or were refused.
    pub failures: i64,
    /// What was charged for them.
    pub credits: i64,
}

impl Sums {
    const fn of(usage: &Usage<'_>) -> Self {
        Self { calls: 1, failures: usage.outcome.is_failure() as i64, credits: usage.credits }
    }

    /// Adds others; what cannot be counted any more stays at the end of all numbers.
    pub const fn add(&mut self, other: Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.failures = self.failures.saturating_add(other.failures);
        self.credits = self.credits.saturating_add(other.credits);
    }
}

/// What was used on one line of accounts. All maps are in the order of their keys, as are lines: who writes them down in that
/// order never waits for somebody who waits for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Used {
    /// By hour and endpoint, with the API of the endpoint.
    pub endpoints: BTreeMap<(Timestamp, EndpointId), (String, Sums)>,
    /// By day and user; also what no user's key did.
    pub users: BTreeMap<(Timestamp, Option<UserId>), Sums>,
    /// By key, in detail, with the API.
    pub keys: BTreeMap<KeyDay, (String, Sums)>,
}

impl Used {
    fn rows(&self) -> usize {
        self.endpoints.len() + self.users.len() + self.keys.len()
    }
}

/// A day of a key at an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyDay {
    /// The day.
    pub day: Timestamp,
    /// The key.
    pub key: KeyId,
    /// The endpoint.
    pub endpoint: EndpointId,
    /// Whose key it is.
    pub user: Option<UserId>,
}

impl KeyDay {
    const fn of(usage: &Usage<'_>) -> Self {
        let Usage { at, key, endpoint, user, .. } = *usage;
        Self { day: Granularity::Day.start(at), key, endpoint, user }
    }
}

/// The sums of some records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    lines: BTreeMap<Line, Used>,
    records: i64,
    rows: usize,
}

impl Tally {
    /// Counts a record.
    pub fn add(&mut self, usage: &Usage<'_>) {
        let (hour, day) = (Granularity::Hour.start(usage.at), Granularity::Day.start(usage.at));
        let sums = Sums::of(usage);
        let used = self.lines.entry(usage.line).or_default();
        let before = used.rows();
        add_to(&mut used.endpoints, (hour, usage.endpoint), usage.api, sums);
        used.users.entry((day, usage.user)).or_default().add(sums);
        add_to(&mut used.keys, KeyDay::of(usage), usage.api, sums);
        self.rows += used.rows() - before;
        self.records += 1;
    }

    /// How many records were counted.
    #[must_use]
    pub const fn records(&self) -> i64 {
        self.records
    }

    /// How many sums they come to.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// What was used, line by line.
    pub fn lines(&self) -> impl Iterator<Item = (&Line, &Used)> {
        self.lines.iter()
    }
}

/// Only the first record of a kind costs a copy of the API's name.
fn add_to<K: Ord>(sums: &mut BTreeMap<K, (String, Sums)>, key: K, api: &str, more: Sums) {
    sums.entry(key).or_insert_with(|| (api.to_owned(), Sums::default())).1.add(more);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::tests::a_record;
    use proptest::prelude::*;

    fn sum<'a>(records: impl Iterator<Item = Usage<'a>>) -> Sums {
        let mut sums = Sums::default();
        records.for_each(|usage| sums.add(Sums::of(&usage)));
        sums
    }

    proptest! {
        #[test]
        fn every_sum_is_that_of_the_records_it_names(records in prop::collection::vec(a_record(), 0..60)) {
            let mut tally = Tally::default();
            records.iter().for_each(|record| tally.add(&record.usage()));
            prop_assert_eq!(tally.records(), i64::try_from(records.len()).expect("few"));
            let usages = || records.iter().map(super::super::tests::Record::usage);
            let (hour, day) = (|at| Granularity::Hour.start(at), |at| Granularity::Day.start(at));
            let (mut by_endpoint, mut by_user, mut by_key) = (0, 0, 0);
            prop_assert_eq!(tally.rows(), tally.lines().map(|(_, used)| used.rows()).sum::<usize>());
            for (line, used) in tally.lines() {
                let here = || usages().filter(|usage| usage.line == *line);
                for ((at, endpoint), (api, sums)) in &used.endpoints {
                    let these = here().filter(|usage| (hour(usage.at), usage.endpoint, usage.api) == (*at, *endpoint, api));
                    prop_assert_eq!(sum(these), *sums);
                    by_endpoint += sums.calls;
                }
                for ((at, user), sums) in &used.users {
                    prop_assert_eq!(sum(here().filter(|usage| (day(usage.at), usage.user) == (*at, *user))), *sums);
                    by_user += sums.calls;
                }
                for (KeyDay { day: at, key, endpoint, user }, (api, sums)) in &used.keys {
                    let of = |usage: &Usage<'_>| (day(usage.at), usage.key, usage.endpoint, usage.user);
                    let these = here().filter(|usage| of(usage) == (*at, *key, *endpoint, *user) && usage.api == api);
                    prop_assert_eq!(sum(these), *sums);
                    by_key += sums.calls;
                }
            }
            // So none is left out anywhere.
            prop_assert_eq!([by_endpoint, by_user, by_key], [tally.records(); 3]);
        }
    }
}
