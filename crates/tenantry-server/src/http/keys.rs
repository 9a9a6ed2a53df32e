//! API keys.

use tenantry_api as api;
use tenantry_core::Refusal;
use tenantry_core::id::{AccountId, BadId, KeyId};
use tenantry_core::key::{Environment, Overlap};
use tenantry_core::refusal::Code;

use super::extract::{Body, MaybeBody, Path, Query};
use crate::app;
use crate::ctx::Ctx;
use crate::input;
use crate::problem::Result;
use crate::reply::{Created, Reply};

pub(crate) async fn list(
    ctx: Ctx,
    Path((account,)): Path<(AccountId,)>,
    Query(query): Query<api::PageQuery>,
) -> Result<Reply<api::List<api::Key>>> {
    app::keys::list(&ctx, account, input::page(&query)?).await
}

pub(crate) async fn create(
    ctx: Ctx,
    Path((account,)): Path<(AccountId,)>,
    Body(new): Body<api::NewKey>,
) -> Result<Created<api::KeyWithSecret>> {
    let environment = new.environment.as_deref().unwrap_or(Environment::Live.as_str());
    let expires_at = new.expires_at.map(|at| input::instant(Code::InvalidField, "expiresAt", &at)).transpose()?;
    if expires_at.is_some_and(|end| end <= ctx.now) {
        return Err(Refusal::field("expiresAt", "takes a time in the future").into());
    }
    let wanted = app::keys::Wanted {
        name: input::name("name", &new.name)?,
        environment: input::word("environment", environment, &["live", "test"])?,
        user: new
            .user_id
            .map(|id| id.parse())
            .transpose()
            .map_err(|e: BadId| Refusal::field("userId", e.to_string()))?,
        scopes: new.scopes.map(|names| input::permissions("scopes", &names)).transpose()?,
        networks: new.ip_allowlist.map(|cidrs| input::networks("ipAllowlist", &cidrs)).transpose()?,
        limits: input::call_limits("limits.", new.limits.unwrap_or_default())?,
        expires_at,
    };
    app::keys::create(&ctx, account, wanted).await
}

pub(crate) async fn get(ctx: Ctx, Path((account, key)): Path<(AccountId, KeyId)>) -> Result<Reply<api::Key>> {
    app::keys::get(&ctx, account, key).await
}

pub(crate) async fn update(
    ctx: Ctx,
    Path((account, key)): Path<(AccountId, KeyId)>,
    Body(change): Body<api::KeyChange>,
) -> Result<Reply<api::Key>> {
    app::keys::update(&ctx, account, key, input::limits_change("limits.", change.limits)?).await
}

pub(crate) async fn rotate(
    ctx: Ctx,
    Path((account, key)): Path<(AccountId, KeyId)>,
    MaybeBody(rotation): MaybeBody<api::Rotation>,
) -> Result<Created<api::KeyWithSecret>> {
    let overlap = rotation.overlap.as_deref().unwrap_or(Overlap::Day.as_str());
    let overlap = input::word("overlap", overlap, &["now", "1h", "24h", "7d"])?;
    app::keys::rotate(&ctx, account, key, overlap).await
}

pub(crate) async fn revoke(ctx: Ctx, Path((account, key)): Path<(AccountId, KeyId)>) -> Result<Reply<api::Key>> {
    app::keys::revoke(&ctx, account, key).await
}

pub(crate) async fn why(
    ctx: Ctx,
    Path((account, key)): Path<(AccountId, KeyId)>,
    Query(query): Query<api::WhyQuery>,
) -> Result<Reply<api::Decision>> {
    app::explain::why(&ctx, account, key, &query).await
}

pub(crate) async fn reach(
    ctx: Ctx,
    Path((account, key)): Path<(AccountId, KeyId)>,
    Query(query): Query<api::ReachQuery>,
) -> Result<Reply<api::Reach>> {
    let assumed = query.assume_org.filter(|id| !id.is_empty()).map(|id| id.parse()).transpose();
    app::explain::reach(&ctx, account, key, assumed.map_err(|_: BadId| Code::AssumeMalformed)?).await
}
