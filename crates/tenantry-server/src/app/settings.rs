//! Settings, and what else is inherited.

use std::collections::BTreeSet;

use tenantry_api as api;
use tenantry_core::Document;
use tenantry_core::account::Account;
use tenantry_core::event::{Event, EventKind};
use tenantry_core::id::AccountId;
use tenantry_core::lineage::Lineage;
use tenantry_core::tree;
use tenantry_store::tenant::TenantWrite;

use super::change;
use crate::ctx::Ctx;
use crate::problem::Result;
use crate::reply::Reply;
use crate::{input, view};

pub(crate) async fn get(ctx: &Ctx, id: AccountId) -> Result<Reply<api::Settings>> {
    let tx = ctx.read(id).await?;
    let (body, version) = (view::settings(tx.line()), tx.account().version);
    Ok(ctx.answer(tx, body).await?.versioned(version))
}

pub(crate) async fn update(
    ctx: &Ctx,
    id: AccountId,
    settings: &api::Object,
    locked: Option<BTreeSet<String>>,
) -> Result<Reply<api::Settings>> {
    let tx = ctx.write(id).await?;
    let overrides = input::settings(settings, tx.line(), &ctx.app.config)?;
    let mut after = tx.account().clone();
    for (name, value) in overrides {
        match value {
            Some(value) => after.settings.insert(name, value),
            None => after.settings.remove(&name),
        };
    }
    after.locked_settings = locked.unwrap_or(after.locked_settings);
    save(ctx, tx, EventKind::AccountSettingsChanged, after, view::settings).await
}

pub(crate) async fn inheritance(ctx: &Ctx, id: AccountId) -> Result<Reply<api::Inheritance>> {
    let tx = ctx.read(id).await?;
    let (body, version) = (view::inheritance(tx.line()), tx.account().version);
    Ok(ctx.answer(tx, body).await?.versioned(version))
}

/// Changes to what is inherited: `None` stays, `Some(None)` removes the own value.
pub(crate) struct Changes {
    pub(crate) settings: Option<bool>,
    pub(crate) admins: Option<bool>,
    pub(crate) inherit_contacts: Option<bool>,
    pub(crate) inherit_policies: Option<bool>,
    pub(crate) contacts: Option<Option<Vec<String>>>,
    pub(crate) policies: Option<Option<Document>>,
}

pub(crate) async fn update_inheritance(ctx: &Ctx, id: AccountId, changes: Changes) -> Result<Reply<api::Inheritance>> {
    let tx = ctx.write(id).await?;
    let mut after = tx.account().clone();
    let inherits = &mut after.inherits;
    inherits.settings = changes.settings.unwrap_or(inherits.settings);
    inherits.admins = changes.admins.unwrap_or(inherits.admins);
    inherits.billing_contacts = changes.inherit_contacts.unwrap_or(inherits.billing_contacts);
    inherits.audit_policies = changes.inherit_policies.unwrap_or(inherits.audit_policies);
    after.billing_contacts = changes.contacts.unwrap_or(after.billing_contacts);
    after.audit_policies = changes.policies.unwrap_or(after.audit_policies);
    save(ctx, tx, EventKind::AccountInheritanceChanged, after, view::inheritance).await
}

/// Writes a changed account, and answers with a view of its line as it is then.
async fn save<T: serde::Serialize>(
    ctx: &Ctx,
    mut tx: TenantWrite,
    kind: EventKind,
    mut after: Account,
    view: impl Fn(&Lineage) -> T,
) -> Result<Reply<T>> {
    ctx.check_version(tx.account().version)?;
    tree::check_open(tx.account())?;
    if after == *tx.account() {
        let (body, version) = (view(tx.line()), after.version);
        return Ok(ctx.unchanged(tx, body).await?.versioned(version));
    }
    after.touch(ctx.now);
    tx.account_update(&after).await?;
    let event = Event::new(kind, after.id, after.version, change::between(tx.account(), &after));
    let version = after.version;
    let reply = Reply::new(tx.identity(), view(&tx.line().with_account(after))).versioned(version);
    ctx.commit(tx, event, reply).await
}
