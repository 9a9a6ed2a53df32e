//! Accounts and the hierarchy.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Object, nullable};

/// An account.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// `acc_…`
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Its primary contact.
    pub email: String,
    /// `personal` or `organization`.
    pub kind: String,
    /// The account above it; `null` for a root.
    #[serde(rename = "parent_id")]
    pub parent_id: Option<String>,
    /// The top of its tree.
    pub root_id: String,
    /// Its level; a root is at 1.
    pub depth: u32,
    /// Its own status: `active`, `suspended` or `closed`.
    pub status: String,
    /// The status that counts: `suspended` while any account above it is.
    pub effective_status: String,
    /// The settings that count, inherited ones included; `…/settings` says where each comes from.
    pub settings: Object,
    /// Whether settings of the accounts above are its defaults.
    pub inherit_settings: bool,
    /// Whether those who administer an account above administer this one.
    pub inherit_admins: bool,
    /// `owned`: it gets its own invoices; `delegated`: an account above does.
    pub billing_mode: String,
    /// Whether it is a root without a cap on children, switched on by the operator.
    pub super_organization: bool,
    /// How far its tree may grow.
    pub limits: Limits,
    /// Whatever its owner keeps with it.
    pub metadata: Object,
    /// How many children are not closed.
    pub child_count: u32,
    /// How many memberships it has.
    pub user_count: i64,
    /// How many resources of kind `device` it owns.
    pub device_count: i64,
    /// RFC 3339, UTC.
    pub created_at: String,
    /// RFC 3339, UTC.
    pub updated_at: String,
}

/// How far a tree may grow.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// The deepest level; `null` leaves the hard ceiling of 16.
    pub max_depth: Option<u32>,
    /// The most open children of one parent; `null` is no cap.
    pub max_children: Option<u32>,
}

/// A new root.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewAccount {
    /// 1 to 200 characters.
    pub name: String,
    /// The primary contact.
    pub email: String,
    /// `organization` (the default) or `personal`.
    pub kind: Option<String>,
    /// Settings that it sets itself.
    pub settings: Option<Object>,
    /// At most 16 KiB.
    pub metadata: Option<Object>,
}

/// A new account below another.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewChild {
    /// 1 to 200 characters.
    pub name: String,
    /// The primary contact.
    pub email: String,
    /// Settings that it overrides.
    pub settings: Option<Object>,
    /// At most 16 KiB.
    pub metadata: Option<Object>,
}

/// Changes to an account: what is left out stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AccountPatch {
    /// 1 to 200 characters.
    pub name: Option<String>,
    /// The primary contact.
    pub email: Option<String>,
    /// Replaces all metadata.
    pub metadata: Option<Object>,
    /// Whether settings of the accounts above are its defaults.
    pub inherit_settings: Option<bool>,
    /// Whether those who administer an account above administer this one. Switched off, accounts above
    /// can still see it and read its audit log, but not change it, and so not switch it on again.
    pub inherit_admins: Option<bool>,
}

/// A child in the list of its parent.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Child {
    /// `acc_…`
    pub id: String,
    /// What people call it.
    pub name: String,
    /// `active`, `suspended` or `closed`.
    pub status: String,
    /// RFC 3339, UTC.
    pub created_at: String,
    /// How many memberships it has.
    pub user_count: i64,
    /// How many resources of kind `device` it owns.
    pub device_count: i64,
}

/// A child that was just created.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChildCreated {
    /// `acc_…`
    pub id: String,
    /// What people call it.
    pub name: String,
    /// The account above it.
    #[serde(rename = "parent_id")]
    pub parent_id: String,
    /// The primary contact.
    pub email: String,
    /// `active`.
    pub status: String,
    /// RFC 3339, UTC.
    pub created_at: String,
}

/// Where an account is to move.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewParent {
    /// The account that it will be below.
    pub parent_id: String,
    /// Whether it inherits the settings there; true unless said otherwise.
    pub inherit_settings: Option<bool>,
}

/// An account after a move.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Moved {
    /// `acc_…`
    pub id: String,
    /// What people call it.
    pub name: String,
    /// The account above it now.
    #[serde(rename = "parent_id")]
    pub parent_id: String,
    /// `active` or `suspended`.
    pub status: String,
    /// Whether it inherits settings.
    pub inherit_settings: bool,
    /// RFC 3339, UTC.
    pub updated_at: String,
}

/// An account that became a root.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Detached {
    /// `acc_…`
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Always `null`.
    #[serde(rename = "parent_id")]
    pub parent_id: Option<String>,
    /// `active` or `suspended`.
    pub status: String,
    /// A sentence for people.
    pub message: String,
}

/// A subtree.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tree {
    /// The account at the top, with everything below it inside.
    pub root: TreeNode,
    /// Whether accounts were left out: the answer holds 2,000 at most, nearest to the top first.
    pub truncated: bool,
}

/// An account in a subtree.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TreeNode {
    /// `acc_…`
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Its own status.
    pub status: String,
    /// The status that counts.
    pub effective_status: String,
    /// Its level in the whole tree.
    pub depth: u32,
    /// How many children are not closed.
    pub child_count: u32,
    /// Its children, oldest first.
    pub children: Vec<TreeNode>,
}

/// Changes to the limits of a tree: what is left out stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LimitsChange {
    /// Switches the cap on children off.
    pub super_organization: Option<bool>,
    /// 1 to 16, or `null`.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Option::is_none")]
    pub max_depth: Option<Option<u32>>,
    /// Any number, or `null` for no cap.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Option::is_none")]
    pub max_children: Option<Option<u32>>,
}

/// The answer to a write with `dryRun=true`: what would have happened.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DryRun {
    /// Always true.
    pub dry_run: bool,
    /// The event that would have been recorded.
    pub action: String,
    /// What would have changed, as the audit log would tell it.
    pub changes: serde_json::Value,
    /// The body that the answer would have had.
    pub result: serde_json::Value,
}
