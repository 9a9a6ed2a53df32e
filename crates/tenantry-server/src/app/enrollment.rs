//! Enrollment links: a super organization's customers make their own child organizations.

use serde_json::json;
use tenantry_api as api;
use tenantry_core::account::{Account, Kind, Profile};
use tenantry_core::event::{Event, EventKind};
use tenantry_core::id::{AccountId, LinkId};
use tenantry_core::refusal::Code;
use tenantry_core::ticket::{Mail, Purpose};
use tenantry_core::{Document, Refusal, Timestamp, secret, tree};
use tenantry_store::tenant::TenantWrite;
use tenantry_store::{Counts, EnrollmentLink, Lined, Page, Ticket, User};

use super::{change, users};
use crate::ctx::Ctx;
use crate::problem::Result;
use crate::reply::{Accepted, Created, Reply};
use crate::seal::sha256;
use crate::{input, mail, view};

/// The page behind an enrollment link.
const PAGE: &str = "enrollment";

pub(crate) async fn list(ctx: &Ctx, account: AccountId, page: Page) -> Result<Reply<api::List<api::EnrollmentLink>>> {
    let mut tx = ctx.read(account).await?;
    let links = tx.link_list(page).await?;
    ctx.answer(tx, view::list(links, page, |link| view::enrollment_link(link, ctx.now))).await
}

pub(crate) async fn create(
    ctx: &Ctx,
    account: AccountId,
    name: String,
    max_uses: Option<i64>,
    expires_at: Option<Timestamp>,
) -> Result<Created<api::EnrollmentLinkWithToken>> {
    let mut tx = ctx.write(account).await?;
    tree::check_open(tx.account())?;
    if !tx.tree_limits().super_organization {
        return Err(Code::NotASuperOrganization.into());
    }
    let token = secret::token(&ctx.app.chance.bytes()?);
    let link = EnrollmentLink {
        id: ctx.app.chance.id(ctx.now),
        account_id: account,
        name,
        max_uses,
        uses: 0,
        created_at: ctx.now,
        expires_at,
        revoked_at: None,
    };
    tx.link_insert(&link, sha256(token.as_bytes())).await?;
    let event = Event::new(EventKind::EnrollmentLinkCreated, link.id, 0, told(&link));
    let shown = !ctx.is_dry_run();
    let body = api::EnrollmentLinkWithToken {
        link: view::enrollment_link(&link, ctx.now),
        url: shown.then(|| mail::link(&ctx.app.config.public_url, PAGE, &token)),
        token: shown.then_some(token),
    };
    let reply = Reply::new(tx.identity(), body);
    ctx.commit(tx, event, reply).await
}

pub(crate) async fn revoke(ctx: &Ctx, account: AccountId, id: LinkId) -> Result<Reply<api::EnrollmentLink>> {
    let mut tx = ctx.write(account).await?;
    let mut link = tx.link_by_id(id).await?.ok_or(Code::NotFound)?;
    if link.revoked_at.is_some() {
        let body = view::enrollment_link(&link, ctx.now);
        return ctx.unchanged(tx, body).await;
    }
    link.revoked_at = Some(ctx.now);
    tx.link_revoke(id, ctx.now).await?;
    let event = Event::new(EventKind::EnrollmentLinkRevoked, id, 0, told(&link));
    let reply = Reply::new(tx.identity(), view::enrollment_link(&link, ctx.now));
    ctx.commit(tx, event, reply).await
}

fn told(link: &EnrollmentLink) -> Document {
    let expires_at = link.expires_at.map(view::instant);
    change::detail(&json!({"name": link.name, "maxUses": link.max_uses, "expiresAt": expires_at}))
}

