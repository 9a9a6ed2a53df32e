//! The control plane over HTTP.
//!
//! | module | holds |
//! |---|---|
//! | [`router`] | the whole API on one page |
//! | [`route`] | a row of that page: method, path, permission, handler, documentation |
//! | [`ctx`] | a request: who, when, for whom; its doors into the store |
//! | `app` | use cases: one transaction, one event each |
//! | `http` | ten-line handlers between the wire and the use cases |
//! | [`input`], [`view`] | wire to domain, domain to wire |
//! | [`problem`] | the one place where errors become HTTP |
//! | [`reply`], [`csv`] | answers, and how they are kept for repetitions; tables for spreadsheets |
//! | [`credential`] | what a request presents, in headers or cookies |
//! | [`password`], [`passkeys`], [`providers`], [`attempts`] | how people prove who they are, and how often they may try |
//! | [`mail`] | what is written to them |
//! | [`metering`] | what calls used, on its way into the database |
//! | [`edge`] | what happens to every request: id, deadline, log, metrics |
//! | [`gateway`] | the door to the APIs behind, and to the routes beside them |
//! | [`lane`] | the short way of questions that proxies ask |
//! | [`net`] | the accept loop and its timeouts |
//! | [`ops`], [`metrics`] | health and figures, on a listener of their own |
//! | [`workers`] | scheduled work |
//! | [`openapi`] | the document, made from the routes and the wire types |

mod app;
mod attempts;
pub mod chance;
pub mod clock;
pub mod config;
mod credential;
mod csv;
pub mod ctx;
pub mod demo;
mod edge;
mod gateway;
mod http;
mod input;
mod lane;
pub mod mail;
pub mod metering;
pub mod metrics;
mod net;
pub mod openapi;
mod ops;
mod passkeys;
pub mod password;
pub mod plane;
pub mod problem;
mod providers;
mod reply;
pub mod route;
pub mod router;
mod seal;
mod server;
mod state;
mod view;
mod workers;

pub use config::{Address, Config, Networks, Timeouts};
// For whoever plays Envoy.
pub use http::ext_authz::messages as ext_authz;
pub use problem::{Error, Result};
pub use providers::use_ring;
pub use server::{Running, Server};
pub use state::App;
