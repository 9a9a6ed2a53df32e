//! What can go wrong below the use cases.

use std::fmt;

use tenantry_core::Refusal;
use tenantry_core::refusal::Code;

use crate::record::KeptAnswer;

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the store did not do what it was asked.
#[derive(Debug)]
pub enum Error {
    /// A rule stands against it; may be shown to the caller.
    Refused(Refusal),
    /// The request was answered before; here is that answer.
    Answered(KeptAnswer),
    /// The database cannot be reached, is out of connections or out of space.
    Unavailable(Box<dyn std::error::Error + Send + Sync>),
    /// The schema is not the one that this binary works with.
    Schema(String),
    /// A stored value is not what the schema promises.
    Inconsistent {
        /// The column.
        column: &'static str,
        /// What was found.
        found: String,
    },
    /// Anything else that the database said.
    Database(Box<dyn std::error::Error + Send + Sync>),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Answered(_) => f.write_str("this request was answered before"),
            Self::Unavailable(source) => write!(f, "the database is not available: {source}"),
            Self::Schema(text) => f.write_str(text),
            Self::Inconsistent { column, found } => write!(f, "column {column} holds {found}"),
            Self::Database(source) => write!(f, "the database failed: {source}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Code> for Error {
    fn from(code: Code) -> Self {
        Self::Refused(code.into())
    }
}
