//! The catalogue: what the operator sells.

use serde_json::{Value, json};
use tenantry_api as api;
use tenantry_core::catalogue::{Api, Catalogue, Endpoint, NamedResource, Settle};
use tenantry_core::event::{Event, EventKind};
use tenantry_core::id::EndpointId;
use tenantry_core::method::Method;
use tenantry_core::path::Pattern;
use tenantry_core::permission::Permission;
use tenantry_core::refusal::Code;
use tenantry_core::{Document, Refusal};
use tenantry_store::Page;

use super::change;
use crate::ctx::Ctx;
use crate::problem::Result;
use crate::reply::{Created, Reply};
use crate::view;

/// What the maker of an endpoint says about it.
pub(crate) struct Wanted {
    pub(crate) method: Method,
    pub(crate) path: Pattern,
    pub(crate) cost: i64,
    pub(crate) permission: Permission,
    pub(crate) feature: Option<String>,
    pub(crate) resource: Option<NamedResource>,
    pub(crate) settle: Settle,
}

/// Changes to an API; what is `None` stays.
pub(crate) struct ApiChanges {
    pub(crate) name: Option<String>,
    pub(crate) upstream: Option<Option<String>>,
}

/// Changes to an endpoint; what is `None` stays.
pub(crate) struct EndpointChanges {
    pub(crate) cost: Option<i64>,
    pub(crate) permission: Option<Permission>,
    pub(crate) feature: Option<Option<String>>,
    pub(crate) resource: Option<Option<NamedResource>>,
    pub(crate) settle: Option<Settle>,
}

/// Who is signed in may see what there is to call, to make rules about it.
pub(crate) async fn list(ctx: &Ctx, page: Page) -> Result<Reply<api::List<api::Api>>> {
    let identity = ctx.operator_or_person().await?;
    let snapshot = ctx.app.plane.snapshot();
    let catalogue = snapshot.catalogue();
    let body = view::window(catalogue.apis().to_vec(), page, |own| view::api(own, catalogue));
    Ok(Reply::new(&identity, body))
}

pub(crate) async fn get(ctx: &Ctx, id: &str) -> Result<Reply<api::Api>> {
    let identity = ctx.operator_or_person().await?;
    let snapshot = ctx.app.plane.snapshot();
    let own = found(snapshot.catalogue(), id)?;
    Ok(Reply::new(&identity, view::api(&own, snapshot.catalogue())).versioned(own.version))
}

pub(crate) async fn endpoints(ctx: &Ctx, id: &str, page: Page) -> Result<Reply<api::List<api::Endpoint>>> {
    let identity = ctx.operator_or_person().await?;
    let snapshot = ctx.app.plane.snapshot();
    found(snapshot.catalogue(), id)?;
    Ok(Reply::new(&identity, view::window(of(snapshot.catalogue(), id), page, view::endpoint)))
}

pub(crate) async fn create(
    ctx: &Ctx,
    id: String,
    name: String,
    base_path: Pattern,
    upstream: Option<String>,
) -> Result<Created<api::Api>> {
    let mut tx = ctx.write_catalogue().await?;
    let own = Api { id, name, base_path, upstream, version: 1, created_at: ctx.now, updated_at: ctx.now };
    tx.api_insert(&own).await?;
    let event = Event::new(EventKind::ApiCreated, &own.id, own.version, api_told(&own));
    let reply = Reply::new(tx.identity(), view::api(&own, &Catalogue::default())).versioned(own.version);
    ctx.commit(tx, event, reply).await
}

pub(crate) async fn update(ctx: &Ctx, id: &str, changes: ApiChanges) -> Result<Reply<api::Api>> {
    let mut tx = ctx.write_catalogue().await?;
    let catalogue = tx.catalogue().await?;
    let before = found(&catalogue, id)?;
    ctx.check_version(before.version)?;
    let mut after = before.clone();
    after.name = changes.name.unwrap_or(after.name);
    after.upstream = changes.upstream.unwrap_or(after.upstream);
    (after.version, after.updated_at) = (before.version + 1, ctx.now);
    tx.api_update(&after).await?;
    let detail =
        change::detail(&json!({"from": view::value(&api_told(&before)), "to": view::value(&api_told(&after))}));
    let event = Event::new(EventKind::ApiUpdated, id, after.version, detail);
    let reply = Reply::new(tx.identity(), view::api(&after, &catalogue)).versioned(after.version);
    ctx.commit(tx, event, reply).await
}

pub(crate) async fn remove(ctx: &Ctx, id: &str) -> Result<Reply<api::Deleted>> {
    let mut tx = ctx.write_catalogue().await?;
    let own = found(&tx.catalogue().await?, id)?;
    ctx.check_version(own.version)?;
    tx.api_delete(id).await?;
    let event = Event::new(EventKind::ApiDeleted, id, own.version, api_told(&own));
    let reply = Reply::new(tx.identity(), api::Deleted { id: id.to_owned(), deleted: true });
    ctx.commit(tx, event, reply).await
}

pub(crate) async fn create_endpoint(ctx: &Ctx, id: &str, wanted: Wanted) -> Result<Created<api::Endpoint>> {
    let mut tx = ctx.write_catalogue().await?;
    let own = found(&tx.catalogue().await?, id)?;
    let endpoint = endpoint(ctx, &own, wanted)?;
    tx.endpoint_insert(&endpoint).await?;
    let event = Event::new(EventKind::EndpointCreated, endpoint.id, endpoint.version, endpoint_told(&endpoint));
    let reply = Reply::new(tx.identity(), view::endpoint(&endpoint)).versioned(endpoint.version);
    ctx.commit(tx, event, reply).await
}

