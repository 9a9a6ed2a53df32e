//! Signing in and out, and proving again who one is.

use serde_json::json;
use tenantry_api as api;
use tenantry_core::Refusal;
use tenantry_core::access::check_active;
use tenantry_core::event::{Event, EventKind};
use tenantry_core::id::SessionId;
use tenantry_core::invitation::email_key;
use tenantry_core::refusal::Code;
use tenantry_core::secret::{self, Label};
use tenantry_core::session::{LIFETIME, Proof, Session};
use tenantry_core::throttle::Limit;
use tenantry_store::tenant::TenantWrite;
use tenantry_store::{Count, NewSession, Page, User};

use super::authenticator::{self, Factor};
use super::{change, passkeys};
use crate::attempts;
use crate::credential::{DEVICE_COOKIE, SESSION_COOKIE, set_cookie};
use crate::ctx::Ctx;
use crate::problem::Result;
use crate::reply::{Created, Reply};
use crate::seal::{mac, sha256};
use crate::server::hex;
use crate::state::App;
use crate::view;

/// How long a browser is recognised in which somebody signed in: a year.
const DEVICE_SECONDS: i64 = 365 * 24 * 3600;

/// Signs somebody in who knows their password, and a code if one is asked for.
pub(crate) async fn create(ctx: &Ctx, sign_in: &api::SignIn) -> Result<Created<api::SignedIn>> {
    let (user, proof, factor) = check_password(ctx, &sign_in.email, &sign_in.password, sign_in.code.as_deref()).await?;
    let mut tx = ctx.app.store.write_as_user(ctx.visit(), &user).await.map_err(|error| ctx.answered(error))?;
    authenticator::take(&mut tx, &user, factor).await?;
    begin(ctx, tx, &user, proof).await
}

/// Finds the user whose address and password these are. Unknown users take as long as known ones, and are refused alike;
/// failures are counted, apart for a browser in which the user signed in before.
async fn check_password(ctx: &Ctx, email: &str, password: &str, code: Option<&str>) -> Result<(User, Proof, Factor)> {
    let user = ctx.app.store.user_by_email(email).await?;
    let counts = counted(ctx, user.as_ref(), email);
    attempts::take(ctx, &counts).await?;
    let hash = user.as_ref().and_then(|user| user.password.as_deref());
    let fits = ctx.app.passwords.fits(password, hash).await?;
    let user = user.filter(|_| fits).ok_or(Code::SignInFailed)?;
    attempts::give_back(ctx, &counts).await?;
    let factor = authenticator::check(ctx, &user, code).await?;
    let proof = if user.totp_on { Proof::PasswordAndCode } else { Proof::Password };
    Ok((user, proof, factor))
}

/// What a failure counts for: the address block and the user, or nothing but a browser that is known, which others cannot
/// use up.
fn counted(ctx: &Ctx, user: Option<&User>, email: &str) -> Vec<Count> {
    let mark = user.map(|user| device_mark(&ctx.app, user));
    match ctx.device().filter(|device| mark.as_deref() == Some(*device)) {
        Some(device) => vec![attempts::count(Limit::SignInWith, device)],
        None => vec![
            attempts::count(Limit::SignInFrom, &attempts::from(ctx)),
            attempts::count(Limit::SignInAs, &email_key(email)),
        ],
    }
}

/// What a browser is given to show that the user signed in with it before. A new password makes it worthless.
fn device_mark(app: &App, user: &User) -> String {
    let password = user.password.as_deref().unwrap_or_default();
    hex(&mac(&app.secret, &[b"tenantry device 1", user.id.to_string().as_bytes(), password.as_bytes()]))
}

/// Begins a session of a user who proved who they are, and answers with its token.
pub(super) async fn begin(ctx: &Ctx, mut tx: TenantWrite, user: &User, proof: Proof) -> Result<Created<api::SignedIn>> {
    check_active(tx.line().effective_status())?;
    let (token, new) = new_session(ctx, user, proof)?;
    tx.session_insert(&new).await?;
    let event = begun(&new.session);
    let reply = signed_in(ctx, Reply::new(tx.identity(), ()), user, &token, &new.session);
    ctx.commit(tx, event, reply).await
}

/// A session to be stored, and its token.
pub(super) fn new_session(ctx: &Ctx, user: &User, proof: Proof) -> Result<(String, NewSession)> {
    let token = secret::compose(Label::Session, &ctx.app.chance.bytes()?);
    let session = Session {
        id: ctx.app.chance.id(ctx.now),
        user_id: user.id,
        proof,
        proven_at: ctx.now,
        created_at: ctx.now,
        last_seen_at: ctx.now,
        ip: ctx.ip().map(|address| address.to_string()),
        user_agent: ctx.user_agent().map(str::to_owned),
    };
    let hash = sha256(token.as_bytes());
    Ok((token, NewSession { session, hash }))
}

