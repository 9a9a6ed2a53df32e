//! What the rules of accounts take away from a caller: permissions, calls, and places to call from.

use std::net::IpAddr;

use super::{Authority, Barrier, Caller};
use crate::allowlist::Allowlist;
use crate::id::{AccountId, KeyId, UserId};
use crate::lineage::Lineage;
use crate::permission::{Permission, PermissionSet};
use crate::refusal::{Code, Refusal};
use crate::restriction::{Call, Restriction, Standing};
use crate::role::RoleRef;

/// The rules of some accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// What takes permissions and calls away.
    pub restrictions: Vec<Restriction>,
    /// From where accounts may be used.
    pub allowlists: Vec<Allowlist>,
}

impl Rules {
    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.restrictions.is_empty() && self.allowlists.is_empty()
    }
}

/// A caller, seen from an account on the line of what they turn to.
struct Seen<'a> {
    caller: &'a Caller,
    line: &'a Lineage,
    /// The line of the account that holds the rule.
    holder: Lineage,
}

impl Standing for Seen<'_> {
    fn is_admin(&self) -> bool {
        let people = &self.caller.people;
        match self.caller.authority {
            // A key that nobody answers for is the account itself: it is bound by what the account says about itself, but
            // administers all below.
            Authority::Account(home) if people.is_empty() => self.holder.below(home).is_some_and(|mut between| {
                home != self.holder.account().id && between.all(|account| account.inherits.admins)
            }),
            _ => !people.is_empty() && people.iter().all(|person| person.is_admin_over(&self.holder)),
        }
    }

    fn acts_from(&self, imposer: AccountId) -> bool {
        let Some(imposer) = self.line.up_to(imposer) else { return false };
        match self.caller.authority {
            Authority::Nothing => false,
            Authority::Everything => true,
            Authority::Account(home) | Authority::People(Some(home)) => imposer.contains(home),
            Authority::People(None) => {
                let manages = |rights: PermissionSet| rights.holds(Permission::RestrictionManage);
                self.caller.people.iter().all(|person| manages(person.rights_over(&imposer)))
            }
        }
    }

    fn has_role(&self, role: RoleRef) -> bool {
        let held = self.caller.people.iter().flat_map(|person| &person.memberships);
        held.filter(|held| self.line.contains(held.account)).any(|held| held.role.which == role)
    }

    fn is_user(&self, user: UserId) -> bool {
        self.caller.people.iter().any(|person| person.user == user)
    }

    fn is_key(&self, key: KeyId) -> bool {
        self.caller.actor.key() == Some(key)
    }
}

impl Caller {
    /// The restrictions on a line that count and bind the caller.
    fn binding<'a>(&'a self, line: &'a Lineage) -> impl Iterator<Item = &'a Restriction> {
        let bound = !self.is_operator();
        self.rules.restrictions.iter().filter(move |rule| {
            let Some(holder) = line.up_to(rule.account_id) else { return false };
            bound && rule.counts(|imposer| holder.contains(imposer)) && rule.binds(&Seen { caller: self, line, holder })
        })
    }

    /// All restrictions that bind the caller when they turn to the account that `target` leads to.
    pub(super) fn restrictions_over<'a>(&'a self, target: &'a Lineage) -> impl Iterator<Item = &'a Restriction> {
        let origins = self.origins.iter().filter(|origin| !target.contains(origin.account().id));
        origins.chain([target]).flat_map(|line| self.binding(line))
    }

    pub(super) fn taken_away(&self, target: &Lineage) -> PermissionSet {
        self.restrictions_over(target).fold(PermissionSet::NONE, |taken, rule| taken.or(rule.takes_away()))
    }

    /// Whether the rules of the accounts on all sides let a call through that the caller makes from `address` and that is
    /// about the account that `target` leads to.
    ///
    /// # Errors
    /// `ip_not_allowed`, `endpoint_restricted`.
    pub fn check_call(&self, call: &Call<'_>, address: Option<IpAddr>, target: &Lineage) -> Result<(), Refusal> {
        self.check_address(call.api, address, target)?;
        match self.restrictions_over(target).find(|rule| rule.forbids(call)) {
            None => Ok(()),
            Some(rule) => {
                let told = self.told(&Barrier::Restricted(rule.id, rule.account_id), target);
                Err(Refusal::new(
                    Code::EndpointRestricted,
                    format!("{} is not to be called: {told}", call.path.as_str()),
                ))
            }
        }
    }

    /// Whether the credential may be used from an address at all: by the key's own networks, and by the lists of the account that it
    /// belongs to and of the one assumed.
    ///
    /// # Errors
    /// `ip_not_allowed`.
    pub fn check_origins(&self, api: &str, address: Option<IpAddr>) -> Result<(), Refusal> {
        if self.networks.as_ref().is_some_and(|own| address.is_none_or(|address| !own.contain(address))) {
            return Err(Refusal::new(Code::IpNotAllowed, "The key is not to be used from there."));
        }
        self.origins.iter().try_for_each(|line| self.check_lists(api, address, line))
    }

    fn check_address(&self, api: &str, address: Option<IpAddr>, target: &Lineage) -> Result<(), Refusal> {
        self.check_origins(api, address)?;
        let facing = self.subject.and_then(|subject| target.up_to(subject));
        facing.map_or(Ok(()), |line| self.check_lists(api, address, &line))
    }

    fn check_lists(&self, api: &str, address: Option<IpAddr>, line: &Lineage) -> Result<(), Refusal> {
        let outside = self.allowlists_on(line, api).find(|list| !list.admits(address));
        let Some(list) = outside.filter(|_| !self.is_operator()) else { return Ok(()) };
        let told = match self.sees_above(list.account_id, line) {
            true => format!("The list is {} of {}.", list.id, list.account_id),
            false => "The list is one of an account above.".to_owned(),
        };
        Err(Refusal::new(Code::IpNotAllowed, told))
    }

    /// The lists that apply to calls of an API on the account that `line` leads to.
    fn allowlists_on<'a>(&'a self, line: &'a Lineage, api: &'a str) -> impl Iterator<Item = &'a Allowlist> {
        let own = line.account().id;
        self.rules
            .allowlists
            .iter()
            .filter(move |list| line.contains(list.account_id) && list.applies(api, list.account_id != own))
    }

    fn sees_above(&self, account: AccountId, line: &Lineage) -> bool {
        line.up_to(account).is_some_and(|line| self.sees(&line))
    }

    /// A barrier in words, without telling of accounts that the caller does not see.
    pub(super) fn told(&self, barrier: &Barrier, target: &Lineage) -> String {
        match barrier {
            Barrier::Restricted(_, account)
                if !self.origins.iter().chain([target]).any(|line| self.sees_above(*account, line)) =>
            {
                "A rule of an account above takes it away.".to_owned()
            }
            told => told.to_string(),
        }
    }
}