pub(crate) async fn update_endpoint(
    ctx: &Ctx,
    api: &str,
    id: EndpointId,
    changes: EndpointChanges,
) -> Result<Reply<api::Endpoint>> {
    let mut tx = ctx.write_catalogue().await?;
    let before = found_endpoint(&tx.catalogue().await?, api, id)?;
    ctx.check_version(before.version)?;
    let mut after = before.clone();
    after.cost = changes.cost.unwrap_or(after.cost);
    after.permission = changes.permission.unwrap_or(after.permission);
    after.feature = changes.feature.unwrap_or(after.feature);
    after.resource = changes.resource.unwrap_or(after.resource);
    after.settle = changes.settle.unwrap_or(after.settle);
    check_resource(&after)?;
    (after.version, after.updated_at) = (before.version + 1, ctx.now);
    tx.endpoint_update(&after).await?;
    let detail = json!({"from": view::value(&endpoint_told(&before)), "to": view::value(&endpoint_told(&after))});
    let event = Event::new(EventKind::EndpointUpdated, id, after.version, change::detail(&detail));
    let reply = Reply::new(tx.identity(), view::endpoint(&after)).versioned(after.version);
    ctx.commit(tx, event, reply).await
}

pub(crate) async fn remove_endpoint(ctx: &Ctx, api: &str, id: EndpointId) -> Result<Reply<api::Deleted>> {
    let mut tx = ctx.write_catalogue().await?;
    let endpoint = found_endpoint(&tx.catalogue().await?, api, id)?;
    tx.endpoint_delete(id).await?;
    let event = Event::new(EventKind::EndpointDeleted, id, endpoint.version, endpoint_told(&endpoint));
    let reply = Reply::new(tx.identity(), api::Deleted { id: id.to_string(), deleted: true });
    ctx.commit(tx, event, reply).await
}

/// Makes the endpoints of an API those of a document. What is there already keeps what it costs and needs; a dry run shows
/// the difference.
pub(crate) async fn import(ctx: &Ctx, id: &str, wanted: Vec<Wanted>) -> Result<Reply<api::EndpointDifference>> {
    let mut tx = ctx.write_catalogue().await?;
    let catalogue = tx.catalogue().await?;
    let own = found(&catalogue, id)?;
    let there = of(&catalogue, id);
    let named: Vec<Endpoint> = wanted.into_iter().map(|wanted| endpoint(ctx, &own, wanted)).collect::<Result<_>>()?;
    let same = |a: &Endpoint, b: &Endpoint| a.method == b.method && a.path.shape() == b.path.shape();
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    for endpoint in &there {
        if !named.iter().any(|other| same(endpoint, other)) {
            tx.endpoint_delete(endpoint.id).await?;
            removed.push(line(endpoint));
        }
    }
    for endpoint in &named {
        if !there.iter().any(|other| same(endpoint, other)) {
            tx.endpoint_insert(endpoint).await?;
            added.push(line(endpoint));
        }
    }
    let body = api::EndpointDifference { kept: there.len() - removed.len(), added, removed };
    let detail = change::detail(&json!({"added": body.added, "removed": body.removed}));
    let event = Event::new(EventKind::ApiUpdated, id, own.version, detail);
    let reply = Reply::new(tx.identity(), body);
    ctx.commit(tx, event, reply).await
}

fn line(endpoint: &Endpoint) -> String {
    format!("{} {}", endpoint.method, endpoint.path)
}

fn found(catalogue: &Catalogue, id: &str) -> Result<Api> {
    Ok(catalogue.apis().iter().find(|api| api.id == id).cloned().ok_or(Code::NotFound)?)
}

fn of(catalogue: &Catalogue, id: &str) -> Vec<Endpoint> {
    catalogue.endpoints().filter(|found| found.api.id == id).map(|found| found.endpoint.clone()).collect()
}

fn found_endpoint(catalogue: &Catalogue, api: &str, id: EndpointId) -> Result<Endpoint> {
    Ok(of(catalogue, api).into_iter().find(|endpoint| endpoint.id == id).ok_or(Code::NotFound)?)
}

fn endpoint(ctx: &Ctx, api: &Api, wanted: Wanted) -> Result<Endpoint> {
    let endpoint = Endpoint {
        id: ctx.app.chance.id(ctx.now),
        api: api.id.clone(),
        method: wanted.method,
        // The root is below everything: a path there is as it was written.
        path: wanted.path.below(&api.base_path).unwrap_or(wanted.path),
        cost: wanted.cost,
        permission: wanted.permission,
        feature: wanted.feature,
        resource: wanted.resource,
        settle: wanted.settle,
        version: 1,
        created_at: ctx.now,
        updated_at: ctx.now,
    };
    check_resource(&endpoint)?;
    Ok(endpoint)
}

fn check_resource(endpoint: &Endpoint) -> Result<()> {
    let named = endpoint.resource.as_ref().is_none_or(|resource| endpoint.path.names(&resource.variable));
    if named {
        Ok(())
    } else {
        Err(Refusal::field("resource.name", "takes the name of a `{variable}` of the path").into())
    }
}

fn api_told(api: &Api) -> Document {
    change::detail(&json!({"name": api.name, "basePath": api.base_path.to_string(), "upstream": api.upstream}))
}

fn endpoint_told(endpoint: &Endpoint) -> Document {
    let shown = serde_json::to_value(view::endpoint(endpoint)).unwrap_or(Value::Null);
    change::detail(&shown)
}
