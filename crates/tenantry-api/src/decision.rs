//! Decisions of the data plane.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A call that somebody wants to make.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DecisionRequest {
    /// The key that they present.
    pub key: String,
    /// The value of `x-assume-org`, if they send one.
    pub assume_org: Option<String>,
    /// The address that they call from.
    pub ip: String,
    /// The method.
    pub method: String,
    /// The path as it was sent; what follows a `?` is not looked at.
    pub path: String,
    /// A resource that the call is about, if it is not named in the path.
    pub resource: Option<DecisionResource>,
    /// Whether every step is told.
    #[serde(default)]
    pub explain: bool,
    /// Whether the question is hypothetical: nothing is reserved, and no limit counts it.
    #[serde(default)]
    pub dry_run: bool,
}

/// A resource that a call is about.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DecisionResource {
    /// What kind of thing.
    pub kind: String,
    /// Its id, or its id in its owner's system.
    pub id: String,
}

/// Several calls, each judged for itself.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DecisionBatch {
    /// 1 to 256.
    pub decisions: Vec<DecisionRequest>,
}

/// The answers to several calls, in their order.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Decisions {
    /// The answers.
    pub decisions: Vec<Decision>,
}

/// Whether a call may happen.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// Whether it may.
    pub allow: bool,
    /// Why not: a code of the table of errors.
    pub code: Option<String>,
    /// The HTTP status that fits the code; 200 if the call may happen.
    pub status: u16,
    /// What decided, if it was something that somebody set.
    pub rule: Option<DecidingRule>,
    /// The account on whose behalf.
    pub subject: Option<String>,
    /// Who calls.
    pub actor: Option<DecisionActor>,
    /// The API that is called.
    pub api: Option<String>,
    /// The endpoint that is called.
    pub endpoint: Option<String>,
    /// What the call costs, in credits.
    pub cost: i64,
    /// The credits that are left; `null` where nothing is counted.
    pub remaining: Option<i64>,
    /// The seconds after which it is worth another try, where waiting is all that is needed.
    pub retry_after: Option<u64>,
    /// Header fields for the client, where its calls are limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<DecisionHeaders>,
    /// The revision that was decided at, in the changelog of the subject's tree.
    pub rev: Option<String>,
    /// All steps, if they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<Vec<DecisionStep>>,
    /// What would let the call through the step that denied it, all of it together, if that was asked for. A later step may
    /// deny it still.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixes: Option<Vec<DecisionFix>>,
}

/// Header fields for the client, as in draft-ietf-httpapi-ratelimit-headers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DecisionHeaders {
    /// All rates that apply: those of the `key`, of the `account`, and of accounts `above-1` and further.
    #[serde(rename = "RateLimit-Policy")]
    pub policy: String,
    /// What is left of the tightest, and in how many seconds all is there again; or one call, where nothing is left.
    #[serde(rename = "RateLimit")]
    pub limit: String,
}

/// That a call may go on. Who makes it is in the headers of the answer.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Authorized {
    /// `true`: whatever may not happen is refused.
    pub allow: bool,
}

/// One change that would be needed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DecisionFix {
    /// What has to be done: `useAnotherKey`, `actForAnotherAccount`, `callSomethingElse`, `callFromElsewhere`, `activate`, `giveRole`,
    /// `inheritAdmins`, `widenScopes`, `addAddress`, `liftRestriction`, `assignFeature`, `shareResource`, `wait`, for which a higher limit
    /// would do as well, or `askAbove`, where it is up to an account that one may not read.
    pub action: String,
    /// On which account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// For whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Of which key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// By which rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_id: Option<String>,
    /// Which permission, feature, resource (`kind:name`) or kind of limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// For how many seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
}

/// A call that one wants to know about.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WhyQuery {
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The address that the call comes from.
    pub ip: String,
    /// The value of `x-assume-org`, if one is sent.
    pub assume_org: Option<String>,
    /// What kind of resource the call is about, if it is not named in the path.
    pub resource_kind: Option<String>,
    /// Its id, or its id in its owner's system.
    pub resource_id: Option<String>,
}

/// For which account one wants to know what a key can do.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReachQuery {
    /// The value of `x-assume-org`, if one is sent.
    pub assume_org: Option<String>,
}

/// What a key can do. IP allow-lists and limits may still stand against a call.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reach {
    /// Why it can do nothing at all, if that is so.
    pub code: Option<String>,
    /// Every endpoint of the catalogue.
    pub endpoints: Vec<ReachedEndpoint>,
}

/// An endpoint, and whether a key can call it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReachedEndpoint {
    /// The API.
    pub api: String,
    /// The endpoint.
    pub endpoint: String,
    /// Its method.
    pub method: String,
    /// Its path, below the API's base path.
    pub path: String,
    /// What a call costs, in credits.
    pub cost: i64,
    /// `all`; `some`, where it depends on the path or on the resource that it names; or `none`.
    pub verdict: String,
    /// Why not.
    pub code: Option<String>,
    /// What decides, if it is something that somebody set.
    pub rule: Option<DecidingRule>,
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DecisionActor {
    /// The account of the key.
    pub account_id: Option<String>,
    /// The key.
    pub key_id: Option<String>,
    /// The person whose key it is.
    pub user_id: Option<String>,
}

/// Something that somebody set and that decided. Of what is set by an account that one may not read, only the kind is told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DecidingRule {
    /// Its id, or the name of the feature; of a limit, the id of the key or the account whose it is.
    pub id: Option<String>,
    /// `restriction`, `ipAllowlist`, `keyNetworks`, `feature`, `rateLimit` or `inFlight`.
    pub kind: String,
    /// The account that holds it.
    pub account_id: Option<String>,
    /// When it was last set, RFC 3339, UTC.
    pub set_at: Option<String>,
    /// Who set it: the id of a user or of a key, or `operator`.
    pub set_by: Option<String>,
}

/// One step of a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DecisionStep {
    /// What is asked.
    pub step: String,
    /// `passed`, `failed` or `not reached`.
    pub verdict: String,
}
