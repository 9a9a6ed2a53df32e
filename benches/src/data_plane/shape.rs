//! What the world of the data plane looks like, in memory and in the database alike: trees of five levels, an IP list above, a
//! restriction on the way, and keys of people on the last level.

use ring::digest::{SHA256, digest};
use tenantry_core::secret::{self, Label};

use crate::Result;

/// How many children every account above the last level has.
pub(crate) const FAN_OUT: usize = 10;
/// How many accounts a whole tree has.
const TREE: usize = 11_111;
/// Where the last level of a tree begins.
const LAST: usize = 1_111;
/// The level, counted from 0, whose accounts hold a restriction.
const RESTRICTED: usize = 2;
/// How many keys one person has.
pub(crate) const KEYS_OF_ONE: usize = 10;
/// How many endpoints the catalogue has.
pub(crate) const ENDPOINTS: usize = 100;

/// The id of the one API.
pub(crate) const API: &str = "voice";
/// What every client calls.
pub(crate) const TARGET: &str = "/voice/tts/ann?format=mp3";
/// From where they do.
pub(crate) const CLIENT: &str = "192.0.2.7";
/// From where they may.
pub(crate) const NETWORKS: [&str; 2] = ["127.0.0.0/8", "192.0.2.0/24"];
/// What nobody may call, whatever the method.
pub(crate) const FORBIDDEN: &str = "/clone/**";

/// The path of an endpoint, below that of the API.
pub(crate) fn endpoint(number: usize) -> String {
    if number == 0 { "/tts/{voice}".to_owned() } else { format!("/product-{number}/{{thing}}") }
}

/// Where an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spot {
    /// The number of the account above; parents come before their children.
    pub(crate) parent: Option<usize>,
    /// Counted from 0.
    pub(crate) level: usize,
}

impl Spot {
    /// The place of an account in its tree, whose levels follow each other.
    pub(crate) fn of(number: usize) -> Self {
        let (mut level, mut at) = (0, number % TREE);
        let parent = at.checked_sub(1).map(|before| number - at + before / FAN_OUT);
        while let Some(before) = at.checked_sub(1) {
            (level, at) = (level + 1, before / FAN_OUT);
        }
        Self { parent, level }
    }

    /// Whether the account holds an IP list.
    pub(crate) fn is_listed(self) -> bool {
        self.parent.is_none()
    }

    /// Whether the account holds a restriction.
    pub(crate) fn is_restricted(self) -> bool {
        self.level == RESTRICTED
    }
}

/// The numbers of the accounts on the last level.
///
/// # Errors
/// If there is none.
pub(crate) fn leaves(accounts: usize) -> Result<Vec<usize>> {
    let leaves: Vec<usize> = (0..accounts).filter(|number| number % TREE >= LAST).collect();
    if leaves.is_empty() { Err(format!("it takes more than {LAST} accounts").into()) } else { Ok(leaves) }
}

/// The texts of so many keys.
pub(crate) fn texts(many: usize) -> Vec<String> {
    let mut random = Shuffled(1);
    let text = |_| {
        let mut bytes = [0; secret::RANDOM_BYTES];
        bytes.iter_mut().for_each(|byte| *byte = u8::try_from(random.below(256)).unwrap_or_default());
        secret::compose(Label::Live, &bytes)
    };
    (0..many).map(text).collect()
}

/// What is kept of the text of a key.
pub(crate) fn hash(text: &str) -> [u8; 32] {
    digest(&SHA256, text.as_bytes()).as_ref().try_into().unwrap_or([0; 32])
}

/// An order that no cache knows, but the same in every run: splitmix64.
#[derive(Debug, Clone)]
pub(crate) struct Shuffled(pub(crate) u64);

impl Shuffled {
    /// The next number below a bound.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound.max(1) as u64).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_has_five_levels() {
        let spot = |number| {
            let Spot { parent, level } = Spot::of(number);
            (parent, level)
        };
        assert_eq!((spot(0), spot(1), spot(10), spot(11)), ((None, 0), (Some(0), 1), (Some(0), 1), (Some(1), 2)));
        assert_eq!((spot(LAST - 1).1, spot(LAST), spot(TREE - 1)), (3, (Some(111), 4), (Some(LAST - 1), 4)));
        assert_eq!((spot(TREE), spot(TREE + 1)), ((None, 0), (Some(TREE), 1)));
        assert_eq!(leaves(TREE + 5).expect("some").len(), TREE - LAST);
        assert!(leaves(LAST).is_err());
    }
}
