//! API keys.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CallLimits, CallLimitsChange};

/// An API key, without its secret.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Key {
    /// `key_…`
    pub id: String,
    /// The account that it acts for.
    pub account_id: String,
    /// The member for whom it acts inside the account; `null`: it acts for the account itself.
    pub user_id: Option<String>,
    /// The person whose rights bound it; `null` if the operator made it.
    pub maker_id: Option<String>,
    /// What its owner calls it.
    pub name: String,
    /// `live` or `test`.
    pub environment: String,
    /// How to recognise it: its prefix and last four characters.
    pub masked: String,
    /// The permissions that it is narrowed to; `null` is all that its account has.
    pub scopes: Option<Vec<String>>,
    /// The networks from which it may be used; `null` is everywhere.
    pub ip_allowlist: Option<Vec<String>>,
    /// What its calls are limited to; `null` is nothing of its own.
    pub limits: Option<CallLimits>,
    /// `active`, `expired` or `revoked`.
    pub status: String,
    /// RFC 3339, UTC.
    pub created_at: String,
    /// RFC 3339, UTC; `null` if it does not end by itself.
    pub expires_at: Option<String>,
    /// RFC 3339, UTC.
    pub revoked_at: Option<String>,
    /// RFC 3339, UTC; up to a minute behind.
    pub last_used_at: Option<String>,
    /// The client address of its last use.
    pub last_used_ip: Option<String>,
    /// The key that it replaced.
    pub rotated_from: Option<String>,
}

/// An API key that was just made. This answer is the only place where its secret ever is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyWithSecret {
    /// The key.
    #[serde(flatten)]
    pub key: Key,
    /// The text to send in `x-api-key`; `null` in a dry run.
    pub secret: Option<String>,
}

/// A new API key.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewKey {
    /// 1 to 200 characters.
    pub name: String,
    /// `live` (the default) or `test`.
    pub environment: Option<String>,
    /// Networks in CIDR notation, or single addresses, from which it may be used; left out, those of the key that makes it.
    pub ip_allowlist: Option<Vec<String>>,
    /// What its calls are limited to; left out, to the same as those of the key that makes it.
    pub limits: Option<CallLimits>,
    /// The permissions to narrow it to; left out, it is as wide as the credential that makes it.
    pub scopes: Option<Vec<String>>,
    /// The member for whom it acts inside the account. Who does not hold `key.manage` makes keys for themselves.
    pub user_id: Option<String>,
    /// RFC 3339; in the future.
    pub expires_at: Option<String>,
}

/// Changes to a key.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyChange {
    /// What its calls are limited to. Who does not hold `key.manage` can only narrow them.
    pub limits: CallLimitsChange,
}

/// How to replace a key.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rotation {
    /// How long the old key goes on working: `now`, `1h`, `24h` (the default) or `7d`.
    pub overlap: Option<String>,
}
