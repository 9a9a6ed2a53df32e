//! The audit log.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One change.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// `aud_…`
    pub id: String,
    /// RFC 3339, UTC.
    pub at: String,
    /// What was done.
    pub action: String,
    /// The account that changed.
    pub account_id: String,
    /// The thing that changed, by its id.
    pub entity: String,
    /// Who really did it.
    pub actor: Actor,
    /// The account on whose behalf; `null` for the operator and for scheduled work.
    pub subject: Option<String>,
    /// Why it was done on behalf of another account, where that was asked for.
    pub reason: Option<String>,
    /// The request that did it, as in `X-Request-Id`.
    pub request_id: String,
    /// The client address.
    pub ip: Option<String>,
    /// What changed.
    pub detail: serde_json::Value,
}

/// Who really did something.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Actor {
    /// `operator`, `user`, `key` or `system`.
    pub kind: String,
    /// The account that acted, or as a member of which somebody did.
    pub account_id: Option<String>,
    /// The person who acted.
    pub user_id: Option<String>,
    /// The key that was used.
    pub key_id: Option<String>,
}
