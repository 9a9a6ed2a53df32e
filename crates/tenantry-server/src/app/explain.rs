//! Why a key may make a call, or may not, and what it can do at all: for those who manage keys. They are told as much as they
//! may read.

use std::collections::BTreeMap;

use tenantry_api as api;
use tenantry_core::id::{AccountId, KeyId};
use tenantry_core::method::Method;
use tenantry_core::snapshot::{Presented, Reached, Request, Verdict};
use tenantry_gateway::verdict::{Call, Question};

use super::{decisions, keys};
use crate::ctx::Ctx;
use crate::problem::Result;
use crate::reply::Reply;

/// What somebody above has to do, who is not named.
const ASK_ABOVE: &str = "askAbove";

/// Judges a call with a key, and explains. Nothing is counted.
pub(crate) async fn why(
    ctx: &Ctx,
    account: AccountId,
    key: KeyId,
    asked: &api::WhyQuery,
) -> Result<Reply<api::Decision>> {
    let reply = known(ctx, account, key).await?;
    let call = Call {
        key: "",
        assume: asked.assume_org.as_deref(),
        address: asked.ip.parse().ok(),
        method: &asked.method,
        target: &asked.path,
        resource: asked.resource_kind.as_deref().zip(asked.resource_id.as_deref()),
    };
    let question = Question::of(&call, ctx.now);
    let named = Request { presented: Presented::Named(key), ..question.request };
    let told = decisions::explain(&ctx.app, &Question { request: named, ..question });
    Ok(reply.with_body(hide(ctx, told).await))
}

/// What a key can do, for its own account or one that it acts for.
pub(crate) async fn reach(
    ctx: &Ctx,
    account: AccountId,
    key: KeyId,
    assume: Option<AccountId>,
) -> Result<Reply<api::Reach>> {
    let reply = known(ctx, account, key).await?;
    let mut body = endpoints(ctx, key, assume);
    let mut visible = Visible::new(ctx);
    for endpoint in &mut body.endpoints {
        if let Some(rule) = &mut endpoint.rule {
            visible.hide_rule(rule).await;
        }
    }
    Ok(reply.with_body(body))
}

/// Makes sure that the caller may know of the key.
async fn known(ctx: &Ctx, account: AccountId, key: KeyId) -> Result<Reply<()>> {
    let mut tx = ctx.read(account).await?;
    keys::found(&mut tx, key).await?;
    ctx.answer(tx, ()).await
}

fn endpoints(ctx: &Ctx, key: KeyId, assume: Option<AccountId>) -> api::Reach {
    let snapshot = ctx.app.plane.snapshot();
    let presented = Presented::Named(key);
    // Neither method, nor path, nor address is looked at.
    let request =
        Request { presented, assume, address: None, method: Method::Get, target: "/", resource: None, now: ctx.now };
    let reached = match snapshot.reach(&request) {
        Ok(reached) => reached,
        Err(denial) => return api::Reach { code: Some(denial.code.to_string()), endpoints: Vec::new() },
    };
    let told = |reached: &Reached<'_>| {
        let (verdict, code, rule) = match reached.verdict {
            Verdict::All => ("all", None, None),
            Verdict::Some(rule) => ("some", None, rule),
            Verdict::None(denial) => ("none", Some(denial.code.to_string()), denial.rule),
        };
        let found = reached.found;
        api::ReachedEndpoint {
            api: found.api.id.clone(),
            endpoint: found.endpoint.id.to_string(),
            method: found.endpoint.method.to_string(),
            path: found.endpoint.path.to_string(),
            cost: found.endpoint.cost,
            verdict: verdict.to_owned(),
            code,
            rule: rule.as_ref().map(decisions::rule),
        }
    };
    api::Reach { code: None, endpoints: reached.iter().map(told).collect() }
}

/// Leaves out what the caller may not read: they are told that there is something, of what kind.
async fn hide(ctx: &Ctx, mut told: api::Decision) -> api::Decision {
    let mut visible = Visible::new(ctx);
    if let Some(rule) = &mut told.rule {
        visible.hide_rule(rule).await;
    }
    let mut fixes: Vec<api::DecisionFix> = Vec::new();
    for fix in told.fixes.into_iter().flatten() {
        let hidden = match fix.account_id.as_deref() {
            Some(account) => !visible.may_read(account).await,
            None => false,
        };
        let fix = if hidden { api::DecisionFix { action: ASK_ABOVE.to_owned(), ..Default::default() } } else { fix };
        if !fixes.contains(&fix) {
            fixes.push(fix);
        }
    }
    told.fixes = Some(fixes);
    told
}

/// Which accounts the caller may read. Asks at the door that everybody goes through.
struct Visible<'a> {
    ctx: &'a Ctx,
    known: BTreeMap<String, bool>,
}

impl<'a> Visible<'a> {
    const fn new(ctx: &'a Ctx) -> Self {
        Self { ctx, known: BTreeMap::new() }
    }

    async fn may_read(&mut self, account: &str) -> bool {
        if let Some(known) = self.known.get(account) {
            return *known;
        }
        let may = match account.parse() {
            Ok(id) => self.ctx.may_read(id).await,
            Err(_) => false,
        };
        self.known.insert(account.to_owned(), may);
        may
    }

    async fn hide_rule(&mut self, rule: &mut api::DecidingRule) {
        let Some(account) = rule.account_id.clone() else { return };
        if !self.may_read(&account).await {
            *rule = api::DecidingRule { kind: rule.kind.clone(), ..api::DecidingRule::default() };
        }
    }
}
