//! Members.

use tenantry_api as api;
use tenantry_core::Refusal;
use tenantry_core::id::{AccountId, UserId};
use tenantry_core::refusal::Code;

use super::extract::{Body, Path, Query};
use crate::app;
use crate::app::members::From;
use crate::ctx::Ctx;
use crate::input;
use crate::problem::Result;
use crate::reply::Reply;

pub(crate) async fn list(
    ctx: Ctx,
    Path((account,)): Path<(AccountId,)>,
    Query(query): Query<api::MemberQuery>,
) -> Result<Reply<api::List<api::Member>>> {
    let page = input::page(&api::PageQuery { limit: query.limit, offset: query.offset })?;
    let from = match query.source.as_deref() {
        None => None,
        Some("direct") => Some(From::Direct),
        Some("inherited") => Some(From::Inherited),
        Some(_) => return Err(Refusal::at(Code::InvalidParameter, "source", "takes direct or inherited").into()),
    };
    app::members::list(&ctx, account, from, page).await
}

pub(crate) async fn get(ctx: Ctx, Path((account, user)): Path<(AccountId, UserId)>) -> Result<Reply<api::Member>> {
    app::members::get(&ctx, account, user).await
}

pub(crate) async fn update(
    ctx: Ctx,
    Path((account, user)): Path<(AccountId, UserId)>,
    Body(patch): Body<api::MemberPatch>,
) -> Result<Reply<api::Member>> {
    app::members::update(&ctx, account, user, &patch.role).await
}

pub(crate) async fn remove(
    ctx: Ctx,
    Path((account, user)): Path<(AccountId, UserId)>,
) -> Result<Reply<api::MemberRemoved>> {
    app::members::remove(&ctx, account, user).await
}

pub(crate) async fn leave(ctx: Ctx, Path((account,)): Path<(AccountId,)>) -> Result<Reply<api::MemberRemoved>> {
    app::members::leave(&ctx, account).await
}
