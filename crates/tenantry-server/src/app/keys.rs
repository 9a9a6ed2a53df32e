//! API keys: shown once, replaced, revoked.

use serde_json::json;
use tenantry_api as api;
use tenantry_core::event::{Event, EventKind};
use tenantry_core::id::{AccountId, KeyId};
use tenantry_core::key::{self, Environment, Key, Overlap};
use tenantry_core::permission::{Permission, PermissionSet};
use tenantry_core::refusal::Code;
use tenantry_core::{Document, Refusal, Timestamp, tree};
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
    pub(crate) scopes: Option<PermissionSet>,
    pub(crate) expires_at: Option<Timestamp>,
}

pub(crate) async fn list(ctx: &Ctx, account: AccountId, page: Page) -> Result<Reply<api::List<api::Key>>> {
    let mut tx = ctx.read(account).await?;
    let keys = tx.key_list(page).await?;
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
    let (secret, hash) = secret(ctx, wanted.environment)?;
    let key = Key {
        id: ctx.app.chance.id(ctx.now),
        account_id: account,
        name: wanted.name,
        environment: wanted.environment,
        last_four: key::last_four(&secret),
        scopes: key::grant(wanted.scopes, tx.caller().rights_over(tx.line()))?,
        created_at: ctx.now,
        expires_at: wanted.expires_at,
        revoked_at: None,
        last_used_at: None,
        last_used_ip: None,
        rotated_from: None,
    };
    tx.key_insert(&NewKey { key: key.clone(), hash }).await?;
    let event = Event::new(EventKind::KeyCreated, key.id, 0, told(&key));
    let reply = Reply::new(tx.identity(), with_secret(ctx, &key, secret));
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
    // The new key has the grants of the old one: nobody gets more than they hold by rotating it.
    key::grant(Some(old.scopes()), tx.caller().rights_over(tx.line()))?;
    let (secret, hash) = secret(ctx, old.environment)?;
    let new = old.successor(ctx.app.chance.id(ctx.now), key::last_four(&secret), ctx.now);
    let end = old.end_after_rotation(overlap, ctx.now);
    tx.key_end(old.id, Some(end), old.revoked_at).await?;
    tx.key_insert(&NewKey { key: new.clone(), hash }).await?;
    let detail = change::detail(
        &json!({"replaces": id.to_string(), "oldExpiresAt": view::instant(end), "key": view::value(&told(&new))}),
    );
    let event = Event::new(EventKind::KeyRotated, new.id, 0, detail);
    let reply = Reply::new(tx.identity(), with_secret(ctx, &new, secret));
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

async fn found(tx: &mut TenantRead, id: KeyId) -> Result<Key> {
    Ok(tx.key_by_id(id).await?.ok_or(Code::NotFound)?)
}

fn secret(ctx: &Ctx, environment: Environment) -> Result<(String, [u8; 32])> {
    let text = key::compose(environment, &ctx.app.chance.bytes()?);
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
        "scopes": scopes,
        "expiresAt": key.expires_at.map(view::instant),
    }))
}
