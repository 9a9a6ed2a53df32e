//! Codes of an authenticator app, and recovery codes for when it is lost.

use serde_json::json;
use tenantry_api as api;
use tenantry_core::event::{Event, EventKind};
use tenantry_core::refusal::Code;
use tenantry_core::secret;
use tenantry_core::throttle::Limit;
use tenantry_store::User;
use tenantry_store::tenant::TenantWrite;
use totp_rs::{Builder, Secret, Totp};

use super::passkeys::Used;
use super::{change, sessions};
use crate::attempts;
use crate::ctx::Ctx;
use crate::problem::{Error, Result};
use crate::reply::{Created, Reply};
use crate::seal::{Sealer, sha256_parts};
use crate::state::App;

const RECOVERY_CODES: usize = 10;
const RECOVERY_CODE_LENGTH: usize = 16;

/// What was checked, and has to be used up in the transaction that relies on it.
pub(crate) enum Factor {
    /// Nothing: none is asked for.
    None,
    /// The code of a time step.
    Step(i64),
    /// A recovery code, by its hash.
    Recovery([u8; 32]),
    /// A passkey.
    Passkey(Used),
}

/// Checks the code of a user for whom one is asked, whatever it is asked for. Failures are counted.
pub(crate) async fn check(ctx: &Ctx, user: &User, code: Option<&str>) -> Result<Factor> {
    if !user.totp_on {
        return Ok(Factor::None);
    }
    let code = code.map(str::trim).filter(|code| !code.is_empty()).ok_or(Code::CodeRequired)?;
    let counts = [attempts::count(Limit::Code, &user.id.to_string())];
    attempts::take(ctx, &counts).await?;
    // A recovery code is only known under the lock: until then it counts as a failure.
    let Some(step) = step_of(ctx, user, code)? else { return Ok(Factor::Recovery(recovery_hash(user, code))) };
    if step <= user.totp_step {
        return Err(Code::CodeWrong.into());
    }
    attempts::give_back(ctx, &counts).await?;
    Ok(Factor::Step(step))
}

/// Uses up what was checked; somebody else may have done so meanwhile.
pub(crate) async fn take(tx: &mut TenantWrite, user: &User, factor: Factor) -> Result<()> {
    let taken = match factor {
        Factor::None => true,
        Factor::Step(step) => tx.totp_take(user.id, step).await?,
        Factor::Recovery(hash) => tx.recovery_code_take(user.id, hash).await?,
        Factor::Passkey(used) => {
            tx.passkey_used(used.passkey, &used.public, used.at).await?;
            true
        }
    };
    if taken { Ok(()) } else { Err(Code::CodeWrong.into()) }
}

/// Makes a secret for an authenticator. It counts once the first code was confirmed.
pub(crate) async fn begin(ctx: &Ctx) -> Result<Created<api::AuthenticatorSecret>> {
    let raw: [u8; 20] = ctx.app.chance.bytes()?;
    let sealed = sealer(&ctx.app).seal(&raw, &ctx.app.chance)?;
    let mut tx = ctx.write_own().await?;
    let mut user = tx.user().await?.ok_or(Code::SessionRequired)?;
    if user.totp_on {
        return Err(Code::AuthenticatorExists.into());
    }
    let totp = totp(&raw, &user.email)?;
    user.totp = Some(sealed);
    user.updated_at = ctx.now;
    tx.user_update(&user).await?;
    let shown = !ctx.is_dry_run();
    let body = api::AuthenticatorSecret {
        secret: shown.then(|| Secret::from(raw).to_base32()),
        url: if shown { Some(totp.to_url().map_err(Error::internal)?) } else { None },
    };
    let event =
        Event::new(EventKind::UserUpdated, user.id, user.version, change::detail(&json!({"authenticator": "begun"})));
    let reply = Reply::new(tx.identity(), body);
    ctx.commit(tx, event, reply).await
}

