//! Codes of an authenticator app.

use tenantry_api as api;

use super::extract::Body;
use crate::app;
use crate::ctx::Ctx;
use crate::problem::Result;
use crate::reply::{Created, Reply};

pub(crate) async fn begin(ctx: Ctx) -> Result<Created<api::AuthenticatorSecret>> {
    app::authenticator::begin(&ctx).await
}

pub(crate) async fn confirm(ctx: Ctx, Body(given): Body<api::AuthenticatorCode>) -> Result<Reply<api::RecoveryCodes>> {
    app::authenticator::confirm(&ctx, &given.code).await
}

pub(crate) async fn remove(ctx: Ctx) -> Result<Reply<api::Deleted>> {
    app::authenticator::remove(&ctx).await
}
