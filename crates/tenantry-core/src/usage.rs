//! What calls used: the record that the gateway makes of each, and how records are counted.
//!
//! A record names the accounts from the one that was called for up to its root as they were then. So what was used below an
//! account stays its history when an account moves away, and what is used afterwards is the history of others.

mod period;
mod tally;

pub use period::{Granularity, Grouping, Period};
pub use tally::{KeyDay, Sums, Tally, Used};

use crate::account::MAX_DEPTH;
use crate::id::{AccountId, EndpointId, Id, KeyId, UserId};
use crate::time::Timestamp;

const LONGEST: usize = MAX_DEPTH as usize;

/// The first byte of every record.
const VERSION: u8 = 1;

// What the second byte says besides the outcome, which has its lowest two bits.
const HAS_USER: u8 = 1 << 2;
const ACTOR_IS_SUBJECT: u8 = 1 << 3;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Outcome {
    /// The API did what it was asked, or said where to look: below 400.
    Success,
    /// The API refused: 4xx.
    Refused,
    /// The API failed: 5xx, or what is no status.
    Failed,
    /// The API did not answer.
    Unanswered,
}

impl Outcome {
    const ALL: [Self; 4] = [Self::Success, Self::Refused, Self::Failed, Self::Unanswered];

    /// What an answer with this HTTP status is.
    #[must_use]
    pub const fn of_status(status: u16) -> Self {
        match status {
            100..=399 => Self::Success,
            400..=499 => Self::Refused,
            _ => Self::Failed,
        }
    }

    /// Whether it counts as a failure.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        !matches!(self, Self::Success)
    }
}

/// An account and all above it, the account itself first. There is always one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Line {
    // Those behind the last one are all zero.
    accounts: [AccountId; LONGEST],
    len: u8,
}

impl Line {
    /// Takes the accounts in their order; `None` if there is none, or if there are more than a tree has levels.
    #[must_use]
    pub fn new(accounts: impl IntoIterator<Item = AccountId>) -> Option<Self> {
        let mut line = Self { accounts: [AccountId::from_bytes([0; 16]); LONGEST], len: 0 };
        for account in accounts {
            *line.accounts.get_mut(usize::from(line.len))? = account;
            line.len += 1;
        }
        (line.len > 0).then_some(line)
    }

    /// The account that was called for.
    #[must_use]
    pub const fn subject(&self) -> AccountId {
        let [subject, ..] = self.accounts;
        subject
    }

    /// All of them, the subject first.
    #[must_use]
    pub fn accounts(&self) -> &[AccountId] {
        self.accounts.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// What one call used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage<'a> {
    /// When.
    pub at: Timestamp,
    /// The account that was called for, with all above it at that time.
    pub line: Line,
    /// The account of the key.
    pub actor: AccountId,
    /// The person whose key it is.
    pub user: Option<UserId>,
    /// The key.
    pub key: KeyId,
    /// The API that was called.
    pub api: &'a str,
    /// The endpoint that was called.
    pub endpoint: EndpointId,
    /// What was charged, in credits.
    pub credits: i64,
    /// How it ended.
    pub outcome: Outcome,
}

impl<'a> Usage<'a> {
    /// Writes the record behind what is in `out`. Nothing else is taken from the heap.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let subject = self.line.subject();
        let mut flags = self.outcome as u8;
        if self.user.is_some() {
            flags |= HAS_USER;
        }
        if self.actor == subject {
            flags |= ACTOR_IS_SUBJECT;
        }
        out.extend([VERSION, flags]);
        out.extend(self.at.0.to_le_bytes());
        out.extend(self.credits.to_le_bytes());
        out.push(self.line.len);
        for account in self.line.accounts() {
            out.extend(account.bytes());
        }
        if self.actor != subject {
            out.extend(self.actor.bytes());
        }
        if let Some(user) = self.user {
            out.extend(user.bytes());
        }
        out.extend(self.key.bytes());
        out.extend(self.endpoint.bytes());
        put_length(out, self.api.len());
        out.extend(self.api.as_bytes());
    }

    /// Reads the record at the beginning of `bytes`; also answers what is behind it. `None` if there is none.
    #[must_use]
    pub fn decode(mut bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let rest = &mut bytes;
        let [version, flags] = take(rest)?;
        if version != VERSION || flags >= ACTOR_IS_SUBJECT << 1 {
            return None;
        }
        let at = Timestamp(i64::from_le_bytes(take(rest)?));
        let credits = i64::from_le_bytes(take(rest)?);
        let [length] = take(rest)?;
        let mut line = Line { accounts: [AccountId::from_bytes([0; 16]); LONGEST], len: length };
        for place in line.accounts.get_mut(..usize::from(length)).filter(|places| !places.is_empty())? {
            *place = id(rest)?;
        }
        let actor = if flags & ACTOR_IS_SUBJECT == 0 { id(rest)? } else { line.subject() };
        let user = if flags & HAS_USER == 0 { None } else { Some(id(rest)?) };
        let (key, endpoint) = (id(rest)?, id(rest)?);
        let length = take_length(rest)?;
        let (api, behind) = rest.split_at_checked(length)?;
        let outcome = *Outcome::ALL.get(usize::from(flags & 0b11))?;
        let api = std::str::from_utf8(api).ok()?;
        Some((Self { at, line, actor, user, key, api, endpoint, credits, outcome }, behind))
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*first)
}

