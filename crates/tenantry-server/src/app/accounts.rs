//! Accounts: roots, lists, own fields, status and limits.

use serde_json::json;
use tenantry_api as api;
use tenantry_core::Refusal;
use tenantry_core::account::{Account, Profile, Status};
use tenantry_core::event::{Event, EventKind};
use tenantry_core::id::AccountId;
use tenantry_core::lineage::Lineage;
use tenantry_core::refusal::Code;
use tenantry_core::tree::{self, LimitsChange};
use tenantry_store::tenant::TenantWrite;
use tenantry_store::{Counts, Lined, Page, Paged};

use super::change;
use crate::ctx::Ctx;
use crate::problem::Result;
use crate::reply::{Created, Reply};
use crate::view;

/// The most accounts that a subtree is answered with.
const LARGEST_TREE: i64 = 2_000;

pub(crate) async fn list(ctx: &Ctx, status: Option<Status>, page: Page) -> Result<Reply<api::List<api::Account>>> {
    if let Some(mut tx) = ctx.read_everything().await? {
        let accounts = tx.account_list(status, page).await?;
        tx.finish().await?;
        return Ok(Reply::new(&ctx.operator_identity()?, view::list(accounts, page, view::account)));
    }
    let mut tx = ctx.read_own().await?;
    if let Some(user) = tx.caller().roaming_user() {
        // Somebody who is signed in and acts for no account in particular sees all that they are a member of.
        let accounts = tx.accounts_of(user, status, page).await?;
        return ctx.answer(tx, view::list(accounts, page, view::account)).await;
    }
    // The account itself comes first, then everything below it.
    let own = usize::from(status.is_none_or(|status| tx.account().status == status));
    let own_count = i64::from(own == 1);
    let own_listed = own == 1 && page.offset == 0;
    let rest = Page { limit: page.limit - i64::from(own_listed), offset: (page.offset - own_count).max(0) };
    let below = tx.descendants(status, rest).await?;
    let mut rows = if own_listed { vec![tx.lined().await?] } else { Vec::new() };
    rows.extend(below.rows);
    let accounts = Paged { rows, total: below.total + own_count };
    ctx.answer(tx, view::list(accounts, page, view::account)).await
}

pub(crate) async fn create(ctx: &Ctx, profile: Profile) -> Result<Created<api::Account>> {
    let root = Account::new(ctx.app.chance.id(ctx.now), None, profile, ctx.now);
    let tx = ctx.write_root(&root).await?;
    let event = Event::new(EventKind::AccountCreated, root.id, root.version, change::created(&root));
    let version = root.version;
    let users = i64::from(tx.identity().caller.actor.user().is_some());
    let counts = Counts { users, devices: 0 };
    let lined = Lined { line: Lineage::of_root(root), limits: ctx.app.store.default_limits(), counts };
    let reply = Reply::new(tx.identity(), view::account(&lined)).versioned(version);
    ctx.commit(tx, event, reply).await
}

pub(crate) async fn get(ctx: &Ctx, id: AccountId) -> Result<Reply<api::Account>> {
    let mut tx = ctx.read(id).await?;
    let lined = tx.lined().await?;
    let version = tx.account().version;
    Ok(ctx.answer(tx, view::account(&lined)).await?.versioned(version))
}

/// Changes to an account's own fields; what is `None` stays.
pub(crate) struct Changes {
    pub(crate) name: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) metadata: Option<tenantry_core::Document>,
    pub(crate) inherit_settings: Option<bool>,
    pub(crate) inherit_admins: Option<bool>,
}

pub(crate) async fn update(ctx: &Ctx, id: AccountId, changes: Changes) -> Result<Reply<api::Account>> {
    let mut tx = ctx.write(id).await?;
    ctx.check_version(tx.account().version)?;
    tree::check_open(tx.account())?;
    let mut after = tx.account().clone();
    after.name = changes.name.unwrap_or(after.name);
    after.email = changes.email.unwrap_or(after.email);
    after.metadata = changes.metadata.unwrap_or(after.metadata);
    after.inherits.settings = changes.inherit_settings.unwrap_or(after.inherits.settings);
    after.inherits.admins = changes.inherit_admins.unwrap_or(after.inherits.admins);
    if after == *tx.account() {
        return unchanged(ctx, tx).await;
    }
    after.touch(ctx.now);
    tx.account_update(&after).await?;
    commit(ctx, tx, EventKind::AccountUpdated, after).await
}

