//! What a person may do over an account, and why: the union of the roles that they hold on it and, where it
//! inherits administrators, on the accounts above it.
//!
//! Nothing is copied down: a membership stands where it was given, and its worth is computed on the line of
//! the account that is asked about.

use crate::id::{AccountId, UserId};
use crate::lineage::Lineage;
use crate::permission::{Permission, PermissionSet};
use crate::role::Role;

/// What is left to an ancestor where an account, or one between, does not inherit administrators:
/// it still sees the account, and nothing can be hidden from its auditors.
pub const SHUT_OUT: PermissionSet = PermissionSet::of(&[Permission::AccountRead, Permission::AuditRead]);

/// What an account may do over itself: everything but what only the operator gives, key by key.
pub const OF_ACCOUNT: PermissionSet = PermissionSet::ALL.without(PermissionSet::of(&[Permission::Decide]));

/// A user holds a role on an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Where.
    pub account: AccountId,
    /// Who.
    pub user: UserId,
    /// As what.
    pub role: Role,
}

/// A user, with the memberships that can matter for the accounts of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Who.
    pub user: UserId,
    /// What they hold.
    pub memberships: Vec<Membership>,
}

/// The membership that a right comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant<'a> {
    /// Where the membership is: the account itself, or one above it.
    pub account: AccountId,
    /// The role held there.
    pub role: &'a Role,
}

/// Why a person does not hold a permission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    /// No role of theirs holds it here. A role that does would change that.
    NoRole,
    /// A role held above does, but these accounts do not inherit administrators. Switching all of them on would
    /// change that.
    SwitchedOff(Vec<AccountId>),
}

impl Person {
    /// What the person may do over the account that `line` leads to. Nothing: it is invisible to them.
    #[must_use]
    pub fn rights_over(&self, line: &Lineage) -> PermissionSet {
        let mut rights = PermissionSet::NONE;
        let mut inherits = true;
        for (above, account) in line.iter().rev().enumerate() {
            for role in self.roles_on(account.id, line) {
                let held = if above == 0 { role.permissions } else { role.inherited() };
                rights = rights.or(if inherits { held } else { held.and(SHUT_OUT) });
            }
            inherits &= account.inherits.admins;
        }
        rights
    }

    /// The roles that count on an account of `line`. A custom role counts only where the account that made it is the
    /// same or above: after a move it may not be, until the account comes back.
    fn roles_on<'a>(&'a self, account: AccountId, line: &'a Lineage) -> impl Iterator<Item = &'a Role> {
        let held = self.memberships.iter().filter(move |membership| membership.account == account);
        held.map(|membership| &membership.role).filter(move |role| {
            role.home.is_none_or(|home| {
                line.iter().map(|a| a.id).take_while(|id| *id != account).chain([account]).any(|id| id == home)
            })
        })
    }

    /// Whether the person is an admin of the account that `line` leads to, there or from above.
    #[must_use]
    pub fn is_admin_over(&self, line: &Lineage) -> bool {
        for account in line.iter().rev() {
            if self.roles_on(account.id, line).any(Role::is_admin) {
                return true;
            }
            if !account.inherits.admins {
                return false;
            }
        }
        false
    }

    /// The membership on the account itself, if there is one.
    #[must_use]
    pub fn membership_on(&self, account: AccountId) -> Option<&Membership> {
        self.memberships.iter().find(|membership| membership.account == account)
    }

    /// The account on the line through which the person stands closest to its end, if anything there counts for it.
    #[must_use]
    pub fn standing(&self, line: &Lineage) -> Option<AccountId> {
        let target = line.account().id;
        let counts = |id: AccountId| self.roles_on(id, line).any(|role| id == target || !role.inherited().is_empty());
        line.iter().rev().map(|account| account.id).find(|id| counts(*id))
    }

    /// The membership that gives the permission, or why there is none. The nearest one is told.
    ///
    /// # Errors
    /// [`Lack`], which says what would change it.
    pub fn explain<'a>(&'a self, line: &'a Lineage, permission: Permission) -> Result<Grant<'a>, Lack> {
        let mut switched_off: Vec<AccountId> = Vec::new();
        let mut kept_away = None;
        for (above, account) in line.iter().rev().enumerate() {
            for role in self.roles_on(account.id, line) {
                let held = if above == 0 { role.permissions } else { role.inherited() };
                if !held.holds(permission) {
                    continue;
                }
                if switched_off.is_empty() || SHUT_OUT.holds(permission) {
                    return Ok(Grant { account: account.id, role });
                }
                // The first is the nearest, behind the fewest switches.
                kept_away = kept_away.or_else(|| Some(switched_off.clone()));
            }
            if !account.inherits.admins {
                switched_off.push(account.id);
            }
        }
        Err(kept_away.map_or(Lack::NoRole, Lack::SwitchedOff))
    }
}
