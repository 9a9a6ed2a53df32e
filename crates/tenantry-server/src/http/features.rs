//! Features.

use tenantry_api as api;
use tenantry_core::id::AccountId;

use super::extract::{Body, Path};
use crate::app;
use crate::ctx::Ctx;
use crate::input;
use crate::problem::Result;
use crate::reply::Reply;

pub(crate) async fn get(ctx: Ctx, Path((account,)): Path<(AccountId,)>) -> Result<Reply<api::Features>> {
    app::features::get(&ctx, account).await
}

pub(crate) async fn assign(
    ctx: Ctx,
    Path((account,)): Path<(AccountId,)>,
    Body(wanted): Body<api::FeatureMap>,
) -> Result<Reply<api::Features>> {
    app::features::assign(&ctx, account, input::features(&wanted)?).await
}
