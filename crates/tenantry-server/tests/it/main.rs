//! The control plane over real HTTP, on both engines.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests fail by panicking, and print their figures"
)]

mod accounts;
mod assume;
mod audit;
mod authenticator;
mod behind;
mod contract;
mod decisions;
mod documents;
mod every_route;
mod explain;
mod ext_authz;
mod gateway;
mod idempotency;
mod invitations;
mod keys;
mod limits;
mod mail;
mod members;
mod network;
mod passkeys;
mod providers;
mod proxies;
mod resources;
mod rules;
mod settings;
mod stories;
mod subtree;
mod support;
mod torture;
mod tree_model;
mod usage;
mod users;
mod wire;
