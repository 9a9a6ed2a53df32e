//! Limits of calls.

use tenantry_api as api;
use tenantry_core::id::AccountId;

use super::extract::{Body, Path};
use crate::app;
use crate::ctx::Ctx;
use crate::input;
use crate::problem::Result;
use crate::reply::Reply;

pub(crate) async fn get(ctx: Ctx, Path((account,)): Path<(AccountId,)>) -> Result<Reply<api::AccountLimits>> {
    app::call_limits::get(&ctx, account).await
}

pub(crate) async fn set(
    ctx: Ctx,
    Path((account,)): Path<(AccountId,)>,
    Body(change): Body<api::CallLimitsChange>,
) -> Result<Reply<api::AccountLimits>> {
    app::call_limits::set(&ctx, account, input::limits_change("", change)?).await
}
