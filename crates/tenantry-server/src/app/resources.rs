//! Resources of an account, and with whom below it they are shared.

use serde_json::json;
use tenantry_api as api;
use tenantry_core::event::{Event, EventKind};
use tenantry_core::id::{AccountId, ResourceId, ShareId};
use tenantry_core::refusal::Code;
use tenantry_core::{Document, tree};
use tenantry_store::tenant::TenantRead;
use tenantry_store::{Page, Resource, ResourceFilter, Share};

use super::change;
use crate::ctx::Ctx;
use crate::problem::Result;
use crate::reply::{Created, Reply};
use crate::view;

/// What the maker of a resource says about it.
pub(crate) struct Wanted {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) external_id: Option<String>,
    pub(crate) metadata: Document,
}

pub(crate) async fn list(
    ctx: &Ctx,
    account: AccountId,
    filter: &ResourceFilter,
    page: Page,
) -> Result<Reply<api::List<api::Resource>>> {
    let mut tx = ctx.read(account).await?;
    let resources = tx.resource_list(filter, page).await?;
    let body = view::list(resources, page, |resource| view::resource(resource, tx.account()));
    ctx.answer(tx, body).await
}

pub(crate) async fn get(ctx: &Ctx, account: AccountId, id: ResourceId) -> Result<Reply<api::Resource>> {
    let mut tx = ctx.read(account).await?;
    let resource = tx.resource_visible(id).await?.ok_or(Code::NotFound)?;
    let body = view::resource(&resource, tx.account());
    Ok(ctx.answer(tx, body).await?.versioned(resource.version))
}

pub(crate) async fn create(ctx: &Ctx, account: AccountId, wanted: Wanted) -> Result<Created<api::Resource>> {
    let mut tx = ctx.write(account).await?;
    tree::check_open(tx.account())?;
    let resource = Resource {
        id: ctx.app.chance.id(ctx.now),
        account_id: account,
        kind: wanted.kind,
        name: wanted.name,
        external_id: wanted.external_id,
        metadata: wanted.metadata,
        version: 1,
        created_at: ctx.now,
        updated_at: ctx.now,
    };
    tx.resource_insert(&resource).await?;
    let event = Event::new(EventKind::ResourceCreated, resource.id, resource.version, told(&resource));
    let reply = Reply::new(tx.identity(), view::resource(&resource, tx.account())).versioned(resource.version);
    ctx.commit(tx, event, reply).await
}

/// Changes to a resource; what is `None` stays.
pub(crate) struct Changes {
    pub(crate) name: Option<String>,
    pub(crate) external_id: Option<Option<String>>,
    pub(crate) metadata: Option<Document>,
}

pub(crate) async fn update(
    ctx: &Ctx,
    account: AccountId,
    id: ResourceId,
    changes: Changes,
) -> Result<Reply<api::Resource>> {
    let mut tx = ctx.write(account).await?;
    tree::check_open(tx.account())?;
    let before = owned(&mut tx, id).await?;
    ctx.check_version(before.version)?;
    let mut after = before.clone();
    after.name = changes.name.unwrap_or(after.name);
    after.external_id = changes.external_id.unwrap_or(after.external_id);
    after.metadata = changes.metadata.unwrap_or(after.metadata);
    if after == before {
        let body = view::resource(&after, tx.account());
        return Ok(ctx.unchanged(tx, body).await?.versioned(after.version));
    }
    (after.version, after.updated_at) = (before.version + 1, ctx.now);
    tx.resource_update(&after).await?;
    let detail = change::detail(&json!({"from": view::value(&told(&before)), "to": view::value(&told(&after))}));
    let event = Event::new(EventKind::ResourceUpdated, id, after.version, detail);
    let reply = Reply::new(tx.identity(), view::resource(&after, tx.account())).versioned(after.version);
    ctx.commit(tx, event, reply).await
}

pub(crate) async fn remove(ctx: &Ctx, account: AccountId, id: ResourceId) -> Result<Reply<api::Deleted>> {
    let mut tx = ctx.write(account).await?;
    tree::check_open(tx.account())?;
    let resource = owned(&mut tx, id).await?;
    ctx.check_version(resource.version)?;
    tx.resource_delete(id).await?;
    let event = Event::new(EventKind::ResourceDeleted, id, resource.version, told(&resource));
    let reply = Reply::new(tx.identity(), api::Deleted { id: id.to_string(), deleted: true });
    ctx.commit(tx, event, reply).await
}

pub(crate) async fn shares(
    ctx: &Ctx,
    account: AccountId,
    id: ResourceId,
    page: Page,
) -> Result<Reply<api::List<api::Share>>> {
    let mut tx = ctx.read(account).await?;
    owned(&mut tx, id).await?;
    let shares = tx.share_list(id, page).await?;
    let body = view::list(shares, page, |share| view::share(share, tx.account()));
    ctx.answer(tx, body).await
}

/// Shares a resource with one account below its owner, or (`None`) with all of them.
pub(crate) async fn share(
    ctx: &Ctx,
    account: AccountId,
    id: ResourceId,
    to: Option<AccountId>,
) -> Result<Created<api::Share>> {
    let mut tx = ctx.write(account).await?;
    tree::check_open(tx.account())?;
    owned(&mut tx, id).await?;
    if let Some(to) = to {
        let line = tx.visible(to).await?.ok_or(Code::NotFound)?;
        if to == account || !line.contains(account) {
            return Err(Code::ShareOutsideSubtree.into());
        }
    }
    let share =
        Share { id: ctx.app.chance.id(ctx.now), resource_id: id, to: to.unwrap_or(account), created_at: ctx.now };
    if let Some(there) = tx.share_insert(&share).await? {
        let body = view::share(&there, tx.account());
        return ctx.unchanged(tx, body).await;
    }
    let body = view::share(&share, tx.account());
    let event = Event::new(EventKind::ShareCreated, share.id, 0, share_told(&body));
    let reply = Reply::new(tx.identity(), body);
    ctx.commit(tx, event, reply).await
}

pub(crate) async fn unshare(
    ctx: &Ctx,
    account: AccountId,
    resource: ResourceId,
    id: ShareId,
) -> Result<Reply<api::Deleted>> {
    let mut tx = ctx.write(account).await?;
    tree::check_open(tx.account())?;
    let share = tx.share_delete(resource, id).await?.ok_or(Code::NotFound)?;
    let event = Event::new(EventKind::ShareDeleted, id, 0, share_told(&view::share(&share, tx.account())));
    let reply = Reply::new(tx.identity(), api::Deleted { id: id.to_string(), deleted: true });
    ctx.commit(tx, event, reply).await
}

async fn owned(tx: &mut TenantRead, id: ResourceId) -> Result<Resource> {
    Ok(tx.resource_owned(id).await?.ok_or(Code::NotFound)?)
}

fn told(resource: &Resource) -> Document {
    change::detail(&json!({
        "kind": resource.kind,
        "name": resource.name,
        "externalId": resource.external_id,
        "metadata": view::value(&resource.metadata),
    }))
}

fn share_told(share: &api::Share) -> Document {
    change::detail(&json!({"resourceId": share.resource_id, "to": share.to}))
}
