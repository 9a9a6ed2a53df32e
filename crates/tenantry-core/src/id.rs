//! Identifiers: 16 time-ordered bytes inside, `acc_01h…` at the edge.
//!
//! The text is a prefix, an underscore and 26 lower-case characters of Crockford base 32. Ids are
//! made by the application (version 7 UUIDs), so they sort by creation; they are not secrets.

use std::fmt;
use std::str::FromStr;

/// What every kind of id has in common; lets the database seam handle all of them alike.
pub trait Id: Copy + Eq + Ord + fmt::Display + FromStr<Err = BadId> + 'static {
    /// The text before the underscore.
    const PREFIX: &'static str;
    /// Wraps 16 bytes.
    fn from_bytes(bytes: [u8; 16]) -> Self;
    /// The 16 bytes as stored.
    fn bytes(self) -> [u8; 16];
}

/// A text that is not an id of the expected kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadId {
    /// The prefix that was expected.
    pub prefix: &'static str,
}

impl fmt::Display for BadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an id here looks like `{}_` followed by 26 lower-case characters", self.prefix)
    }
}

impl std::error::Error for BadId {}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl Id for $name {
            const PREFIX: &'static str = $prefix;
            fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }
            fn bytes(self) -> [u8; 16] {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let text = spelled(concat!($prefix, "_"), self.0);
                f.write_str(std::str::from_utf8(&text).unwrap_or_default())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(decode)
                    .map(Self)
                    .ok_or(BadId { prefix: $prefix })
            }
        }
    )*};
}

ids! {
    /// A node of the account tree.
    AccountId = "acc";
    /// An API key (the record, not its secret).
    KeyId = "key";
    /// A typed thing that an account owns.
    ResourceId = "res";
    /// The grant of a resource to a descendant, or to all of them.
    ShareId = "shr";
    /// A row of the audit log.
    AuditId = "aud";
    /// One HTTP request.
    RequestId = "req";
    /// A person.
    UserId = "usr";
    /// A rule that takes something away.
    RestrictionId = "rst";
    /// A list of networks from which an account may be used.
    AllowlistId = "ipl";
    /// An endpoint of the catalogue.
    EndpointId = "end";
    /// A custom role.
    RoleId = "rol";
    /// An invitation to become a member.
    InvitationId = "inv";
    /// A link with which customers make child organizations.
    LinkId = "lnk";
    /// A signed-in browser or program of a user.
    SessionId = "ses";
    /// A passkey of a user.
    PasskeyId = "pky";
    /// A mail that is to be sent.
    MailId = "mal";
    /// What a link in a mail is good for.
    TicketId = "tkt";
}

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const LENGTH: u32 = 26;
/// How long all prefixes are, with what divides them from the digits.
const PREFIX: usize = 4;

/// Prefix and digits. Ids are told with every answer, so this takes nothing from the heap.
fn spelled(prefix: &str, bytes: [u8; 16]) -> [u8; PREFIX + LENGTH as usize] {
    let mut text = [0; PREFIX + LENGTH as usize];
    let (front, digits) = text.split_at_mut(PREFIX);
    for (place, byte) in front.iter_mut().zip(prefix.bytes()) {
        *place = byte;
    }
    let mut value = u128::from_be_bytes(bytes);
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET.get((value & 31) as usize).copied().unwrap_or_default();
        value >>= 5;
    }
    text
}

fn decode(text: &str) -> Option<[u8; 16]> {
    // 26 digits carry 130 bits: the first digit may only use its lower three.
    if text.len() != LENGTH as usize || text.as_bytes().first()? > &b'7' {
        return None;
    }
    let mut value = 0_u128;
    for byte in text.bytes() {
        let digit = ALPHABET.iter().position(|letter| *letter == byte)?;
        value = (value << 5) | u128::try_from(digit).ok()?;
    }
    Some(value.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_has_one_form() {
        let id = AccountId::from_bytes([0xff; 16]);
        assert_eq!(id.to_string(), "acc_7zzzzzzzzzzzzzzzzzzzzzzzzz");
        for bad in [
            "acc_8zzzzzzzzzzzzzzzzzzzzzzzzz", // more than 128 bits
            "acc_7ZZZZZZZZZZZZZZZZZZZZZZZZZ", // upper case
            "key_7zzzzzzzzzzzzzzzzzzzzzzzzz", // another kind
            "acc_7zzzzzzzzzzzzzzzzzzzzzzzz",  // too short
            "acc_7zzzzzzzzzzzzzzzzzzzzzzzzé",
            "acc_",
            "",
        ] {
            assert_eq!(bad.parse::<AccountId>(), Err(BadId { prefix: "acc" }), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn text_round_trips_and_keeps_order(a: [u8; 16], b: [u8; 16]) {
            let (a, b) = (AccountId::from_bytes(a), AccountId::from_bytes(b));
            prop_assert_eq!(a.to_string().parse(), Ok(a));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }
    }
}
