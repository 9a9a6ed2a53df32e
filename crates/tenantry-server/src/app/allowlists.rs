//! IP allow-lists: from where an account may be used.

use serde_json::json;
use tenantry_api as api;
use tenantry_core::allowlist::Allowlist;
use tenantry_core::event::{Event, EventKind};
use tenantry_core::id::{AccountId, AllowlistId};
use tenantry_core::network::Networks;
use tenantry_core::refusal::Code;
use tenantry_core::{Document, tree};
use tenantry_store::Page;
use tenantry_store::tenant::{TenantRead, TenantWrite};

use super::{change, restrictions};
use crate::ctx::Ctx;
use crate::problem::Result;
use crate::reply::{Created, Reply};
use crate::view;

/// What the maker of a list says about it.
pub(crate) struct Wanted {
    pub(crate) api: Option<String>,
    pub(crate) networks: Networks,
    pub(crate) enforced: bool,
    pub(crate) confirmed: bool,
}

/// Changes to a list; what is `None` stays.
pub(crate) struct Changes {
    pub(crate) networks: Option<Networks>,
    pub(crate) enforced: Option<bool>,
    pub(crate) confirmed: bool,
}

pub(crate) async fn list(ctx: &Ctx, account: AccountId, page: Page) -> Result<Reply<api::List<api::Allowlist>>> {
    let mut tx = ctx.read(account).await?;
    let lists = tx.allowlist_list(page).await?;
    ctx.answer(tx, view::list(lists, page, view::allowlist)).await
}

pub(crate) async fn get(ctx: &Ctx, account: AccountId, id: AllowlistId) -> Result<Reply<api::Allowlist>> {
    let mut tx = ctx.read(account).await?;
    let list = found(&mut tx, id).await?;
    Ok(ctx.answer(tx, view::allowlist(&list)).await?.versioned(list.version))
}

pub(crate) async fn create(ctx: &Ctx, account: AccountId, wanted: Wanted) -> Result<Created<api::Allowlist>> {
    let mut tx = ctx.write(account).await?;
    tree::check_open(tx.account())?;
    if let Some(api) = &wanted.api {
        restrictions::base_of(&mut tx, "api", api).await?;
    }
    let list = Allowlist {
        id: ctx.app.chance.id(ctx.now),
        account_id: account,
        api: wanted.api.map(Into::into),
        networks: wanted.networks,
        enforced: wanted.enforced,
        set_by: restrictions::setter(&tx),
        version: 1,
        created_at: ctx.now,
        updated_at: ctx.now,
    };
    check_lockout(ctx, &tx, &list, wanted.confirmed)?;
    tx.allowlist_insert(&list).await?;
    let event = Event::new(EventKind::AllowlistCreated, list.id, list.version, told(&list));
    let reply = Reply::new(tx.identity(), view::allowlist(&list)).versioned(list.version);
    ctx.commit(tx, event, reply).await
}

pub(crate) async fn update(
    ctx: &Ctx,
    account: AccountId,
    id: AllowlistId,
    changes: Changes,
) -> Result<Reply<api::Allowlist>> {
    let mut tx = ctx.write(account).await?;
    tree::check_open(tx.account())?;
    let before = found(&mut tx, id).await?;
    ctx.check_version(before.version)?;
    let mut after = before.clone();
    after.networks = changes.networks.unwrap_or(after.networks);
    after.enforced = changes.enforced.unwrap_or(after.enforced);
    if after == before {
        return Ok(ctx.unchanged(tx, view::allowlist(&before)).await?.versioned(before.version));
    }
    check_lockout(ctx, &tx, &after, changes.confirmed)?;
    (after.version, after.updated_at, after.set_by) = (before.version + 1, ctx.now, restrictions::setter(&tx));
    tx.allowlist_update(&after).await?;
    let detail = change::detail(&json!({"from": view::value(&told(&before)), "to": view::value(&told(&after))}));
    let event = Event::new(EventKind::AllowlistUpdated, id, after.version, detail);
    let reply = Reply::new(tx.identity(), view::allowlist(&after)).versioned(after.version);
    ctx.commit(tx, event, reply).await
}

pub(crate) async fn remove(ctx: &Ctx, account: AccountId, id: AllowlistId) -> Result<Reply<api::Deleted>> {
    let mut tx = ctx.write(account).await?;
    let list = found(&mut tx, id).await?;
    ctx.check_version(list.version)?;
    tx.allowlist_delete(id).await?;
    let event = Event::new(EventKind::AllowlistDeleted, id, list.version, told(&list));
    let reply = Reply::new(tx.identity(), api::Deleted { id: id.to_string(), deleted: true });
    ctx.commit(tx, event, reply).await
}

/// The operator is bound by no list, so that there is always somebody who can correct one.
fn check_lockout(ctx: &Ctx, tx: &TenantWrite, list: &Allowlist, confirmed: bool) -> Result<()> {
    Ok(list.check_lockout(ctx.ip(), confirmed || tx.caller().is_operator())?)
}

async fn found(tx: &mut TenantRead, id: AllowlistId) -> Result<Allowlist> {
    Ok(tx.allowlist_by_id(id).await?.ok_or(Code::NotFound)?)
}

fn told(list: &Allowlist) -> Document {
    let shown = view::allowlist(list);
    change::detail(&json!({"api": shown.api, "cidrs": shown.cidrs, "enforced": shown.enforced}))
}
