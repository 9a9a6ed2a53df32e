//! Counting what people try, so that nobody guesses for long.

use tenantry_core::Refusal;
use tenantry_core::throttle::{Limit, block_of};
use tenantry_store::Count;

use crate::ctx::Ctx;
use crate::problem::Result;
use crate::seal::sha256_parts;

/// One count of `limit`, for whoever `who` tells.
pub(crate) fn count(limit: Limit, who: &str) -> Count {
    Count { limit, id: sha256_parts(&[limit.as_str().as_bytes(), who.as_bytes()]) }
}

/// The address block that a request comes from.
pub(crate) fn from(ctx: &Ctx) -> String {
    ctx.ip().map_or_else(|| "nowhere".to_owned(), block_of)
}

/// Counts one more of each, if none of them is one too many.
///
/// # Errors
/// `too_many_attempts`.
pub(crate) async fn take(ctx: &Ctx, counts: &[Count]) -> Result<()> {
    take_many(ctx, counts, 1).await
}

/// The same for several at once.
pub(crate) async fn take_many(ctx: &Ctx, counts: &[Count], many: i64) -> Result<()> {
    let counted = ctx.app.store.throttle_take(counts, many, ctx.now).await?;
    Ok(counted.map_err(Refusal::from)?)
}

/// Takes back what was counted: it was no failure.
pub(crate) async fn give_back(ctx: &Ctx, counts: &[Count]) -> Result<()> {
    Ok(ctx.app.store.throttle_give_back(counts).await?)
}
