//! The table of permissions and of the built-in roles that hold them, and sets of permissions.
//!
//! One row names one activity. Routes, roles, key scopes, the OpenAPI document and the documentation
//! are all made from this table.

use std::fmt;
use std::str::FromStr;

use crate::role::BuiltIn;

macro_rules! permissions {
    ($($variant:ident = $name:literal [$($role:ident)*]: $about:literal;)*) => {
        /// One activity that a credential may or may not hold.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Permission {
            $(#[doc = $about] $variant,)*
        }

        impl Permission {
            /// Every permission, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The text on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What holding it allows.
            #[must_use]
            pub const fn about(self) -> &'static str {
                match self { $(Self::$variant => $about,)* }
            }

            /// The built-in roles that hold it.
            #[must_use]
            pub const fn held_by(self) -> &'static [BuiltIn] {
                match self { $(Self::$variant => &[$(BuiltIn::$role,)*],)* }
            }
        }
    };
}

permissions! {
    AccountRead = "account.read" [Admin Maintainer Member]: "See the account, its place in the tree, its settings and resources";
    CreditsConsume = "credits.consume" [Admin Maintainer Member]: "Call the APIs that the account is subscribed to";
    OrganizationLeave = "organization.leave" [Maintainer Member]: "Leave the organization";
    AccountUpdate = "account.update" [Admin Maintainer]: "Change name, contact, metadata and what is inherited";
    SettingsUpdate = "settings.update" [Admin Maintainer]: "Override and lock settings";
    ResourceManage = "resource.manage" [Admin Maintainer]: "Create, change, share and delete resources";
    FeatureAssign = "feature.assign" [Admin Maintainer]: "Hand features to children";
    ChildCreate = "child.create" [Admin Maintainer]: "Create child accounts";
    AccountMove = "account.move" [Admin Maintainer]: "Move the account, or accept one below it";
    AccountSuspend = "account.suspend" [Admin Maintainer]: "Suspend and activate";
    AccountAssume = "account.assume" [Admin Maintainer]: "Act on behalf of the account";
    PaymentManage = "payment.manage" [Admin Maintainer]: "Manage payment methods";
    SubscriptionManage = "subscription.manage" [Admin Maintainer]: "Subscribe, upgrade and downgrade";
    SubscriptionCancel = "subscription.cancel" [Admin]: "Cancel subscriptions";
    MemberRead = "member.read" [Admin Maintainer Member]: "See who is a member";
    MemberInvite = "member.invite" [Admin Maintainer]: "Invite members";
    InvitationCancel = "invitation.cancel" [Admin Maintainer]: "Cancel invitations";
    MemberRemove = "member.remove" [Admin Maintainer]: "Remove members";
    RoleAssign = "role.assign" [Admin Maintainer]: "Assign roles to members";
    RoleManage = "role.manage" [Admin Maintainer]: "Define custom roles";
    KeyManage = "key.manage" [Admin Maintainer]: "See, create, rotate and revoke any key of the account";
    IpAllowlistManage = "ip_allowlist.manage" [Admin Maintainer]: "Set from where the account may be used";
    RestrictionManage = "restriction.manage" [Admin Maintainer]: "Set what may be called";
    UsageRead = "usage.read" [Admin Maintainer]: "See the usage of the whole organization";
    InvoiceRead = "invoice.read" [Admin Maintainer]: "See invoices";
    BudgetManage = "budget.manage" [Admin Maintainer]: "Set budgets";
    AuditRead = "audit.read" [Admin Maintainer]: "Read the audit log";
    WebhookManage = "webhook.manage" [Admin Maintainer]: "Manage webhooks";
    AccountClose = "account.close" [Admin]: "Close the account";
    OrganizationCancel = "organization.cancel" [Admin]: "Cancel the organization subscription";
    Decide = "decide" []: "Ask for decisions about any key; only the operator gives it, as a scope";
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownPermission;

impl fmt::Display for UnknownPermission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a permission; see the table of permissions in the documentation")
    }
}

impl std::error::Error for UnknownPermission {}

impl FromStr for Permission {
    type Err = UnknownPermission;
    fn from_str(text: &str) -> Result<Self, UnknownPermission> {
        Self::ALL.iter().copied().find(|p| p.as_str() == text).ok_or(UnknownPermission)
    }
}

/// A set of permissions: one bit each.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct PermissionSet(u64);

// INVARIANT: every permission has its own bit of the set.
const _: () = assert!(Permission::ALL.len() <= 64);

impl PermissionSet {
    /// No permission.
    pub const NONE: Self = Self(0);
    /// Every permission there is.
    pub const ALL: Self = Self((1 << Permission::ALL.len()) - 1);

    /// The set of the permissions named.
    #[must_use]
    pub const fn of(permissions: &[Permission]) -> Self {
        let mut bits = 0;
        let mut rest = permissions;
        while let [first, others @ ..] = rest {
            bits |= 1 << (*first as u8);
            rest = others;
        }
        Self(bits)
    }

    /// Whether `permission` is in the set.
    #[must_use]
    pub const fn holds(self, permission: Permission) -> bool {
        self.0 & (1 << (permission as u8)) != 0
    }

    /// What is in both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether everything in this set is in `other`.
    #[must_use]
    pub const fn within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// What is in either set.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in this set and not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether nothing is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The permissions in the set, in the order of the table.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.iter().copied().filter(move |p| self.holds(*p))
    }
}

impl FromIterator<Permission> for PermissionSet {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        permissions.into_iter().fold(Self::NONE, |set, p| set.or(Self::of(&[p])))
    }
}

impl fmt::Debug for PermissionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Permission::as_str)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_behave_like_sets() {
        let some: PermissionSet = [Permission::KeyManage, Permission::AuditRead].into_iter().collect();
        assert_eq!(some, PermissionSet::of(&[Permission::AuditRead, Permission::KeyManage]));
        assert!(some.within(PermissionSet::ALL) && !PermissionSet::ALL.within(some));
        assert_eq!(some.and(PermissionSet::ALL), some);
        assert_eq!(PermissionSet::ALL.iter().count(), Permission::ALL.len());
        assert!(PermissionSet::NONE.is_empty() && PermissionSet::NONE.within(some));
    }

    #[test]
    fn names_round_trip() {
        for permission in Permission::ALL {
            assert_eq!(permission.as_str().parse(), Ok(*permission));
        }
        assert_eq!("admin:*".parse::<Permission>(), Err(UnknownPermission));
    }
}