/// Confirms the authenticator by its first code, and shows the recovery codes.
pub(crate) async fn confirm(ctx: &Ctx, code: &str) -> Result<Reply<api::RecoveryCodes>> {
    let (_, seen) = sessions::own(ctx).await?;
    let counts = [attempts::count(Limit::Code, &seen.id.to_string())];
    attempts::take(ctx, &counts).await?;
    let mut tx = ctx.write_own().await?;
    let mut user = tx.user().await?.ok_or(Code::SessionRequired)?;
    if user.totp_on {
        return Err(Code::AuthenticatorExists.into());
    }
    let step = step_of(ctx, &user, code)?.ok_or(Code::CodeWrong)?;
    user.totp_on = true;
    user.totp_step = step;
    user.version += 1;
    user.updated_at = ctx.now;
    tx.user_update(&user).await?;
    let codes = recovery_codes(ctx)?;
    let hashes: Vec<_> = codes.iter().map(|code| recovery_hash(&user, code)).collect();
    tx.recovery_codes_set(user.id, &hashes).await?;
    let event = Event::new(EventKind::AuthenticatorAdded, user.id, user.version, change::detail(&json!({})));
    let recovery_codes = (!ctx.is_dry_run()).then(|| codes.iter().map(|code| grouped(code)).collect());
    let reply = Reply::new(tx.identity(), api::RecoveryCodes { recovery_codes });
    let reply = ctx.commit(tx, event, reply).await?;
    attempts::give_back(ctx, &counts).await?;
    Ok(reply)
}

/// Removes the authenticator; only the password is asked for from then on.
pub(crate) async fn remove(ctx: &Ctx) -> Result<Reply<api::Deleted>> {
    let mut tx = ctx.write_own().await?;
    let mut user = tx.user().await?.ok_or(Code::SessionRequired)?;
    if user.totp.is_none() {
        return Err(Code::NotFound.into());
    }
    user.totp = None;
    user.totp_on = false;
    user.version += 1;
    user.updated_at = ctx.now;
    tx.user_update(&user).await?;
    tx.recovery_codes_set(user.id, &[]).await?;
    let event = Event::new(EventKind::AuthenticatorRemoved, user.id, user.version, change::detail(&json!({})));
    let reply = Reply::new(tx.identity(), api::Deleted { id: user.id.to_string(), deleted: true });
    ctx.commit(tx, event, reply).await
}

fn sealer(app: &App) -> Sealer {
    Sealer::of_deployment(&app.secret, "authenticator")
}

/// Six digits of half a minute each; those before and after count, too, since clocks differ.
fn totp(raw: &[u8], email: &str) -> Result<Totp> {
    Builder::new()
        .with_secret(raw)
        .with_skew(1)
        .with_account_name(email.replace(':', " "))
        .with_issuer(Some("Tenantry"))
        .build()
        .map_err(Error::internal)
}

/// The time step that the code is of, if it is one of the user's authenticator.
fn step_of(ctx: &Ctx, user: &User, code: &str) -> Result<Option<i64>> {
    let Some(sealed) = &user.totp else { return Ok(None) };
    let raw = sealer(&ctx.app).open(sealed)?;
    let seconds = u64::try_from(ctx.now.0 / 1_000_000).unwrap_or_default();
    Ok(totp(&raw, &user.email)?.check(code.trim(), seconds).and_then(|step| i64::try_from(step).ok()))
}

fn recovery_codes(ctx: &Ctx) -> Result<Vec<String>> {
    let code = |_| Ok(secret::token(&ctx.app.chance.bytes()?).chars().take(RECOVERY_CODE_LENGTH).collect());
    (0..RECOVERY_CODES).map(code).collect()
}

/// For people: in groups of four.
fn grouped(code: &str) -> String {
    let letters: Vec<char> = code.chars().collect();
    letters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}

/// However people type it.
fn recovery_hash(user: &User, code: &str) -> [u8; 32] {
    let plain: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
    sha256_parts(&[b"recovery code", user.id.to_string().as_bytes(), plain.as_bytes()])
}
