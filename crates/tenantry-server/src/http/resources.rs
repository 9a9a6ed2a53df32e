//! Resources and shares.

use tenantry_api as api;
use tenantry_core::id::{AccountId, ResourceId, ShareId};
use tenantry_core::refusal::Code;
use tenantry_core::{Document, Refusal};
use tenantry_store::ResourceFilter;

use super::extract::{Body, Path, Query};
use crate::app;
use crate::ctx::Ctx;
use crate::problem::Result;
use crate::reply::{Created, Reply};
use crate::{input, view};

pub(crate) async fn list(
    ctx: Ctx,
    Path((account,)): Path<(AccountId,)>,
    Query(query): Query<api::ResourceQuery>,
) -> Result<Reply<api::List<api::Resource>>> {
    let page = input::page(&api::PageQuery { limit: query.limit, offset: query.offset })?;
    let include_shared = match query.include.as_deref() {
        None => false,
        Some("shared") => true,
        Some(_) => return Err(Refusal::at(Code::InvalidParameter, "include", "takes shared").into()),
    };
    app::resources::list(&ctx, account, &ResourceFilter { kind: query.kind, include_shared }, page).await
}

pub(crate) async fn create(
    ctx: Ctx,
    Path((account,)): Path<(AccountId,)>,
    Body(new): Body<api::NewResource>,
) -> Result<Created<api::Resource>> {
    let wanted = app::resources::Wanted {
        kind: input::resource_kind(&new.kind)?,
        name: input::name("name", &new.name)?,
        external_id: new.external_id.map(|id| input::name("externalId", &id)).transpose()?,
        metadata: new.metadata.map_or(Ok(Document::empty()), |object| input::document("metadata", &object))?,
    };
    app::resources::create(&ctx, account, wanted).await
}

pub(crate) async fn get(
    ctx: Ctx,
    Path((account, resource)): Path<(AccountId, ResourceId)>,
) -> Result<Reply<api::Resource>> {
    app::resources::get(&ctx, account, resource).await
}

pub(crate) async fn update(
    ctx: Ctx,
    Path((account, resource)): Path<(AccountId, ResourceId)>,
    Body(patch): Body<api::ResourcePatch>,
) -> Result<Reply<api::Resource>> {
    let external_id = |id: Option<String>| id.map(|id| input::name("externalId", &id)).transpose();
    let changes = app::resources::Changes {
        name: patch.name.map(|name| input::name("name", &name)).transpose()?,
        external_id: patch.external_id.map(external_id).transpose()?,
        metadata: patch.metadata.map(|object| input::document("metadata", &object)).transpose()?,
    };
    app::resources::update(&ctx, account, resource, changes).await
}

pub(crate) async fn remove(
    ctx: Ctx,
    Path((account, resource)): Path<(AccountId, ResourceId)>,
) -> Result<Reply<api::Deleted>> {
    app::resources::remove(&ctx, account, resource).await
}

pub(crate) async fn shares(
    ctx: Ctx,
    Path((account, resource)): Path<(AccountId, ResourceId)>,
    Query(query): Query<api::PageQuery>,
) -> Result<Reply<api::List<api::Share>>> {
    app::resources::shares(&ctx, account, resource, input::page(&query)?).await
}

pub(crate) async fn share(
    ctx: Ctx,
    Path((account, resource)): Path<(AccountId, ResourceId)>,
    Body(new): Body<api::NewShare>,
) -> Result<Created<api::Share>> {
    let to = match new.to.as_str() {
        view::DESCENDANTS => None,
        id => {
            Some(id.parse::<AccountId>().map_err(|error| Refusal::field("to", format!("{error}, or `descendants`")))?)
        }
    };
    app::resources::share(&ctx, account, resource, to).await
}

pub(crate) async fn unshare(
    ctx: Ctx,
    Path((account, resource, share)): Path<(AccountId, ResourceId, ShareId)>,
) -> Result<Reply<api::Deleted>> {
    app::resources::unshare(&ctx, account, resource, share).await
}
