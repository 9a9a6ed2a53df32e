//! Decisions.

use tenantry_api as api;

use super::extract::Body;
use crate::app;
use crate::ctx::Ctx;
use crate::problem::Result;
use crate::reply::Reply;

pub(crate) async fn decide(ctx: Ctx, Body(asked): Body<api::DecisionRequest>) -> Result<Reply<api::Decision>> {
    app::decisions::decide(&ctx, &asked).await
}

pub(crate) async fn decide_many(ctx: Ctx, Body(asked): Body<api::DecisionBatch>) -> Result<Reply<api::Decisions>> {
    app::decisions::decide_many(&ctx, &asked.decisions).await
}
