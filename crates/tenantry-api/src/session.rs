//! Sessions: signing in and out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::User;

/// Somebody who signs in.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignIn {
    /// The address.
    pub email: String,
    /// The password.
    pub password: String,
    /// Six digits of the authenticator, or a recovery code, if one is asked for.
    pub code: Option<String>,
}

/// Somebody who is signed in. The token stands here and in the cookie `__Host-tenantry`, nowhere else.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SignedIn {
    /// To send as `Authorization: Bearer`.
    pub token: String,
    /// RFC 3339, UTC: when the session ends unless it is used.
    pub expires_at: String,
    /// Who.
    pub user: User,
}

/// A session.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// `ses_…`
    pub id: String,
    /// Whether it is the one that asks.
    pub current: bool,
    /// How the user proved who they are: `password`, `password_and_code`, `passkey` or `provider`.
    pub proof: String,
    /// RFC 3339, UTC: when they did.
    pub proven_at: String,
    /// RFC 3339, UTC.
    pub created_at: String,
    /// RFC 3339, UTC; up to a minute behind.
    pub last_seen_at: String,
    /// RFC 3339, UTC: when it ends unless it is used.
    pub expires_at: String,
    /// The client address of its last use.
    pub ip: Option<String>,
    /// What the client calls itself.
    pub user_agent: Option<String>,
}

/// How many sessions were ended.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionsEnded {
    /// That many.
    pub ended: u64,
}

/// A fresh proof of who uses the session: a password (and a code, if codes are asked for), or a passkey's answer.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewProof {
    /// The password.
    pub password: Option<String>,
    /// Six digits of the authenticator, or a recovery code.
    pub code: Option<String>,
    /// Of `POST /v1/sessions/passkey`.
    pub ceremony: Option<String>,
    /// What `navigator.credentials.get` gave, as JSON.
    pub credential: Option<serde_json::Value>,
}
