//! Signing in at an identity provider, and linking users to who they are there.
//!
//! A user is only ever linked by themselves, while they are signed in: an address that a provider tells, verified or not,
//! never makes somebody a user who is there already.

use serde_json::json;
use tenantry_api as api;
use tenantry_core::Refusal;
use tenantry_core::event::{Event, EventKind};
use tenantry_core::refusal::Code;
use tenantry_core::secret;
use tenantry_core::session::Proof;
use tenantry_core::throttle::Limit;
use tenantry_core::time::Span;
use tenantry_store::{Ceremony, LinkedIdentity, Page};

use super::{change, sessions, users};
use crate::attempts;
use crate::credential::{AWAY_COOKIE, set_cookie};
use crate::ctx::Ctx;
use crate::passkeys::{document, value};
use crate::problem::Result;
use crate::providers::{Away, Claims};
use crate::reply::{Created, Reply};
use crate::seal::sha256;
use crate::{input, view};

/// How long somebody may be at a provider.
const AWAY_SECONDS: i64 = 900;

const SIGNING_IN: &str = "provider sign-in";
const LINKING: &str = "provider link";

fn redirect(ctx: &Ctx) -> String {
    format!("{}/link/provider", ctx.app.config.public_url.trim_end_matches('/'))
}

pub(crate) fn list(ctx: &Ctx, page: Page) -> Reply<api::List<String>> {
    Reply::to_anybody(view::window(ctx.app.providers.names(), page, String::clone))
}

/// Where to send the browser of somebody who signs in.
pub(crate) async fn begin(ctx: &Ctx, provider: &str) -> Result<Reply<api::ProviderRedirect>> {
    attempts::take(ctx, &[attempts::count(Limit::BegunFrom, &attempts::from(ctx))]).await?;
    let (state, body) = leave(ctx, provider, SIGNING_IN, None).await?;
    Ok(Reply::to_anybody(body).cookie(set_cookie(AWAY_COOKIE, &state, AWAY_SECONDS)))
}

/// Where to send the browser of a user who links who they are at a provider.
pub(crate) async fn begin_link(ctx: &Ctx, provider: &str) -> Result<Reply<api::ProviderRedirect>> {
    let tx = ctx.read_own().await?;
    let user = tx.own();
    let reply = ctx.answer(tx, ()).await?;
    let (_, body) = leave(ctx, provider, LINKING, user).await?;
    Ok(reply.with_body(body))
}

async fn leave(
    ctx: &Ctx,
    provider: &str,
    kind: &str,
    user_id: Option<tenantry_core::id::UserId>,
) -> Result<(String, api::ProviderRedirect)> {
    let state = secret::token(&ctx.app.chance.bytes()?);
    let (url, away) = ctx.app.providers.begin(provider, state.clone(), &redirect(ctx)).await?;
    let ceremony = Ceremony { kind: kind.to_owned(), user_id, state: document(&away)? };
    ctx.app
        .store
        .ceremony_begin(sha256(state.as_bytes()), &ceremony, ctx.now.plus(Span::seconds(AWAY_SECONDS)))
        .await?;
    Ok((state, api::ProviderRedirect { url }))
}

async fn returned(ctx: &Ctx, answer: &api::ProviderAnswer, kind: &str) -> Result<(Ceremony, Claims)> {
    let ceremony = ctx.app.store.ceremony_take(sha256(answer.state.as_bytes()), kind, ctx.now).await?;
    let away: Away = value(&ceremony.state)?;
    let claims = ctx.app.providers.finish(&away, &answer.code, &redirect(ctx)).await?;
    Ok((ceremony, claims))
}

/// Signs in who comes back from a provider: the user who is linked, or a new one with an address that the provider
/// vouches for. Only the browser that left may come back: an answer of somebody else's that was slipped to it would sign it
/// in as them (RFC 9700, section 4.7).
pub(crate) async fn sign_in(ctx: &Ctx, answer: &api::ProviderAnswer) -> Result<Created<api::SignedIn>> {
    if ctx.away() != Some(&answer.state) {
        return Err(Code::TokenInvalid.into());
    }
    let (_, claims) = returned(ctx, answer, SIGNING_IN).await?;
    match ctx.app.store.user_by_identity(&claims.provider, &claims.subject).await? {
        Some(user) => {
            let opened = ctx.app.store.write_as_user(ctx.visit(), &user).await;
            sessions::begin(ctx, opened.map_err(|error| ctx.answered(error))?, &user, Proof::Provider).await
        }
        None => sign_up(ctx, &claims).await,
    }
}

async fn sign_up(ctx: &Ctx, claims: &Claims) -> Result<Created<api::SignedIn>> {
    let verified = claims.email.as_deref().filter(|_| claims.email_verified);
    let no_address = || Refusal::new(Code::ProviderRefused, "The provider does not vouch for an e-mail address.");
    let email = input::email("email", verified.ok_or_else(no_address)?)?;
    if ctx.app.store.user_by_email(&email).await?.is_some() {
        return Err(Code::IdentityTaken.into());
    }
    let name = claims.name.as_deref().and_then(|name| input::name("name", name).ok());
    let (user, personal) = users::new_user(ctx, &email, &name.unwrap_or_else(|| email.clone()), None);
    let mut tx =
        ctx.app.store.write_new_user(ctx.visit(), &user, &personal).await.map_err(|error| ctx.answered(error))?;
    tx.identity_insert(&user, &identity(ctx, claims)).await?;
    let (token, new) = sessions::new_session(ctx, &user, Proof::Provider)?;
    tx.session_insert(&new).await?;
    let event = Event::new(EventKind::AccountCreated, personal.id, 1, change::created(&personal));
    let reply = sessions::signed_in(ctx, Reply::new(tx.identity(), ()), &user, &token, &new.session);
    ctx.commit(tx, event, reply).await
}

/// Links the user who is signed in to who they are at the provider that they come back from.
pub(crate) async fn link(ctx: &Ctx, answer: &api::ProviderAnswer) -> Result<Created<api::Identity>> {
    sessions::own(ctx).await?;
    let (ceremony, claims) = returned(ctx, answer, LINKING).await?;
    let mut tx = ctx.write_own().await?;
    let user = tx.own().filter(|user| ceremony.user_id == Some(*user)).ok_or(Code::TokenInvalid)?;
    let linked = identity(ctx, &claims);
    tx.identity_insert(user, &linked).await?;
    let detail = change::detail(&json!({"provider": linked.provider}));
    let event = Event::new(EventKind::IdentityLinked, user, 0, detail);
    let body =
        api::Identity { provider: linked.provider, email: linked.email, created_at: view::instant(linked.created_at) };
    let reply = Reply::new(tx.identity(), body);
    ctx.commit(tx, event, reply).await
}

fn identity(ctx: &Ctx, claims: &Claims) -> LinkedIdentity {
    LinkedIdentity {
        provider: claims.provider.clone(),
        subject: claims.subject.clone(),
        email: claims.email.clone(),
        created_at: ctx.now,
    }
}
