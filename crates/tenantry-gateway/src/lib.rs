//! The data plane: what happens to a call between a client and the API behind, without a database.
//!
//! | module | holds |
//! |---|---|
//! | [`headers`] | reading what a call presents, and the names of our own headers |
//! | [`verdict`] | whether a call may happen, by the snapshot in memory |
//! | [`journal`] | what calls used, on the disk until the database has it |
//! | [`lease`] | whether there are credits for a call |
//! | [`limits`] | how many calls were made, and are being made |
//! | [`proxy`] | a call through the gateway, phase by phase |
//! | `identity` | what the API behind is told about who calls |
//! | `upstream`, `breaker` | the servers behind, and when they are left alone |
//! | `outgoing`, `incoming` | requests and answers, cleaned of what must not pass |
//! | `settle` | what a call cost, and its record |
//! | `tunnel` | connections that became something else than HTTP |

mod breaker;
pub mod headers;
mod identity;
mod incoming;
pub mod journal;
pub mod lease;
pub mod limits;
mod outgoing;
pub mod proxy;
mod settle;
mod tunnel;
mod upstream;
pub mod verdict;

pub use proxy::{Arrival, Gateway, Options};
pub use upstream::Address;
