//! Reading usage.

use tenantry_api as api;
use tenantry_core::Refusal;
use tenantry_core::id::AccountId;
use tenantry_core::permission::Permission;
use tenantry_core::refusal::Code;
use tenantry_core::usage::{Granularity, Grouping, Period, Sums};
use tenantry_store::UsageQuery;

use crate::ctx::Ctx;
use crate::problem::Result;
use crate::reply::Reply;
use crate::view;

/// The most rows of one answer.
const MOST_ROWS: usize = 10_000;

/// What somebody asks.
pub(crate) struct Asked {
    pub(crate) period: Period,
    pub(crate) granularity: Granularity,
    pub(crate) grouping: Option<Grouping>,
    pub(crate) include_descendants: bool,
}

pub(crate) async fn get(ctx: &Ctx, account: AccountId, asked: Asked) -> Result<Reply<api::Usage>> {
    let as_of = ctx.app.metering.as_of();
    let mut tx = ctx.read(account).await?;
    let Asked { period, granularity, grouping, include_descendants } = asked;
    let query = UsageQuery { period, granularity, grouping, include_descendants, of: tx.own() };
    if granularity == Granularity::Hour && query.of.is_some() {
        let message = format!("takes day or month, unless one holds `{}`", Permission::UsageRead);
        return Err(Refusal::at(Code::InvalidParameter, "granularity", message).into());
    }
    // One more than there may be tells whether there are too many.
    let limit = i64::try_from(MOST_ROWS + 1).unwrap_or(i64::MAX);
    let rows = tx.usage(&query, limit).await?;
    if rows.len() > MOST_ROWS {
        let detail = format!("There are more than {MOST_ROWS} rows. Ask about less at once.");
        return Err(Refusal::new(Code::ResultTooLarge, detail).into());
    }
    let mut totals = Sums::default();
    rows.iter().for_each(|row| totals.add(row.sums));
    let body = api::Usage {
        period: api::UsagePeriod { from: view::instant(period.from), to: view::instant(period.to) },
        granularity: granularity.to_string(),
        group_by: grouping.map(|grouping| grouping.to_string()),
        data: rows.iter().map(view::usage_row).collect(),
        totals: view::usage_sums(totals),
        as_of: as_of.map(view::instant),
    };
    ctx.answer(tx, body).await
}
