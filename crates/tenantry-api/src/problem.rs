//! Errors: RFC 9457 problem details.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a request was refused (`application/problem+json`).
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// A page about the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The code in a sentence.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// This occurrence in a sentence.
    pub detail: String,
    /// The stable code; branch on this.
    pub code: String,
    /// Name it when you ask for help.
    pub request_id: String,
    /// The fields or parameters at fault.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// What is wrong with one field or parameter.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct FieldError {
    /// A dotted path into the body, or the name of a parameter.
    pub field: String,
    /// What it takes instead.
    pub message: String,
}
