//! API keys: the record that is kept. Their text, shown once, is in [`crate::secret`].
//!
//! A key acts for an account, or for one person inside it. It never does more than the person who made it could do
//! themselves at that moment: whoever loses a right loses it in all keys that they made.

use crate::account::words;
use crate::id::{AccountId, KeyId, UserId};
use crate::limit::CallLimits;
use crate::network::Networks;
use crate::permission::{Permission, PermissionSet};
use crate::refusal::{Code, Refusal};
use crate::secret::Label;
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

impl Environment {
    /// What the text of such a key says it is for.
    #[must_use]
    pub const fn label(self) -> Label {
        match self {
            Self::Live => Label::Live,
            Self::Test => Label::Test,
        }
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

/// The most keys of one account that are neither revoked nor expired.
pub const MAX_LIVE_KEYS: i64 = 1_000;

/// A key as stored: everything but its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its id.
    pub id: KeyId,
    /// The account that it acts for.
    pub account_id: AccountId,
    /// The member for whom it acts inside the account; `None`: it acts for the account itself.
    pub user_id: Option<UserId>,
    /// The person who made it, directly or through another key; `None`: the operator did.
    pub maker_id: Option<UserId>,
    /// What its owner calls it.
    pub name: String,
    /// Where it is meant to be used.
    pub environment: Environment,
    /// The last four characters of its random part.
    pub last_four: String,
    /// What it may do at most; `None` is everything that its account may.
    pub scopes: Option<PermissionSet>,
    /// From where it may be used; `None` is from everywhere.
    pub networks: Option<Networks>,
    /// What its calls are limited to.
    pub limits: CallLimits,
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

    /// The people who have to hold a right for the key to have it.
    #[must_use]
    pub fn people(&self) -> [Option<UserId>; 2] {
        [self.user_id, self.maker_id.filter(|maker| self.user_id != Some(*maker))]
    }

    /// How people see the key after its secret was shown.
    #[must_use]
    pub fn masked(&self) -> String {
        format!("tny_{}_…{}", self.environment, self.last_four)
    }

    /// The key that takes over from this one, with the same grants and the same length of life. Whoever replaces it is
    /// its maker from then on.
    #[must_use]
    pub fn successor(&self, id: KeyId, last_four: String, maker_id: Option<UserId>, now: Timestamp) -> Self {
        Self {
            id,
            last_four,
            maker_id,
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

/// The scopes of a new key made with a credential that holds `maker` here and is itself narrowed to `narrowing`: never
/// wider than it, and narrowed the same way if nothing is asked for.
///
/// # Errors
/// `scope_exceeded`, naming what is too much.
pub fn grant(
    asked: Option<PermissionSet>,
    maker: PermissionSet,
    narrowing: Option<PermissionSet>,
) -> Result<Option<PermissionSet>, Refusal> {
    let Some(asked) = asked else { return Ok(narrowing) };
    if asked.within(maker) {
        return Ok(Some(asked));
    }
    let excess: Vec<_> = asked.without(maker).iter().map(Permission::as_str).collect();
    Err(Refusal::new(Code::ScopeExceeded, format!("You do not hold {} here.", excess.join(", "))))
}

/// From where a new key may be used, made with a credential that may be used from `own`: never from more places, and from the
/// same if nothing is asked for.
///
/// # Errors
/// `scope_exceeded`.
pub fn grant_networks(asked: Option<Networks>, own: Option<&Networks>) -> Result<Option<Networks>, Refusal> {
    match (asked, own) {
        (None, own) => Ok(own.cloned()),
        (Some(asked), Some(own)) if !asked.within(own) => {
            Err(Refusal::new(Code::ScopeExceeded, "The key that you are using works from fewer networks."))
        }
        (asked, _) => Ok(asked),
    }
}

/// The limits of a new key, made with a credential whose calls are limited to `own`: never wider, and the same where nothing is
/// asked for.
///
/// # Errors
/// `scope_exceeded`.
pub fn grant_limits(asked: CallLimits, own: CallLimits) -> Result<CallLimits, Refusal> {
    let limits = asked.or(own);
    if limits.within(own) { Ok(limits) } else { Err(fewer()) }
}

fn fewer() -> Refusal {
    Refusal::new(Code::ScopeExceeded, "The key that you are using may make fewer calls.")
}

/// Whether the limits of a key may become `after`. They may always be narrowed; who manages the keys of the account may set
/// whatever is within the limits of the credential `used`. Others have only been let in because the key is theirs: `None`.
///
/// # Errors
/// `scope_exceeded`, `permission_denied`.
pub fn check_limits(before: CallLimits, after: CallLimits, used: Option<CallLimits>) -> Result<(), Refusal> {
    match used {
        _ if after.within(before) => Ok(()),
        Some(used) if after.within(used) => Ok(()),
        Some(_) => Err(fewer()),
        None => Err(Refusal::new(
            Code::PermissionDenied,
            "This needs `key.manage`: without it, the limits of a key can only be narrowed.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Id;
    use crate::limit::Rate;

    fn key() -> Key {
        Key {
            id: KeyId::from_bytes([1; 16]),
            account_id: AccountId::from_bytes([1; 16]),
            user_id: None,
            maker_id: None,
            name: "k".to_owned(),
            environment: Environment::Live,
            last_four: "abcd".to_owned(),
            scopes: None,
            networks: None,
            limits: CallLimits::NONE,
            created_at: Timestamp(0),
            expires_at: None,
            revoked_at: None,
            last_used_at: None,
            last_used_ip: None,
            rotated_from: None,
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
        let next = short.successor(KeyId::from_bytes([2; 16]), "wxyz".to_owned(), None, now);
        assert_eq!((next.expires_at, next.rotated_from), (Some(Timestamp(3_000)), Some(short.id)));
    }

    #[test]
    fn a_key_is_never_wider_than_its_maker() {
        let maker = PermissionSet::of(&[Permission::AccountRead, Permission::KeyManage]);
        let wide = PermissionSet::of(&[Permission::AccountRead, Permission::AccountClose]);
        assert_eq!(grant(Some(wide), maker, None).map_err(|r| r.code), Err(Code::ScopeExceeded));
        assert_eq!(grant(None, maker, Some(maker)), Ok(Some(maker)));
        assert_eq!(grant(None, maker, None), Ok(None), "its maker bounds it at every use");
        assert_eq!(grant(Some(PermissionSet::NONE), maker, None), Ok(Some(PermissionSet::NONE)));
        let networks = |text: &str| Networks::parse(&[text]).ok();
        let asked = |text: &str| grant_networks(networks(text), networks("10.0.0.0/8").as_ref()).map_err(|r| r.code);
        assert_eq!((asked("10.1.0.0/16"), asked("0.0.0.0/0")), (Ok(networks("10.1.0.0/16")), Err(Code::ScopeExceeded)));
        assert_eq!(grant_networks(None, networks("10.0.0.0/8").as_ref()), Ok(networks("10.0.0.0/8")));
    }
    #[test]
    fn a_key_makes_none_that_may_call_more_often() {
        let limits = |calls: u32, in_flight: Option<u32>| CallLimits { rate: Rate::new(calls, 60), in_flight };
        let own = limits(10, Some(2));
        let granted = |asked: CallLimits| grant_limits(asked, own).map_err(|refusal| refusal.code);
        assert_eq!((granted(CallLimits::NONE), granted(limits(5, None))), (Ok(own), Ok(limits(5, Some(2)))));
        assert_eq!(
            (granted(limits(11, None)), granted(limits(10, Some(3)))),
            (Err(Code::ScopeExceeded), Err(Code::ScopeExceeded))
        );
        assert_eq!(grant_limits(limits(7, None), CallLimits::NONE), Ok(limits(7, None)));
    }

    #[test]
    fn limits_are_narrowed_by_everybody_and_widened_by_who_manages_keys() {
        let limits = |calls: u32| CallLimits { rate: Rate::new(calls, 60), in_flight: None };
        let check = |after: CallLimits, used: Option<CallLimits>| {
            check_limits(limits(10), after, used).map_err(|refusal| refusal.code)
        };
        assert_eq!(check(limits(9), None), Ok(()));
        assert_eq!(
            (check(limits(11), None), check(CallLimits::NONE, None)),
            (Err(Code::PermissionDenied), Err(Code::PermissionDenied))
        );
        assert_eq!(
            (check(limits(11), Some(CallLimits::NONE)), check(CallLimits::NONE, Some(CallLimits::NONE))),
            (Ok(()), Ok(()))
        );
        // A key that is limited itself: neither its own limits are wider afterwards, nor those of others than its own are.
        let used = Some(limits(20));
        assert_eq!((check(limits(20), used), check(limits(21), used)), (Ok(()), Err(Code::ScopeExceeded)));
        assert_eq!(check(CallLimits::NONE, used), Err(Code::ScopeExceeded));
    }
}
