//! Identity providers.

use tenantry_api as api;

use super::extract::{Body, Query};
use crate::app;
use crate::ctx::Ctx;
use crate::input;
use crate::problem::Result;
use crate::reply::{Created, Reply};

pub(crate) async fn list(ctx: Ctx, Query(query): Query<api::PageQuery>) -> Result<Reply<api::List<String>>> {
    Ok(app::providers::list(&ctx, input::page(&query)?))
}

pub(crate) async fn begin(ctx: Ctx, Body(chosen): Body<api::ProviderChoice>) -> Result<Reply<api::ProviderRedirect>> {
    app::providers::begin(&ctx, &chosen.provider).await
}

pub(crate) async fn sign_in(ctx: Ctx, Body(answer): Body<api::ProviderAnswer>) -> Result<Created<api::SignedIn>> {
    app::providers::sign_in(&ctx, &answer).await
}

pub(crate) async fn begin_link(
    ctx: Ctx,
    Body(chosen): Body<api::ProviderChoice>,
) -> Result<Reply<api::ProviderRedirect>> {
    app::providers::begin_link(&ctx, &chosen.provider).await
}

pub(crate) async fn link(ctx: Ctx, Body(answer): Body<api::ProviderAnswer>) -> Result<Created<api::Identity>> {
    app::providers::link(&ctx, &answer).await
}
