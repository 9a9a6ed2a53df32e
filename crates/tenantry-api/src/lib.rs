//! The wire: every body that Tenantry takes or gives, as a type.
//!
//! Bodies are JSON in camelCase, except `parent_id`, which the published contract spells so.
//! Fields that an operation does not know are refused. Ids are texts here; the server parses them.
//! The OpenAPI document is made from these types and their comments.

mod account;
mod audit;
mod catalogue;
mod decision;
mod key;
mod limit;
mod member;
mod org;
mod page;
mod problem;
mod resource;
mod rule;
mod session;
mod settings;
mod usage;
mod user;

pub use account::*;
pub use audit::*;
pub use catalogue::*;
pub use decision::*;
pub use key::*;
pub use limit::*;
pub use member::*;
pub use org::*;
pub use page::*;
pub use problem::*;
pub use resource::*;
pub use rule::*;
pub use session::*;
pub use settings::*;
pub use usage::*;
pub use user::*;

use serde::{Deserialize, Deserializer};

/// Tells a field that is `null` (`Some(None)`) from one that is left out (`None`).
fn nullable<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// A JSON object whose fields are up to the caller.
pub type Object = serde_json::Map<String, serde_json::Value>;
