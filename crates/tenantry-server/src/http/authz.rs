//! Questions of proxies: may the call that is waiting in front of an API go on?
//!
//! The proxy repeats the caller's headers and says what is called. Who calls is read from the credential, where from by the rule
//! for proxies that are trusted.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use tenantry_api as api;
use tenantry_core::Refusal;
use tenantry_core::refusal::Code;

use crate::app;
use crate::credential;
use crate::ctx::{Ctx, single};
use crate::problem::{Error, Result};
use crate::reply::{Reply, headers};

/// The call that is waiting, as the proxy tells it.
pub(crate) struct Waiting {
    pub(crate) key: String,
    pub(crate) assume: Option<String>,
    pub(crate) method: String,
    pub(crate) target: String,
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
        let key = credential::in_headers(&parts.headers)?.ok_or(Code::CredentialMissing)?;
        Ok(Self {
            key,
            assume: single(&parts.headers, headers::ASSUME, Code::AssumeMalformed)?,
            method: told(["x-original-method", "x-forwarded-method"])?,
            target: told(["x-original-uri", "x-forwarded-uri"])?,
        })
    }
}

/// For nginx, which knows no refusals but 401 and 403: what it is really is in `X-Tenantry-Status` and `X-Tenantry-Code`.
pub(crate) async fn nginx(ctx: Ctx, waiting: Result<Waiting>) -> Result<Reply<api::Decision>> {
    waiting.and_then(|waiting| app::decisions::authorize(&ctx, &waiting)).map_err(Error::narrowed)
}

/// For proxies that pass a refusal on to the caller as it is.
pub(crate) async fn forward(ctx: Ctx, waiting: Result<Waiting>) -> Result<Reply<api::Decision>> {
    app::decisions::authorize(&ctx, &waiting?)
}
