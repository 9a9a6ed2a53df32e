//! Features: what an account may use, as assigned from above.

use std::collections::BTreeMap;

use tenantry_api as api;
use tenantry_core::event::{Event, EventKind};
use tenantry_core::feature::{Feature, check_assignment};
use tenantry_core::id::AccountId;
use tenantry_core::permission::Permission;
use tenantry_core::tree;

use super::change;
use crate::ctx::Ctx;
use crate::problem::Result;
use crate::reply::Reply;
use crate::view;

pub(crate) async fn get(ctx: &Ctx, account: AccountId) -> Result<Reply<api::Features>> {
    let tx = ctx.read(account).await?;
    let (body, version) = (view::features(tx.line()), tx.account().version);
    Ok(ctx.answer(tx, body).await?.versioned(version))
}

/// Assigns all features of an account anew. Who hands them out holds the permission on the account above; what a root
/// has, only the operator decides.
pub(crate) async fn assign(
    ctx: &Ctx,
    account: AccountId,
    features: BTreeMap<String, Feature>,
) -> Result<Reply<api::Features>> {
    let mut tx = ctx.write(account).await?;
    ctx.check_version(tx.account().version)?;
    tree::check_open(tx.account())?;
    if tx.account().parent_id.is_none() {
        tx.caller().check_operator()?;
    }
    tx.check_parent(Permission::FeatureAssign)?;
    check_assignment(tx.line(), &features)?;
    let mut after = tx.account().clone();
    after.features = features;
    if after == *tx.account() {
        let (body, version) = (view::features(tx.line()), after.version);
        return Ok(ctx.unchanged(tx, body).await?.versioned(version));
    }
    after.touch(ctx.now);
    tx.account_update(&after).await?;
    let event = Event::new(EventKind::FeaturesAssigned, after.id, after.version, change::between(tx.account(), &after));
    let version = after.version;
    let reply = Reply::new(tx.identity(), view::features(&tx.line().with_account(after))).versioned(version);
    ctx.commit(tx, event, reply).await
}
