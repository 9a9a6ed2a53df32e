//! How many calls may be made for an account, and for all accounts below it together.

use tenantry_api as api;
use tenantry_core::event::{Event, EventKind};
use tenantry_core::id::AccountId;
use tenantry_core::limit::LimitsChange;
use tenantry_core::lineage::Lineage;
use tenantry_core::permission::Permission;
use tenantry_core::tree;
use tenantry_store::tenant::TenantRead;

use super::change;
use crate::ctx::Ctx;
use crate::problem::Result;
use crate::reply::Reply;
use crate::view;

pub(crate) async fn get(ctx: &Ctx, account: AccountId) -> Result<Reply<api::AccountLimits>> {
    let tx = ctx.read(account).await?;
    let (body, version) = (told(&tx, tx.line()), tx.account().version);
    Ok(ctx.answer(tx, body).await?.versioned(version))
}

/// Limits an account. Like features, limits are set from above: whoever sets them holds the permission on the account above, and
/// those of a root are the operator's.
pub(crate) async fn set(ctx: &Ctx, account: AccountId, wanted: LimitsChange) -> Result<Reply<api::AccountLimits>> {
    let mut tx = ctx.write(account).await?;
    ctx.check_version(tx.account().version)?;
    tree::check_open(tx.account())?;
    if tx.account().parent_id.is_none() {
        tx.caller().check_operator()?;
    }
    tx.check_parent(Permission::BudgetManage)?;
    let mut after = tx.account().clone();
    after.call_limits = wanted.of(after.call_limits);
    if after == *tx.account() {
        let (body, version) = (told(&tx, tx.line()), after.version);
        return Ok(ctx.unchanged(tx, body).await?.versioned(version));
    }
    after.touch(ctx.now);
    tx.account_update(&after).await?;
    let event = Event::new(EventKind::CallLimitsSet, after.id, after.version, change::between(tx.account(), &after));
    let version = after.version;
    let body = told(&tx, &tx.line().with_account(after));
    let reply = Reply::new(tx.identity(), body).versioned(version);
    ctx.commit(tx, event, reply).await
}

/// The limits on a line, as the caller may see them.
fn told(tx: &TenantRead, line: &Lineage) -> api::AccountLimits {
    view::account_limits(line, |above| line.up_to(above).is_some_and(|line| tx.caller().sees(&line)))
}
