//! API keys: shown once, replaced, revoked.

use serde_json::json;
use tenantry_api as api;
use tenantry_core::event::{Event, EventKind};
use tenantry_core::id::{AccountId, KeyId, UserId};
use tenantry_core::key::{self, Environment, Key, Overlap};
use tenantry_core::limit::{CallLimits, LimitsChange};
use tenantry_core::network::Networks;
use tenantry_core::permission::{Permission, PermissionSet};
use tenantry_core::refusal::Code;
use tenantry_core::{Document, Refusal, Timestamp, secret, tree};
use tenantry_store::tenant::TenantRead;
use tenantry_store::{NewKey, Page};

use super::change;
use crate::ctx::Ctx;
use crate::problem::Result;
use crate::reply::{Created, Reply};
use crate::seal::sha256;
use crate::view;

/// What the maker of a key says about it.
pub(crate) struct Wanted {
    pub(crate) name: String,
    pub(crate) environment: Environment,
    /// For which member; `None`: for the account itself, or for who may make keys for themselves only.
    pub(crate) user: Option<UserId>,
    pub(crate) scopes: Option<PermissionSet>,
    pub(crate) networks: Option<Networks>,
    pub(crate) limits: CallLimits,
    pub(crate) expires_at: Option<Timestamp>,
}

pub(crate) async fn list(ctx: &Ctx, account: AccountId, page: Page) -> Result<Reply<api::List<api::Key>>> {
    let mut tx = ctx.read(account).await?;
    let own = tx.own();
    let keys = tx.key_list(own, page).await?;
    ctx.answer(tx, view::list(keys, page, |key| view::key(key, ctx.now))).await
}

pub(crate) async fn get(ctx: &Ctx, account: AccountId, id: KeyId) -> Result<Reply<api::Key>> {
    let mut tx = ctx.read(account).await?;
    let key = found(&mut tx, id).await?;
    ctx.answer(tx, view::key(&key, ctx.now)).await
}

pub(crate) async fn create(ctx: &Ctx, account: AccountId, wanted: Wanted) -> Result<Created<api::KeyWithSecret>> {
    let mut tx = ctx.write(account).await?;
    tree::check_open(tx.account())?;
    let user_id = owner(&mut tx, wanted.user).await?;
    if tx.account().canceled_at.is_some() && user_id.is_some() && user_id != tx.caller().actor.user() {
        return Err(Code::OrganizationCanceled.into());
    }
    let (text, hash) = new_secret(ctx, wanted.environment)?;
    let key = Key {
        id: ctx.app.chance.id(ctx.now),
        account_id: account,
        user_id,
        maker_id: tx.caller().maker(),
        name: wanted.name,
        environment: wanted.environment,
        last_four: secret::last_four(&text),
        scopes: key::grant(wanted.scopes, tx.caller().rights_over(tx.line()), tx.caller().narrowing())?,
        networks: key::grant_networks(wanted.networks, tx.caller().networks())?,
        limits: key::grant_limits(wanted.limits, tx.caller().limits())?,
        created_at: ctx.now,
        expires_at: wanted.expires_at,
        revoked_at: None,
        last_used_at: None,
        last_used_ip: None,
        rotated_from: None,
    };
    tx.key_insert(&NewKey { key: key.clone(), hash }).await?;
    let event = Event::new(EventKind::KeyCreated, key.id, 0, told(&key));
    let reply = Reply::new(tx.identity(), with_secret(ctx, &key, text));
    ctx.commit(tx, event, reply).await
}

pub(crate) async fn update(ctx: &Ctx, account: AccountId, id: KeyId, changes: LimitsChange) -> Result<Reply<api::Key>> {
    let mut tx = ctx.write(account).await?;
    let before = found(&mut tx, id).await?;
    let after = Key { limits: changes.of(before.limits), ..before.clone() };
    if after == before {
        return ctx.unchanged(tx, view::key(&before, ctx.now)).await;
    }
    let used = tx.own().is_none().then(|| tx.caller().limits());
    key::check_limits(before.limits, after.limits, used)?;
    tx.key_limits_update(id, after.limits).await?;
    let told = view::call_limits;
    let detail = change::detail(&json!({"limits": {"from": told(before.limits), "to": told(after.limits)}}));
    let event = Event::new(EventKind::KeyLimited, id, 0, detail);
    let reply = Reply::new(tx.identity(), view::key(&after, ctx.now));
    ctx.commit(tx, event, reply).await
}

