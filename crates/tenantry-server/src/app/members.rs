//! Members: who they are, what they may do, and how they go.

use serde_json::json;
use tenantry_api as api;
use tenantry_core::Refusal;
use tenantry_core::event::{Event, EventKind};
use tenantry_core::id::{AccountId, UserId};
use tenantry_core::member;
use tenantry_core::permission::Permission;
use tenantry_core::refusal::Code;
use tenantry_core::rights::Person;
use tenantry_core::tree;
use tenantry_store::tenant::TenantRead;
use tenantry_store::{Member, Page, Paged};

use super::change;
use crate::ctx::Ctx;
use crate::problem::Result;
use crate::reply::Reply;
use crate::view;

/// Which members to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    /// Those of the account itself.
    Direct,
    /// Those of accounts above whose roles reach down here.
    Inherited,
}

pub(crate) async fn list(
    ctx: &Ctx,
    account: AccountId,
    from: Option<From>,
    page: Page,
) -> Result<Reply<api::List<api::Member>>> {
    let mut tx = ctx.read(account).await?;
    let direct = match from {
        Some(From::Inherited) => Paged { rows: Vec::new(), total: 0 },
        _ => tx.member_list(page).await?,
    };
    let inherited = if from == Some(From::Direct) { Vec::new() } else { reaching_down(&mut tx).await? };
    let total = direct.total + i64::try_from(inherited.len()).unwrap_or(i64::MAX);
    // Those of the account itself come first.
    let skipped = (page.offset - direct.total).max(0);
    let room = page.limit - i64::try_from(direct.rows.len()).unwrap_or_default();
    let window = |n: i64| usize::try_from(n).unwrap_or_default();
    let mut rows = direct.rows;
    rows.extend(inherited.into_iter().skip(window(skipped)).take(window(room)));
    let body = view::list(Paged { rows, total }, page, |member| seen(&tx, member));
    ctx.answer(tx, body).await
}

/// Members of accounts above who may do something here.
async fn reaching_down(tx: &mut TenantRead) -> Result<Vec<Member>> {
    let mut above = tx.members_above().await?;
    let counts = |member: &Member| {
        let alone = Person { user: member.membership.user, memberships: vec![member.membership.clone()] };
        !alone.rights_over(tx.line()).is_empty()
    };
    above.retain(counts);
    Ok(above)
}

fn seen(tx: &TenantRead, member: &Member) -> api::Member {
    let at = tx.line().up_to(member.membership.account);
    view::member(member, tx.account(), at.is_some_and(|line| tx.caller().sees(&line)))
}

/// The member, or why they cannot be touched here: somebody from above is a member there, not here.
async fn found(tx: &mut TenantRead, user: UserId) -> Result<Member> {
    if let Some(member) = tx.member_by_user(user).await? {
        return Ok(member);
    }
    let inherited = reaching_down(tx).await?.iter().any(|member| member.membership.user == user);
    Err(if inherited { Code::MembershipInherited } else { Code::NotFound }.into())
}

pub(crate) async fn get(ctx: &Ctx, account: AccountId, user: UserId) -> Result<Reply<api::Member>> {
    let mut tx = ctx.read(account).await?;
    let found = match tx.member_by_user(user).await? {
        Some(member) => member,
        None => {
            let above = reaching_down(&mut tx).await?;
            above.into_iter().find(|member| member.membership.user == user).ok_or(Code::NotFound)?
        }
    };
    let body = seen(&tx, &found);
    ctx.answer(tx, body).await
}

/// Gives a member another role.
pub(crate) async fn update(ctx: &Ctx, account: AccountId, user: UserId, role: &str) -> Result<Reply<api::Member>> {
    let mut tx = ctx.write(account).await?;
    tree::check_open(tx.account())?;
    let mut member = found(&mut tx, user).await?;
    let unknown =
        || Refusal::field("role", "takes admin, maintainer, member, or a custom role of this account or above");
    let new = tx.role_by_text(role).await?.ok_or_else(unknown)?;
    if new.which == member.membership.role.which {
        let body = seen(&tx, &member);
        return ctx.unchanged(tx, body).await;
    }
    let (actor, own, count) =
        (tx.caller().actor.user(), tx.caller().rights_over(tx.line()), tx.headcount(ctx.now).await?);
    member::check_change(actor, own, &member.membership, &new, count)?;
    tx.membership_update(user, new.which, ctx.now).await?;
    let detail = json!({"role": {"from": member.membership.role.name, "to": new.name}, "seats": count.members});
    let event = Event::new(EventKind::MemberRoleChanged, user, 0, change::detail(&detail));
    member.membership.role = new;
    member.since = ctx.now;
    let reply = Reply::new(tx.identity(), seen(&tx, &member));
    ctx.commit(tx, event, reply).await
}

/// Ends a membership, and the keys that act for it.
pub(crate) async fn remove(ctx: &Ctx, account: AccountId, user: UserId) -> Result<Reply<api::MemberRemoved>> {
    let mut tx = ctx.write(account).await?;
    let member = found(&mut tx, user).await?;
    if tx.caller().actor.user() == Some(user) {
        member::check_leave(&member.membership.role)?;
    }
    let (own, count) = (tx.caller().rights_over(tx.line()), tx.headcount(ctx.now).await?);
    member::check_removal(own, &member.membership, count)?;
    end(ctx, tx, &member, EventKind::MemberRemoved, "removed", count.members - 1).await
}

/// Ends the membership of who asks.
pub(crate) async fn leave(ctx: &Ctx, account: AccountId) -> Result<Reply<api::MemberRemoved>> {
    let mut tx = ctx.write(account).await?;
    let user = tx.own().ok_or(Code::MembershipRequired)?;
    let member = tx.member_by_user(user).await?.ok_or(Code::MembershipRequired)?;
    member::check_leave(&member.membership.role)?;
    tx.caller().check(tx.line(), Permission::OrganizationLeave)?;
    let count = tx.headcount(ctx.now).await?;
    end(ctx, tx, &member, EventKind::MemberLeft, "left", count.members - 1).await
}

async fn end(
    ctx: &Ctx,
    mut tx: tenantry_store::tenant::TenantWrite,
    member: &Member,
    kind: EventKind,
    status: &str,
    seats: i64,
) -> Result<Reply<api::MemberRemoved>> {
    let user = member.membership.user;
    let keys_revoked = tx.membership_delete(user, ctx.now).await?;
    let detail = json!({"role": member.membership.role.name, "keysRevoked": keys_revoked, "seats": seats});
    let event = Event::new(kind, user, 0, change::detail(&detail));
    let body = api::MemberRemoved { user_id: user.to_string(), status: status.to_owned(), keys_revoked };
    let reply = Reply::new(tx.identity(), body);
    ctx.commit(tx, event, reply).await
}
