//! Users: signing up, proving addresses, passwords, and a person's own data.

use serde_json::{Value, json};
use tenantry_api as api;
use tenantry_core::Document;
use tenantry_core::account::{Account, Kind, Profile};
use tenantry_core::event::{Event, EventKind};
use tenantry_core::id::UserId;
use tenantry_core::refusal::Code;
use tenantry_core::throttle::Limit;
use tenantry_core::ticket::{Mail, Purpose};
use tenantry_store::{NewMail, Ticket, User};

use super::{change, enrollment, sessions};
use crate::attempts;
use crate::ctx::Ctx;
use crate::problem::Result;
use crate::reply::{Accepted, Reply};
use crate::seal::sha256;
use crate::{input, view};

/// Has a mail sent that proves the address. Whether it is a user's already is told in the mail alone.
pub(crate) async fn sign_up(ctx: &Ctx, email: &str, name: &str, password: &str) -> Result<Accepted<api::MailSent>> {
    count_mail(ctx, email).await?;
    let hash = ctx.app.passwords.hash(password).await?;
    let said = json!({"name": name, "password": hash});
    let mail = match ctx.app.store.user_by_email(email).await? {
        Some(_) => mail(ctx, Mail::AlreadyUser, email, &json!({}), None),
        None => {
            let ticket = ticket(ctx, Purpose::Verify, email, change::detail(&said));
            mail(ctx, Mail::Verify, email, &json!({"name": name}), Some(ticket))
        }
    };
    queue(ctx, &mail).await?;
    Ok(Reply::to_anybody(sent(email)))
}

/// Counts a mail that anybody can have sent.
pub(super) async fn count_mail(ctx: &Ctx, email: &str) -> Result<()> {
    let to = attempts::count(Limit::MailTo, &tenantry_core::invitation::email_key(email));
    attempts::take(ctx, &[attempts::count(Limit::MailFrom, &attempts::from(ctx)), to]).await
}

pub(super) fn sent(email: &str) -> api::MailSent {
    api::MailSent { status: "mail_sent".to_owned(), email: email.to_owned() }
}

/// A ticket that nobody has a token of yet.
pub(super) fn ticket(ctx: &Ctx, purpose: Purpose, email: &str, detail: Document) -> Ticket {
    Ticket {
        id: ctx.app.chance.id(ctx.now),
        purpose,
        user_id: None,
        invitation_id: None,
        email: email.to_owned(),
        detail,
        created_at: ctx.now,
    }
}

pub(super) fn mail(ctx: &Ctx, kind: Mail, to: &str, told: &Value, ticket: Option<Ticket>) -> NewMail {
    let detail = change::detail(told);
    NewMail { id: ctx.app.chance.id(ctx.now), kind, recipient: to.to_owned(), detail, ticket }
}

/// Has a mail sent that tells of no change.
pub(super) async fn queue(ctx: &Ctx, mail: &NewMail) -> Result<()> {
    ctx.app.store.mail_queue(mail, ctx.now).await?;
    ctx.app.outbox.notify_one();
    Ok(())
}

/// Makes a user of somebody who has the token of a mail to their address, and what they wanted besides.
pub(crate) async fn verify(ctx: &Ctx, token: &str) -> Result<Reply<api::Verified>> {
    let hash = sha256(token.as_bytes());
    let seen = ctx.app.store.ticket_peek(&hash, &[Purpose::Verify, Purpose::Enroll], ctx.now).await?;
    if seen.purpose == Purpose::Enroll {
        return enrollment::complete(ctx, &hash, &seen).await;
    }
    let make =
        |ticket: &Ticket| Ok(new_user(ctx, &ticket.email, &said(ticket, "name"), Some(said(ticket, "password"))));
    let opened = ctx.app.store.write_new_user_by_ticket(ctx.visit(), &hash, make).await;
    let (tx, user) = opened.map_err(|error| ctx.answered(error))?;
    let (_, personal) = new_user(ctx, &user.email, &user.name, None);
    let event = Event::new(EventKind::AccountCreated, user.account_id, 1, change::created(&personal));
    let reply = Reply::new(tx.identity(), api::Verified { user: view::user(&user), organization: None });
    ctx.commit(tx, event, reply).await
}

