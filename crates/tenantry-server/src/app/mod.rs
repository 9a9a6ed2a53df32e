//! Use cases: each opens one transaction, asks the core, writes, and commits with one event.

pub(crate) mod accounts;
pub(crate) mod audit;
mod change;
pub(crate) mod hierarchy;
pub(crate) mod keys;
pub(crate) mod org;
pub(crate) mod resources;
pub(crate) mod settings;
