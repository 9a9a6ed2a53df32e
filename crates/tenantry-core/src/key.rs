//! API keys: the text that is shown once, and the record that is kept.
//!
//! `tny_<live|test>_<32 base-62 characters>_<6 characters of checksum>`. The prefix lets secret
//! scanners find it, the checksum lets a typing error be told from a wrong key without a look-up.
//! Only a SHA-256 of the text is stored: 190 random bits need no slow hash.

use std::fmt;
use std::str::FromStr;

use crate::account::{UnknownWord, words};
use crate::id::{AccountId, KeyId};
use crate::permission::{Permission, PermissionSet};
use crate::refusal::{Code, Refusal};
use crate::time::{Span, Timestamp};

words! {
    /// Where a key is meant to be used.
    Environment {
        /// Against production.
        Live = "live",
        /// Against a sandbox.
        Test = "test",
    }
}

words! {
    /// How long the old key goes on working after a rotation.
    Overlap {
        /// Not at all.
        Now = "now",
        /// For an hour.
        Hour = "1h",
        /// For a day.
        Day = "24h",
        /// For a week.
        Week = "7d",
    }
}

impl Overlap {
    /// The length of the overlap.
    #[must_use]
    pub const fn span(self) -> Span {
        match self {
            Self::Now => Span::ZERO,
            Self::Hour => Span::hours(1),
            Self::Day => Span::days(1),
            Self::Week => Span::days(7),
        }
    }
}

/// Random bytes that [`compose`] needs.
pub const RANDOM_BYTES: usize = BODY * 2;

/// The most keys of one account that are neither revoked nor expired.
pub const MAX_LIVE_KEYS: i64 = 1_000;

const BODY: usize = 32;
const CHECKSUM: usize = 6;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Makes the text of a key out of random bytes.
#[must_use]
pub fn compose(environment: Environment, random: &[u8; RANDOM_BYTES]) -> String {
    // 16 bits a character: the bias of the remainder is below one part in a thousand.
    let (pairs, _) = random.as_chunks::<2>();
    let body: String = pairs.iter().map(|pair| base62(u64::from(u16::from_be_bytes(*pair)))).collect();
    let text = format!("tny_{environment}_{body}");
    let checksum = checksum(&text);
    format!("{text}_{checksum}")
}

/// Whether `text` has the form and the checksum of a key.
///
/// # Errors
/// `key_malformed`.
pub fn check_text(text: &str) -> Result<(), Refusal> {
    let well_formed = || {
        let (rest, given) = text.rsplit_once('_')?;
        let (environment, body) = rest.strip_prefix("tny_")?.split_once('_')?;
        environment.parse::<Environment>().ok()?;
        let sound = body.len() >= 26 && body.bytes().all(|b| b.is_ascii_alphanumeric()) && checksum(rest) == given;
        sound.then_some(())
    };
    well_formed().ok_or_else(|| Code::KeyMalformed.into())
}

/// The characters by which people recognise a key: the last four of its random part.
#[must_use]
pub fn last_four(text: &str) -> String {
    let body = text.rsplit_once('_').map_or(text, |(rest, _)| rest);
    body.chars().skip(body.chars().count().saturating_sub(4)).collect()
}

fn base62(value: u64) -> char {
    let digit = usize::try_from(value % 62).unwrap_or_default();
    BASE62.get(digit).copied().map_or('0', char::from)
}

fn checksum(text: &str) -> String {
    let mut rest = u64::from(crc32(text.as_bytes()));
    let mut digits = [0_u64; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = rest % 62;
        rest /= 62;
    }
    digits.into_iter().map(base62).collect()
}

/// CRC-32 as in ISO 3309 (the one of zip and PNG).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}

/// A key as stored: everything but its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its id.
    pub id: KeyId,
    /// The account that it acts for.
    pub account_id: AccountId,
    /// What its owner calls it.
    pub name: String,
    /// Where it is meant to be used.
    pub environment: Environment,
    /// The last four characters of its random part.
    pub last_four: String,
    /// What it may do at most; `None` is everything that its account may.
    pub scopes: Option<PermissionSet>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, to about a minute.
    pub last_used_at: Option<Timestamp>,
    /// From which address it was last used.
    pub last_used_ip: Option<String>,
    /// The key that it replaced.
    pub rotated_from: Option<KeyId>,
}

/// What a key is good for at some instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It works.
    Active,
    /// Its time is over.
    Expired,
    /// Somebody ended it.
    Revoked,
}