/// What was said when a ticket was made.
pub(super) fn said(ticket: &Ticket, name: &str) -> String {
    view::value(&ticket.detail).get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A user with a proven address, and the personal account of theirs.
pub(super) fn new_user(ctx: &Ctx, email: &str, name: &str, password: Option<String>) -> (User, Account) {
    let profile = Profile {
        kind: Kind::Personal,
        name: name.to_owned(),
        email: email.to_owned(),
        settings: std::collections::BTreeMap::new(),
        metadata: Document::empty(),
    };
    let personal = Account::new(ctx.app.chance.id(ctx.now), None, profile, ctx.now);
    let user = User {
        id: ctx.app.chance.id(ctx.now),
        account_id: personal.id,
        email: email.to_owned(),
        name: name.to_owned(),
        password,
        totp: None,
        totp_on: false,
        totp_step: 0,
        version: 1,
        created_at: ctx.now,
        updated_at: ctx.now,
    };
    (user, personal)
}

/// Has a mail sent with which a forgotten password can be replaced. Whether there is a user is told in the mail alone.
pub(crate) async fn request_reset(ctx: &Ctx, email: &str) -> Result<Accepted<api::MailSent>> {
    count_mail(ctx, email).await?;
    let mail = match ctx.app.store.user_by_email(email).await? {
        None => mail(ctx, Mail::NoUser, email, &json!({}), None),
        Some(user) => {
            let ticket = ticket(ctx, Purpose::Reset, &user.email, Document::empty());
            let ticket = Ticket { user_id: Some(user.id), ..ticket };
            mail(ctx, Mail::Reset, &user.email, &json!({"name": user.name}), Some(ticket))
        }
    };
    queue(ctx, &mail).await?;
    Ok(Reply::to_anybody(sent(email)))
}

/// Replaces a forgotten password, and ends all sessions: whoever has them may not be the user.
pub(crate) async fn reset(ctx: &Ctx, token: &str, password: &str) -> Result<Reply<api::User>> {
    let hash = sha256(token.as_bytes());
    let seen = ctx.app.store.ticket_peek(&hash, &[Purpose::Reset], ctx.now).await?;
    let password = ctx.app.passwords.hash(&input::password(password, &seen.email)?).await?;
    let opened = ctx.app.store.write_by_ticket(ctx.visit(), &hash, Purpose::Reset).await;
    let (mut tx, ticket) = opened.map_err(|error| ctx.answered(error))?;
    let user = tx.user().await?.ok_or(Code::TokenInvalid)?;
    tx.tickets_delete(user.id, ticket.purpose).await?;
    let ended = tx.sessions_delete(user.id, None).await?;
    save_password(ctx, tx, user, password, ended).await
}

/// Gives who is signed in another password, and ends all their other sessions.
pub(crate) async fn set_password(ctx: &Ctx, password: &str) -> Result<Reply<api::User>> {
    let (session, seen) = sessions::own(ctx).await?;
    session.check_fresh(ctx.now)?;
    let password = ctx.app.passwords.hash(&input::password(password, &seen.email)?).await?;
    let mut tx = ctx.write_own().await?;
    let user = tx.user().await?.ok_or(Code::SessionRequired)?;
    let ended = tx.sessions_delete(user.id, Some(session.id)).await?;
    save_password(ctx, tx, user, password, ended).await
}

async fn save_password(
    ctx: &Ctx,
    mut tx: tenantry_store::tenant::TenantWrite,
    user: User,
    password: String,
    ended: u64,
) -> Result<Reply<api::User>> {
    let user = User { password: Some(password), version: user.version + 1, updated_at: ctx.now, ..user };
    tx.user_update(&user).await?;
    tx.mail(&mail(ctx, Mail::PasswordChanged, &user.email, &json!({"name": user.name}), None), ctx.now).await?;
    let detail = change::detail(&json!({"sessionsEnded": ended}));
    let event = Event::new(EventKind::UserPasswordChanged, user.id, user.version, detail);
    let reply = ctx.commit(tx, event, Reply::to_anybody(view::user(&user))).await?;
    ctx.app.outbox.notify_one();
    Ok(reply)
}

/// Has a mail sent to a new address, which counts once its link was followed.
pub(crate) async fn change_email(ctx: &Ctx, email: &str) -> Result<Accepted<api::MailSent>> {
    let mut tx = ctx.read_own().await?;
    let user = tx.user().await?.ok_or(Code::SessionRequired)?;
    let reply = ctx.answer(tx, sent(email)).await?;
    if ctx.is_dry_run() {
        return Ok(reply);
    }
    count_mail(ctx, email).await?;
    let mail = match ctx.app.store.user_by_email(email).await? {
        Some(other) if other.id != user.id => mail(ctx, Mail::AlreadyUser, email, &json!({}), None),
        _ => {
            let ticket = ticket(ctx, Purpose::Email, email, Document::empty());
            let ticket = Ticket { user_id: Some(user.id), ..ticket };
            mail(ctx, Mail::ChangeEmail, email, &json!({"name": user.name}), Some(ticket))
        }
    };
    queue(ctx, &mail).await?;
    Ok(reply)
}

/// Changes the address of the user to whose new address a mail was sent; the old one is told.
pub(crate) async fn confirm_email(ctx: &Ctx, token: &str) -> Result<Reply<api::User>> {
    let hash = sha256(token.as_bytes());
    let opened = ctx.app.store.write_by_ticket(ctx.visit(), &hash, Purpose::Email).await;
    let (mut tx, ticket) = opened.map_err(|error| ctx.answered(error))?;
    let before = tx.user().await?.ok_or(Code::TokenInvalid)?;
    let user = User { email: ticket.email, version: before.version + 1, updated_at: ctx.now, ..before.clone() };
    tx.user_update(&user).await?;
    tx.tickets_delete(user.id, Purpose::Email).await?;
    // A link to reset the password may have gone to somebody who reads the old address.
    tx.tickets_delete(user.id, Purpose::Reset).await?;
    tx.mail(&mail(ctx, Mail::EmailChanged, &before.email, &json!({"name": user.name}), None), ctx.now).await?;
    let detail = change::detail(&json!({"email": {"from": before.email, "to": user.email}}));
    let event = Event::new(EventKind::UserEmailChanged, user.id, user.version, detail);
    let reply = ctx.commit(tx, event, Reply::to_anybody(view::user(&user))).await?;
    ctx.app.outbox.notify_one();
    Ok(reply)
}

/// The user with all that they can turn to.
pub(crate) async fn me(ctx: &Ctx) -> Result<Reply<api::Me>> {
    let mut tx = ctx.read_own().await?;
    let user = tx.user().await?.ok_or(Code::SessionRequired)?;
    let (personal, organizations): (Vec<_>, Vec<_>) =
        tx.user_belongings(user.id).await?.into_iter().partition(|b| b.membership.account == user.account_id);
    let security = security(&mut tx, &user).await?;
    let personal = personal.first().ok_or_else(|| crate::problem::Error::internal("a user has a personal account"))?;
    let body = api::Me {
        user: view::user(&user),
        personal_account: view::belonging(personal),
        organizations: organizations.iter().map(view::belonging).collect(),
        security,
    };
    Ok(ctx.answer(tx, body).await?.versioned(user.version))
}

async fn security(tx: &mut tenantry_store::tenant::TenantRead, user: &User) -> Result<api::Security> {
    let identity = |identity: tenantry_store::LinkedIdentity| api::Identity {
        provider: identity.provider,
        email: identity.email,
        created_at: view::instant(identity.created_at),
    };
    Ok(api::Security {
        password: user.password.is_some(),
        authenticator: user.totp_on,
        recovery_codes: tx.recovery_codes_left(user.id).await?,
        passkeys: i64::try_from(tx.passkey_list(user.id).await?.len()).unwrap_or(i64::MAX),
        identities: tx.identity_list(user.id).await?.into_iter().map(identity).collect(),
    })
}

pub(crate) async fn update_me(ctx: &Ctx, name: Option<String>) -> Result<Reply<api::User>> {
    let mut tx = ctx.write_own().await?;
    let before = tx.user().await?.ok_or(Code::SessionRequired)?;
    ctx.check_version(before.version)?;
    let user = User { name: name.unwrap_or_else(|| before.name.clone()), ..before.clone() };
    if user == before {
        return Ok(ctx.unchanged(tx, view::user(&user)).await?.versioned(user.version));
    }
    let user = User { version: user.version + 1, updated_at: ctx.now, ..user };
    tx.user_update(&user).await?;
    let detail = change::detail(&json!({"name": {"from": before.name, "to": user.name}}));
    let event = Event::new(EventKind::UserUpdated, user.id, user.version, detail);
    let reply = Reply::new(tx.identity(), view::user(&user)).versioned(user.version);
    ctx.commit(tx, event, reply).await
}

/// The user who is signed in, or nobody, where a route is open to both.
pub(super) async fn signed_in(ctx: &Ctx) -> Result<Option<User>> {
    let identity = ctx.identity().await?;
    let user: Option<UserId> = identity.session.as_ref().map(|session| session.user_id);
    match user {
        Some(id) => Ok(ctx.app.store.user_by_id(id).await?),
        None => Ok(None),
    }
}
