//! Decisions, asked for one by one or together: whether a call may happen, by the snapshot in memory.

use tenantry_api as api;
use tenantry_core::event::{Revision, bucket};
use tenantry_core::refusal::Code;
use tenantry_core::snapshot::{Decision, Fix, Rule, Snapshot};
use tenantry_core::{Refusal, Timestamp};
use tenantry_gateway::limits::{Exceeded, Fields, Report};
use tenantry_gateway::verdict::{self, Allowed, Call, Judge, Question};

use crate::ctx::Ctx;
use crate::problem::{Result, status};
use crate::reply::Reply;
use crate::state::App;
use crate::view;

/// The most calls of a batch.
const MOST: usize = 256;

pub(crate) async fn decide(ctx: &Ctx, asked: &api::DecisionRequest) -> Result<Reply<api::Decision>> {
    let asker = ctx.decider().await?;
    // Only whoever may ask may have us wait.
    ctx.catch_up().await?;
    let snapshot = ctx.app.plane.snapshot();
    Ok(Reply::to_account(asker, answer(&ctx.app, &snapshot, asked, ctx.now)))
}

pub(crate) async fn decide_many(ctx: &Ctx, asked: &[api::DecisionRequest]) -> Result<Reply<api::Decisions>> {
    let asker = ctx.decider().await?;
    if asked.is_empty() || asked.len() > MOST {
        return Err(Refusal::field("decisions", format!("takes 1 to {MOST}")).into());
    }
    ctx.catch_up().await?;
    // All by one and the same snapshot.
    let snapshot = ctx.app.plane.snapshot();
    let decisions = asked.iter().map(|asked| answer(&ctx.app, &snapshot, asked, ctx.now)).collect();
    Ok(Reply::to_account(asker, api::Decisions { decisions }))
}

/// Whether a call may begin that waits in front of an API. Refuses as the API would.
pub(crate) fn authorize(app: &App, now: Timestamp, call: &Call<'_>) -> Result<(Allowed, Option<Fields>)> {
    let snapshot = app.plane.snapshot();
    let judge = Judge { snapshot: &snapshot, limiter: &app.limiter, now, monotonic: app.clock.monotonic() };
    let (allowed, report) = judge.begin(call)?;
    Ok((allowed, report.fields()))
}

/// The steps, in the order in which they are asked, with the codes of those that fail.
const STEPS: [(&str, &[Code]); 11] = [
    ("the credential is well-formed", &[Code::KeyMalformed]),
    ("the credential is known", &[Code::KeyUnknown]),
    ("it is neither revoked nor expired, and its people are there", &[Code::KeyRevoked, Code::KeyExpired]),
    ("its account is active", &[Code::AccountSuspended, Code::AccountClosed]),
    ("the account may be assumed, and is active", &[Code::AssumeForbidden, Code::AssumeMalformed]),
    ("the path is canonical, the endpoint known", &[Code::PathInvalid, Code::EndpointUnknown]),
    ("the address is in every list that applies", &[Code::IpNotAllowed]),
    ("the permission is held", &[Code::PermissionDenied]),
    ("no restriction forbids it", &[Code::EndpointRestricted]),
    ("features and resources are there", &[Code::FeatureMissing, Code::ResourceNotShared]),
    ("rate limits leave room", &[Code::RateLimited]),
];

fn answer(app: &App, snapshot: &Snapshot, asked: &api::DecisionRequest, now: Timestamp) -> api::Decision {
    let call = Call {
        key: &asked.key,
        assume: asked.assume_org.as_deref(),
        // What is no address is not this API's mistake, but the caller's.
        address: asked.ip.parse().ok(),
        method: &asked.method,
        target: &asked.path,
        resource: asked.resource.as_ref().map(|resource| (resource.kind.as_str(), resource.id.as_str())),
    };
    tell(app, snapshot, &Question::of(&call, now), asked.explain, asked.dry_run)
}

fn tell(app: &App, snapshot: &Snapshot, question: &Question<'_>, explain: bool, dry_run: bool) -> api::Decision {
    let mut decision = question.decide(snapshot);
    let counted = count(app, snapshot, &mut decision, dry_run);
    let mut told = told(snapshot, &decision, explain);
    if explain {
        told.fixes = Some(fixes(snapshot, question));
    }
    tell_limits(&mut told, counted);
    told
}

