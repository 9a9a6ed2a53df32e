//! Passkeys.

use tenantry_api as api;
use tenantry_core::id::PasskeyId;

use super::extract::{Body, Path, Query};
use crate::app;
use crate::ctx::Ctx;
use crate::input;
use crate::problem::Result;
use crate::reply::{Created, Reply};

pub(crate) async fn list(ctx: Ctx, Query(query): Query<api::PageQuery>) -> Result<Reply<api::List<api::Passkey>>> {
    app::passkeys::list(&ctx, input::page(&query)?).await
}

pub(crate) async fn begin(ctx: Ctx) -> Result<Reply<api::Challenge>> {
    app::passkeys::begin(&ctx).await
}

pub(crate) async fn add(ctx: Ctx, Body(new): Body<api::NewPasskey>) -> Result<Created<api::Passkey>> {
    let name = input::name("name", &new.name)?;
    app::passkeys::add(&ctx, &new.ceremony, name, new.credential).await
}

pub(crate) async fn remove(ctx: Ctx, Path((passkey,)): Path<(PasskeyId,)>) -> Result<Reply<api::Deleted>> {
    app::passkeys::remove(&ctx, passkey).await
}

pub(crate) async fn begin_sign_in(ctx: Ctx) -> Result<Reply<api::Challenge>> {
    app::passkeys::begin_sign_in(&ctx).await
}

pub(crate) async fn sign_in(ctx: Ctx, Body(given): Body<api::PasskeyAnswer>) -> Result<Created<api::SignedIn>> {
    app::passkeys::sign_in(&ctx, &given.ceremony, given.credential).await
}
