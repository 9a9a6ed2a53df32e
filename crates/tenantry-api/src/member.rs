//! Members, roles, seats, invitations and enrollment.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{User, nullable};

/// Somebody who may do something here.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// `usr_…`
    pub user_id: String,
    /// The address; `null` for members of accounts that the caller cannot see.
    pub email: Option<String>,
    /// What people call them.
    pub name: String,
    /// What the role is called.
    pub role: String,
    /// `rol_…`, if it is a custom one.
    pub role_id: Option<String>,
    /// `direct`, or `inherited` from an account above.
    pub source: String,
    /// The account that they are a member of; `null` for one that the caller cannot see.
    pub account_id: Option<String>,
    /// Whether more than a password is asked for when they sign in.
    pub second_factor: bool,
    /// RFC 3339, UTC: since when they hold the role.
    pub since: String,
    /// RFC 3339, UTC: when they last used a session.
    pub last_seen_at: Option<String>,
}

/// Which members.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MemberQuery {
    /// 1 to 100; 10 unless given.
    pub limit: Option<i64>,
    /// 0 and up; 0 unless given.
    pub offset: Option<i64>,
    /// `direct` or `inherited`; both unless given.
    pub source: Option<String>,
}

/// Another role for a member.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MemberPatch {
    /// `admin`, `maintainer`, `member`, or the id or name of a custom role.
    pub role: String,
}

/// Somebody who is no member any more.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberRemoved {
    /// `usr_…`
    pub user_id: String,
    /// `removed` or `left`.
    pub status: String,
    /// How many keys ended with the membership.
    pub keys_revoked: u64,
}

/// A role.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Role {
    /// `rol_…`; a built-in role has its name for an id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Whether it is one that every account has.
    pub built_in: bool,
    /// The account that made it; `null` for a built-in role.
    pub account_id: Option<String>,
    /// What it holds.
    pub permissions: Vec<String>,
    /// Whether holding it on an account counts on the accounts below.
    pub reaches_down: bool,
    /// Whether the caller's own rank allows to give it.
    pub assignable: bool,
    /// How many members hold it; `null` for a built-in role.
    pub members: Option<i64>,
}

/// A new custom role.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewRole {
    /// 1 to 200 characters; not the name of another role of the account.
    pub name: String,
    /// What it holds.
    pub permissions: Vec<String>,
}

/// Changes to a custom role.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RolePatch {
    /// 1 to 200 characters.
    pub name: Option<String>,
    /// What it holds from now on.
    pub permissions: Option<Vec<String>>,
}

/// An invitation.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Invitation {
    /// `inv_…`
    pub id: String,
    /// The address that was invited.
    pub email: String,
    /// What the role is called.
    pub role: String,
    /// `pending`, `accepted`, `declined`, `canceled` or `expired`.
    pub status: String,
    /// `usr_…` of who invited, if it was a person.
    pub invited_by: Option<String>,
    /// RFC 3339, UTC.
    pub created_at: String,
    /// RFC 3339, UTC: until when it can be accepted.
    pub expires_at: String,
    /// The link, where this deployment sends no mail: hand it over yourself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

/// Which invitations.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InvitationQuery {
    /// 1 to 100; 10 unless given.
    pub limit: Option<i64>,
    /// 0 and up; 0 unless given.
    pub offset: Option<i64>,
    /// Only invitations with this status.
    pub status: Option<String>,
}

/// A new invitation.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewInvitation {
    /// To which address.
    pub email: String,
    /// `admin`, `maintainer`, `member`, or the id or name of a custom role.
    pub role: String,
}

/// Several invitations: all are sent, or none.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewInvitations {
    /// 1 to 100.
    pub invitations: Vec<NewInvitation>,
}

/// Invitations that were just sent.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Invitations {
    /// In the order in which they were asked for.
    pub data: Vec<Invitation>,
}

/// An invitation as the person who was invited sees it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InvitationPreview {
    /// What the organization is called.
    pub organization: String,
    /// What the role is called.
    pub role: String,
    /// The address that was invited.
    pub email: String,
    /// `pending`, `accepted`, `declined`, `canceled` or `expired`.
    pub status: String,
    /// RFC 3339, UTC: until when it can be accepted.
    pub expires_at: String,
    /// Whether there is a user with the address: then it takes signing in to accept, else a name and a password.
    pub registered: bool,
}

