//! Limits of calls.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::nullable;

/// How many calls in what time: as many at once, which then come back at an even pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallRate {
    /// 1 to 1,000,000,000.
    pub calls: u32,
    /// 1 to 86,400.
    pub seconds: u32,
}

/// What calls are limited to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallLimits {
    /// How many in what time; `null` is no limit.
    pub rate: Option<CallRate>,
    /// How many at once, 1 to 1,000,000; `null` is no limit. Only the gateway knows, so only there it is kept.
    pub in_flight: Option<u32>,
}

/// Changes to limits: what is left out stays.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallLimitsChange {
    /// How many in what time; `null` lifts the limit.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Option::is_none")]
    pub rate: Option<Option<CallRate>>,
    /// How many at once, 1 to 1,000,000; `null` lifts the limit.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<Option<u32>>,
}

/// What the calls for an account, and for all accounts below it, are limited to together.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountLimits {
    /// How many in what time; `null` is no limit.
    pub rate: Option<CallRate>,
    /// How many at once; `null` is no limit.
    pub in_flight: Option<u32>,
    /// The limits of accounts above, the nearest first: they count these calls, too.
    pub above: Vec<LimitsAbove>,
}

/// Limits of an account above.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LimitsAbove {
    /// The account, if it may be seen.
    pub account_id: Option<String>,
    /// How many in what time; `null` is no limit.
    pub rate: Option<CallRate>,
    /// How many at once; `null` is no limit.
    pub in_flight: Option<u32>,
}
