//! IP allow-lists: from where an account, or a key, may be used.
//!
//! A list names one API or all of them. Where several apply to a call, the address has to be in each; a list that an
//! account marks as enforced applies to all accounts below it. Lists bind admins, too.

use std::net::IpAddr;

use crate::Timestamp;
use crate::id::{AccountId, AllowlistId};
use crate::network::Networks;
use crate::refusal::{Code, Refusal};

/// The most lists of one account.
pub const MOST_ALLOWLISTS: u32 = 50;

/// A list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowlist {
    /// Its id.
    pub id: AllowlistId,
    /// The account that it belongs to.
    pub account_id: AccountId,
    /// The API that it is about; `None` is all of them, the control plane included.
    pub api: Option<Box<str>>,
    /// From where.
    pub networks: Networks,
    /// Whether it applies to all accounts below as well.
    pub enforced: bool,
    /// Who set it: the id of a user or of a key, or `operator`.
    pub set_by: String,
    /// Counts its changes.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Allowlist {
    /// Whether the list is about calls of `api`, on its own account or, if `above`, on one below it.
    #[must_use]
    pub fn applies(&self, api: &str, above: bool) -> bool {
        (self.enforced || !above) && self.api.as_deref().is_none_or(|own| own == api)
    }

    /// Whether the list lets a caller in who comes from `address`. One whose address is unknown comes from nowhere.
    #[must_use]
    pub fn admits(&self, address: Option<IpAddr>) -> bool {
        address.is_some_and(|address| self.networks.contain(address))
    }

    /// Whether whoever saves the list from `address` knows that it locks them out.
    ///
    /// # Errors
    /// `lockout_unconfirmed`.
    pub fn check_lockout(&self, address: Option<IpAddr>, confirmed: bool) -> Result<(), Refusal> {
        if confirmed || self.admits(address) {
            return Ok(());
        }
        let from = address.map_or_else(|| "an unknown address".to_owned(), |address| address.to_string());
        Err(Refusal::new(Code::LockoutUnconfirmed, format!("You come from {from}, which is in none of the networks.")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Id as _;

    #[test]
    fn where_and_to_whom_a_list_applies() {
        let list = |api: Option<&str>, enforced| Allowlist {
            id: AllowlistId::from_bytes([1; 16]),
            account_id: AccountId::from_bytes([1; 16]),
            api: api.map(Into::into),
            networks: Networks::parse(&["10.0.0.0/8"]).expect("networks"),
            enforced,
            set_by: "operator".to_owned(),
            version: 1,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        };
        assert!(list(None, false).applies("voice", false) && !list(None, false).applies("voice", true));
        assert!(list(Some("voice"), true).applies("voice", true) && !list(Some("voice"), true).applies("image", false));
        let (inside, outside) = ("10.1.1.1".parse().ok(), "192.0.2.1".parse().ok());
        assert!(
            list(None, false).admits(inside) && !list(None, false).admits(outside) && !list(None, false).admits(None)
        );
        let check = |address, confirmed| list(None, false).check_lockout(address, confirmed).map_err(|r| r.code);
        assert_eq!(check(outside, false), Err(Code::LockoutUnconfirmed));
        assert_eq!((check(outside, true), check(inside, false)), (Ok(()), Ok(())));
    }
}
