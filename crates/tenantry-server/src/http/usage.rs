//! Usage, as JSON or for spreadsheets.

use std::str::FromStr;

use tenantry_api as api;
use tenantry_core::Refusal;
use tenantry_core::id::AccountId;
use tenantry_core::refusal::Code;
use tenantry_core::usage::{Granularity, Grouping, Period};

use super::extract::{Path, Query};
use crate::app;
use crate::csv::{Cell, Table};
use crate::ctx::Ctx;
use crate::input;
use crate::problem::Result;
use crate::reply::Sheet;

pub(crate) async fn get(
    ctx: Ctx,
    Path((account,)): Path<(AccountId,)>,
    Query(query): Query<api::UsageQuery>,
) -> Result<Sheet<api::Usage>> {
    let csv = match query.format.as_deref() {
        None | Some("json") => false,
        Some("csv") => true,
        Some(_) => return Err(takes("format", "takes json or csv").into()),
    };
    let reply = app::usage::get(&ctx, account, asked(&ctx, query)?).await?;
    if !csv {
        return Ok(Sheet::Json(reply));
    }
    let usage = &reply.body;
    let day = |at: &str| at.chars().take(10).collect::<String>();
    let name = format!("usage-{account}-{}-{}.csv", day(&usage.period.from), day(&usage.period.to));
    let text = table(usage);
    Ok(Sheet::Csv { reply: reply.with_body(()), name, text })
}

fn asked(ctx: &Ctx, query: api::UsageQuery) -> Result<app::usage::Asked, Refusal> {
    let granularity = word("granularity", query.granularity, "takes hour, day or month")?.unwrap_or(Granularity::Day);
    let grouping = word("groupBy", query.group_by, "takes account, user, key, api or endpoint")?;
    if granularity == Granularity::Hour && matches!(grouping, Some(Grouping::User | Grouping::Key)) {
        return Err(takes("granularity", "takes day or month where `groupBy` is user or key"));
    }
    let instant =
        |name: &str, text: Option<String>| text.map(|at| input::instant(Code::InvalidParameter, name, &at)).transpose();
    let (from, to) = (instant("from", query.from)?, instant("to", query.to)?);
    Ok(app::usage::Asked {
        period: Period::asked(granularity, from, to, ctx.now)?,
        granularity,
        grouping,
        include_descendants: query.include_descendants.unwrap_or_default(),
    })
}

fn word<T: FromStr>(name: &str, text: Option<String>, message: &str) -> Result<Option<T>, Refusal> {
    text.map(|text| text.parse().map_err(|_| takes(name, message))).transpose()
}

fn takes(name: &str, message: &str) -> Refusal {
    Refusal::at(Code::InvalidParameter, name, message)
}

/// The rows with names that say what they are: `from`, what is told apart, and how much.
fn table(usage: &api::Usage) -> String {
    let group = usage.group_by.as_deref();
    let api = group == Some("endpoint");
    let mut names = vec!["from"];
    names.extend(group);
    names.extend(api.then_some("api"));
    names.extend(["calls", "failures", "credits"]);
    let mut table = Table::new(&names);
    for row in &usage.data {
        let mut cells = vec![Cell::Text(&row.from)];
        cells.extend(group.map(|_| Cell::Text(row.group.as_deref().unwrap_or_default())));
        cells.extend(api.then(|| Cell::Text(row.api.as_deref().unwrap_or_default())));
        cells.extend([row.sums.calls, row.sums.failures, row.sums.credits].map(Cell::Number));
        table.row(cells);
    }
    table.into_text()
}
