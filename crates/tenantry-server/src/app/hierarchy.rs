//! The published contract of the hierarchy: children, and who is below whom.

use serde_json::json;
use tenantry_api as api;
use tenantry_core::account::{Account, Profile, Status};
use tenantry_core::event::{Event, EventKind};
use tenantry_core::id::AccountId;
use tenantry_core::permission::Permission;
use tenantry_core::tree::{self, Move};
use tenantry_store::tenant::TenantWrite;
use tenantry_store::{Page, SubtreeSize};

use super::change;
use crate::ctx::Ctx;
use crate::problem::{Error, Result};
use crate::reply::{Created, Reply};
use crate::{input, view};

pub(crate) async fn children(
    ctx: &Ctx,
    id: AccountId,
    status: Option<Status>,
    page: Page,
) -> Result<Reply<api::List<api::Child>>> {
    let mut tx = ctx.read(id).await?;
    let children = tx.children(status, page).await?;
    ctx.answer(tx, view::list(children, page, view::child)).await
}

/// Creates a child; `settings` are checked against what is locked above it.
pub(crate) async fn create_child(
    ctx: &Ctx,
    parent: AccountId,
    profile: Profile,
    settings: &api::Object,
) -> Result<Created<api::ChildCreated>> {
    let mut tx = ctx.write(parent).await?;
    tree::check_attach(tx.line(), 1, tx.tree_limits())?;
    let mut child = Account::new(ctx.app.chance.id(ctx.now), Some(tx.account()), profile, ctx.now);
    let overrides = input::settings(settings, &tx.line().with_child(child.clone()), &ctx.app.config)?;
    child.settings = overrides.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    tx.child_insert(&child).await?;
    let event = Event::new(EventKind::AccountCreated, child.id, child.version, change::created(&child));
    let body = api::ChildCreated {
        id: child.id.to_string(),
        name: child.name,
        parent_id: parent.to_string(),
        email: child.email,
        status: child.status.to_string(),
        created_at: view::instant(child.created_at),
    };
    let reply = Reply::new(tx.identity(), body).versioned(child.version);
    ctx.commit(tx, event, reply).await
}

pub(crate) async fn set_parent(
    ctx: &Ctx,
    id: AccountId,
    parent: AccountId,
    inherit_settings: Option<bool>,
) -> Result<Reply<api::Moved>> {
    let mut tx = ctx.write_both(id, parent).await?;
    tx.check_parent(Permission::AccountMove)?;
    ctx.check_version(tx.account().version)?;
    let size = tx.subtree_size().await?;
    let (to, limits) = tx.other().cloned().ok_or_else(|| Error::internal("a move has a destination"))?;
    let mut after = tx.account().clone();
    match tree::check_move(tx.line(), size.height, &to, limits)? {
        Move::Nothing => {
            after.inherits.settings = inherit_settings.unwrap_or(after.inherits.settings);
            if after == *tx.account() {
                return ctx.unchanged(tx, moved(&after)).await;
            }
            after.touch(ctx.now);
            tx.account_update(&after).await?;
            let event = Event::new(EventKind::AccountUpdated, id, after.version, change::between(tx.account(), &after));
            let reply = Reply::new(tx.identity(), moved(&after)).versioned(after.version);
            ctx.commit(tx, event, reply).await
        }
        Move::Below(parent) => {
            after.parent_id = Some(parent);
            after.root_id = to.account().root_id;
            after.depth = to.account().depth + 1;
            after.inherits.settings = inherit_settings.unwrap_or(true);
            let (tx, event) = place(ctx, tx, &mut after, size, EventKind::AccountMoved).await?;
            let reply = Reply::new(tx.identity(), moved(&after)).versioned(after.version);
            ctx.commit(tx, event, reply).await
        }
    }
}

pub(crate) async fn remove_parent(ctx: &Ctx, id: AccountId) -> Result<Reply<api::Detached>> {
    let mut tx = ctx.write(id).await?;
    tree::check_detach(tx.account())?;
    tx.check_parent(Permission::AccountMove)?;
    ctx.check_version(tx.account().version)?;
    let size = tx.subtree_size().await?;
    let mut after = tx.account().clone();
    after.parent_id = None;
    after.root_id = id;
    after.depth = 1;
    let (tx, event) = place(ctx, tx, &mut after, size, EventKind::AccountDetached).await?;
    let body = api::Detached {
        id: id.to_string(),
        name: after.name,
        parent_id: None,
        status: after.status.to_string(),
        message: "Account is now a root account".to_owned(),
    };
    let reply = Reply::new(tx.identity(), body).versioned(after.version);
    ctx.commit(tx, event, reply).await
}

/// Writes the new place of an account, and tells what changed with it.
async fn place(
    ctx: &Ctx,
    mut tx: TenantWrite,
    after: &mut Account,
    size: SubtreeSize,
    kind: EventKind,
) -> Result<(TenantWrite, Event)> {
    let before = tx.account().clone();
    after.billing_mode = tree::billing_mode_after_move(&before, after.parent_id);
    after.touch(ctx.now);
    tx.place_update(after, ctx.app.store.default_limits()).await?;
    let mut detail = view::object(&change::between(&before, after));
    detail.insert("accounts".to_owned(), json!(size.accounts));
    let event = Event::new(kind, after.id, after.version, change::detail(&json!(detail)));
    Ok((tx, event))
}

fn moved(account: &Account) -> api::Moved {
    api::Moved {
        id: account.id.to_string(),
        name: account.name.clone(),
        parent_id: account.parent_id.map(|id| id.to_string()).unwrap_or_default(),
        status: account.status.to_string(),
        inherit_settings: account.inherits.settings,
        updated_at: view::instant(account.updated_at),
    }
}
