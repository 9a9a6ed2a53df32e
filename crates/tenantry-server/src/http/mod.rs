//! Handlers: from the wire to a use case and back, and nothing else.

pub(crate) mod accounts;
pub(crate) mod audit;
pub(crate) mod docs;
pub(crate) mod extract;
pub(crate) mod hierarchy;
pub(crate) mod keys;
pub(crate) mod org;
pub(crate) mod resources;
pub(crate) mod settings;