/// What is told of a session that began.
pub(super) fn begun(session: &Session) -> Event {
    let detail = json!({"proof": session.proof.as_str(), "userAgent": session.user_agent});
    Event::new(EventKind::SessionCreated, session.id, 0, change::detail(&detail))
}

/// The answer to somebody who signed in: the token in the body for programs, in a cookie for browsers.
pub(super) fn signed_in(
    ctx: &Ctx,
    reply: Reply<(), 201>,
    user: &User,
    token: &str,
    session: &Session,
) -> Created<api::SignedIn> {
    let body = api::SignedIn {
        token: token.to_owned(),
        expires_at: view::instant(session.expires_at()),
        user: view::user(user),
    };
    let seconds = LIFETIME.0 / 1_000_000;
    reply.with_body(body).cookie(set_cookie(SESSION_COOKIE, token, seconds)).cookie(set_cookie(
        DEVICE_COOKIE,
        &device_mark(&ctx.app, user),
        DEVICE_SECONDS,
    ))
}

/// Proves again who uses the session, for acts that need it to be known for sure.
pub(crate) async fn prove(ctx: &Ctx, proof: api::NewProof) -> Result<Reply<api::Session>> {
    let (mut session, user) = own(ctx).await?;
    let (kind, factor) = match (proof.password, proof.ceremony, proof.credential) {
        (Some(password), None, None) => {
            let (proven, kind, factor) = check_password(ctx, &user.email, &password, proof.code.as_deref()).await?;
            (kind, (proven.version == user.version).then_some(factor).ok_or(Code::SignInFailed)?)
        }
        (None, Some(ceremony), Some(credential)) => {
            let answered = passkeys::check(ctx, &ceremony, credential).await?;
            (Proof::Passkey, Factor::Passkey(answered.of(&user)?))
        }
        _ => {
            return Err(
                Refusal::field("password", "is what proves it, or `ceremony` and `credential` of a passkey").into()
            );
        }
    };
    let mut tx = ctx.write_own().await?;
    authenticator::take(&mut tx, &user, factor).await?;
    session.proof = kind;
    session.proven_at = ctx.now;
    tx.session_prove(session.id, kind, ctx.now).await?;
    let detail = change::detail(&json!({"proof": kind.as_str()}));
    let event = Event::new(EventKind::SessionProven, session.id, 0, detail);
    let reply = Reply::new(tx.identity(), view::session(&session, Some(session.id)));
    ctx.commit(tx, event, reply).await
}

/// The session and the user that a request comes from.
pub(super) async fn own(ctx: &Ctx) -> Result<(Session, User)> {
    let identity = ctx.identity().await?;
    let session = identity.session.filter(|_| identity.caller.roaming_user().is_some());
    let session = session.ok_or(Code::SessionRequired)?;
    let user = ctx.app.store.user_by_id(session.user_id).await?.ok_or(Code::SessionUnknown)?;
    Ok((session, user))
}

pub(crate) async fn list(ctx: &Ctx, page: Page) -> Result<Reply<api::List<api::Session>>> {
    let mut tx = ctx.read_own().await?;
    let (user, current) = (tx.own().ok_or(Code::SessionRequired)?, current(&tx));
    let sessions = tx.session_list(user, ctx.now).await?;
    ctx.answer(tx, view::window(sessions, page, |session| view::session(session, current))).await
}

fn current(tx: &tenantry_store::tenant::TenantRead) -> Option<SessionId> {
    tx.identity().session.as_ref().map(|session| session.id)
}

/// Ends one session of the user: the one that asks, unless another is named.
pub(crate) async fn end(ctx: &Ctx, named: Option<SessionId>) -> Result<Reply<api::SessionsEnded>> {
    let mut tx = ctx.write_own().await?;
    let (user, current) = (tx.own().ok_or(Code::SessionRequired)?, current(&tx));
    let id = named.or(current).ok_or(Code::SessionRequired)?;
    if !tx.session_delete(user, id).await? {
        return Err(Code::NotFound.into());
    }
    let event = Event::new(EventKind::SessionEnded, id, 0, change::detail(&json!({"ended": 1})));
    let mut reply = Reply::new(tx.identity(), api::SessionsEnded { ended: 1 });
    if Some(id) == current {
        reply = reply.cookie(set_cookie(SESSION_COOKIE, "", 0));
    }
    ctx.commit(tx, event, reply).await
}

/// Signs the user out everywhere, here as well.
pub(crate) async fn end_all(ctx: &Ctx) -> Result<Reply<api::SessionsEnded>> {
    let mut tx = ctx.write_own().await?;
    let user = tx.own().ok_or(Code::SessionRequired)?;
    let ended = tx.sessions_delete(user, None).await?;
    let event = Event::new(EventKind::SessionEnded, user, 0, change::detail(&json!({"ended": ended})));
    let reply = Reply::new(tx.identity(), api::SessionsEnded { ended }).cookie(set_cookie(SESSION_COOKIE, "", 0));
    ctx.commit(tx, event, reply).await
}
