//! Resources and shares.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Object, nullable};

/// A typed thing that an account owns.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resource {
    /// `res_…`
    pub id: String,
    /// Its owner.
    pub account_id: String,
    /// What kind of thing: `device`, `voice`, `sound-design`, …
    pub kind: String,
    /// What people call it.
    pub name: String,
    /// Its id in the owner's own system.
    pub external_id: Option<String>,
    /// Whatever its owner keeps with it.
    pub metadata: Object,
    /// Whether an account above owns it and shares it with this one.
    pub shared: bool,
    /// RFC 3339, UTC.
    pub created_at: String,
    /// RFC 3339, UTC.
    pub updated_at: String,
}

/// A new resource.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewResource {
    /// 1 to 64 lower-case letters, digits and dashes, beginning with a letter.
    pub kind: String,
    /// 1 to 200 characters.
    pub name: String,
    /// Unique among the account's resources of the kind.
    pub external_id: Option<String>,
    /// At most 16 KiB.
    pub metadata: Option<Object>,
}

/// Changes to a resource: what is left out stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourcePatch {
    /// 1 to 200 characters.
    pub name: Option<String>,
    /// `null` removes it.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Option::is_none")]
    pub external_id: Option<Option<String>>,
    /// Replaces all metadata.
    pub metadata: Option<Object>,
}

/// The grant of a resource to accounts below its owner.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Share {
    /// `shr_…`
    pub id: String,
    /// What is shared.
    pub resource_id: String,
    /// The id of a descendant, or `descendants` for all of them.
    pub to: String,
    /// RFC 3339, UTC.
    pub created_at: String,
}

/// With whom to share.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewShare {
    /// The id of a descendant, or `descendants` for all of them.
    pub to: String,
}

/// Something that was deleted.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deleted {
    /// The id that is no more.
    pub id: String,
    /// Always true.
    pub deleted: bool,
}
