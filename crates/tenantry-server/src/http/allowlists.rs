//! IP allow-lists.

use tenantry_api as api;
use tenantry_core::id::{AccountId, AllowlistId};

use super::extract::{Body, Path, Query};
use crate::app;
use crate::ctx::Ctx;
use crate::input;
use crate::problem::Result;
use crate::reply::{Created, Reply};

pub(crate) async fn list(
    ctx: Ctx,
    Path((account,)): Path<(AccountId,)>,
    Query(query): Query<api::PageQuery>,
) -> Result<Reply<api::List<api::Allowlist>>> {
    app::allowlists::list(&ctx, account, input::page(&query)?).await
}

pub(crate) async fn create(
    ctx: Ctx,
    Path((account,)): Path<(AccountId,)>,
    Body(new): Body<api::NewAllowlist>,
) -> Result<Created<api::Allowlist>> {
    let wanted = app::allowlists::Wanted {
        api: new.api,
        networks: input::networks("cidrs", &new.cidrs)?,
        enforced: new.enforced,
        confirmed: new.confirm_lockout,
    };
    app::allowlists::create(&ctx, account, wanted).await
}

pub(crate) async fn get(
    ctx: Ctx,
    Path((account, list)): Path<(AccountId, AllowlistId)>,
) -> Result<Reply<api::Allowlist>> {
    app::allowlists::get(&ctx, account, list).await
}

pub(crate) async fn update(
    ctx: Ctx,
    Path((account, list)): Path<(AccountId, AllowlistId)>,
    Body(patch): Body<api::AllowlistPatch>,
) -> Result<Reply<api::Allowlist>> {
    let changes = app::allowlists::Changes {
        networks: patch.cidrs.map(|cidrs| input::networks("cidrs", &cidrs)).transpose()?,
        enforced: patch.enforced,
        confirmed: patch.confirm_lockout,
    };
    app::allowlists::update(&ctx, account, list, changes).await
}

pub(crate) async fn remove(
    ctx: Ctx,
    Path((account, list)): Path<(AccountId, AllowlistId)>,
) -> Result<Reply<api::Deleted>> {
    app::allowlists::remove(&ctx, account, list).await
}
