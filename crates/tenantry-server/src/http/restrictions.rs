//! Restrictions.

use tenantry_api as api;
use tenantry_core::id::{AccountId, RestrictionId};

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
) -> Result<Reply<api::List<api::Restriction>>> {
    app::restrictions::list(&ctx, account, input::page(&query)?).await
}

pub(crate) async fn create(
    ctx: Ctx,
    Path((account,)): Path<(AccountId,)>,
    Body(new): Body<api::NewRestriction>,
) -> Result<Created<api::Restriction>> {
    let wanted = app::restrictions::Wanted {
        mode: input::word("mode", &new.mode, &["allow", "deny"])?,
        subject: new.subject.unwrap_or_default(),
        endpoints: input::endpoints("endpoints", &new.endpoints)?,
        permissions: input::permissions("permissions", &new.permissions)?,
    };
    app::restrictions::create(&ctx, account, wanted).await
}

pub(crate) async fn get(
    ctx: Ctx,
    Path((account, restriction)): Path<(AccountId, RestrictionId)>,
) -> Result<Reply<api::Restriction>> {
    app::restrictions::get(&ctx, account, restriction).await
}

pub(crate) async fn update(
    ctx: Ctx,
    Path((account, restriction)): Path<(AccountId, RestrictionId)>,
    Body(patch): Body<api::RestrictionPatch>,
) -> Result<Reply<api::Restriction>> {
    let changes = app::restrictions::Changes {
        mode: patch.mode.map(|mode| input::word("mode", &mode, &["allow", "deny"])).transpose()?,
        endpoints: patch.endpoints.map(|named| input::endpoints("endpoints", &named)).transpose()?,
        permissions: patch.permissions.map(|names| input::permissions("permissions", &names)).transpose()?,
    };
    app::restrictions::update(&ctx, account, restriction, changes).await
}

pub(crate) async fn remove(
    ctx: Ctx,
    Path((account, restriction)): Path<(AccountId, RestrictionId)>,
) -> Result<Reply<api::Deleted>> {
    app::restrictions::remove(&ctx, account, restriction).await
}
