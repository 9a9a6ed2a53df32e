//! Accounts.

use tenantry_api as api;
use tenantry_core::account::{Kind, Profile};
use tenantry_core::id::AccountId;
use tenantry_core::tree::LimitsChange;
use tenantry_core::{Document, Refusal};

use super::extract::{Body, Path, Query};
use crate::app;
use crate::ctx::Ctx;
use crate::input;
use crate::problem::Result;
use crate::reply::{Created, Reply};

pub(crate) async fn list(ctx: Ctx, Query(query): Query<api::AccountQuery>) -> Result<Reply<api::List<api::Account>>> {
    let page = input::page(&api::PageQuery { limit: query.limit, offset: query.offset })?;
    app::accounts::list(&ctx, input::status_filter(query.status.as_deref())?, page).await
}

pub(crate) async fn create(ctx: Ctx, Body(new): Body<api::NewAccount>) -> Result<Created<api::Account>> {
    let kind =
        new.kind.map_or(Ok(Kind::Organization), |text| input::word("kind", &text, &["organization", "personal"]))?;
    let mut profile = profile(kind, &new.name, &new.email, new.metadata.as_ref())?;
    let overrides = input::root_settings(&new.settings.unwrap_or_default(), &ctx.app.config)?;
    profile.settings = overrides;
    app::accounts::create(&ctx, profile).await
}

/// What the creator of any account says about it, settings aside.
pub(super) fn profile(kind: Kind, name: &str, email: &str, metadata: Option<&api::Object>) -> Result<Profile, Refusal> {
    Ok(Profile {
        kind,
        name: input::name("name", name)?,
        email: input::email("email", email)?,
        settings: std::collections::BTreeMap::new(),
        metadata: metadata.map_or(Ok(Document::empty()), |object| input::document("metadata", object))?,
    })
}

pub(crate) async fn get(ctx: Ctx, Path((account,)): Path<(AccountId,)>) -> Result<Reply<api::Account>> {
    app::accounts::get(&ctx, account).await
}

pub(crate) async fn update(
    ctx: Ctx,
    Path((account,)): Path<(AccountId,)>,
    Body(patch): Body<api::AccountPatch>,
) -> Result<Reply<api::Account>> {
    let changes = app::accounts::Changes {
        name: patch.name.map(|name| input::name("name", &name)).transpose()?,
        email: patch.email.map(|email| input::email("email", &email)).transpose()?,
        metadata: patch.metadata.map(|object| input::document("metadata", &object)).transpose()?,
        inherit_settings: patch.inherit_settings,
        inherit_admins: patch.inherit_admins,
    };
    app::accounts::update(&ctx, account, changes).await
}

pub(crate) async fn descendants(
    ctx: Ctx,
    Path((account,)): Path<(AccountId,)>,
    Query(query): Query<api::AccountQuery>,
) -> Result<Reply<api::List<api::Account>>> {
    let page = input::page(&api::PageQuery { limit: query.limit, offset: query.offset })?;
    app::accounts::descendants(&ctx, account, input::status_filter(query.status.as_deref())?, page).await
}

pub(crate) async fn ancestors(
    ctx: Ctx,
    Path((account,)): Path<(AccountId,)>,
    Query(query): Query<api::PageQuery>,
) -> Result<Reply<api::List<api::Account>>> {
    app::accounts::ancestors(&ctx, account, input::page(&query)?).await
}

pub(crate) async fn tree(ctx: Ctx, Path((account,)): Path<(AccountId,)>) -> Result<Reply<api::Tree>> {
    app::accounts::tree(&ctx, account).await
}

pub(crate) async fn suspend(ctx: Ctx, Path((account,)): Path<(AccountId,)>) -> Result<Reply<api::Account>> {
    app::accounts::suspend(&ctx, account).await
}

pub(crate) async fn activate(ctx: Ctx, Path((account,)): Path<(AccountId,)>) -> Result<Reply<api::Account>> {
    app::accounts::activate(&ctx, account).await
}

pub(crate) async fn close(ctx: Ctx, Path((account,)): Path<(AccountId,)>) -> Result<Reply<api::Account>> {
    app::accounts::close(&ctx, account).await
}

pub(crate) async fn limits(
    ctx: Ctx,
    Path((account,)): Path<(AccountId,)>,
    Body(change): Body<api::LimitsChange>,
) -> Result<Reply<api::Account>> {
    let change = LimitsChange {
        max_depth: change.max_depth,
        max_children: change.max_children,
        super_organization: change.super_organization,
    };
    app::accounts::limits(&ctx, account, change).await
}