pub(crate) async fn descendants(
    ctx: &Ctx,
    id: AccountId,
    status: Option<Status>,
    page: Page,
) -> Result<Reply<api::List<api::Account>>> {
    let mut tx = ctx.read(id).await?;
    let accounts = tx.descendants(status, page).await?;
    ctx.answer(tx, view::list(accounts, page, view::account)).await
}

pub(crate) async fn ancestors(ctx: &Ctx, id: AccountId, page: Page) -> Result<Reply<api::List<api::Account>>> {
    let mut tx = ctx.read(id).await?;
    let all = tx.ancestors().await?;
    ctx.answer(tx, view::window(all, page, view::account)).await
}

pub(crate) async fn tree(ctx: &Ctx, id: AccountId) -> Result<Reply<api::Tree>> {
    let mut tx = ctx.read(id).await?;
    let mut below = tx.subtree(LARGEST_TREE).await?;
    // One is at the top; one more than fits tells that something was left out.
    let truncated = i64::try_from(below.len()).unwrap_or(i64::MAX) == LARGEST_TREE;
    below.truncate(usize::try_from(LARGEST_TREE - 1).unwrap_or_default());
    let body = view::tree(tx.line(), &below, truncated);
    ctx.answer(tx, body).await
}

pub(crate) async fn suspend(ctx: &Ctx, id: AccountId) -> Result<Reply<api::Account>> {
    let tx = ctx.write(id).await?;
    let status = tree::suspend(tx.account())?;
    set_status(ctx, tx, EventKind::AccountSuspended, status).await
}

pub(crate) async fn activate(ctx: &Ctx, id: AccountId) -> Result<Reply<api::Account>> {
    let tx = ctx.write(id).await?;
    let status = tree::activate(tx.line())?;
    set_status(ctx, tx, EventKind::AccountActivated, status).await
}

pub(crate) async fn close(ctx: &Ctx, id: AccountId) -> Result<Reply<api::Account>> {
    let mut tx = ctx.write(id).await?;
    if tx.user().await?.is_some() {
        return Err(
            Refusal::new(Code::PersonalAccount, "The personal account of a user stays as long as the user.").into()
        );
    }
    let status = tree::close(tx.account())?;
    set_status(ctx, tx, EventKind::AccountClosed, status).await
}

async fn set_status(ctx: &Ctx, mut tx: TenantWrite, kind: EventKind, status: Status) -> Result<Reply<api::Account>> {
    if tx.account().status == status {
        return unchanged(ctx, tx).await;
    }
    ctx.check_version(tx.account().version)?;
    let mut after = tx.account().clone();
    after.status = status;
    after.closed_at = (status == Status::Closed).then_some(ctx.now);
    after.touch(ctx.now);
    tx.status_update(&after).await?;
    commit(ctx, tx, kind, after).await
}

pub(crate) async fn limits(ctx: &Ctx, id: AccountId, wanted: LimitsChange) -> Result<Reply<api::Account>> {
    let mut tx = ctx.write(id).await?;
    if tx.account().parent_id.is_some() {
        return Err(Code::NotARoot.into());
    }
    tree::check_open(tx.account())?;
    let before = tx.tree_limits();
    let after = tree::change_limits(before, wanted, ctx.app.store.default_limits())?;
    let account = tx.account().clone();
    if after == before {
        return unchanged(ctx, tx).await;
    }
    tx.limits_update(after).await?;
    let told = |limits: tenantry_core::account::Limits| json!({"maxDepth": limits.max_depth, "maxChildren": limits.max_children, "superOrganization": limits.super_organization});
    let detail = change::detail(&json!({"limits": {"from": told(before), "to": told(after)}}));
    let event = Event::new(EventKind::TreeLimitsChanged, account.id, account.version, detail);
    let lined = Lined { limits: after, ..tx.lined().await? };
    let reply = Reply::new(tx.identity(), view::account(&lined)).versioned(account.version);
    ctx.commit(tx, event, reply).await
}

/// Commits a change of the account's own fields, which were written already.
async fn commit(ctx: &Ctx, mut tx: TenantWrite, kind: EventKind, after: Account) -> Result<Reply<api::Account>> {
    let event = Event::new(kind, after.id, after.version, change::between(tx.account(), &after));
    let before = tx.lined().await?;
    let version = after.version;
    let lined = Lined { line: before.line.with_account(after), ..before };
    let reply = Reply::new(tx.identity(), view::account(&lined)).versioned(version);
    ctx.commit(tx, event, reply).await
}

async fn unchanged(ctx: &Ctx, mut tx: TenantWrite) -> Result<Reply<api::Account>> {
    let lined = tx.lined().await?;
    let version = tx.account().version;
    Ok(ctx.unchanged(tx, view::account(&lined)).await?.versioned(version))
}
