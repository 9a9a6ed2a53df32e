//! The organization itself: whether it goes on, and its seats. What it costs belongs to billing.

use serde_json::json;
use tenantry_api as api;
use tenantry_core::account::{Account, Kind};
use tenantry_core::event::{Event, EventKind};
use tenantry_core::id::AccountId;
use tenantry_core::member::Headcount;
use tenantry_core::refusal::Code;
use tenantry_core::{Refusal, tree};
use tenantry_store::Page;
use tenantry_store::tenant::{TenantRead, TenantWrite};

use super::change;
use crate::ctx::Ctx;
use crate::problem::Result;
use crate::reply::Reply;
use crate::view;

/// How many of the members that are left are named.
const NAMED: i64 = 20;

pub(crate) async fn get(ctx: &Ctx, account: AccountId) -> Result<Reply<api::OrganizationSubscription>> {
    let mut tx = ctx.read(account).await?;
    let count = tx.headcount(ctx.now).await?;
    let body = subscription(&tx, tx.account(), count);
    ctx.answer(tx, body).await
}

fn subscription(tx: &TenantRead, account: &Account, count: Headcount) -> api::OrganizationSubscription {
    api::OrganizationSubscription {
        status: if account.canceled_at.is_some() { "canceled" } else { "active" }.to_owned(),
        canceled_at: account.canceled_at.map(view::instant),
        seats: api::Seats {
            used: count.members,
            pending: count.pending,
            max: tx.line().seat_cap().map(|cap| cap.value),
        },
    }
}

/// Ends the organization: it takes no members any more, and its admin can only use up what is paid for.
pub(crate) async fn cancel(ctx: &Ctx, account: AccountId) -> Result<Reply<api::OrganizationSubscription>> {
    let mut tx = ctx.write(account).await?;
    check_organization(tx.account())?;
    let count = tx.headcount(ctx.now).await?;
    if count.members > 1 {
        return Err(remaining(&mut tx, count).await?.into());
    }
    let canceled_at = Some(tx.account().canceled_at.unwrap_or(ctx.now));
    save(ctx, tx, canceled_at, EventKind::OrganizationCanceled, count).await
}

/// Takes a canceled organization up again.
pub(crate) async fn resume(ctx: &Ctx, account: AccountId) -> Result<Reply<api::OrganizationSubscription>> {
    let mut tx = ctx.write(account).await?;
    check_organization(tx.account())?;
    let count = tx.headcount(ctx.now).await?;
    save(ctx, tx, None, EventKind::OrganizationResumed, count).await
}

fn check_organization(account: &Account) -> Result<(), Refusal> {
    tree::check_open(account)?;
    if account.kind == Kind::Personal { Err(Code::PersonalAccount.into()) } else { Ok(()) }
}

async fn save(
    ctx: &Ctx,
    mut tx: TenantWrite,
    canceled_at: Option<tenantry_core::Timestamp>,
    kind: EventKind,
    count: Headcount,
) -> Result<Reply<api::OrganizationSubscription>> {
    let mut after = tx.account().clone();
    after.canceled_at = canceled_at;
    let body = subscription(&tx, &after, count);
    if after == *tx.account() {
        return ctx.unchanged(tx, body).await;
    }
    after.touch(ctx.now);
    tx.account_update(&after).await?;
    let event = Event::new(kind, after.id, after.version, change::detail(&json!({"seats": count.members})));
    let reply = Reply::new(tx.identity(), body);
    ctx.commit(tx, event, reply).await
}

/// Says who has to go first.
async fn remaining(tx: &mut TenantRead, count: Headcount) -> Result<Refusal> {
    let listed = tx.member_list(Page { limit: NAMED, offset: 0 }).await?;
    let actor = tx.caller().actor.user();
    let others = listed.rows.iter().filter(|member| Some(member.membership.user) != actor);
    let names: Vec<_> = others
        .map(|member| format!("{} ({}, {})", member.membership.user, member.email, member.membership.role))
        .collect();
    let detail = format!("{} members are left: {}.", count.members, names.join(", "));
    Ok(Refusal::new(Code::MembersRemain, detail))
}
