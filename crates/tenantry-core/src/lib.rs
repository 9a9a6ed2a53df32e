//! The domain of Tenantry as pure functions of values.
//!
//! Nothing here performs I/O, awaits, reads a clock, draws a random number or knows a
//! serialization format. What depends on time takes `now`; what depends on chance takes bytes.
//! Everything that decides something is here, so that every rule can be tested by calling it.
//!
//! | module | holds |
//! |---|---|
//! | [`id`] | typed, prefixed, time-sorted identifiers |
//! | [`time`] | instants |
//! | [`document`] | JSON that the domain carries but never looks into |
//! | [`refusal`] | the table of error codes, and the error that carries one |
//! | [`permission`] | the table of permissions, and sets of them |
//! | [`account`] | an account, its status and limits |
//! | [`lineage`] | an account with its ancestors, and all that is inherited down it |
//! | [`tree`] | may this account be created, moved, detached, suspended, activated, closed? |
//! | [`key`] | API keys: their text, their state, their scopes |
//! | [`access`] | who is calling, for whom, and with what rights over an account |
//! | [`event`] | the table of event kinds, and revisions of the changelog |

pub mod access;
pub mod account;
pub mod document;
pub mod event;
pub mod id;
pub mod key;
pub mod lineage;
pub mod permission;
pub mod refusal;
pub mod time;
pub mod tree;

pub use document::Document;
pub use refusal::{Code, Refusal};
pub use time::Timestamp;
