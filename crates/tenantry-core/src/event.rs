//! The table of event kinds, and revisions of the changelog.
//!
//! Every committed change is one event: a row of the audit log for people, an entry of the
//! changelog for machines.

use std::fmt;
use std::str::FromStr;

use crate::Document;
use crate::account::UnknownWord;
use crate::id::{AccountId, Id as _};

macro_rules! events {
    ($($variant:ident = $name:literal: $about:literal;)*) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventKind { $(#[doc = $about] $variant,)* }

        impl EventKind {
            /// Every kind, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The text that is stored and sent.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What happened, in a sentence.
            #[must_use]
            pub const fn about(self) -> &'static str {
                match self { $(Self::$variant => $about,)* }
            }
        }
    };
}

events! {
    AccountCreated = "account.created": "An account was created";
    AccountUpdated = "account.updated": "Name, contact, metadata or a switch of an account changed";
    AccountSettingsChanged = "account.settings_changed": "Settings of an account were overridden, reset or locked";
    AccountInheritanceChanged = "account.inheritance_changed": "Billing contacts, audit policies or their inheritance changed";
    AccountMoved = "account.moved": "An account, with its subtree, got another parent";
    AccountDetached = "account.detached": "An account, with its subtree, became a root";
    AccountSuspended = "account.suspended": "An account was suspended";
    AccountActivated = "account.activated": "A suspended account was activated";
    AccountClosed = "account.closed": "An account was closed";
    AccountPurged = "account.purged": "The data of a closed account was deleted after the retention period";
    TreeLimitsChanged = "tree.limits_changed": "The operator changed the limits of a tree";
    FeaturesAssigned = "account.features_assigned": "The features of an account changed";
    CallLimitsSet = "account.call_limits_set": "The calls for an account, and for all below it, were limited, or are not any more";
    OrganizationCanceled = "organization.canceled": "The organization was canceled by its admin";
    OrganizationResumed = "organization.resumed": "A canceled organization was taken up again";
    MemberAdded = "member.added": "Somebody became a member; tells how many seats are in use";
    MemberRoleChanged = "member.role_changed": "A member has another role";
    MemberRemoved = "member.removed": "A member was removed; tells how many seats are in use";
    MemberLeft = "member.left": "A member left; tells how many seats are in use";
    InvitationCreated = "invitation.created": "Somebody was invited to become a member";
    InvitationResent = "invitation.resent": "An invitation was sent again";
    InvitationCanceled = "invitation.canceled": "An invitation was taken back";
    InvitationDeclined = "invitation.declined": "Somebody does not want to become a member";
    RoleCreated = "role.created": "A custom role was made";
    RoleUpdated = "role.updated": "A custom role was changed";
    RoleDeleted = "role.deleted": "A custom role was deleted";
    EnrollmentLinkCreated = "enrollment_link.created": "A link was made with which customers create child organizations";
    EnrollmentLinkRevoked = "enrollment_link.revoked": "Such a link was taken back";
    SessionCreated = "session.created": "The user signed in";
    SessionProven = "session.proven": "Who uses a session proved again who they are";
    SessionEnded = "session.ended": "A session of the user was ended, or all of them";
    UserUpdated = "user.updated": "The user's own data changed";
    UserPasswordChanged = "user.password_changed": "The user's password changed; all other sessions ended";
    UserEmailChanged = "user.email_changed": "The user's e-mail address changed";
    AuthenticatorAdded = "user.authenticator_added": "Codes of an authenticator are asked for at sign-in";
    AuthenticatorRemoved = "user.authenticator_removed": "Codes are not asked for any more";
    PasskeyAdded = "user.passkey_added": "The user can sign in with another passkey";
    PasskeyRemoved = "user.passkey_removed": "A passkey of the user was removed";
    IdentityLinked = "user.identity_linked": "The user can sign in at an identity provider";
    KeyCreated = "key.created": "An API key was created";
    KeyLimited = "key.limited": "The limits of an API key changed";
    KeyRotated = "key.rotated": "An API key was replaced by another";
    KeyRevoked = "key.revoked": "An API key was revoked";
    RestrictionCreated = "restriction.created": "A rule was made that takes something away";
    RestrictionUpdated = "restriction.updated": "Such a rule was changed";
    RestrictionDeleted = "restriction.deleted": "Such a rule was lifted";
    AllowlistCreated = "ip_allowlist.created": "It was set from where an account may be used";
    AllowlistUpdated = "ip_allowlist.updated": "An IP allow-list was changed";
    AllowlistDeleted = "ip_allowlist.deleted": "An IP allow-list was deleted";
    ApiCreated = "api.created": "An API was added to the catalogue";
    ApiUpdated = "api.updated": "An API of the catalogue was changed";
    ApiDeleted = "api.deleted": "An API was taken out of the catalogue, with its endpoints";
    EndpointCreated = "endpoint.created": "An endpoint was added to the catalogue";
    EndpointUpdated = "endpoint.updated": "An endpoint of the catalogue was changed";
    EndpointDeleted = "endpoint.deleted": "An endpoint was taken out of the catalogue";
    ResourceCreated = "resource.created": "A resource was created";
    ResourceUpdated = "resource.updated": "A resource was changed";
    ResourceDeleted = "resource.deleted": "A resource was deleted";
    ShareCreated = "share.created": "A resource was shared";
    ShareDeleted = "share.deleted": "A share of a resource was taken back";
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One change, as it enters the audit log and the changelog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// To which thing: its id as text.
    pub entity: String,
    /// The version that the thing has now; 0 where it has none.
    pub version: i64,
    /// What is needed to follow the change, secrets excluded.
    pub detail: Document,
}

impl Event {
    /// An event about the thing that `entity` names.
    #[must_use]
    pub fn new(kind: EventKind, entity: impl fmt::Display, version: i64, detail: Document) -> Self {
        Self { kind, entity: entity.to_string(), version, detail }
    }
}

/// How many independent sequences the changelog has.
pub const BUCKETS: u8 = 64;

/// The sequence that changes of one tree go to.
#[must_use]
pub fn bucket(root: AccountId) -> u8 {
    // The last byte of a version 7 UUID is random.
    let [.., last] = root.bytes();
    last % BUCKETS
}

/// A place in the changelog: revisions of one bucket have no gaps and are in commit order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision {
    /// The sequence.
    pub bucket: u8,
    /// The place in it, from 1.
    pub rev: i64,
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.bucket, self.rev)
    }
}

impl FromStr for Revision {
    type Err = UnknownWord;
    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let (bucket, rev) = text.split_once('.').ok_or(UnknownWord)?;
        let bucket = bucket.parse().ok().filter(|bucket| *bucket < BUCKETS).ok_or(UnknownWord)?;
        Ok(Self { bucket, rev: rev.parse().map_err(|_| UnknownWord)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_unique_and_explained() {
        let names: std::collections::BTreeSet<_> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(names.len(), EventKind::ALL.len());
        assert!(EventKind::ALL.iter().all(|kind| kind.as_str().contains('.') && !kind.about().is_empty()));
    }
}
