//! The published contract of the hierarchy.

use tenantry_api as api;
use tenantry_core::Refusal;
use tenantry_core::account::Kind;
use tenantry_core::id::AccountId;

use super::accounts::profile;
use super::extract::{Body, Path, Query};
use crate::app;
use crate::ctx::Ctx;
use crate::input;
use crate::problem::Result;
use crate::reply::{Created, Reply};

pub(crate) async fn children(
    ctx: Ctx,
    Path((account,)): Path<(AccountId,)>,
    Query(query): Query<api::AccountQuery>,
) -> Result<Reply<api::List<api::Child>>> {
    let page = input::page(&api::PageQuery { limit: query.limit, offset: query.offset })?;
    app::hierarchy::children(&ctx, account, input::status_filter(query.status.as_deref())?, page).await
}

pub(crate) async fn create_child(
    ctx: Ctx,
    Path((account,)): Path<(AccountId,)>,
    Body(new): Body<api::NewChild>,
) -> Result<Created<api::ChildCreated>> {
    let profile = profile(Kind::Organization, &new.name, &new.email, new.metadata.as_ref())?;
    app::hierarchy::create_child(&ctx, account, profile, &new.settings.unwrap_or_default()).await
}

pub(crate) async fn set_parent(
    ctx: Ctx,
    Path((account,)): Path<(AccountId,)>,
    Body(new): Body<api::NewParent>,
) -> Result<Reply<api::Moved>> {
    let parent = new.parent_id.parse::<AccountId>().map_err(|error| Refusal::field("parentId", error.to_string()))?;
    app::hierarchy::set_parent(&ctx, account, parent, new.inherit_settings).await
}

pub(crate) async fn remove_parent(ctx: Ctx, Path((account,)): Path<(AccountId,)>) -> Result<Reply<api::Detached>> {
    app::hierarchy::remove_parent(&ctx, account).await
}
