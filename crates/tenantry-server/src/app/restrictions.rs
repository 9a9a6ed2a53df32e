//! Restrictions: made by an account for itself, or imposed on it from above.

use serde_json::json;
use tenantry_api as api;
use tenantry_core::access::Actor;
use tenantry_core::event::{Event, EventKind};
use tenantry_core::id::{AccountId, RestrictionId};
use tenantry_core::method::MethodSet;
use tenantry_core::path::Pattern;
use tenantry_core::permission::{Permission, PermissionSet};
use tenantry_core::refusal::Code;
use tenantry_core::restriction::{CONTROL_API, Endpoints, Imposer, Mode, Restriction, Target, check_target};
use tenantry_core::role::{BuiltIn, RoleRef};
use tenantry_core::{Document, Refusal, tree};
use tenantry_store::Page;
use tenantry_store::tenant::{TenantRead, TenantWrite};

use super::change;
use crate::ctx::Ctx;
use crate::problem::Result;
use crate::reply::{Created, Reply};
use crate::view;

/// Endpoints as they were named, before it is known where their API is.
pub(crate) struct Named {
    pub(crate) field: String,
    pub(crate) api: String,
    pub(crate) methods: MethodSet,
    pub(crate) path: Pattern,
}

/// What the maker of a restriction says about it.
pub(crate) struct Wanted {
    pub(crate) mode: Mode,
    pub(crate) subject: api::RestrictionSubject,
    pub(crate) endpoints: Vec<Named>,
    pub(crate) permissions: PermissionSet,
}

/// Changes to a restriction; what is `None` stays.
pub(crate) struct Changes {
    pub(crate) mode: Option<Mode>,
    pub(crate) endpoints: Option<Vec<Named>>,
    pub(crate) permissions: Option<PermissionSet>,
}

pub(crate) async fn list(ctx: &Ctx, account: AccountId, page: Page) -> Result<Reply<api::List<api::Restriction>>> {
    let mut tx = ctx.read(account).await?;
    let rules = tx.restriction_list(page).await?;
    ctx.answer(tx, view::list(rules, page, view::restriction)).await
}

pub(crate) async fn get(ctx: &Ctx, account: AccountId, id: RestrictionId) -> Result<Reply<api::Restriction>> {
    let mut tx = ctx.read(account).await?;
    let rule = found(&mut tx, id).await?;
    Ok(ctx.answer(tx, view::restriction(&rule)).await?.versioned(rule.version))
}

pub(crate) async fn create(ctx: &Ctx, account: AccountId, wanted: Wanted) -> Result<Created<api::Restriction>> {
    let mut tx = ctx.write(account).await?;
    tree::check_open(tx.account())?;
    let rule = Restriction {
        id: ctx.app.chance.id(ctx.now),
        account_id: account,
        imposed_by: tx.caller().subject.map_or(Imposer::Operator, Imposer::Account),
        mode: wanted.mode,
        target: target(&mut tx, &wanted.subject).await?,
        endpoints: placed(&mut tx, wanted.endpoints).await?,
        permissions: wanted.permissions,
        set_by: setter(&tx),
        version: 1,
        created_at: ctx.now,
        updated_at: ctx.now,
    };
    check_says_something(&rule)?;
    let narrows_admin = is_about_admin(&mut tx, rule.target).await?;
    check_target(rule.is_imposed(), narrows_admin)?;
    tx.restriction_insert(&rule).await?;
    let event = Event::new(EventKind::RestrictionCreated, rule.id, rule.version, told(&rule));
    let reply = Reply::new(tx.identity(), view::restriction(&rule)).versioned(rule.version);
    ctx.commit(tx, event, reply).await
}

pub(crate) async fn update(
    ctx: &Ctx,
    account: AccountId,
    id: RestrictionId,
    changes: Changes,
) -> Result<Reply<api::Restriction>> {
    let mut tx = ctx.write(account).await?;
    tree::check_open(tx.account())?;
    let before = found(&mut tx, id).await?;
    ctx.check_version(before.version)?;
    check_own(&tx, &before)?;
    let mut after = before.clone();
    after.mode = changes.mode.unwrap_or(after.mode);
    after.permissions = changes.permissions.unwrap_or(after.permissions);
    if let Some(named) = changes.endpoints {
        after.endpoints = placed(&mut tx, named).await?;
    }
    check_says_something(&after)?;
    if after == before {
        return Ok(ctx.unchanged(tx, view::restriction(&before)).await?.versioned(before.version));
    }
    (after.version, after.updated_at, after.set_by) = (before.version + 1, ctx.now, setter(&tx));
    tx.restriction_update(&after).await?;
    let detail = change::detail(&json!({"from": view::value(&told(&before)), "to": view::value(&told(&after))}));
    let event = Event::new(EventKind::RestrictionUpdated, id, after.version, detail);
    let reply = Reply::new(tx.identity(), view::restriction(&after)).versioned(after.version);
    ctx.commit(tx, event, reply).await
}

