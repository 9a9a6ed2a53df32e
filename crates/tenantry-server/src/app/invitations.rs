//! Invitations: asking people to join, and what they answer.

use serde_json::json;
use tenantry_api as api;
use tenantry_core::access::check_active;
use tenantry_core::account::{Account, Kind};
use tenantry_core::event::{Event, EventKind};
use tenantry_core::id::{AccountId, InvitationId, UserId};
use tenantry_core::invitation::{Invitation, Inviter, LIFETIME, Status, email_key};
use tenantry_core::member::{check_seats_to_invite, check_seats_to_join};
use tenantry_core::permission::Permission;
use tenantry_core::refusal::Code;
use tenantry_core::role::{Role, check_rank};
use tenantry_core::throttle::Limit;
use tenantry_core::ticket::{Mail, Purpose};
use tenantry_core::{Document, Refusal, secret, tree};
use tenantry_store::tenant::{TenantRead, TenantWrite};
use tenantry_store::{NewMail, Page, Ticket, User};

use super::{change, users};
use crate::attempts;
use crate::ctx::Ctx;
use crate::problem::Result;
use crate::reply::{Created, Reply};
use crate::seal::sha256;
use crate::{input, mail, view};

pub(crate) async fn list(
    ctx: &Ctx,
    account: AccountId,
    status: Option<Status>,
    page: Page,
) -> Result<Reply<api::List<api::Invitation>>> {
    let mut tx = ctx.read(account).await?;
    let invitations = tx.invitation_list(status, ctx.now, page).await?;
    ctx.answer(tx, view::list(invitations, page, |invitation| view::invitation(invitation, ctx.now, None))).await
}

/// Somebody to be invited.
pub(crate) struct Wanted {
    /// Where it stands in the body, for what is said about it.
    pub(crate) field: String,
    pub(crate) email: String,
    pub(crate) role: String,
}

/// Invites one person.
pub(crate) async fn create(ctx: &Ctx, account: AccountId, wanted: Wanted) -> Result<Created<api::Invitation>> {
    let (tx, event, mut made) = invite(ctx, account, vec![wanted]).await?;
    let body = made.pop().ok_or_else(|| crate::problem::Error::internal("one invitation was asked for"))?;
    let reply = Reply::new(tx.identity(), body);
    let reply = ctx.commit(tx, event, reply).await?;
    ctx.app.outbox.notify_one();
    Ok(reply)
}

/// Invites several people, or nobody.
pub(crate) async fn create_many(
    ctx: &Ctx,
    account: AccountId,
    wanted: Vec<Wanted>,
) -> Result<Created<api::Invitations>> {
    let (tx, event, data) = invite(ctx, account, wanted).await?;
    let reply = Reply::new(tx.identity(), api::Invitations { data });
    let reply = ctx.commit(tx, event, reply).await?;
    ctx.app.outbox.notify_one();
    Ok(reply)
}

/// Writes the invitations and their mails; the last event is for the commit.
async fn invite(
    ctx: &Ctx,
    account: AccountId,
    wanted: Vec<Wanted>,
) -> Result<(TenantWrite, Event, Vec<api::Invitation>)> {
    let many = i64::try_from(wanted.len()).unwrap_or(i64::MAX);
    count(ctx, account, many).await?;
    let mut tx = ctx.write(account).await?;
    check_takes_members(tx.account())?;
    let (own, count) = (tx.caller().rights_over(tx.line()), tx.headcount(ctx.now).await?);
    check_seats_to_invite(count, many, tx.line().seat_cap().as_ref())?;
    let (inviter, inviter_name) = inviter(&mut tx).await?;
    let mut made = Vec::new();
    let mut events = Vec::new();
    for person in wanted {
        let role = assignable(&mut tx, &person).await?;
        check_rank(own, &role)?;
        if tx.is_member(&email_key(&person.email)).await? {
            return Err(Refusal::at(Code::AlreadyMember, person.field, "is a member already").into());
        }
        let invitation = Invitation {
            id: ctx.app.chance.id(ctx.now),
            account_id: account,
            email: person.email,
            role: role.which,
            role_name: role.name,
            status: Status::Pending,
            inviter,
            created_at: ctx.now,
            expires_at: ctx.now.plus(LIFETIME),
            settled_at: None,
        };
        tx.invitation_insert(&invitation).await?;
        let link = send(ctx, &mut tx, &invitation, &inviter_name).await?;
        events.push(Event::new(EventKind::InvitationCreated, invitation.id, 0, told(&invitation)));
        made.push(view::invitation(&invitation, ctx.now, link));
    }
    let last = events.pop().ok_or_else(|| Refusal::field("invitations", "takes 1 to 100"))?;
    for event in events {
        tx.note(ctx.app.chance.id(ctx.now), event);
    }
    Ok((tx, last, made))
}

