//! Passkeys: adding them, and signing in with them.

use serde_json::json;
use tenantry_api as api;
use tenantry_core::event::{Event, EventKind};
use tenantry_core::id::{Id as _, PasskeyId, UserId};
use tenantry_core::refusal::Code;
use tenantry_core::session::Proof;
use tenantry_core::throttle::Limit;
use tenantry_core::time::{Span, Timestamp};
use tenantry_core::{Document, secret};
use tenantry_store::{Ceremony, Page, Passkey, User};
use uuid::Uuid;
use webauthn_rs::prelude::{
    DiscoverableAuthentication, Passkey as Credential, PasskeyRegistration, PublicKeyCredential,
};

use super::{change, sessions};
use crate::attempts;
use crate::ctx::Ctx;
use crate::passkeys::{answer, document, invalid, of, value};
use crate::problem::{Error, Result};
use crate::reply::{Created, Reply};
use crate::seal::sha256;
use crate::view;

/// How long the two halves of a ceremony may be apart.
const CEREMONY: Span = Span::seconds(300);

const ADDING: &str = "passkey added";
const SIGNING_IN: &str = "passkey used";

/// A passkey that answered, to be noted in the transaction that relies on it.
pub(crate) struct Used {
    pub(crate) passkey: PasskeyId,
    pub(crate) public: Document,
    pub(crate) at: Timestamp,
}

/// Whose passkey answered.
pub(crate) struct Answered {
    pub(crate) user: User,
    used: Used,
}

impl Answered {
    /// The passkey, if it is this user's.
    pub(crate) fn of(self, user: &User) -> Result<Used> {
        if self.user.id == user.id { Ok(self.used) } else { Err(invalid("it is somebody else's")) }
    }
}

async fn begin_ceremony(ctx: &Ctx, kind: &str, user: Option<UserId>, state: Document) -> Result<String> {
    let token = secret::token(&ctx.app.chance.bytes()?);
    let ceremony = Ceremony { kind: kind.to_owned(), user_id: user, state };
    ctx.app.store.ceremony_begin(sha256(token.as_bytes()), &ceremony, ctx.now.plus(CEREMONY)).await?;
    Ok(token)
}

/// The first half of adding a passkey.
pub(crate) async fn begin(ctx: &Ctx) -> Result<Reply<api::Challenge>> {
    let mut tx = ctx.read_own().await?;
    let user = tx.user().await?.ok_or(Code::SessionRequired)?;
    let known = tx.passkey_list(user.id).await?.into_iter().map(|passkey| passkey.credential).collect();
    let reply = ctx.answer(tx, ()).await?;
    let id = Uuid::from_bytes(user.id.bytes());
    let (options, state) =
        of(&ctx.app)?.start_passkey_registration(id, &user.email, &user.name, Some(known)).map_err(Error::internal)?;
    let mut options = serde_json::to_value(&options).map_err(Error::internal)?;
    // Signing in starts without a name: the authenticator has to find the passkey by itself.
    if let Some(selection) = options.pointer_mut("/publicKey/authenticatorSelection").and_then(|s| s.as_object_mut()) {
        selection.insert("residentKey".to_owned(), json!("preferred"));
    }
    let ceremony = begin_ceremony(ctx, ADDING, Some(user.id), document(&state)?).await?;
    Ok(reply.with_body(api::Challenge { ceremony, options }))
}

/// The second half: the passkey is the user's from then on.
pub(crate) async fn add(
    ctx: &Ctx,
    ceremony: &str,
    name: String,
    credential: serde_json::Value,
) -> Result<Created<api::Passkey>> {
    sessions::own(ctx).await?;
    let begun = ctx.app.store.ceremony_take(sha256(ceremony.as_bytes()), ADDING, ctx.now).await?;
    let state: PasskeyRegistration = value(&begun.state)?;
    let made = of(&ctx.app)?.finish_passkey_registration(&answer(credential)?, &state).map_err(invalid)?;
    let mut tx = ctx.write_own().await?;
    let user = tx.own().filter(|user| begun.user_id == Some(*user)).ok_or(Code::TokenInvalid)?;
    let new = Passkey {
        id: ctx.app.chance.id(ctx.now),
        user_id: user,
        credential: made.cred_id().to_vec(),
        name,
        public: document(&made)?,
        created_at: ctx.now,
        last_used_at: None,
    };
    tx.passkey_insert(&new).await?;
    let event = Event::new(EventKind::PasskeyAdded, new.id, 0, change::detail(&json!({"name": new.name})));
    let reply = Reply::new(tx.identity(), view_passkey(&new));
    ctx.commit(tx, event, reply).await
}