pub(crate) async fn rotate(
    ctx: &Ctx,
    account: AccountId,
    id: KeyId,
    overlap: Overlap,
) -> Result<Created<api::KeyWithSecret>> {
    let mut tx = ctx.write(account).await?;
    let old = found(&mut tx, id).await?;
    old.check_usable(ctx.now).map_err(|refusal| Refusal::field("key", refusal.code.title()))?;
    // The new key has the grants of the old one, and who rotates it answers for it from then on: a person bounds it at
    // every use, the scopes of another key do so here.
    if old.scopes.is_some() {
        key::grant(old.scopes, tx.caller().rights_over(tx.line()), None)?;
    } else if let Some(narrowing) = tx.caller().narrowing() {
        key::grant(Some(PermissionSet::ALL), narrowing, None)?;
    }
    key::grant_networks(old.networks.clone(), tx.caller().networks())?;
    let wider =
        (old.networks.is_none() && tx.caller().networks().is_some()) || !old.limits.within(tx.caller().limits());
    if wider {
        return Err(Code::ScopeExceeded.into());
    }
    let (text, hash) = new_secret(ctx, old.environment)?;
    let replacing = ctx.app.chance.id(ctx.now);
    let new = old.successor(replacing, secret::last_four(&text), tx.caller().maker(), ctx.now);
    let end = old.end_after_rotation(overlap, ctx.now);
    tx.key_end(old.id, Some(end), old.revoked_at).await?;
    tx.key_insert(&NewKey { key: new.clone(), hash }).await?;
    let detail = change::detail(
        &json!({"replaces": id.to_string(), "oldExpiresAt": view::instant(end), "key": view::value(&told(&new))}),
    );
    let event = Event::new(EventKind::KeyRotated, new.id, 0, detail);
    let reply = Reply::new(tx.identity(), with_secret(ctx, &new, text));
    ctx.commit(tx, event, reply).await
}

pub(crate) async fn revoke(ctx: &Ctx, account: AccountId, id: KeyId) -> Result<Reply<api::Key>> {
    let mut tx = ctx.write(account).await?;
    let mut key = found(&mut tx, id).await?;
    if key.revoked_at.is_some() {
        return ctx.unchanged(tx, view::key(&key, ctx.now)).await;
    }
    key.revoked_at = Some(ctx.now);
    tx.key_end(id, key.expires_at, key.revoked_at).await?;
    let event = Event::new(EventKind::KeyRevoked, id, 0, told(&key));
    let reply = Reply::new(tx.identity(), view::key(&key, ctx.now));
    ctx.commit(tx, event, reply).await
}

/// The key, if the caller may know of it.
pub(crate) async fn found(tx: &mut TenantRead, id: KeyId) -> Result<Key> {
    let own = tx.own();
    Ok(tx.key_by_id(id, own).await?.ok_or(Code::NotFound)?)
}

/// For whom a new key acts. Who may manage any key makes them for the account, or for a member; everybody else for
/// themselves.
async fn owner(tx: &mut TenantRead, wanted: Option<UserId>) -> Result<Option<UserId>> {
    match (tx.own(), wanted) {
        (Some(own), Some(other)) if own != other => {
            Err(Refusal::new(Code::PermissionDenied, "This needs `key.manage`: the key would be somebody else's.")
                .into())
        }
        (Some(own), _) => Ok(Some(own)),
        (None, None) => Ok(None),
        (None, Some(user)) => match tx.member_by_user(user).await? {
            Some(_) => Ok(Some(user)),
            None => Err(Refusal::field("userId", "takes a member of the account").into()),
        },
    }
}

fn new_secret(ctx: &Ctx, environment: Environment) -> Result<(String, [u8; 32])> {
    let text = secret::compose(environment.label(), &ctx.app.chance.bytes()?);
    let hash = sha256(text.as_bytes());
    Ok((text, hash))
}

/// A dry run shows no secret: the key does not exist.
fn with_secret(ctx: &Ctx, key: &Key, secret: String) -> api::KeyWithSecret {
    api::KeyWithSecret { key: view::key(key, ctx.now), secret: (!ctx.is_dry_run()).then_some(secret) }
}

fn told(key: &Key) -> Document {
    let scopes = key.scopes.map(|set| set.iter().map(Permission::as_str).collect::<Vec<_>>());
    change::detail(&json!({
        "name": key.name,
        "masked": key.masked(),
        "userId": key.user_id.map(|id| id.to_string()),
        "scopes": scopes,
        "ipAllowlist": key.networks.as_ref().map(view::cidrs),
        "limits": (!key.limits.is_none()).then(|| view::call_limits(key.limits)),
        "expiresAt": key.expires_at.map(view::instant),
    }))
}