/// Counts invitations of an account. Only of who may invite: so the door is asked before.
async fn count(ctx: &Ctx, account: AccountId, many: i64) -> Result<()> {
    ctx.read(account).await?.finish().await?;
    if ctx.is_dry_run() {
        return Ok(());
    }
    attempts::take_many(ctx, &[attempts::count(Limit::Invite, &account.to_string())], many).await
}

/// Whether the account can have members besides who it belongs to.
fn check_takes_members(account: &Account) -> Result<()> {
    tree::check_open(account)?;
    if account.kind == Kind::Personal {
        return Err(Refusal::new(Code::PersonalAccount, "A personal account has no other members.").into());
    }
    if account.canceled_at.is_some() {
        return Err(Code::OrganizationCanceled.into());
    }
    Ok(())
}

async fn assignable(tx: &mut TenantRead, person: &Wanted) -> Result<Role> {
    let field = person.field.replace("email", "role");
    let unknown =
        || Refusal::field(field, "takes admin, maintainer, member, or a custom role of this account or above");
    Ok(tx.role_by_text(&person.role).await?.ok_or_else(unknown)?)
}

/// Who answers for an invitation, and what the mail calls them.
async fn inviter(tx: &mut TenantRead) -> Result<(Inviter, String)> {
    let (maker, key) = (tx.caller().maker(), tx.caller().actor.key());
    Ok(match (maker, key) {
        (Some(user), _) => (Inviter::User(user), tx.user_name(user).await?.unwrap_or_default()),
        (None, Some(key)) => (Inviter::Key(key), "An administrator".to_owned()),
        (None, None) => (Inviter::Operator, "The operator".to_owned()),
    })
}

/// Has the mail sent; where none is sent, answers with a link that the inviter hands over.
async fn send(ctx: &Ctx, tx: &mut TenantWrite, invitation: &Invitation, inviter: &str) -> Result<Option<String>> {
    let told = json!({"organization": tx.account().name, "inviter": inviter, "role": invitation.role_name});
    let ticket = || Ticket {
        invitation_id: Some(invitation.id),
        ..users::ticket(ctx, Purpose::Invitation, &invitation.email, Document::empty())
    };
    let queued: NewMail = users::mail(ctx, Mail::Invitation, &invitation.email, &told, Some(ticket()));
    tx.mail(&queued, ctx.now).await?;
    if ctx.app.mailer.sends() || ctx.is_dry_run() {
        return Ok(None);
    }
    let token = secret::token(&ctx.app.chance.bytes()?);
    tx.ticket_insert(&ticket(), sha256(token.as_bytes())).await?;
    Ok(Some(mail::link(&ctx.app.config.public_url, Purpose::Invitation.as_str(), &token)))
}

fn told(invitation: &Invitation) -> Document {
    change::detail(&json!({"email": invitation.email, "role": invitation.role_name}))
}

async fn found(tx: &mut TenantRead, id: InvitationId) -> Result<Invitation> {
    Ok(tx.invitation_by_id(id).await?.ok_or(Code::NotFound)?)
}

/// Whether the caller's own rank allows to touch an invitation. One whose role is gone can be touched by all who may.
async fn check_touch(tx: &mut TenantRead, invitation: &Invitation) -> Result<()> {
    let own = tx.caller().rights_over(tx.line());
    match tx.role_by_ref(invitation.role).await? {
        Some(role) => Ok(check_rank(own, &role)?),
        None => Ok(()),
    }
}

