//! The published contract of super organizations.

use tenantry_api as api;
use tenantry_core::key::Key;
use tenantry_core::usage::Period;
use tenantry_store::Lined;

use crate::ctx::Ctx;
use crate::problem::Result;
use crate::reply::Reply;
use crate::view;

pub(crate) async fn org(ctx: &Ctx) -> Result<Reply<api::Org>> {
    let mut tx = ctx.read_own().await?;
    let lined = tx.lined().await?;
    ctx.answer(tx, view_org(&lined)).await
}

pub(crate) async fn child_orgs(ctx: &Ctx) -> Result<Reply<Vec<api::ChildOrg>>> {
    let mut tx = ctx.read_own().await?;
    let children = tx.children_lined().await?;
    let credits = tx.credits_of_children(Period::month_of(ctx.now)).await?;
    let child_org = |child: &Lined| api::ChildOrg {
        org: view_org(child),
        credits_used: credits.get(&child.line.account().id).copied().unwrap_or_default(),
    };
    ctx.answer(tx, children.iter().map(child_org).collect()).await
}

pub(crate) async fn secrets(ctx: &Ctx) -> Result<Reply<api::Secrets>> {
    let tx = ctx.read_own().await?;
    let api_key = tx.identity().key.as_ref().map(Key::masked);
    // There are no webhooks yet, so there is neither address nor secret.
    ctx.answer(tx, api::Secrets { api_key, webhook_url: None, webhook_secret: None }).await
}

fn view_org(lined: &Lined) -> api::Org {
    let account = view::account(lined);
    api::Org { org_id: account.id.clone(), org_name: account.name.clone(), account }
}
