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
//! | [`feature`] | named capabilities and limits, handed down the tree |
//! | [`secret`] | the text of keys, session tokens and link tokens |
//! | [`key`] | API keys: their state, their scopes |
//! | [`session`] | somebody who is signed in |
//! | [`role`] | named sets of permissions, and the rank guard |
//! | [`rights`] | what a person may do over an account, and why |
//! | [`member`], [`invitation`] | who may give, change and take roles; seats; being asked to join |
//! | [`ticket`] | what links in mails are good for, and which mails there are |
//! | [`throttle`] | how often something may be tried |
//! | [`limit`] | how many calls may be made in a time, and at once |
//! | [`path`], [`method`] | what a call asks for in canonical form, and the patterns that name it |
//! | [`network`] | from where a call comes |
//! | [`catalogue`] | the APIs that are sold, and their endpoints |
//! | [`restriction`], [`allowlist`] | rules that take something away |
//! | [`access`] | who is calling, for whom, with what rights over an account, and why |
//! | [`snapshot`] | everything that a decision needs in memory, and the decision |
//! | [`usage`] | what calls used: the record of one, and the sums of many |
//! | [`event`] | the table of event kinds, and revisions of the changelog |

pub mod access;
pub mod account;
pub mod allowlist;
pub mod catalogue;
pub mod document;
pub mod event;
pub mod feature;
pub mod id;
pub mod invitation;
pub mod key;
pub mod limit;
pub mod lineage;
pub mod member;
pub mod method;
pub mod network;
pub mod path;
pub mod permission;
pub mod refusal;
pub mod restriction;
pub mod rights;
pub mod role;
pub mod secret;
pub mod session;
pub mod snapshot;
pub mod throttle;
pub mod ticket;
pub mod time;
pub mod tree;
pub mod usage;

pub use document::Document;
pub use refusal::{Code, Refusal};
pub use time::Timestamp;
