//! Signing in and out.

use tenantry_api as api;
use tenantry_core::id::SessionId;

use super::extract::{Body, Path, Query};
use crate::app;
use crate::ctx::Ctx;
use crate::input;
use crate::problem::Result;
use crate::reply::{Created, Reply};

pub(crate) async fn create(ctx: Ctx, Body(given): Body<api::SignIn>) -> Result<Created<api::SignedIn>> {
    app::sessions::create(&ctx, &given).await
}

pub(crate) async fn prove(ctx: Ctx, Body(proof): Body<api::NewProof>) -> Result<Reply<api::Session>> {
    app::sessions::prove(&ctx, proof).await
}

pub(crate) async fn list(ctx: Ctx, Query(query): Query<api::PageQuery>) -> Result<Reply<api::List<api::Session>>> {
    app::sessions::list(&ctx, input::page(&query)?).await
}

pub(crate) async fn end_current(ctx: Ctx) -> Result<Reply<api::SessionsEnded>> {
    app::sessions::end(&ctx, None).await
}

pub(crate) async fn end(ctx: Ctx, Path((session,)): Path<(SessionId,)>) -> Result<Reply<api::SessionsEnded>> {
    app::sessions::end(&ctx, Some(session)).await
}

pub(crate) async fn end_all(ctx: Ctx) -> Result<Reply<api::SessionsEnded>> {
    app::sessions::end_all(&ctx).await
}