impl Key {
    /// The state of the key at `now`. Revocation is told before expiry.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> State {
        if self.revoked_at.is_some() {
            State::Revoked
        } else if self.expires_at.is_some_and(|end| end <= now) {
            State::Expired
        } else {
            State::Active
        }
    }

    /// Whether the key works at `now`.
    ///
    /// # Errors
    /// `key_revoked`, `key_expired`.
    pub fn check_usable(&self, now: Timestamp) -> Result<(), Refusal> {
        match self.state(now) {
            State::Active => Ok(()),
            State::Expired => Err(Code::KeyExpired.into()),
            State::Revoked => Err(Code::KeyRevoked.into()),
        }
    }

    /// What the key may do at most.
    #[must_use]
    pub fn scopes(&self) -> PermissionSet {
        self.scopes.unwrap_or(PermissionSet::ALL)
    }

    /// How people see the key after its secret was shown.
    #[must_use]
    pub fn masked(&self) -> String {
        format!("tny_{}_…{}", self.environment, self.last_four)
    }

    /// The key that takes over from this one, with the same grants and the same length of life.
    #[must_use]
    pub fn successor(&self, id: KeyId, last_four: String, now: Timestamp) -> Self {
        Self {
            id,
            last_four,
            created_at: now,
            expires_at: self.expires_at.map(|end| now.plus(end.since(self.created_at))),
            revoked_at: None,
            last_used_at: None,
            last_used_ip: None,
            rotated_from: Some(self.id),
            ..self.clone()
        }
    }

    /// When this key ends if it is replaced at `now`. Never later than it would have ended anyway.
    #[must_use]
    pub fn end_after_rotation(&self, overlap: Overlap, now: Timestamp) -> Timestamp {
        let end = now.plus(overlap.span());
        self.expires_at.map_or(end, |own| own.min(end))
    }
}

/// The scopes of a new key made with a credential that holds `maker`: never wider than it, and as
/// wide as it if nothing is asked for.
///
/// # Errors
/// `scope_exceeded`, naming what is too much.
pub fn grant(asked: Option<PermissionSet>, maker: PermissionSet) -> Result<Option<PermissionSet>, Refusal> {
    let all = maker == PermissionSet::ALL;
    let Some(asked) = asked else { return Ok((!all).then_some(maker)) };
    if asked.within(maker) {
        return Ok(Some(asked));
    }
    let excess: Vec<_> = asked.iter().filter(|p| !maker.holds(*p)).map(Permission::as_str).collect();
    Err(Refusal::new(Code::ScopeExceeded, format!("You do not hold {} here.", excess.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Id;
    use proptest::prelude::*;

    fn key() -> Key {
        Key {
            id: KeyId::from_bytes([1; 16]),
            account_id: AccountId::from_bytes([1; 16]),
            name: "k".to_owned(),
            environment: Environment::Live,
            last_four: "abcd".to_owned(),
            scopes: None,
            created_at: Timestamp(0),
            expires_at: None,
            revoked_at: None,
            last_used_at: None,
            last_used_ip: None,
            rotated_from: None,
        }
    }

    #[test]
    fn the_text_is_stable() {
        let text = compose(Environment::Live, &[0; RANDOM_BYTES]);
        assert_eq!(text.len(), 9 + 32 + 7);
        assert!(text.starts_with("tny_live_00000000000000000000000000000000_"), "{text}");
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926, "the check value of CRC-32");
        assert_eq!(last_four(&text), "0000");
    }

    proptest! {
        #[test]
        fn every_typing_error_is_noticed(random: [u8; RANDOM_BYTES], at in 0_usize..48, letter in "[0-9A-Za-z_]") {
            let text = compose(Environment::Test, &random);
            prop_assert_eq!(check_text(&text), Ok(()));
            let mut wrong = text.clone();
            wrong.replace_range(at..=at, &letter);
            prop_assert_eq!(check_text(&wrong).is_ok(), wrong == text);
        }

        #[test]
        fn no_text_makes_the_check_panic(text: String) {
            prop_assert!(check_text(&text).is_err());
        }
    }

    #[test]
    fn a_rotated_key_ends_but_never_later_than_before() {
        let now = Timestamp(1_000);
        assert_eq!(key().end_after_rotation(Overlap::Day, now), now.plus(Span::days(1)));
        let short = Key { expires_at: Some(Timestamp(2_000)), ..key() };
        assert_eq!(short.end_after_rotation(Overlap::Week, now), Timestamp(2_000));
        assert_eq!(short.state(Timestamp(1_999)), State::Active);
        assert_eq!(short.state(Timestamp(2_000)), State::Expired);
        let next = short.successor(KeyId::from_bytes([2; 16]), "wxyz".to_owned(), now);
        assert_eq!((next.expires_at, next.rotated_from), (Some(Timestamp(3_000)), Some(short.id)));
    }

    #[test]
    fn a_key_is_never_wider_than_its_maker() {
        let maker = PermissionSet::of(&[Permission::AccountRead, Permission::KeyManage]);
        let wide = PermissionSet::of(&[Permission::AccountRead, Permission::AccountClose]);
        assert_eq!(grant(Some(wide), maker).map_err(|r| r.code), Err(Code::ScopeExceeded));
        assert_eq!(grant(None, maker), Ok(Some(maker)));
        assert_eq!(grant(None, PermissionSet::ALL), Ok(None));
        assert_eq!(grant(Some(PermissionSet::NONE), maker), Ok(Some(PermissionSet::NONE)));
    }
}
