//! Decisions, asked for one by one or together: whether a call may happen, by the snapshot in memory.

use std::net::IpAddr;

use tenantry_api as api;
use tenantry_core::event::{Revision, bucket};
use tenantry_core::method::Method;
use tenantry_core::refusal::{Code, Kind};
use tenantry_core::snapshot::{Decision, Denial, Fix, Presented, Request, Rule, Snapshot};
use tenantry_core::time::Span;
use tenantry_core::{Refusal, Timestamp, secret};
use tenantry_gateway::limits::{Exceeded, Report};

use crate::ctx::Ctx;
use crate::http::authz::Waiting;
use crate::problem::{Error, Result, status};
use crate::reply::{Reply, headers};
use crate::seal::sha256;
use crate::state::App;
use crate::view;

/// The most calls of a batch.
const MOST: usize = 256;

pub(crate) async fn decide(ctx: &Ctx, asked: &api::DecisionRequest) -> Result<Reply<api::Decision>> {
    let identity = ctx.decider().await?;
    let snapshot = ctx.app.plane.snapshot();
    Ok(Reply::new(&identity, answer(&ctx.app, &snapshot, asked, ctx.now)))
}

pub(crate) async fn decide_many(ctx: &Ctx, asked: &[api::DecisionRequest]) -> Result<Reply<api::Decisions>> {
    let identity = ctx.decider().await?;
    if asked.is_empty() || asked.len() > MOST {
        return Err(Refusal::field("decisions", format!("takes 1 to {MOST}")).into());
    }
    // All by one and the same snapshot.
    let snapshot = ctx.app.plane.snapshot();
    let decisions = asked.iter().map(|asked| answer(&ctx.app, &snapshot, asked, ctx.now)).collect();
    Ok(Reply::new(&identity, api::Decisions { decisions }))
}

/// Whether a call may happen that waits in front of an API. Refuses as the API would.
pub(crate) fn authorize(ctx: &Ctx, waiting: &Waiting) -> Result<Reply<api::Decision>> {
    let asked = api::DecisionRequest {
        key: waiting.key.clone(),
        assume_org: waiting.assume.clone(),
        ip: ctx.ip().map(|address| address.to_string()).unwrap_or_default(),
        method: waiting.method.clone(),
        path: waiting.target.clone(),
        resource: None,
        explain: false,
        dry_run: false,
    };
    let snapshot = ctx.app.plane.snapshot();
    let told = answer(&ctx.app, &snapshot, &asked, ctx.now);
    let limits = told.headers.clone().map(fields).unwrap_or_default();
    if let Some(code) = told.code.as_deref().and_then(code_of) {
        let wait = told.retry_after.and_then(|seconds| i64::try_from(seconds).ok()).map(Span::seconds);
        let refusal = Refusal { wait, ..Refusal::new(code, refused(code, told.rule.as_ref())) };
        return Err(Error::from(refusal).with(limits));
    }
    let actor = told.actor.clone();
    let said = [
        (headers::ACCOUNT, told.subject.clone()),
        (headers::ACTOR, actor.as_ref().and_then(|actor| actor.account_id.clone())),
        (headers::KEY, actor.as_ref().and_then(|actor| actor.key_id.clone())),
        (headers::USER, actor.and_then(|actor| actor.user_id)),
        (headers::API, told.api.clone()),
        (headers::ENDPOINT, told.endpoint.clone()),
        (headers::COST, Some(told.cost.to_string())),
    ];
    // All of them, empty where there is nothing to say: a proxy that copies a header which is not there may leave in its place
    // what a client sent under that name, or worse.
    let reply = Reply::to_anybody(told);
    let reply = said.into_iter().fold(reply, |reply, (name, value)| reply.header(name, value.unwrap_or_default()));
    Ok(limits.into_iter().fold(reply, |reply, (name, value)| reply.header(name, value)))
}

/// What the client is told about its limits.
fn fields(told: api::DecisionHeaders) -> Vec<(&'static str, String)> {
    vec![(headers::RATE_LIMIT_POLICY, told.policy), (headers::RATE_LIMIT, told.limit)]
}

/// The caller is told which rule it was by its id alone: whose it is, their own administrators can see.
fn refused(code: Code, rule: Option<&api::DecidingRule>) -> String {
    match rule {
        Some(rule) => format!("{} ({} {}).", code.title(), rule.kind, rule.id),
        None => format!("{}.", code.title()),
    }
}

fn code_of(text: &str) -> Option<Code> {
    Code::ALL.iter().copied().find(|code| code.as_str() == text)
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
    // What is no method and what is no address is not this API's mistake, but the caller's.
    let address: Option<IpAddr> = asked.ip.parse().ok();
    let method = asked.method.parse::<Method>().ok();
    let assume = asked.assume_org.as_deref().map(str::trim).filter(|id| !id.is_empty());
    let assumed = assume.map(str::parse).transpose();
    let request = Request {
        presented: presented(&asked.key),
        assume: assumed.as_ref().ok().copied().flatten(),
        address,
        method: method.unwrap_or(Method::Get),
        target: &asked.path,
        resource: asked.resource.as_ref().map(|resource| (resource.kind.as_str(), resource.id.as_str())),
        now,
    };
    let mut decision = snapshot.decide(&request);
    // These two are no calls at all; who asks learns nothing else about them.
    let authenticated = !matches!(decision.outcome, Err(Denial { code, .. }) if code.kind() == Kind::Unauthenticated);
    if authenticated && assumed.is_err() {
        decision.outcome = Err(Code::AssumeMalformed.into());
    } else if decision.outcome.is_ok() && method.is_none() {
        decision.outcome = Err(Code::EndpointUnknown.into());
    }
    let counted = count(app, snapshot, &mut decision, asked.dry_run);
    let mut told = told(snapshot, &decision, asked.explain);
    if asked.explain {
        told.fixes = Some(fixes(snapshot, &request, assumed.is_err() || method.is_none()));
    }
    tell_limits(&mut told, counted);
    told
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

/// A credential by its text.
fn presented(text: &str) -> Presented {
    match secret::label_of(text) {
        Ok(_) => Presented::Hash(sha256(text.as_bytes())),
        Err(_) => Presented::Malformed,
    }
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
fn fixes(snapshot: &Snapshot, request: &Request<'_>, is_no_call: bool) -> Vec<api::DecisionFix> {
    let fixes = snapshot.fixes(request);
    if fixes.is_empty() && is_no_call {
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

fn rule(rule: &Rule<'_>) -> api::DecidingRule {
    let (id, kind, set) = match rule {
        Rule::Restriction(own) => (own.id.to_string(), "restriction", Some((own.updated_at, &own.set_by))),
        Rule::Allowlist(own) => (own.id.to_string(), "ipAllowlist", Some((own.updated_at, &own.set_by))),
        Rule::KeyNetworks(key) => (key.to_string(), "keyNetworks", None),
        Rule::Feature(_, name) => ((*name).to_owned(), "feature", None),
        Rule::Limit(holder, kind) => (holder.to_string(), kind.as_str(), None),
    };
    api::DecidingRule {
        id,
        kind: kind.to_owned(),
        account_id: rule.account().map(|id| id.to_string()),
        set_at: set.map(|(at, _)| view::instant(at)),
        set_by: set.map(|(_, by)| by.clone()),
    }
}