/// Takes an invitation back.
pub(crate) async fn cancel(ctx: &Ctx, account: AccountId, id: InvitationId) -> Result<Reply<api::Invitation>> {
    let mut tx = ctx.write(account).await?;
    let mut invitation = found(&mut tx, id).await?;
    check_touch(&mut tx, &invitation).await?;
    match invitation.status_at(ctx.now) {
        Status::Canceled => {
            let body = view::invitation(&invitation, ctx.now, None);
            return ctx.unchanged(tx, body).await;
        }
        Status::Pending | Status::Expired => (),
        Status::Accepted | Status::Declined => invitation.check_pending(ctx.now)?,
    }
    invitation.status = Status::Canceled;
    invitation.settled_at = Some(ctx.now);
    tx.invitation_settle(id, Status::Canceled, ctx.now).await?;
    let event = Event::new(EventKind::InvitationCanceled, id, 0, told(&invitation));
    let reply = Reply::new(tx.identity(), view::invitation(&invitation, ctx.now, None));
    ctx.commit(tx, event, reply).await
}

/// Sends an invitation again, also one that nobody answered in time.
pub(crate) async fn resend(ctx: &Ctx, account: AccountId, id: InvitationId) -> Result<Reply<api::Invitation>> {
    count(ctx, account, 1).await?;
    let mut tx = ctx.write(account).await?;
    check_takes_members(tx.account())?;
    let mut invitation = found(&mut tx, id).await?;
    check_touch(&mut tx, &invitation).await?;
    let expired = invitation.status_at(ctx.now) == Status::Expired;
    if expired {
        let count = tx.headcount(ctx.now).await?;
        check_seats_to_invite(count, 1, tx.line().seat_cap().as_ref())?;
        invitation.status = Status::Pending;
    }
    invitation.expires_at = ctx.now.plus(LIFETIME);
    invitation.check_pending(ctx.now)?;
    tx.invitation_extend(id, invitation.expires_at).await?;
    let (_, inviter) = inviter(&mut tx).await?;
    let link = send(ctx, &mut tx, &invitation, &inviter).await?;
    let event = Event::new(EventKind::InvitationResent, id, 0, told(&invitation));
    let reply = Reply::new(tx.identity(), view::invitation(&invitation, ctx.now, link));
    let reply = ctx.commit(tx, event, reply).await?;
    ctx.app.outbox.notify_one();
    Ok(reply)
}

/// What somebody with a link may see before they answer.
pub(crate) async fn preview(ctx: &Ctx, token: &str) -> Result<Reply<api::InvitationPreview>> {
    let seen = ctx.app.store.invitation_peek(&sha256(token.as_bytes()), ctx.now).await?;
    Ok(Reply::to_anybody(api::InvitationPreview {
        organization: seen.account.name,
        role: seen.invitation.role_name.clone(),
        email: seen.invitation.email.clone(),
        status: seen.invitation.status_at(ctx.now).to_string(),
        expires_at: view::instant(seen.invitation.expires_at),
        registered: seen.invited.is_some(),
    }))
}

/// Who answers: the user who is signed in, or one who is made of what they say.
struct Answering {
    user: User,
    /// The personal account of a new user.
    personal: Option<Account>,
}

async fn answering(ctx: &Ctx, hash: &[u8; 32], said: &api::Acceptance) -> Result<Answering> {
    let seen = ctx.app.store.invitation_peek(hash, ctx.now).await?;
    if let Some(user) = users::signed_in(ctx).await? {
        seen.invitation.check_address(&user.email)?;
        return Ok(Answering { user, personal: None });
    }
    seen.invitation.check_pending(ctx.now)?;
    if seen.invited.is_some() {
        return Err(Code::SignInRequired.into());
    }
    // The token came with a mail to the address: that proves it. Where no mails are sent, the inviter vouches for it.
    let missing = |field: &str| Refusal::field(field, "is required of a new user");
    let name = input::name("name", said.name.as_deref().ok_or_else(|| missing("name"))?)?;
    let password = said.password.as_deref().ok_or_else(|| missing("password"))?;
    let password = input::password(password, &seen.invitation.email)?;
    let password = ctx.app.passwords.hash(&password).await?;
    let (user, personal) = users::new_user(ctx, &seen.invitation.email, &name, Some(password));
    Ok(Answering { user, personal: Some(personal) })
}

