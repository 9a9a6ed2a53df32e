//! Enrollment links.

use tenantry_api as api;
use tenantry_core::Refusal;
use tenantry_core::id::{AccountId, LinkId};
use tenantry_core::refusal::Code;

use super::extract::{Body, MaybeBody, Path, Query};
use crate::app;
use crate::ctx::Ctx;
use crate::input;
use crate::problem::Result;
use crate::reply::{Accepted, Created, Reply};

pub(crate) async fn list(
    ctx: Ctx,
    Path((account,)): Path<(AccountId,)>,
    Query(query): Query<api::PageQuery>,
) -> Result<Reply<api::List<api::EnrollmentLink>>> {
    app::enrollment::list(&ctx, account, input::page(&query)?).await
}

pub(crate) async fn create(
    ctx: Ctx,
    Path((account,)): Path<(AccountId,)>,
    MaybeBody(new): MaybeBody<api::NewEnrollmentLink>,
) -> Result<Created<api::EnrollmentLinkWithToken>> {
    let name = input::name("name", new.name.as_deref().unwrap_or("Enrollment"))?;
    let max_uses = new.max_uses.flatten();
    if max_uses.is_some_and(|most| !(1..=1_000_000).contains(&most)) {
        return Err(Refusal::field("maxUses", "takes 1 to 1000000, or null").into());
    }
    let expires_at = new.expires_at.map(|at| input::instant(Code::InvalidField, "expiresAt", &at)).transpose()?;
    if expires_at.is_some_and(|end| end <= ctx.now) {
        return Err(Refusal::field("expiresAt", "takes a time in the future").into());
    }
    app::enrollment::create(&ctx, account, name, max_uses, expires_at).await
}

pub(crate) async fn revoke(
    ctx: Ctx,
    Path((account, link)): Path<(AccountId, LinkId)>,
) -> Result<Reply<api::EnrollmentLink>> {
    app::enrollment::revoke(&ctx, account, link).await
}

pub(crate) async fn enroll(ctx: Ctx, Body(given): Body<api::Enrollment>) -> Result<Accepted<api::Enrolled>> {
    app::enrollment::enroll(&ctx, &given).await
}