/// Makes a child organization for who is signed in; of somebody else, first has the address proven.
pub(crate) async fn enroll(ctx: &Ctx, enrollment: &api::Enrollment) -> Result<Accepted<api::Enrolled>> {
    let hash = sha256(enrollment.token.as_bytes());
    let name = input::name("name", &enrollment.name)?;
    if let Some(user) = users::signed_in(ctx).await? {
        let email = enrollment.email.as_deref().map(|email| input::email("email", email)).transpose()?;
        let child = child_id(ctx);
        let opened = ctx.app.store.write_by_link(ctx.visit(), &hash, user.id, child).await;
        let (tx, link) = opened.map_err(|error| ctx.answered(error))?;
        let (tx, event, lined) = make(ctx, tx, &link, &user, child, name, email.unwrap_or(user.email.clone())).await?;
        let body = api::Enrolled { status: "enrolled".to_owned(), organization: Some(view::account(&lined)) };
        let reply = Reply::new(tx.identity(), body);
        return ctx.commit(tx, event, reply).await;
    }
    ctx.app.store.link_peek(&hash, ctx.now).await?;
    let missing = |field: &str| Refusal::field(field, "is required of who is not signed in");
    let email = input::email("email", enrollment.email.as_deref().ok_or_else(|| missing("email"))?)?;
    let password = enrollment.password.as_deref().ok_or_else(|| missing("password"))?;
    let password = input::password(password, &email)?;
    users::count_mail(ctx, &email).await?;
    let password = ctx.app.passwords.hash(&password).await?;
    let mail = match ctx.app.store.user_by_email(&email).await? {
        Some(_) => users::mail(ctx, Mail::AlreadyUser, &email, &json!({}), None),
        None => {
            let said = json!({"link": crate::server::hex(&hash), "organization": name, "password": password});
            let ticket = users::ticket(ctx, Purpose::Enroll, &email, change::detail(&said));
            users::mail(ctx, Mail::Enroll, &email, &json!({"organization": name}), Some(ticket))
        }
    };
    users::queue(ctx, &mail).await?;
    Ok(Reply::to_anybody(api::Enrolled { status: "mail_sent".to_owned(), organization: None }))
}

/// Makes the user and the organization of somebody who enrolled and proves their address.
pub(super) async fn complete(ctx: &Ctx, hash: &[u8; 32], ticket: &Ticket) -> Result<Reply<api::Verified>> {
    let name: String = ticket.email.split('@').next().unwrap_or(&ticket.email).to_owned();
    let (user, personal) = users::new_user(ctx, &ticket.email, &name, Some(users::said(ticket, "password")));
    let link = unhex(&users::said(ticket, "link")).ok_or(Code::TokenInvalid)?;
    let child = child_id(ctx);
    let opened = ctx.app.store.write_by_link(ctx.visit(), &link, user.id, child).await;
    let (mut tx, link) = opened.map_err(|error| ctx.answered(error))?;
    tx.ticket_take(hash, Purpose::Enroll, ctx.now).await?;
    let event = Event::new(EventKind::AccountCreated, personal.id, 1, change::created(&personal));
    let limits = ctx.app.store.default_limits();
    tx.user_insert(&user, &personal, limits, ctx.app.chance.id(ctx.now), event).await?;
    let organization = users::said(ticket, "organization");
    let (tx, event, lined) = make(ctx, tx, &link, &user, child, organization, ticket.email.clone()).await?;
    let body = api::Verified { user: view::user(&user), organization: Some(view::account(&lined)) };
    let reply = Reply::new(tx.identity(), body);
    ctx.commit(tx, event, reply).await
}

fn child_id(ctx: &Ctx) -> AccountId {
    ctx.app.chance.id(ctx.now)
}

/// Writes the child organization, with the user as its admin.
async fn make(
    ctx: &Ctx,
    mut tx: TenantWrite,
    link: &EnrollmentLink,
    user: &User,
    id: AccountId,
    name: String,
    email: String,
) -> Result<(TenantWrite, Event, Lined)> {
    tree::check_attach(tx.line(), 1, tx.tree_limits())?;
    let profile = Profile {
        kind: Kind::Organization,
        name,
        email,
        settings: std::collections::BTreeMap::new(),
        metadata: Document::empty(),
    };
    let child = Account::new(id, Some(tx.account()), profile, ctx.now);
    tx.child_insert(&child).await?;
    tx.child_admin(&child, user.id).await?;
    tx.link_use(link.id).await?;
    let mut detail = view::object(&change::created(&child));
    detail.insert("enrollmentLink".to_owned(), json!(link.id.to_string()));
    detail.insert("seats".to_owned(), json!(1));
    let event = Event::new(EventKind::AccountCreated, child.id, child.version, change::detail(&json!(detail)));
    let counts = Counts { users: 1, devices: 0 };
    let lined = Lined { line: tx.line().with_child(child), limits: tx.tree_limits(), counts };
    Ok((tx, event, lined))
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let byte = |place: usize| u8::from_str_radix(text.get(place * 2..place * 2 + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..32).map(byte).collect();
    bytes?.try_into().ok()
}
