//! The published contract of super organizations.

use tenantry_api as api;

use crate::app;
use crate::ctx::Ctx;
use crate::problem::Result;
use crate::reply::Reply;

pub(crate) async fn org(ctx: Ctx) -> Result<Reply<api::Org>> {
    app::org::org(&ctx).await
}

pub(crate) async fn child_orgs(ctx: Ctx) -> Result<Reply<Vec<api::ChildOrg>>> {
    app::org::child_orgs(&ctx).await
}

pub(crate) async fn secrets(ctx: Ctx) -> Result<Reply<api::Secrets>> {
    app::org::secrets(&ctx).await
}