fn id<T: Id>(bytes: &mut &[u8]) -> Option<T> {
    take(bytes).map(T::from_bytes)
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
fn put_length(out: &mut Vec<u8>, length: usize) {
    let mut rest = length;
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// No text of a record needs more than three bytes for its length.
fn take_length(bytes: &mut &[u8]) -> Option<usize> {
    let mut length = 0;
    for place in 0..3 {
        let [byte] = take(bytes)?;
        length |= usize::from(byte & 0x7f) << (place * 7);
        if byte & 0x80 == 0 {
            return Some(length);
        }
    }
    None
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Few different things, so that records meet in sums.
    pub(crate) fn a_record() -> impl Strategy<Value = Record> {
        let ids = || prop::collection::vec(1..6_u8, 1..=LONGEST);
        let times = prop_oneof![0..40_i64, -3..3_i64].prop_map(|hours| hours * 1_800_000_000 + 7);
        let credits = prop_oneof![0..100_i64, any::<i64>()];
        (times, ids(), 0..6_u8, prop::option::of(1..4_u8), 1..4_u8, 1..6_u8, credits, 0..4_usize).prop_map(
            |(at, line, actor, user, key, endpoint, credits, outcome)| Record {
                at: Timestamp(at),
                line: Line::new(line.into_iter().map(|n| AccountId::from_bytes([n; 16]))).expect("a line"),
                actor: AccountId::from_bytes([actor; 16]),
                user: user.map(|n| UserId::from_bytes([n; 16])),
                key: KeyId::from_bytes([key; 16]),
                // An endpoint belongs to one API for good.
                api: "voice-".repeat(usize::from(endpoint) * 9),
                endpoint: EndpointId::from_bytes([endpoint; 16]),
                credits,
                outcome: Outcome::ALL[outcome],
            },
        )
    }

    /// A record that owns what it holds.
    #[derive(Debug, Clone)]
    pub(crate) struct Record {
        at: Timestamp,
        line: Line,
        actor: AccountId,
        user: Option<UserId>,
        key: KeyId,
        api: String,
        endpoint: EndpointId,
        credits: i64,
        outcome: Outcome,
    }

    impl Record {
        pub(crate) fn usage(&self) -> Usage<'_> {
            let Self { at, line, actor, user, key, ref api, endpoint, credits, outcome } = *self;
            Usage { at, line, actor, user, key, api, endpoint, credits, outcome }
        }
    }

    #[test]
    fn a_line_has_one_account_and_no_more_than_a_tree_has_levels() {
        let of = |n: u8| Line::new((0..n).map(|n| AccountId::from_bytes([n; 16])));
        assert!(of(0).is_none() && of(17).is_none());
        let line = of(16).expect("sixteen levels");
        assert_eq!((line.subject(), line.accounts().len()), (AccountId::from_bytes([0; 16]), 16));
    }

    #[test]
    fn statuses_say_how_a_call_ended() {
        for (status, outcome) in [
            (101, Outcome::Success),
            (204, Outcome::Success),
            (304, Outcome::Success),
            (404, Outcome::Refused),
            (500, Outcome::Failed),
            (42, Outcome::Failed),
        ] {
            assert_eq!(Outcome::of_status(status), outcome, "{status}");
        }
        assert!(!Outcome::Success.is_failure() && Outcome::Unanswered.is_failure());
    }

    proptest! {
        #[test]
        fn records_come_back_as_they_were(records in prop::collection::vec(a_record(), 0..8)) {
            let mut bytes = Vec::new();
            records.iter().for_each(|record| record.usage().encode(&mut bytes));
            let mut rest = bytes.as_slice();
            for record in &records {
                let (read, behind) = Usage::decode(rest).expect("a record");
                prop_assert_eq!(read, record.usage());
                rest = behind;
            }
            prop_assert_eq!(rest, &[0_u8; 0]);
        }

        #[test]
        fn half_a_record_is_none(record in a_record(), cut in any::<prop::sample::Index>()) {
            let mut bytes = Vec::new();
            record.usage().encode(&mut bytes);
            bytes.truncate(cut.index(bytes.len()));
            prop_assert_eq!(Usage::decode(&bytes), None);
        }

        #[test]
        fn whatever_is_read_is_written_the_same(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let bytes = [&[VERSION][..], &bytes].concat();
            if let Some((read, behind)) = Usage::decode(&bytes) {
                let mut again = Vec::new();
                read.encode(&mut again);
                prop_assert_eq!(Usage::decode(&again), Some((read, &[][..])));
                prop_assert!(behind.len() < bytes.len());
            }
        }
    }
}
