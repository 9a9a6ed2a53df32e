//! Roles: named sets of permissions, built in or made by an account for itself and all below it.
//!
//! A role that administers reaches down the tree: an admin of an account is an admin of every account below
//! it that inherits administrators. A role that only reads and consumes is about one account alone.

use std::fmt;

use crate::account::words;
use crate::id::{AccountId, RoleId};
use crate::permission::{Permission, PermissionSet};
use crate::refusal::{Code, Refusal};

words! {
    /// The roles that every account has.
    BuiltIn {
        /// May do everything; every organization has one at all times.
        Admin = "admin",
        /// Manages the organization, short of ending it.
        Maintainer = "maintainer",
        /// Reads, and consumes what the organization pays for.
        Member = "member",
    }
}

/// What only makes sense to those who are members themselves: neither inherited nor a matter of rank.
const PERSONAL: PermissionSet = PermissionSet::of(&[Permission::OrganizationLeave]);

const ADMIN: PermissionSet = held_by(BuiltIn::Admin);
const MAINTAINER: PermissionSet = held_by(BuiltIn::Maintainer);
const MEMBER: PermissionSet = held_by(BuiltIn::Member);

/// The column of one role in the table of permissions.
const fn held_by(role: BuiltIn) -> PermissionSet {
    let mut set = PermissionSet::NONE;
    let mut permissions = Permission::ALL;
    while let [permission, rest @ ..] = permissions {
        let mut holders = permission.held_by();
        while let [holder, others @ ..] = holders {
            if *holder as u8 == role as u8 {
                set = set.or(PermissionSet::of(&[*permission]));
            }
            holders = others;
        }
        permissions = rest;
    }
    set
}

impl BuiltIn {
    /// What the role holds.
    #[must_use]
    pub const fn permissions(self) -> PermissionSet {
        match self {
            Self::Admin => ADMIN,
            Self::Maintainer => MAINTAINER,
            Self::Member => MEMBER,
        }
    }
}

/// Which role: the part of it that a membership keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RoleRef {
    /// One that every account has.
    BuiltIn(BuiltIn),
    /// One that an account made.
    Custom(RoleId),
}

/// A role with all that it is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Which one.
    pub which: RoleRef,
    /// What people call it.
    pub name: String,
    /// The account that made it: it can be assigned there and below. `None`: everywhere.
    pub home: Option<AccountId>,
    /// What it holds.
    pub permissions: PermissionSet,
}

impl Role {
    /// One that every account has.
    #[must_use]
    pub fn built_in(which: BuiltIn) -> Self {
        Self {
            which: RoleRef::BuiltIn(which),
            name: which.as_str().to_owned(),
            home: None,
            permissions: which.permissions(),
        }
    }

    /// Whether this is the role that every organization needs somebody to have.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.which == RoleRef::BuiltIn(BuiltIn::Admin)
    }

    /// Whether holding it on an account counts on the accounts below, too: it does as soon as it allows more than the
    /// built-in member may.
    #[must_use]
    pub const fn reaches_down(&self) -> bool {
        !self.permissions.within(MEMBER)
    }

    /// What holding it on an account is worth on the accounts below.
    #[must_use]
    pub const fn inherited(&self) -> PermissionSet {
        if self.reaches_down() { self.permissions.without(PERSONAL) } else { PermissionSet::NONE }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// The rank guard: nobody grants, changes or takes away a role wider than what they hold themselves.
///
/// # Errors
/// `rank_exceeded`, naming what is too much.
pub fn check_rank(own: PermissionSet, role: &Role) -> Result<(), Refusal> {
    let excess = role.permissions.without(PERSONAL).without(own);
    if excess.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = excess.iter().map(Permission::as_str).collect();
    Err(Refusal::new(Code::RankExceeded, format!("`{role}` holds {}, which you do not hold here.", names.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_are_nested_but_for_leaving() {
        assert!(MEMBER.within(MAINTAINER) && MAINTAINER.without(PERSONAL).within(ADMIN));
        let operators = PermissionSet::of(&[Permission::Decide]);
        assert_eq!(ADMIN, PermissionSet::ALL.without(PERSONAL).without(operators), "an admin cannot leave");
        assert!(!MAINTAINER.holds(Permission::OrganizationCancel) && !MAINTAINER.holds(Permission::SubscriptionCancel));
    }

    #[test]
    fn only_roles_that_administer_reach_down() {
        let custom = |permissions: &[Permission]| Role {
            which: RoleRef::Custom(crate::id::Id::from_bytes([1; 16])),
            name: "custom".to_owned(),
            home: None,
            permissions: PermissionSet::of(permissions),
        };
        assert!(Role::built_in(BuiltIn::Admin).reaches_down() && Role::built_in(BuiltIn::Maintainer).reaches_down());
        assert!(Role::built_in(BuiltIn::Member).inherited().is_empty());
        assert!(custom(&[Permission::AccountRead]).inherited().is_empty());
        let auditor = custom(&[Permission::AccountRead, Permission::AuditRead, Permission::OrganizationLeave]);
        assert_eq!(auditor.inherited(), PermissionSet::of(&[Permission::AccountRead, Permission::AuditRead]));
    }

    #[test]
    fn a_maintainer_cannot_touch_an_admin() {
        let code = |own: BuiltIn, role: BuiltIn| {
            check_rank(own.permissions(), &Role::built_in(role)).map_err(|refusal| refusal.code)
        };
        assert_eq!(code(BuiltIn::Maintainer, BuiltIn::Admin), Err(Code::RankExceeded));
        for (own, role) in [
            (BuiltIn::Admin, BuiltIn::Admin),
            (BuiltIn::Admin, BuiltIn::Member),
            (BuiltIn::Maintainer, BuiltIn::Maintainer),
        ] {
            assert_eq!(code(own, role), Ok(()));
        }
    }
}
