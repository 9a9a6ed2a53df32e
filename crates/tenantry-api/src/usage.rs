//! Usage: what calls used.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// About what usage is asked.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UsageQuery {
    /// RFC 3339: the beginning. The month that the period ends in begins it unless given.
    pub from: Option<String>,
    /// RFC 3339: the end, which is not part of it. The present unless given.
    pub to: Option<String>,
    /// `hour` (at most 31 days), `day` (at most 366 days, the default) or `month` (at most 36 months), all in UTC.
    pub granularity: Option<String>,
    /// What usage is told apart by: `account`, `user`, `key`, `api` or `endpoint`. By the hour, users and keys are not known.
    pub group_by: Option<String>,
    /// Also what was used below the account, while it was below it.
    pub include_descendants: Option<bool>,
    /// `json` (the default) or `csv`.
    pub format: Option<String>,
}

/// What was used, part by part.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// What was asked about, widened to whole hours, days or months.
    pub period: UsagePeriod,
    /// `hour`, `day` or `month`.
    pub granularity: String,
    /// What `group` is in the rows; `null` if nothing is told apart.
    pub group_by: Option<String>,
    /// In the order of time. Where nothing was used there is no row.
    pub data: Vec<UsageRow>,
    /// The sums of all rows.
    pub totals: UsageSums,
    /// RFC 3339, UTC: what this server had recorded by then is in. `null` shortly after a start.
    pub as_of: Option<String>,
}

/// From an instant up to another, which is not part of it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsagePeriod {
    /// RFC 3339, UTC.
    pub from: String,
    /// RFC 3339, UTC.
    pub to: String,
}

/// What was used in one hour, day or month.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageRow {
    /// RFC 3339, UTC: its beginning.
    pub from: String,
    /// The id of what `groupBy` says; `null` if nothing is told apart, and where a key was nobody's.
    pub group: Option<String>,
    /// The API, where endpoints are told apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// How much.
    #[serde(flatten)]
    pub sums: UsageSums,
}

/// How much was used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageSums {
    /// Calls that were forwarded.
    pub calls: i64,
    /// Those of them that the API refused (4xx), failed to do (5xx) or did not answer.
    pub failures: i64,
    /// What was charged for them.
    pub credits: i64,
}
