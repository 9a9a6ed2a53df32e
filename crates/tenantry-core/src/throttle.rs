//! How often something may be tried: an even pace with a burst (the generic cell rate algorithm).
//!
//! Strangers who exhaust what may be tried against a user do not lock the user out: somebody who signed in from the same
//! device before is counted apart.

use std::net::IpAddr;

use crate::account::words;
use crate::time::{Span, Timestamp};

/// At most this many in this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many may come at once.
    pub burst: i64,
    /// How long until as many may come again.
    pub per: Span,
}

impl Rate {
    /// When the next one would be due at an even pace after `count` more at `now`, where it is `due` now.
    ///
    /// # Errors
    /// How long to wait, if that is more than the burst.
    pub fn admit(self, due: Timestamp, now: Timestamp, count: i64) -> Result<Timestamp, Span> {
        let after = due.max(now).plus(Span(self.per.0 / self.burst * count));
        let latest = now.plus(self.per);
        if after <= latest { Ok(after) } else { Err(after.since(latest)) }
    }

    /// When the next one is due after one that was counted turned out not to count.
    #[must_use]
    pub fn give_back(self, due: Timestamp) -> Timestamp {
        due.minus(Span(self.per.0 / self.burst))
    }
}

words! {
    /// What is counted, each by its own key.
    Limit {
        /// Failed sign-ins from one address block.
        SignInFrom = "sign_in_from",
        /// Failed sign-ins as one user.
        SignInAs = "sign_in_as",
        /// Failed sign-ins as one user from a device that they signed in from before.
        SignInWith = "sign_in_with",
        /// Sign-ins with a passkey or at a provider that were begun from one address block.
        BegunFrom = "begun_from",
        /// Wrong codes of one user's authenticator, whatever they are asked for.
        Code = "code",
        /// Sign-ups and requests for mails from one address block.
        MailFrom = "mail_from",
        /// Mails that anybody can have sent to one address.
        MailTo = "mail_to",
        /// Invitations of one organization.
        Invite = "invite",
    }
}

impl Limit {
    /// How often.
    #[must_use]
    pub const fn rate(self) -> Rate {
        let (burst, per) = match self {
            Self::SignInFrom => (50, Span::seconds(900)),
            Self::SignInAs | Self::SignInWith => (10, Span::seconds(900)),
            Self::BegunFrom => (500, Span::seconds(900)),
            Self::Code => (5, Span::seconds(900)),
            Self::MailFrom => (50, Span::hours(1)),
            Self::MailTo => (5, Span::hours(1)),
            Self::Invite => (500, Span::hours(1)),
        };
        Rate { burst, per }
    }
}

/// The part of a client address that is counted as one: an IPv4 address, or the /64 of an IPv6 one, of which
/// a client has as many as it likes.
#[must_use]
pub fn block_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        IpAddr::V4(v4) => v4.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("address")
    }

    #[test]
    fn a_burst_then_an_even_pace() {
        let rate = Rate { burst: 5, per: Span(500) };
        let mut due = Timestamp(0);
        for _ in 0..5 {
            due = rate.admit(due, Timestamp(1_000), 1).expect("within the burst");
        }
        assert_eq!(rate.admit(due, Timestamp(1_000), 1), Err(Span(100)));
        assert!(rate.admit(due, Timestamp(1_100), 1).is_ok());
        assert_eq!(rate.admit(Timestamp(0), Timestamp(1_000), 6), Err(Span(100)), "more than a burst at once");
        assert!(rate.admit(rate.give_back(due), Timestamp(1_000), 1).is_ok());
    }

    #[test]
    fn s48_a_slash_64_is_one_client() {
        assert_eq!(block_of(ip("2001:db8:1:2:3:4:5:6")), block_of(ip("2001:db8:1:2::1")));
        assert_ne!(block_of(ip("2001:db8:1:3::1")), block_of(ip("2001:db8:1:2::1")));
        assert_ne!(block_of(ip("192.0.2.1")), block_of(ip("192.0.2.2")));
    }
}