/// Makes who answers a member, if everything still is as it was when they were invited.
pub(crate) async fn accept(ctx: &Ctx, said: &api::Acceptance) -> Result<Reply<api::Accepted>> {
    let hash = sha256(said.token.as_bytes());
    let Answering { user, personal } = answering(ctx, &hash, said).await?;
    let opened = ctx.app.store.write_by_invitation(ctx.visit(), &hash, Some(user.id)).await;
    let (mut tx, invitation) = opened.map_err(|error| ctx.answered(error))?;
    invitation.check_pending(ctx.now)?;
    check_active(tx.line().effective_status())?;
    check_takes_members(tx.account())?;
    let role = check_still_invited(ctx, &mut tx, &invitation).await?;
    if tx.person(user.id).await?.membership_on(tx.account().id).is_some() {
        return Err(Code::AlreadyMember.into());
    }
    let count = tx.headcount(ctx.now).await?;
    check_seats_to_join(count, tx.line().seat_cap().as_ref())?;
    if let Some(personal) = &personal {
        let event = Event::new(EventKind::AccountCreated, personal.id, 1, change::created(personal));
        let limits = ctx.app.store.default_limits();
        tx.user_insert(&user, personal, limits, ctx.app.chance.id(ctx.now), event).await?;
    }
    tx.membership_insert(user.id, role.which, ctx.now).await?;
    tx.invitation_settle(invitation.id, Status::Accepted, ctx.now).await?;
    let detail = json!({"role": role.name, "invitation": invitation.id.to_string(), "seats": count.members + 1});
    let event = Event::new(EventKind::MemberAdded, user.id, 0, change::detail(&detail));
    let body = api::Accepted {
        account_id: tx.account().id.to_string(),
        organization: tx.account().name.clone(),
        role: role.name,
        user: view::user(&user),
    };
    let reply = Reply::new(tx.identity(), body);
    ctx.commit(tx, event, reply).await
}

/// Whether the role is still there, and who invited may still give it.
async fn check_still_invited(ctx: &Ctx, tx: &mut TenantRead, invitation: &Invitation) -> Result<Role> {
    let stale = |detail: &'static str| Refusal::new(Code::InvitationStale, detail);
    let role = tx.role_by_ref(invitation.role).await?.ok_or_else(|| stale("The role is not there any more."))?;
    let rights = match invitation.inviter {
        Inviter::Operator => return Ok(role),
        Inviter::User(user) => tx.person(user).await?.rights_over(tx.line()),
        Inviter::Key(key) => tx.rights_of_key(key, ctx.now).await?,
    };
    if !rights.holds(Permission::MemberInvite) || check_rank(rights, &role).is_err() {
        return Err(stale("Who invited may not give this role any more.").into());
    }
    Ok(role)
}

/// Does not become a member. Nobody has to say who they are for that.
pub(crate) async fn decline(ctx: &Ctx, token: &str) -> Result<Reply<api::Declined>> {
    let hash = sha256(token.as_bytes());
    let seen = ctx.app.store.invitation_peek(&hash, ctx.now).await?;
    let who: Option<UserId> = seen.invited.map(|user| user.id);
    let opened = ctx.app.store.write_by_invitation(ctx.visit(), &hash, who).await;
    let (mut tx, invitation) = opened.map_err(|error| ctx.answered(error))?;
    invitation.check_pending(ctx.now)?;
    tx.invitation_settle(invitation.id, Status::Declined, ctx.now).await?;
    let event = Event::new(EventKind::InvitationDeclined, invitation.id, 0, told(&invitation));
    let reply = Reply::new(tx.identity(), api::Declined { status: Status::Declined.to_string() });
    ctx.commit(tx, event, reply).await
}