pub(crate) async fn remove(ctx: &Ctx, account: AccountId, id: RestrictionId) -> Result<Reply<api::Deleted>> {
    let mut tx = ctx.write(account).await?;
    let rule = found(&mut tx, id).await?;
    ctx.check_version(rule.version)?;
    check_own(&tx, &rule)?;
    tx.restriction_delete(id).await?;
    let event = Event::new(EventKind::RestrictionDeleted, id, rule.version, told(&rule));
    let reply = Reply::new(tx.identity(), api::Deleted { id: id.to_string(), deleted: true });
    ctx.commit(tx, event, reply).await
}

async fn found(tx: &mut TenantRead, id: RestrictionId) -> Result<Restriction> {
    Ok(tx.restriction_by_id(id).await?.ok_or(Code::NotFound)?)
}

/// Whoever could impose a rule in the name of the account that did, may change it. Once that account is not above any
/// more the rule does not count, and may be cleared away.
fn check_own(tx: &TenantWrite, rule: &Restriction) -> Result<()> {
    let may = match rule.imposed_by {
        Imposer::Operator => tx.caller().is_operator(),
        Imposer::Account(imposer) => tx
            .line()
            .up_to(imposer)
            .is_none_or(|line| tx.caller().rights_over(&line).holds(Permission::RestrictionManage)),
    };
    if may { Ok(()) } else { Err(Code::RestrictionImposed.into()) }
}

fn check_says_something(rule: &Restriction) -> Result<()> {
    if rule.endpoints.is_empty() && rule.permissions.is_empty() {
        return Err(Refusal::field("endpoints", "takes at least one, unless `permissions` names some").into());
    }
    Ok(())
}

/// Whom a rule is to narrow. A user has to be a member here, a key one of the account.
async fn target(tx: &mut TenantRead, subject: &api::RestrictionSubject) -> Result<Target> {
    match (&subject.user_id, &subject.role, &subject.key_id) {
        (None, None, None) => Ok(Target::Account),
        (Some(user), None, None) => {
            let wrong = || Refusal::field("subject.userId", "takes a member of the account, or of one above");
            let user = user.parse().map_err(|_| wrong())?;
            let is_known = !tx.person(user).await?.rights_over(tx.line()).is_empty();
            if is_known { Ok(Target::User(user)) } else { Err(wrong().into()) }
        }
        (None, Some(role), None) => match tx.role_by_text(role).await? {
            Some(role) => Ok(Target::Role(role.which)),
            None => Err(Refusal::field("subject.role", "takes a role that can be given here").into()),
        },
        (None, None, Some(key)) => {
            let wrong = || Refusal::field("subject.keyId", "takes a key of the account");
            let key = key.parse().map_err(|_| wrong())?;
            if tx.key_by_id(key, None).await?.is_some() { Ok(Target::Key(key)) } else { Err(wrong().into()) }
        }
        _ => Err(Refusal::field("subject", "takes one of `userId`, `role` and `keyId`").into()),
    }
}

async fn is_about_admin(tx: &mut TenantRead, target: Target) -> Result<bool> {
    Ok(match target {
        Target::Account | Target::Key(_) => false,
        Target::Role(role) => role == RoleRef::BuiltIn(BuiltIn::Admin),
        Target::User(user) => tx.person(user).await?.is_admin_over(tx.line()),
    })
}

/// The endpoints below the base paths of their APIs, however they were written.
async fn placed(tx: &mut TenantRead, named: Vec<Named>) -> Result<Vec<Endpoints>> {
    let mut placed = Vec::new();
    for named in named {
        let bases = base_of(tx, &format!("{}.api", named.field), &named.api).await?;
        let path = bases.iter().find_map(|base| named.path.below(base)).unwrap_or(named.path);
        placed.push(Endpoints { api: named.api.into(), methods: named.methods, path });
    }
    Ok(placed)
}

/// The base paths of an API that rules may name.
pub(super) async fn base_of(tx: &mut TenantRead, field: &str, api: &str) -> Result<Vec<Pattern>> {
    let bases = match api {
        CONTROL_API => crate::router::PREFIXES.map(str::to_owned).to_vec(),
        _ => tx.api_base(api).await?.into_iter().collect(),
    };
    if bases.is_empty() {
        return Err(Refusal::field(field, format!("takes the id of an API, or `{CONTROL_API}`")).into());
    }
    Ok(bases.iter().filter_map(|base| Pattern::parse(base).ok()).collect())
}

/// Who sets a rule, as it is remembered.
pub(super) fn setter(tx: &TenantRead) -> String {
    match tx.caller().actor {
        Actor::Key { key, .. } => key.to_string(),
        Actor::User { user, .. } => user.to_string(),
        actor @ (Actor::Nobody | Actor::Operator | Actor::System) => actor.kind().to_owned(),
    }
}

fn told(rule: &Restriction) -> Document {
    let shown = view::restriction(rule);
    change::detail(&json!({
        "mode": shown.mode,
        "imposedBy": shown.imposed_by,
        "subject": rule.target.to_string(),
        "endpoints": shown.endpoints,
        "permissions": shown.permissions,
    }))
}
