//! The catalogue.

use tenantry_api as api;
use tenantry_core::catalogue::Settle;
use tenantry_core::id::EndpointId;
use tenantry_core::permission::Permission;

use super::extract::{Body, Path, Query};
use crate::app;
use crate::ctx::Ctx;
use crate::input;
use crate::problem::Result;
use crate::reply::{Created, Reply};

pub(crate) async fn list(ctx: Ctx, Query(query): Query<api::PageQuery>) -> Result<Reply<api::List<api::Api>>> {
    app::catalogue::list(&ctx, input::page(&query)?).await
}

pub(crate) async fn get(ctx: Ctx, Path((api,)): Path<(String,)>) -> Result<Reply<api::Api>> {
    app::catalogue::get(&ctx, &api).await
}

pub(crate) async fn create(ctx: Ctx, Body(new): Body<api::NewApi>) -> Result<Created<api::Api>> {
    let name = input::name("name", &new.name)?;
    let upstream = new.upstream.map(|text| input::upstream("upstream", &text)).transpose()?;
    let base_path = input::base_path("basePath", &new.base_path)?;
    app::catalogue::create(&ctx, input::api_id("id", &new.id)?, name, base_path, upstream).await
}

pub(crate) async fn update(
    ctx: Ctx,
    Path((api,)): Path<(String,)>,
    Body(patch): Body<api::ApiPatch>,
) -> Result<Reply<api::Api>> {
    let upstream = |text: Option<String>| text.map(|text| input::upstream("upstream", &text)).transpose();
    let changes = app::catalogue::ApiChanges {
        name: patch.name.map(|name| input::name("name", &name)).transpose()?,
        upstream: patch.upstream.map(upstream).transpose()?,
    };
    app::catalogue::update(&ctx, &api, changes).await
}

pub(crate) async fn remove(ctx: Ctx, Path((api,)): Path<(String,)>) -> Result<Reply<api::Deleted>> {
    app::catalogue::remove(&ctx, &api).await
}

pub(crate) async fn endpoints(
    ctx: Ctx,
    Path((api,)): Path<(String,)>,
    Query(query): Query<api::PageQuery>,
) -> Result<Reply<api::List<api::Endpoint>>> {
    app::catalogue::endpoints(&ctx, &api, input::page(&query)?).await
}

pub(crate) async fn create_endpoint(
    ctx: Ctx,
    Path((api,)): Path<(String,)>,
    Body(new): Body<api::NewEndpoint>,
) -> Result<Created<api::Endpoint>> {
    let wanted = app::catalogue::Wanted {
        method: input::method("method", &new.method)?,
        path: input::pattern("path", &new.path)?,
        cost: new.cost.map_or(Ok(1), |cost| input::cost("cost", cost))?,
        permission: new
            .permission
            .map_or(Ok(Permission::CreditsConsume), |name| input::permission("permission", &name))?,
        feature: new.feature.map(|name| input::name("feature", &name)).transpose()?,
        resource: new.resource.map(|named| input::named_resource("resource", &named)).transpose()?,
        settle: new.settle.map_or(Ok(Settle::Success), |word| input::settle("settle", &word))?,
    };
    app::catalogue::create_endpoint(&ctx, &api, wanted).await
}

pub(crate) async fn update_endpoint(
    ctx: Ctx,
    Path((api, endpoint)): Path<(String, EndpointId)>,
    Body(patch): Body<api::EndpointPatch>,
) -> Result<Reply<api::Endpoint>> {
    let feature = |name: Option<String>| name.map(|name| input::name("feature", &name)).transpose();
    let resource =
        |named: Option<api::EndpointResource>| named.map(|named| input::named_resource("resource", &named)).transpose();
    let changes = app::catalogue::EndpointChanges {
        cost: patch.cost.map(|cost| input::cost("cost", cost)).transpose()?,
        permission: patch.permission.map(|name| input::permission("permission", &name)).transpose()?,
        feature: patch.feature.map(feature).transpose()?,
        resource: patch.resource.map(resource).transpose()?,
        settle: patch.settle.map(|word| input::settle("settle", &word)).transpose()?,
    };
    app::catalogue::update_endpoint(&ctx, &api, endpoint, changes).await
}

pub(crate) async fn remove_endpoint(
    ctx: Ctx,
    Path((api, endpoint)): Path<(String, EndpointId)>,
) -> Result<Reply<api::Deleted>> {
    app::catalogue::remove_endpoint(&ctx, &api, endpoint).await
}

pub(crate) async fn import(
    ctx: Ctx,
    Path((api,)): Path<(String,)>,
    Body(document): Body<api::Object>,
) -> Result<Reply<api::EndpointDifference>> {
    app::catalogue::import(&ctx, &api, input::openapi(&document)?).await
}
