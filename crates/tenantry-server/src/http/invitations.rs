//! Invitations.

use tenantry_api as api;
use tenantry_core::Refusal;
use tenantry_core::id::{AccountId, InvitationId};
use tenantry_core::invitation::Status;
use tenantry_core::refusal::Code;

use super::extract::{Body, Path, Query};
use crate::app;
use crate::app::invitations::Wanted;
use crate::ctx::Ctx;
use crate::input;
use crate::problem::Result;
use crate::reply::{Created, Reply};

/// The most invitations that one request sends.
const MOST: usize = 100;

pub(crate) async fn list(
    ctx: Ctx,
    Path((account,)): Path<(AccountId,)>,
    Query(query): Query<api::InvitationQuery>,
) -> Result<Reply<api::List<api::Invitation>>> {
    let page = input::page(&api::PageQuery { limit: query.limit, offset: query.offset })?;
    let words: Vec<_> = Status::ALL.iter().map(|status| status.as_str()).collect();
    let unknown = || Refusal::at(Code::InvalidParameter, "status", format!("takes {}", words.join(", ")));
    let status = query.status.map(|text| text.parse().map_err(|_| unknown())).transpose()?;
    app::invitations::list(&ctx, account, status, page).await
}

pub(crate) async fn create(
    ctx: Ctx,
    Path((account,)): Path<(AccountId,)>,
    Body(new): Body<api::NewInvitation>,
) -> Result<Created<api::Invitation>> {
    app::invitations::create(&ctx, account, wanted("email".to_owned(), new)?).await
}

pub(crate) async fn create_many(
    ctx: Ctx,
    Path((account,)): Path<(AccountId,)>,
    Body(new): Body<api::NewInvitations>,
) -> Result<Created<api::Invitations>> {
    if !(1..=MOST).contains(&new.invitations.len()) {
        return Err(Refusal::field("invitations", format!("takes 1 to {MOST}")).into());
    }
    let all = new.invitations.into_iter().enumerate();
    let people =
        all.map(|(place, one)| wanted(format!("invitations[{place}].email"), one)).collect::<Result<_, _>>()?;
    app::invitations::create_many(&ctx, account, people).await
}

fn wanted(field: String, new: api::NewInvitation) -> Result<Wanted, Refusal> {
    let email = input::email(&field, &new.email)?;
    Ok(Wanted { field, email, role: new.role })
}

pub(crate) async fn cancel(
    ctx: Ctx,
    Path((account, invitation)): Path<(AccountId, InvitationId)>,
) -> Result<Reply<api::Invitation>> {
    app::invitations::cancel(&ctx, account, invitation).await
}

pub(crate) async fn resend(
    ctx: Ctx,
    Path((account, invitation)): Path<(AccountId, InvitationId)>,
) -> Result<Reply<api::Invitation>> {
    app::invitations::resend(&ctx, account, invitation).await
}

pub(crate) async fn preview(ctx: Ctx, Body(given): Body<api::Token>) -> Result<Reply<api::InvitationPreview>> {
    app::invitations::preview(&ctx, &given.token).await
}

pub(crate) async fn accept(ctx: Ctx, Body(said): Body<api::Acceptance>) -> Result<Reply<api::Accepted>> {
    app::invitations::accept(&ctx, &said).await
}

pub(crate) async fn decline(ctx: Ctx, Body(given): Body<api::Token>) -> Result<Reply<api::Declined>> {
    app::invitations::decline(&ctx, &given.token).await
}
