//! Roles: the built-in ones, and those that accounts make.

use serde_json::json;
use tenantry_api as api;
use tenantry_core::event::{Event, EventKind};
use tenantry_core::id::{AccountId, RoleId};
use tenantry_core::permission::{Permission, PermissionSet};
use tenantry_core::refusal::Code;
use tenantry_core::role::{BuiltIn, Role, RoleRef, check_rank};
use tenantry_core::tree;
use tenantry_store::tenant::TenantRead;
use tenantry_store::{CustomRole, Page};

use super::change;
use crate::ctx::Ctx;
use crate::problem::Result;
use crate::reply::{Created, Reply};
use crate::view;

/// The built-in roles first, then the nearest.
pub(crate) async fn list(ctx: &Ctx, account: AccountId, page: Page) -> Result<Reply<api::List<api::Role>>> {
    let mut tx = ctx.read(account).await?;
    let own = tx.caller().rights_over(tx.line());
    let mut roles: Vec<_> = BuiltIn::ALL.iter().map(|which| (Role::built_in(*which), None)).collect();
    roles.extend(tx.role_list().await?.into_iter().map(|custom| (custom.role, Some(custom.members))));
    ctx.answer(tx, view::window(roles, page, |(role, members)| view::role(role, own, *members))).await
}

pub(crate) async fn create(
    ctx: &Ctx,
    account: AccountId,
    name: String,
    permissions: PermissionSet,
) -> Result<Created<api::Role>> {
    let mut tx = ctx.write(account).await?;
    tree::check_open(tx.account())?;
    check_name(&name)?;
    let id: RoleId = ctx.app.chance.id(ctx.now);
    let role = Role { which: RoleRef::Custom(id), name, home: Some(account), permissions };
    let own = tx.caller().rights_over(tx.line());
    check_rank(own, &role)?;
    tx.role_insert(id, &role.name, permissions, ctx.now).await?;
    let event = Event::new(EventKind::RoleCreated, id, 1, change::detail(&told(&role)));
    let reply = Reply::new(tx.identity(), view::role(&role, own, Some(0))).versioned(1);
    ctx.commit(tx, event, reply).await
}

/// Changes a role, and with it what everybody who holds it may do. Nobody changes a role wider than their own, nor
/// makes one so.
pub(crate) async fn update(
    ctx: &Ctx,
    account: AccountId,
    id: RoleId,
    name: Option<String>,
    permissions: Option<PermissionSet>,
) -> Result<Reply<api::Role>> {
    let mut tx = ctx.write(account).await?;
    tree::check_open(tx.account())?;
    let before = found(&mut tx, id).await?;
    ctx.check_version(before.version)?;
    let mut after = before.clone();
    after.role.name = name.unwrap_or(after.role.name);
    after.role.permissions = permissions.unwrap_or(after.role.permissions);
    check_name(&after.role.name)?;
    let own = tx.caller().rights_over(tx.line());
    check_rank(own, &before.role)?;
    check_rank(own, &after.role)?;
    if after == before {
        let body = view::role(&before.role, own, Some(before.members));
        return Ok(ctx.unchanged(tx, body).await?.versioned(before.version));
    }
    after.version += 1;
    after.updated_at = ctx.now;
    tx.role_update(&after).await?;
    let detail = json!({"from": told(&before.role), "to": told(&after.role)});
    let event = Event::new(EventKind::RoleUpdated, id, after.version, change::detail(&detail));
    let reply = Reply::new(tx.identity(), view::role(&after.role, own, Some(after.members))).versioned(after.version);
    ctx.commit(tx, event, reply).await
}

/// Deletes a role that nobody holds. Invitations as it can no longer be accepted.
pub(crate) async fn remove(ctx: &Ctx, account: AccountId, id: RoleId) -> Result<Reply<api::Deleted>> {
    let mut tx = ctx.write(account).await?;
    let role = found(&mut tx, id).await?;
    check_rank(tx.caller().rights_over(tx.line()), &role.role)?;
    if role.members > 0 {
        return Err(Code::RoleInUse.into());
    }
    tx.role_delete(id).await?;
    let event = Event::new(EventKind::RoleDeleted, id, role.version, change::detail(&told(&role.role)));
    let reply = Reply::new(tx.identity(), api::Deleted { id: id.to_string(), deleted: true });
    ctx.commit(tx, event, reply).await
}

async fn found(tx: &mut TenantRead, id: RoleId) -> Result<CustomRole> {
    Ok(tx.role_by_id(id).await?.ok_or(Code::NotFound)?)
}

/// The names of the built-in roles are taken everywhere, and so is what could be an id.
fn check_name(name: &str) -> Result<()> {
    let lower = name.to_lowercase();
    let taken = lower.parse::<BuiltIn>().is_ok() || lower == "custom" || lower.starts_with("rol_");
    if taken { Err(Code::RoleNameTaken.into()) } else { Ok(()) }
}

fn told(role: &Role) -> serde_json::Value {
    json!({"name": role.name, "permissions": role.permissions.iter().map(Permission::as_str).collect::<Vec<_>>()})
}
