//! JSON that the domain stores, compares and hands on, but never looks into.

use std::fmt;

/// One JSON value as text. The edge that parsed it vouches that it is valid.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Document(String);

impl Document {
    /// Takes text that a JSON serializer produced.
    #[must_use]
    pub const fn from_json(text: String) -> Self {
        Self(text)
    }

    /// The empty object.
    #[must_use]
    pub fn empty() -> Self {
        Self("{}".to_owned())
    }

    /// The JSON text.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
