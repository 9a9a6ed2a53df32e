//! Use cases: each opens one transaction, asks the core, writes, and commits with an event.

pub(crate) mod accounts;
pub(crate) mod allowlists;
pub(crate) mod audit;
pub(crate) mod authenticator;
pub(crate) mod call_limits;
pub(crate) mod catalogue;
mod change;
pub(crate) mod decisions;
pub(crate) mod enrollment;
pub(crate) mod explain;
pub(crate) mod features;
pub(crate) mod hierarchy;
pub(crate) mod invitations;
pub(crate) mod keys;
pub(crate) mod members;
pub(crate) mod org;
pub(crate) mod organization;
pub(crate) mod passkeys;
pub(crate) mod providers;
pub(crate) mod resources;
pub(crate) mod restrictions;
pub(crate) mod roles;
pub(crate) mod sessions;
pub(crate) mod settings;
pub(crate) mod usage;
pub(crate) mod users;