/// Accepting an invitation: as the user who is signed in, or as a new one.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Acceptance {
    /// What stands behind `token=` in the link.
    pub token: String,
    /// What people call the new user.
    pub name: Option<String>,
    /// The new user's password: 8 to 256 characters.
    pub password: Option<String>,
}

/// An invitation that was accepted.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Accepted {
    /// The account whose member the user is now.
    pub account_id: String,
    /// What the account is called.
    pub organization: String,
    /// What the role is called.
    pub role: String,
    /// The user.
    pub user: User,
}

/// An invitation that was declined.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Declined {
    /// `declined`.
    pub status: String,
}

/// The organization itself: whether it goes on, and its seats.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationSubscription {
    /// `active` or `canceled`.
    pub status: String,
    /// RFC 3339, UTC.
    pub canceled_at: Option<String>,
    /// The seats.
    pub seats: Seats,
}

/// The seats of an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Seats {
    /// Members, admins included.
    pub used: i64,
    /// Invitations that can still be accepted; they hold a seat only against a cap.
    pub pending: i64,
    /// The cap, if there is one: the feature `seats.max`.
    pub max: Option<i64>,
}

/// A link with which customers make child organizations.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnrollmentLink {
    /// `lnk_…`
    pub id: String,
    /// What the account calls it.
    pub name: String,
    /// `active`, `expired`, `revoked` or `exhausted`.
    pub status: String,
    /// How many organizations it may make; `null`: any number.
    pub max_uses: Option<i64>,
    /// How many it has made.
    pub uses: i64,
    /// RFC 3339, UTC.
    pub created_at: String,
    /// RFC 3339, UTC; `null` if it does not end by itself.
    pub expires_at: Option<String>,
    /// RFC 3339, UTC.
    pub revoked_at: Option<String>,
}

/// An enrollment link that was just made. This answer is the only place where its token ever is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnrollmentLinkWithToken {
    /// The link.
    #[serde(flatten)]
    pub link: EnrollmentLink,
    /// For `POST /v1/enroll`; `null` in a dry run.
    pub token: Option<String>,
    /// To hand out; `null` in a dry run.
    pub url: Option<String>,
}

/// A new enrollment link.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewEnrollmentLink {
    /// 1 to 200 characters; `Enrollment` unless given.
    pub name: Option<String>,
    /// How many organizations it may make; any number unless given.
    #[serde(default, deserialize_with = "nullable")]
    pub max_uses: Option<Option<i64>>,
    /// RFC 3339, in the future; it does not end by itself unless given.
    pub expires_at: Option<String>,
}

/// Enrolling: a new child organization, administered by a new user, or by the one who is signed in.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Enrollment {
    /// The token of the link.
    pub token: String,
    /// What the organization is to be called.
    pub name: String,
    /// The new user's address, and the organization's contact; the user's own unless given.
    pub email: Option<String>,
    /// The new user's password: 8 to 256 characters. Not for who is signed in.
    pub password: Option<String>,
}

/// What came of enrolling.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Enrolled {
    /// `enrolled`, or `mail_sent`: the organization is made once the address is proven.
    pub status: String,
    /// The new organization, once it is there.
    pub organization: Option<crate::Account>,
}

/// The features of an account, by name: `true`, or a number.
pub type FeatureMap = std::collections::BTreeMap<String, serde_json::Value>;

/// What an account may use, and how much.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Features {
    /// What counts: never more than the account above has.
    pub effective: FeatureMap,
    /// What was assigned.
    pub assigned: FeatureMap,
    /// The account that bounds each of the effective ones.
    pub sources: std::collections::BTreeMap<String, String>,
}

/// A mail that was kept, where this deployment sends none.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeptMail {
    /// To whom.
    pub to: String,
    /// The subject.
    pub subject: String,
    /// The text.
    pub text: String,
    /// RFC 3339, UTC.
    pub at: String,
}