pub(crate) async fn list(ctx: &Ctx, page: Page) -> Result<Reply<api::List<api::Passkey>>> {
    let mut tx = ctx.read_own().await?;
    let user = tx.own().ok_or(Code::SessionRequired)?;
    let passkeys = tx.passkey_list(user).await?;
    ctx.answer(tx, view::window(passkeys, page, view_passkey)).await
}

pub(crate) async fn remove(ctx: &Ctx, id: PasskeyId) -> Result<Reply<api::Deleted>> {
    let mut tx = ctx.write_own().await?;
    let user = tx.own().ok_or(Code::SessionRequired)?;
    if !tx.passkey_delete(user, id).await? {
        return Err(Code::NotFound.into());
    }
    let event = Event::new(EventKind::PasskeyRemoved, id, 0, change::detail(&json!({})));
    let reply = Reply::new(tx.identity(), api::Deleted { id: id.to_string(), deleted: true });
    ctx.commit(tx, event, reply).await
}

/// The first half of signing in: the same for everybody, since nobody says who they are yet.
pub(crate) async fn begin_sign_in(ctx: &Ctx) -> Result<Reply<api::Challenge>> {
    let (options, state) = of(&ctx.app)?.start_discoverable_authentication().map_err(Error::internal)?;
    attempts::take(ctx, &[attempts::count(Limit::BegunFrom, &attempts::from(ctx))]).await?;
    let ceremony = begin_ceremony(ctx, SIGNING_IN, None, document(&state)?).await?;
    let options = serde_json::to_value(&options).map_err(Error::internal)?;
    Ok(Reply::to_anybody(api::Challenge { ceremony, options }))
}

/// The second half: somebody is signed in.
pub(crate) async fn sign_in(
    ctx: &Ctx,
    ceremony: &str,
    credential: serde_json::Value,
) -> Result<Created<api::SignedIn>> {
    let Answered { user, used } = check(ctx, ceremony, credential).await?;
    let mut tx = ctx.app.store.write_as_user(ctx.visit(), &user).await.map_err(|error| ctx.answered(error))?;
    tx.passkey_used(used.passkey, &used.public, used.at).await?;
    sessions::begin(ctx, tx, &user, Proof::Passkey).await
}

/// Finds out whose passkey answered, and whether the answer is to the challenge. The user was verified by the
/// authenticator, so this is more than a password.
pub(crate) async fn check(ctx: &Ctx, ceremony: &str, credential: serde_json::Value) -> Result<Answered> {
    let begun = ctx.app.store.ceremony_take(sha256(ceremony.as_bytes()), SIGNING_IN, ctx.now).await?;
    let state: DiscoverableAuthentication = value(&begun.state)?;
    let given: PublicKeyCredential = answer(credential)?;
    let webauthn = of(&ctx.app)?;
    let (id, credential) = webauthn.identify_discoverable_authentication(&given).map_err(invalid)?;
    let id = UserId::from_bytes(id.into_bytes());
    let known = ctx.app.store.passkeys_of(id).await?.into_iter().find(|passkey| passkey.credential == credential);
    let (Some(known), Some(user)) = (known, ctx.app.store.user_by_id(id).await?) else {
        return Err(invalid("it is unknown here"));
    };
    let mut public: Credential = value(&known.public)?;
    let result = webauthn.finish_discoverable_authentication_v2(&given, state, &public).map_err(invalid)?;
    if !result.user_verified() {
        return Err(invalid("the authenticator did not verify the user"));
    }
    public.update_credential(&result);
    Ok(Answered { user, used: Used { passkey: known.id, public: document(&public)?, at: ctx.now } })
}

fn view_passkey(passkey: &Passkey) -> api::Passkey {
    api::Passkey {
        id: passkey.id.to_string(),
        name: passkey.name.clone(),
        created_at: view::instant(passkey.created_at),
        last_used_at: passkey.last_used_at.map(view::instant),
    }
}
