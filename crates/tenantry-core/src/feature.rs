//! Features: named capabilities and limits that are handed down the tree.
//!
//! An account has what was assigned to it, but never more than its parent has at the moment: what is taken away
//! above is gone below, and is there again when it comes back.

use std::collections::BTreeMap;

use crate::id::AccountId;
use crate::lineage::{Lineage, Sourced};
use crate::refusal::{Code, Refusal};

/// The feature that caps how many members an organization may have. Where it is not assigned, there is no cap.
pub const SEATS_MAX: &str = "seats.max";

/// What is assigned under the name of a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// It may be used.
    On,
    /// It may be used this much.
    UpTo(i64),
}

impl Feature {
    /// What is left of it below an account that has `above`. A feature that is merely on is no limit.
    #[must_use]
    pub fn below(self, above: Self) -> Self {
        match (self, above) {
            (Self::UpTo(own), Self::UpTo(most)) => Self::UpTo(own.min(most)),
            (Self::On, above) => above,
            (own, Self::On) => own,
        }
    }

    /// Whether having it is no more than having `above`.
    #[must_use]
    pub fn is_within(self, above: Self) -> bool {
        self.below(above) == self
    }
}

impl Lineage {
    /// The features that count for the account, each with the account that bounds it.
    #[must_use]
    pub fn features(&self) -> BTreeMap<String, Sourced<Feature>> {
        let mut known: Option<BTreeMap<String, Sourced<Feature>>> = None;
        for account in self.iter() {
            let own = |(name, feature): (&String, &Feature)| {
                let here = Sourced { value: *feature, source: account.id };
                let Some(above) = &known else { return Some((name.clone(), here)) };
                let above = above.get(name)?;
                let left = feature.below(above.value);
                Some((
                    name.clone(),
                    if left == *feature { here } else { Sourced { value: left, source: above.source } },
                ))
            };
            known = Some(account.features.iter().filter_map(own).collect());
        }
        known.unwrap_or_default()
    }

    /// The most members that the account may have, and the account that says so. A cap set anywhere above counts.
    #[must_use]
    pub fn seat_cap(&self) -> Option<Sourced<i64>> {
        let caps = self.iter().filter_map(|account| match account.features.get(SEATS_MAX) {
            Some(Feature::UpTo(most)) => Some(Sourced { value: *most, source: account.id }),
            _ => None,
        });
        caps.min_by_key(|cap| cap.value)
    }
}

/// Whether `wanted` may be assigned to the account that `line` leads to. Only the operator decides what a root has.
///
/// # Errors
/// `feature_exceeded`, naming what the parent has.
pub fn check_assignment(line: &Lineage, wanted: &BTreeMap<String, Feature>) -> Result<(), Refusal> {
    let Some(parent) = line.of_parent() else { return Ok(()) };
    let above = parent.features();
    for (name, feature) in wanted {
        let had = above.get(name).map(|had| had.value);
        // A cap on seats narrows: it may be set below an account that has none itself.
        let fits = had.map_or(name == SEATS_MAX, |had| feature.is_within(had));
        if !fits {
            return Err(exceeded(name, had, parent.account().id));
        }
    }
    Ok(())
}

fn exceeded(name: &str, had: Option<Feature>, parent: AccountId) -> Refusal {
    let detail = match had {
        None => format!("{parent} does not have `{name}` itself."),
        Some(Feature::On) => format!("{parent} has `{name}` without a number."),
        Some(Feature::UpTo(most)) => format!("{parent} has `{name}` up to {most}."),
    };
    Refusal::new(Code::FeatureExceeded, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lineage::tests::{id, line};

    fn features(pairs: &[(&str, Feature)]) -> BTreeMap<String, Feature> {
        pairs.iter().map(|(name, feature)| ((*name).to_owned(), *feature)).collect()
    }

    #[test]
    fn nobody_has_more_than_their_parent() {
        let line = line(3, |n, account| {
            account.features = match n {
                1 => features(&[("voice", Feature::On), ("projects", Feature::UpTo(5))]),
                2 => features(&[("voice", Feature::On), ("projects", Feature::UpTo(9)), ("video", Feature::On)]),
                _ => features(&[("projects", Feature::UpTo(3)), ("video", Feature::On)]),
            }
        });
        let effective = line.features();
        assert_eq!(effective.get("projects"), Some(&Sourced { value: Feature::UpTo(3), source: id(3) }));
        assert_eq!(effective.len(), 1, "voice was not handed on, and nobody above has video");
        let parent = line.of_parent().expect("one").features();
        assert_eq!(parent.get("projects"), Some(&Sourced { value: Feature::UpTo(5), source: id(1) }));
    }

    #[test]
    fn assigning_more_than_there_is_is_refused() {
        let line = line(2, |n, account| {
            if n == 1 {
                account.features = features(&[("projects", Feature::UpTo(5)), ("voice", Feature::On)]);
            }
        });
        let check = |name, feature| check_assignment(&line, &features(&[(name, feature)])).map_err(|r| r.code);
        assert_eq!(check("projects", Feature::UpTo(5)), Ok(()));
        assert_eq!(check("voice", Feature::UpTo(2)), Ok(()), "a number narrows what is merely on");
        assert_eq!(check(SEATS_MAX, Feature::UpTo(2)), Ok(()));
        for (name, feature) in [("projects", Feature::UpTo(6)), ("projects", Feature::On), ("video", Feature::On)] {
            assert_eq!(check(name, feature), Err(Code::FeatureExceeded));
        }
    }

    #[test]
    fn the_tightest_cap_on_seats_counts() {
        let line = line(3, |n, account| {
            let most = match n {
                1 => 3,
                2 => return,
                _ => 7,
            };
            account.features = features(&[(SEATS_MAX, Feature::UpTo(most))]);
        });
        assert_eq!(line.seat_cap(), Some(Sourced { value: 3, source: id(1) }));
    }
}
