//! Settings, and what else is inherited.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Object, nullable};

/// The settings of an account.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// The values that count.
    pub effective: Object,
    /// The values that the account sets itself.
    pub overrides: Object,
    /// For every effective value, the account that sets it.
    pub sources: BTreeMap<String, String>,
    /// For every setting that the account cannot override, the account that locked it.
    pub locks: BTreeMap<String, String>,
    /// Settings that the account locks for all below it.
    pub locked_settings: Vec<String>,
}

/// Changes to settings: a value overrides, `null` removes the override, what is left out stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SettingsPatch {
    /// Replaces the list of settings that the account locks for all below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked_settings: Option<Vec<String>>,
    /// The settings by name: `timezone`, `language`, `recording`, `policies`, or what the deployment is configured for.
    #[serde(flatten)]
    pub settings: Object,
}

/// What an account takes over from those above it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Inheritance {
    /// Whether settings are inherited.
    pub settings: bool,
    /// Whether administrators are inherited.
    pub admins: bool,
    /// Who gets the invoices.
    pub billing_contacts: InheritedContacts,
    /// What is audited, and for how long.
    pub audit_policies: InheritedPolicies,
}

/// Billing contacts and where they come from.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InheritedContacts {
    /// Whether those of the account above are used where there are none here.
    pub inherit: bool,
    /// Those of the account itself.
    pub own: Option<Vec<String>>,
    /// Those that count.
    pub effective: Option<Vec<String>>,
    /// The account that they come from.
    pub source: Option<String>,
}

/// Audit policies and where they come from.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InheritedPolicies {
    /// Whether those of the account above are used where there are none here.
    pub inherit: bool,
    /// Those of the account itself.
    pub own: Option<Object>,
    /// Those that count.
    pub effective: Option<Object>,
    /// The account that they come from.
    pub source: Option<String>,
}

/// Changes to what is inherited: what is left out stays, `null` removes the own value.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InheritancePatch {
    /// Whether settings are inherited.
    pub inherit_settings: Option<bool>,
    /// Whether administrators are inherited.
    pub inherit_admins: Option<bool>,
    /// Whether billing contacts are inherited.
    pub inherit_billing_contacts: Option<bool>,
    /// Whether audit policies are inherited.
    pub inherit_audit_policies: Option<bool>,
    /// Up to 20 e-mail addresses.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Option::is_none")]
    pub billing_contacts: Option<Option<Vec<String>>>,
    /// At most 16 KiB.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Option::is_none")]
    pub audit_policies: Option<Option<Object>>,
}
