//! Roles.

use tenantry_api as api;
use tenantry_core::id::{AccountId, RoleId};

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
) -> Result<Reply<api::List<api::Role>>> {
    app::roles::list(&ctx, account, input::page(&query)?).await
}

pub(crate) async fn create(
    ctx: Ctx,
    Path((account,)): Path<(AccountId,)>,
    Body(new): Body<api::NewRole>,
) -> Result<Created<api::Role>> {
    let permissions = input::permissions("permissions", &new.permissions)?;
    app::roles::create(&ctx, account, input::name("name", &new.name)?, permissions).await
}

pub(crate) async fn update(
    ctx: Ctx,
    Path((account, role)): Path<(AccountId, RoleId)>,
    Body(patch): Body<api::RolePatch>,
) -> Result<Reply<api::Role>> {
    let name = patch.name.map(|name| input::name("name", &name)).transpose()?;
    let permissions = patch.permissions.map(|names| input::permissions("permissions", &names)).transpose()?;
    app::roles::update(&ctx, account, role, name, permissions).await
}

pub(crate) async fn remove(ctx: Ctx, Path((account, role)): Path<(AccountId, RoleId)>) -> Result<Reply<api::Deleted>> {
    app::roles::remove(&ctx, account, role).await
}
