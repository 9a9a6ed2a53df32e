//! The published contract of super organizations.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Account;

/// An organization: its account, under the names of the published contract as well.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Org {
    /// The account's id.
    pub org_id: String,
    /// The account's name.
    pub org_name: String,
    /// The account.
    #[serde(flatten)]
    pub account: Account,
}

/// A child organization with what it used.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChildOrg {
    /// The organization.
    #[serde(flatten)]
    pub org: Org,
    /// Credits used in the running month, by it and by all below it, as long as it was below this organization.
    pub credits_used: i64,
}

/// The secrets of the calling organization, as far as they can be shown.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Secrets {
    /// The key that makes this call, masked; `null` if none does.
    pub api_key: Option<String>,
    /// Where webhooks go.
    pub webhook_url: Option<String>,
    /// The signing secret of the webhooks, masked.
    pub webhook_secret: Option<String>,
}
