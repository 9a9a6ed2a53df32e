//! Settings, and what else is inherited.

use tenantry_api as api;
use tenantry_core::id::AccountId;

use super::extract::{Body, Path};
use crate::app;
use crate::ctx::Ctx;
use crate::input;
use crate::problem::Result;
use crate::reply::Reply;

pub(crate) async fn get(ctx: Ctx, Path((account,)): Path<(AccountId,)>) -> Result<Reply<api::Settings>> {
    app::settings::get(&ctx, account).await
}

pub(crate) async fn update(
    ctx: Ctx,
    Path((account,)): Path<(AccountId,)>,
    Body(patch): Body<api::SettingsPatch>,
) -> Result<Reply<api::Settings>> {
    let locked = patch.locked_settings.map(|names| input::locked_settings(&names, &ctx.app.config)).transpose()?;
    app::settings::update(&ctx, account, &patch.settings, locked).await
}

pub(crate) async fn inheritance(ctx: Ctx, Path((account,)): Path<(AccountId,)>) -> Result<Reply<api::Inheritance>> {
    app::settings::inheritance(&ctx, account).await
}

pub(crate) async fn update_inheritance(
    ctx: Ctx,
    Path((account,)): Path<(AccountId,)>,
    Body(patch): Body<api::InheritancePatch>,
) -> Result<Reply<api::Inheritance>> {
    let contacts =
        |addresses: Option<Vec<String>>| addresses.map(|a| input::contacts("billingContacts", &a)).transpose();
    let policies = |object: Option<api::Object>| object.map(|o| input::document("auditPolicies", &o)).transpose();
    let changes = app::settings::Changes {
        settings: patch.inherit_settings,
        admins: patch.inherit_admins,
        inherit_contacts: patch.inherit_billing_contacts,
        inherit_policies: patch.inherit_audit_policies,
        contacts: patch.billing_contacts.map(contacts).transpose()?,
        policies: patch.audit_policies.map(policies).transpose()?,
    };
    app::settings::update_inheritance(&ctx, account, changes).await
}
