//! The organization itself.

use tenantry_api as api;
use tenantry_core::id::AccountId;

use super::extract::Path;
use crate::app;
use crate::ctx::Ctx;
use crate::problem::Result;
use crate::reply::Reply;

pub(crate) async fn get(
    ctx: Ctx,
    Path((account,)): Path<(AccountId,)>,
) -> Result<Reply<api::OrganizationSubscription>> {
    app::organization::get(&ctx, account).await
}

pub(crate) async fn resume(
    ctx: Ctx,
    Path((account,)): Path<(AccountId,)>,
) -> Result<Reply<api::OrganizationSubscription>> {
    app::organization::resume(&ctx, account).await
}

pub(crate) async fn cancel(
    ctx: Ctx,
    Path((account,)): Path<(AccountId,)>,
) -> Result<Reply<api::OrganizationSubscription>> {
    app::organization::cancel(&ctx, account).await
}
