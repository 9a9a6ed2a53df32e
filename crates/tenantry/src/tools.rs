//! The operator's tools: migrate, fsck, openapi.

use std::process::ExitCode;

use serde_json::json;
use tenantry_server::openapi;
use tenantry_store::Store;
use tenantry_store::fsck::{Finding, Report};

use crate::Failure;
use crate::config::{DatabaseOptions, FsckOptions};

#[expect(clippy::print_stdout, reason = "the answer of a tool")]
pub(crate) async fn migrate(options: &DatabaseOptions) -> Result<ExitCode, Failure> {
    options.make_directory()?;
    Store::migrate(&options.location(), options.default_limits()).await?.close().await;
    println!("The schema is up to date.");
    Ok(ExitCode::SUCCESS)
}

/// Exits with 1 if an invariant does not hold.
#[expect(clippy::print_stdout, reason = "the answer of a tool")]
pub(crate) async fn fsck(options: &FsckOptions) -> Result<ExitCode, Failure> {
    let store = Store::open(&options.database.location(), options.database.default_limits()).await?;
    let report = store.fsck().await?;
    store.close().await;
    println!("{}", if options.json { machine(&report) } else { people(&report) });
    Ok(if report.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn machine(report: &Report) -> String {
    let list = |findings: &[Finding]| -> Vec<_> {
        findings.iter().map(|finding| json!({"invariant": finding.invariant, "what": finding.what})).collect()
    };
    json!({
        "accounts": report.accounts,
        "changes": report.changes,
        "findings": list(&report.findings),
        "overLimits": list(&report.over_limits),
    })
    .to_string()
}

fn people(report: &Report) -> String {
    let mut lines: Vec<String> = report.findings.iter().map(|finding| format!("VIOLATED {finding}")).collect();
    lines.extend(
        report.over_limits.iter().map(|finding| format!("over its limits (kept, not added to): {}", finding.what)),
    );
    let verdict = if report.findings.is_empty() { "all invariants hold" } else { "INVARIANTS ARE VIOLATED" };
    lines.push(format!("{} accounts, {} changes: {verdict}", report.accounts, report.changes));
    lines.join("\n")
}

#[expect(clippy::print_stdout, reason = "the answer of a tool")]
pub(crate) fn openapi() -> Result<ExitCode, Failure> {
    print!("{}", openapi::render());
    Ok(ExitCode::SUCCESS)
}
