//! The catalogue: APIs and their endpoints.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::nullable;

/// A product that the operator sells.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Api {
    /// The operator's name for it: what rules call it.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Where it begins.
    pub base_path: String,
    /// Where the gateway forwards to; `null` is the upstream of the deployment.
    pub upstream: Option<String>,
    /// How many endpoints it has.
    pub endpoints: usize,
    /// RFC 3339, UTC.
    pub created_at: String,
    /// RFC 3339, UTC.
    pub updated_at: String,
}

/// A new API.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewApi {
    /// 1 to 64 lower-case letters, digits and dashes, beginning with a letter.
    pub id: String,
    /// 1 to 200 characters.
    pub name: String,
    /// A path without variables, such as `/voice`; `/` is whatever belongs to no other API.
    pub base_path: String,
    /// An address such as `http://10.0.0.7:8000`.
    pub upstream: Option<String>,
}

/// Changes to an API: what is left out stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApiPatch {
    /// 1 to 200 characters.
    pub name: Option<String>,
    /// `null` is the upstream of the deployment.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Option::is_none")]
    pub upstream: Option<Option<String>>,
}

/// A method and a pattern of paths.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// `end_…`
    pub id: String,
    /// The API that it belongs to.
    pub api: String,
    /// The method.
    pub method: String,
    /// The path below the API's base path.
    pub path: String,
    /// What a call costs, in credits.
    pub cost: i64,
    /// The permission that a caller needs.
    pub permission: String,
    /// The feature that the account needs.
    pub feature: Option<String>,
    /// The resource that a call names in its path.
    pub resource: Option<EndpointResource>,
    /// Which answers cost: `success` (2xx) or `always`.
    pub settle: String,
    /// RFC 3339, UTC.
    pub created_at: String,
    /// RFC 3339, UTC.
    pub updated_at: String,
}

/// A resource that calls name in their path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EndpointResource {
    /// What kind of thing: `voice`, for instance.
    pub kind: String,
    /// The `{name}` in the path that is its id, or its id in its owner's system.
    pub name: String,
}

/// A new endpoint.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewEndpoint {
    /// `GET`, `HEAD`, `POST`, `PUT`, `PATCH`, `DELETE` or `OPTIONS`.
    pub method: String,
    /// Such as `/tts/{voice}`: `{name}` or `*` stands for any segment, `**` at the end for all that follows.
    pub path: String,
    /// What a call costs, in credits; 1 unless given.
    pub cost: Option<i64>,
    /// The permission that a caller needs; `credits.consume` unless given.
    pub permission: Option<String>,
    /// The feature that the account needs.
    pub feature: Option<String>,
    /// The resource that a call names in its path.
    pub resource: Option<EndpointResource>,
    /// Which answers cost: `success` (2xx), unless given, or `always`.
    pub settle: Option<String>,
}

/// Changes to an endpoint: what is left out stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EndpointPatch {
    /// What a call costs, in credits.
    pub cost: Option<i64>,
    /// The permission that a caller needs.
    pub permission: Option<String>,
    /// `null`: none.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Option::is_none")]
    pub feature: Option<Option<String>>,
    /// `null`: none.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Option::is_none")]
    pub resource: Option<Option<EndpointResource>>,
    /// Which answers cost.
    pub settle: Option<String>,
}

/// What an OpenAPI document changed, or would change with `?dryRun=true`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointDifference {
    /// Endpoints of the document that were not there: `METHOD path`.
    pub added: Vec<String>,
    /// Endpoints that the document does not have: they are deleted.
    pub removed: Vec<String>,
    /// Endpoints that are there already. They stay as they are.
    pub kept: usize,
}
