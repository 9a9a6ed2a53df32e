//! Users: signing up, proving addresses, and a person's own data.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Account;

/// Somebody who wants to become a user.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewUser {
    /// Where the mail with the link goes that proves the address.
    pub email: String,
    /// 8 to 256 characters.
    pub password: String,
    /// What people call the user: 1 to 200 characters.
    pub name: String,
}

/// A mail is on its way, if the address is one that it can go to. Whether it is tells nothing.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MailSent {
    /// `mail_sent`.
    pub status: String,
    /// To which address.
    pub email: String,
}

/// The token of a link.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Token {
    /// What stands behind `token=` in the link.
    pub token: String,
}

/// Somebody who just became a user.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verified {
    /// The user.
    pub user: User,
    /// The child organization that was made with an enrollment link, if it was one.
    pub organization: Option<Account>,
}

/// An address.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Email {
    /// The address.
    pub email: String,
}

/// A new password, by the token of a mail.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PasswordReset {
    /// What stands behind `token=` in the link.
    pub token: String,
    /// 8 to 256 characters.
    pub password: String,
}

/// A new password.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewPassword {
    /// 8 to 256 characters.
    pub password: String,
}

/// Changes to a user's own data.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserPatch {
    /// 1 to 200 characters.
    pub name: Option<String>,
}

/// A user.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// `usr_…`
    pub id: String,
    /// The verified address.
    pub email: String,
    /// What people call the user.
    pub name: String,
    /// The user's personal account.
    pub account_id: String,
    /// RFC 3339, UTC.
    pub created_at: String,
}

/// A user with all that they can turn to.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Me {
    /// The user.
    #[serde(flatten)]
    pub user: User,
    /// The personal account, which nobody else is a member of.
    pub personal_account: Belonging,
    /// The organizations that the user is a member of.
    pub organizations: Vec<Belonging>,
    /// How the user can prove who they are.
    pub security: Security,
}

/// An account that a user is a member of.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Belonging {
    /// `acc_…`
    pub account_id: String,
    /// What the account is called.
    pub name: String,
    /// `active`, `suspended` or `closed`.
    pub status: String,
    /// What the role is called.
    pub role: String,
    /// `rol_…`, if it is a custom one.
    pub role_id: Option<String>,
}

/// How a user can prove who they are.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Security {
    /// Whether there is a password.
    pub password: bool,
    /// Whether codes of an authenticator are asked for.
    pub authenticator: bool,
    /// How many recovery codes are left.
    pub recovery_codes: i64,
    /// How many passkeys there are.
    pub passkeys: i64,
    /// At which identity providers the user can sign in.
    pub identities: Vec<Identity>,
}

/// Who a user is at an identity provider.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// The provider.
    pub provider: String,
    /// The address that it told.
    pub email: Option<String>,
    /// RFC 3339, UTC.
    pub created_at: String,
}

/// A secret for an authenticator app. Codes are asked for once the first one was confirmed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticatorSecret {
    /// To type in, in base 32; `null` in a dry run.
    pub secret: Option<String>,
    /// To make a QR code of; `null` in a dry run.
    pub url: Option<String>,
}

/// A code of an authenticator.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuthenticatorCode {
    /// The six digits that it shows now.
    pub code: String,
}

/// Codes for when the authenticator is lost: each is good once. This answer is the only place where they ever are.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecoveryCodes {
    /// The codes; `null` in a dry run.
    pub recovery_codes: Option<Vec<String>>,
}

/// A passkey.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Passkey {
    /// `pky_…`
    pub id: String,
    /// What the user calls it.
    pub name: String,
    /// RFC 3339, UTC.
    pub created_at: String,
    /// RFC 3339, UTC.
    pub last_used_at: Option<String>,
}

/// The first half of a ceremony with a browser: what to hand to `navigator.credentials`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Challenge {
    /// Send it back with the answer.
    pub ceremony: String,
    /// The options, as WebAuthn defines them.
    pub options: serde_json::Value,
}

/// The second half of adding a passkey.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewPasskey {
    /// From the first half.
    pub ceremony: String,
    /// What to call it: 1 to 200 characters.
    pub name: String,
    /// What `navigator.credentials.create` gave, as JSON.
    pub credential: serde_json::Value,
}

/// The second half of signing in with a passkey.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PasskeyAnswer {
    /// From the first half.
    pub ceremony: String,
    /// What `navigator.credentials.get` gave, as JSON.
    pub credential: serde_json::Value,
}

/// Which provider to sign in at.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProviderChoice {
    /// One of those that `GET /v1/providers` lists.
    pub provider: String,
}

/// Where to send the browser.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderRedirect {
    /// The provider's page.
    pub url: String,
}

/// What the provider sent the browser back with.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProviderAnswer {
    /// The `state` of the address.
    pub state: String,
    /// The `code` of the address.
    pub code: String,
}
