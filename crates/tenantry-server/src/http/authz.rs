//! Questions of proxies over HTTP: may the call that is waiting in front of an API go on? Envoy asks in gRPC, see
//! [`super::ext_authz`].
//!
//! The proxy repeats the caller's headers and says what is called. Who calls is read from the credential, where from by the rule
//! for proxies that are trusted. Most of these questions come the short way, by [`crate::lane`].

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use tenantry_api as api;
use tenantry_core::Refusal;
use tenantry_core::refusal::Code;
use tenantry_gateway::headers::{ASSUME, credential, single};
use tenantry_gateway::verdict::{Allowed, Call};

use crate::app::decisions;
use crate::ctx::{Arrival, Ctx};
use crate::problem::{Error, Result};
use crate::reply::{Bare, Reply, headers};

/// What a caller's headers say about a call; what is called is not among it.
pub(crate) fn from_headers(sent: &HeaderMap, address: Option<IpAddr>) -> Result<Call<'_>> {
    Ok(Call {
        key: credential(sent)?.ok_or(Code::CredentialMissing)?,
        assume: single(sent, ASSUME, Code::AssumeMalformed)?,
        address,
        method: "",
        target: "",
        resource: None,
    })
}

/// The call that is waiting, as the proxy tells it.
pub(crate) fn waiting(sent: &HeaderMap, address: Option<IpAddr>) -> Result<Call<'_>> {
    // nginx and others use one pair of names, Caddy and Traefik another.
    let told = |names: [&'static str; 2]| {
        let mut values = names.iter().map(|name| single(sent, name, Code::InvalidParameter));
        let told = values.find_map(Result::transpose).transpose()?;
        told.ok_or_else(|| {
            Error::from(Refusal::at(Code::InvalidParameter, names.join(" or "), "is the proxy's to send"))
        })
    };
    let call = from_headers(sent, address)?;
    Ok(Call {
        method: told(["x-original-method", "x-forwarded-method"])?,
        target: told(["x-original-uri", "x-forwarded-uri"])?,
        ..call
    })
}

/// The headers of a question, and where it comes from.
pub(crate) struct Asked {
    fields: HeaderMap,
    address: Option<IpAddr>,
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let address = parts.extensions.get::<Arrival>().and_then(|arrival| arrival.ip);
        Ok(Self { fields: std::mem::take(&mut parts.headers), address })
    }
}

/// What the API behind is told about a call. All of it is there, empty where there is nothing to say: a proxy that copies a
/// header which is not there may leave in its place what a client sent under that name, or worse.
pub(crate) fn identity(allowed: &Allowed) -> [(&'static str, String); 7] {
    [
        (headers::ACCOUNT, allowed.subject().to_string()),
        (headers::ACTOR, allowed.actor.to_string()),
        (headers::KEY, allowed.key.to_string()),
        (headers::USER, allowed.user.map(|user| user.to_string()).unwrap_or_default()),
        (headers::API, allowed.api.clone()),
        (headers::ENDPOINT, allowed.endpoint.to_string()),
        (headers::COST, allowed.cost.to_string()),
    ]
}

/// For nginx, which knows no refusals but 401 and 403: what it is really is in `X-Tenantry-Status` and `X-Tenantry-Code`. There is
/// no body: nginx does not read it, and closes the connection if there is one.
pub(crate) async fn nginx(ctx: Ctx, asked: Asked) -> Result<Bare> {
    let said = headers_of_allowed(&ctx, &asked).map_err(Error::narrowed)?;
    Ok(Bare(said.into_iter().fold(Reply::to_anybody(()), |reply, (name, value)| reply.header(name, value))))
}

/// For proxies that pass a refusal on to the caller as it is.
pub(crate) async fn forward(ctx: Ctx, asked: Asked) -> Result<Reply<api::Authorized>> {
    let said = headers_of_allowed(&ctx, &asked)?;
    let reply = Reply::to_anybody(api::Authorized { allow: true });
    Ok(said.into_iter().fold(reply, |reply, (name, value)| reply.header(name, value)))
}

fn headers_of_allowed(ctx: &Ctx, Asked { fields, address }: &Asked) -> Result<Vec<(&'static str, String)>> {
    let (allowed, limits) = decisions::authorize(&ctx.app, ctx.now, &waiting(fields, *address)?)?;
    Ok(identity(&allowed).into_iter().chain(limits.into_iter().flat_map(headers::of_limits)).collect())
}