/// A decision with everything that explains it. Nothing is counted.
pub(crate) fn explain(app: &App, question: &Question<'_>) -> api::Decision {
    let snapshot = app.plane.snapshot();
    tell(app, &snapshot, question, true, true)
}

/// Counts a call that may happen, unless the question is hypothetical. Where there is no room, it may not happen after all.
fn count(app: &App, snapshot: &Snapshot, decision: &mut Decision<'_>, dry_run: bool) -> Result<Report, Exceeded> {
    if decision.outcome.is_err() {
        return Ok(Report::default());
    }
    let (limits, now) = (snapshot.limits(decision), app.clock.monotonic());
    let counted = if dry_run { app.limiter.peek(limits, now) } else { app.limiter.take(limits, now) };
    if let Err(exceeded) = &counted {
        decision.outcome = Err(exceeded.denial());
    }
    counted
}

/// What limits have to say about a call.
fn tell_limits(told: &mut api::Decision, counted: Result<Report, Exceeded>) {
    let report = counted.unwrap_or_else(|exceeded| {
        told.retry_after = Some(exceeded.deciding().seconds());
        if let Some(fixes) = &mut told.fixes {
            fixes.extend(exceeded.exhausted().map(view::wait));
        }
        exceeded.report
    });
    let headers = report.fields();
    told.headers = headers.map(|fields| api::DecisionHeaders { policy: fields.policy, limit: fields.limit });
}

fn told(snapshot: &Snapshot, decision: &Decision<'_>, explain: bool) -> api::Decision {
    let denial = decision.outcome.as_ref().err();
    let actor = decision.key.map(|key| api::DecisionActor {
        account_id: decision.actor.map(|id| id.to_string()),
        key_id: Some(key.to_string()),
        user_id: decision.user.map(|id| id.to_string()),
    });
    api::Decision {
        allow: denial.is_none(),
        code: denial.map(|denial| denial.code.to_string()),
        status: denial.map_or(200, |denial| status(denial.code.kind()).as_u16()),
        rule: denial.and_then(|denial| denial.rule.as_ref()).map(rule),
        subject: decision.subject.map(|id| id.to_string()),
        actor,
        api: decision.found.map(|found| found.api.id.clone()),
        endpoint: decision.found.map(|found| found.endpoint.id.to_string()),
        cost: decision.found.map_or(0, |found| found.endpoint.cost),
        remaining: None,
        retry_after: None,
        headers: None,
        rev: decision.subject.and_then(|id| snapshot.root_of(id)).map(|root| {
            let bucket = bucket(root);
            Revision { bucket, rev: snapshot.revision(bucket) }.to_string()
        }),
        fixes: None,
        trace: explain.then(|| trace(denial.map(|denial| denial.code))),
    }
}

/// What would change the answer. What is no call at all would have to be another one.
fn fixes(snapshot: &Snapshot, question: &Question<'_>) -> Vec<api::DecisionFix> {
    let fixes = snapshot.fixes(&question.request);
    if fixes.is_empty() && question.is_no_call() {
        vec![view::fix(&Fix::AnotherCall)]
    } else {
        fixes.iter().map(view::fix).collect()
    }
}

fn trace(denied: Option<Code>) -> Vec<api::DecisionStep> {
    let mut failed = false;
    let step = |(step, codes): &(&str, &[Code])| {
        let verdict = match (failed, denied.is_some_and(|code| codes.contains(&code))) {
            (true, _) => "not reached",
            (false, true) => "failed",
            (false, false) => "passed",
        };
        failed |= verdict == "failed";
        api::DecisionStep { step: (*step).to_owned(), verdict: verdict.to_owned() }
    };
    STEPS.iter().map(step).collect()
}

/// A rule as somebody is told who may know of it.
pub(crate) fn rule(rule: &Rule<'_>) -> api::DecidingRule {
    let (kind, id) = verdict::name_of(rule);
    let set = match rule {
        Rule::Restriction(own) => Some((own.updated_at, &own.set_by)),
        Rule::Allowlist(own) => Some((own.updated_at, &own.set_by)),
        Rule::KeyNetworks(_) | Rule::Feature(..) | Rule::Limit(..) => None,
    };
    api::DecidingRule {
        id: Some(id),
        kind: kind.to_owned(),
        account_id: rule.account().map(|id| id.to_string()),
        set_at: set.map(|(at, _)| view::instant(at)),
        set_by: set.map(|(_, by)| by.clone()),
    }
}
