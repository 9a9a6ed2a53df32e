//! Restrictions and IP allow-lists.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A rule that takes something away from an account, a role, a user or a key.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Restriction {
    /// `rst_…`
    pub id: String,
    /// The account that it is about.
    pub account_id: String,
    /// On whose authority it stands: the account itself or one above it; `null` is the operator. Only they can lift it.
    pub imposed_by: Option<String>,
    /// `allow` (only what is named) or `deny` (all but what is named).
    pub mode: String,
    /// Whom it narrows; `null` is the account as a whole.
    pub subject: Option<RestrictionSubject>,
    /// The endpoints that it names.
    pub endpoints: Vec<EndpointPattern>,
    /// The permissions that it names.
    pub permissions: Vec<String>,
    /// Who set it: the id of a user or of a key, or `operator`.
    pub set_by: String,
    /// RFC 3339, UTC.
    pub created_at: String,
    /// RFC 3339, UTC.
    pub updated_at: String,
}

/// Whom a restriction narrows: one of these.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RestrictionSubject {
    /// One person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Everybody who holds a role: its name or id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// One key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
}

/// Endpoints, as a restriction names them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EndpointPattern {
    /// The id of an API; `tenantry` is this one.
    pub api: String,
    /// Methods; left out or empty, all.
    #[serde(default)]
    pub methods: Vec<String>,
    /// A path below the API's base path. `{name}` or `*` stands for any segment, `**` at the end for all that follows.
    pub path: String,
}

/// A new restriction. It names endpoints, permissions, or both.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewRestriction {
    /// `allow` or `deny`.
    pub mode: String,
    /// Whom it narrows; left out, the account as a whole.
    pub subject: Option<RestrictionSubject>,
    /// At most 100.
    #[serde(default)]
    pub endpoints: Vec<EndpointPattern>,
    /// Permissions of the table.
    #[serde(default)]
    pub permissions: Vec<String>,
}

/// Changes to a restriction: what is left out stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RestrictionPatch {
    /// `allow` or `deny`.
    pub mode: Option<String>,
    /// At most 100.
    pub endpoints: Option<Vec<EndpointPattern>>,
    /// Permissions of the table.
    pub permissions: Option<Vec<String>>,
}

/// A list of networks from which an account may be used.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Allowlist {
    /// `ipl_…`
    pub id: String,
    /// The account that it belongs to.
    pub account_id: String,
    /// The API that it is about; `null` is all of them, this one included.
    pub api: Option<String>,
    /// Networks in CIDR notation, without host bits, none inside another.
    pub cidrs: Vec<String>,
    /// Whether it applies to all accounts below as well.
    pub enforced: bool,
    /// Who set it: the id of a user or of a key, or `operator`.
    pub set_by: String,
    /// RFC 3339, UTC.
    pub created_at: String,
    /// RFC 3339, UTC.
    pub updated_at: String,
}

/// A new IP allow-list.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewAllowlist {
    /// The id of an API; `tenantry` is this one; left out, all of them.
    pub api: Option<String>,
    /// 1 to 10,000 networks in CIDR notation, or single addresses.
    pub cidrs: Vec<String>,
    /// Whether it applies to all accounts below as well.
    #[serde(default)]
    pub enforced: bool,
    /// Has to be true for a list that the caller's own address is not in.
    #[serde(default)]
    pub confirm_lockout: bool,
}

/// Changes to an IP allow-list: what is left out stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AllowlistPatch {
    /// 1 to 10,000 networks in CIDR notation, or single addresses.
    pub cidrs: Option<Vec<String>>,
    /// Whether it applies to all accounts below as well.
    pub enforced: Option<bool>,
    /// Has to be true for a list that the caller's own address is not in.
    #[serde(default)]
    pub confirm_lockout: bool,
}
