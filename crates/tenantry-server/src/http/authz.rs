//! Questions of proxies over HTTP: may the call that is waiting in front of an API go on? Envoy asks in gRPC, see
//! [`super::ext_authz`].
//!
//! The proxy repeats the caller's headers and says what is called. Who calls is read from the credential, where from by the rule
//! for proxies that are trusted.

use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use tenantry_api as api;
use tenantry_core::Refusal;
use tenantry_core::refusal::Code;

use crate::app::decisions::{self, Allowed};
use crate::credential;
use crate::ctx::{Arrival, Ctx, single};
use crate::problem::{Error, Result};
use crate::reply::{Reply, headers};

/// The call that is waiting, as the proxy tells it.
pub(crate) struct Waiting {
    pub(crate) key: String,
    pub(crate) assume: Option<String>,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) address: Option<IpAddr>,
}

impl Waiting {
    /// What the caller's headers say about a call: not yet what is called.
    pub(crate) fn from_headers(sent: &HeaderMap, address: Option<IpAddr>) -> Result<Self> {
        Ok(Self {
            key: credential::in_headers(sent)?.ok_or(Code::CredentialMissing)?,
            assume: single(sent, headers::ASSUME, Code::AssumeMalformed)?,
            method: String::new(),
            target: String::new(),
            address,
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Waiting {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        // nginx and others use one pair of names, Caddy and Traefik another.
        let told = |names: [&str; 2]| {
            let mut values = names.iter().map(|name| single(&parts.headers, name, Code::InvalidParameter));
            let told = values.find_map(Result::transpose).transpose()?;
            told.ok_or_else(|| {
                Error::from(Refusal::at(Code::InvalidParameter, names.join(" or "), "is the proxy's to send"))
            })
        };
        let address = parts.extensions.get::<Arrival>().and_then(|arrival| arrival.ip);
        let waiting = Self::from_headers(&parts.headers, address)?;
        Ok(Self {
            method: told(["x-original-method", "x-forwarded-method"])?,
            target: told(["x-original-uri", "x-forwarded-uri"])?,
            ..waiting
        })
    }
}

/// For nginx, which knows no refusals but 401 and 403: what it is really is in `X-Tenantry-Status` and `X-Tenantry-Code`.
pub(crate) async fn nginx(ctx: Ctx, waiting: Result<Waiting>) -> Result<Reply<api::Decision>> {
    match forward(ctx, waiting).await {
        Err(Error::Refused(refusal)) => Err(Error::Narrowed(refusal)),
        answered => answered,
    }
}

/// For proxies that pass a refusal on to the caller as it is.
pub(crate) async fn forward(ctx: Ctx, waiting: Result<Waiting>) -> Result<Reply<api::Decision>> {
    let Allowed { decision, identity } = decisions::authorize(&ctx.app, ctx.now, &waiting?)?;
    // All of them, empty where there is nothing to say: a proxy that copies a header which is not there may leave in its place
    // what a client sent under that name, or worse.
    let reply = Reply::to_anybody(decision);
    Ok(identity.into_iter().fold(reply, |reply, (name, value)| reply.header(name, value)))
}
