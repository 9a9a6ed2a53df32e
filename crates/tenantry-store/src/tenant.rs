//! The door to tenant data. Opening a transaction for an account *is* the authorization, and the
//! queries on tenant data exist only on what the door returns.
//!
//! A write first takes the lock of its tree (of both trees, in the order of their ids, where it
//! touches two), then reads who is calling and where the account stands, and judges that. Whatever else runs
//! at the same time, the judgement and the write see one and the same tree.

mod doors;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::{Deref, DerefMut};

use tenantry_core::access::{Assume, Bearer, Caller, Rules};
use tenantry_core::account::{Account, Limits};
use tenantry_core::event::{Event, Revision};
use tenantry_core::id::{AccountId, AuditId, RequestId, UserId};
use tenantry_core::invitation::Invitation;
use tenantry_core::key::Key;
use tenantry_core::lineage::Lineage;
use tenantry_core::method::Method;
use tenantry_core::path::CanonicalPath;
use tenantry_core::permission::Permission;
use tenantry_core::refusal::Code;
use tenantry_core::restriction::{CONTROL_API, Call};
use tenantry_core::rights::Person;
use tenantry_core::role::{BuiltIn, RoleRef};
use tenantry_core::session::Session;
use tenantry_core::ticket::Purpose;
use tenantry_core::{Refusal, Timestamp};

use crate::account::{line_of, roots, tree_insert, tree_lock, tree_lock_of, with_ancestors, with_key};
use crate::db::Conn;
use crate::invitation::{EnrollmentLink, by_id as invitation_by_id, link_by_hash};
use crate::membership::people;
use crate::person::User;
use crate::record::{About, Answer, Idempotency, Noted, kept_answer, record};
use crate::rule::rules_of;
use crate::ticket::{self, Ticket};
use crate::{Result, Store, account, membership, person, session};

pub use doors::SeenInvitation;

/// A request that wants in: the parts of it that matter to the store.
#[derive(Debug, Clone)]
pub struct Visit {
    /// What was presented.
    pub credential: Credential,
    /// The account to act for, if the request names one.
    pub assume: Option<AccountId>,
    /// Why, if the request says so.
    pub reason: Option<String>,
    /// When the request is judged.
    pub now: Timestamp,
    /// The id of the request.
    pub request: RequestId,
    /// The id of the audit row, if the request changes something.
    pub audit: AuditId,
    /// The client address.
    pub ip: Option<IpAddr>,
    /// What is called, where it is a route that rules know.
    pub route: Option<Route>,
    /// How to recognise a repetition, if the request may be repeated.
    pub idempotency: Option<Idempotency>,
}

/// A call of the control plane, as rules name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// How.
    pub method: Method,
    /// Where, below `/v1`, in canonical form.
    pub path: String,
}

/// A credential, as far as it can be told without the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// None.
    Nobody,
    /// The operator token.
    Operator,
    /// A key, by the SHA-256 of its text.
    Key {
        /// The hash.
        hash: [u8; 32],
    },
    /// A session, by the SHA-256 of its token.
    Session {
        /// The hash.
        hash: [u8; 32],
    },
}

/// What a route asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// A permission over the account that the path names.
    Holding(Permission),
    /// The same; without it, members reach what is their own.
    HoldingOrOwn(Permission),
    /// To be a person who is a member of the account.
    Member,
    /// To be signed in. The account is the personal one.
    Person,
    /// To be the operator, acting for nobody.
    Operator,
}

/// Who turned out to be calling.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Actor, subject and rights.
    pub caller: Caller,
    /// The key that was presented, if it was one.
    pub key: Option<Key>,
    /// The session that was presented, if it was one.
    pub session: Option<Session>,
}

/// Accounts, by id: those that a visit is about, and all above them.
type Accounts = BTreeMap<AccountId, Account>;

/// The role of who makes an account, or whose own it is.
pub(crate) const ADMIN: RoleRef = RoleRef::BuiltIn(BuiltIn::Admin);

/// How often a write follows an account that moves to another tree while it waits for the lock.
const LOCK_ATTEMPTS: u32 = 10;

/// A transaction on one account that its caller was allowed to open for reading.
pub struct TenantRead {
    pub(crate) conn: Conn,
    identity: Identity,
    line: Lineage,
    own: Option<UserId>,
}

/// A transaction on one account that its caller was allowed to open for writing. Dropped without
/// [`TenantWrite::commit`], it changes nothing.
pub struct TenantWrite {
    read: TenantRead,
    visit: Visit,
    limits: Limits,
    other: Option<(Lineage, Limits)>,
    about: About,
    noted: Vec<Noted>,
}

impl Store {
    /// Finds out who is calling, without opening anything.
    ///
    /// # Errors
    /// `key_unknown`, `session_unknown`, the refusals of [`Caller::admit`], and `ip_not_allowed`.
    pub async fn identify(&self, visit: &Visit) -> Result<Identity> {
        let mut conn = self.db.begin_read().await?;
        let (identity, _) = admit(&mut conn, visit, [None, None]).await?;
        conn.commit().await?;
        // Here as well as at the door: an answer that was kept is given before the door is opened.
        identity.caller.check_origins(CONTROL_API, visit.ip)?;
        Ok(identity)
    }

    /// Opens account `at` for reading; `None` is the account that the caller acts for.
    ///
    /// # Errors
    /// Those of [`Store::identify`] and [`Caller::check`]; `assume_required` if the operator acts
    /// for nobody and `at` is `None`.
    pub async fn read(&self, visit: &Visit, at: Option<AccountId>, access: Access) -> Result<TenantRead> {
        let mut conn = self.db.begin_read().await?;
        let (identity, accounts) = admit(&mut conn, visit, [at, None]).await?;
        let nowhere = if access == Access::Person { Code::SessionRequired } else { Code::AssumeRequired };
        let at = at.or(identity.caller.subject).ok_or(Refusal::from(nowhere))?;
        let entered = judged(visit, identity, at, &accounts, access)?;
        Ok(entered.into_read(conn))
    }

    /// Opens account `at` for writing, together with the account `other` where the write needs
    /// two (its permission is then needed on both).
    ///
    /// # Errors
    /// Those of [`Store::read`]; [`crate::Error::Answered`] if this request was answered before.
    pub async fn write(
        &self,
        visit: &Visit,
        at: AccountId,
        other: Option<AccountId>,
        access: Access,
    ) -> Result<TenantWrite> {
        for _ in 0..LOCK_ATTEMPTS {
            if let Some(tx) = self.try_write(visit, at, other, access).await? {
                return Ok(tx);
            }
        }
        Err(moving())
    }

    /// One attempt; `None` if an account has moved to a tree whose lock is not held.
    async fn try_write(
        &self,
        visit: &Visit,
        at: AccountId,
        other: Option<AccountId>,
        access: Access,
    ) -> Result<Option<TenantWrite>> {
        let mut conn = self.db.begin_write().await?;
        let locked: BTreeMap<_, _> = match other {
            None => tree_lock_of(&mut conn, at).await?.into_iter().collect(),
            Some(other) => lock_both(&mut conn, at, other).await?,
        };
        if let Some(answer) = kept_answer(&mut conn, visit).await? {
            return Err(crate::Error::Answered(answer));
        }
        let (identity, accounts) = admit(&mut conn, visit, [Some(at), other]).await?;
        let held = |line: &Lineage| locked.get(&line.account().root_id).copied();
        let entered = judged(visit, identity.clone(), at, &accounts, access)?;
        let Some(limits) = held(&entered.line) else { return Ok(None) };
        let mut second = None;
        if let Some(other) = other {
            let line = judged(visit, identity, other, &accounts, access)?.line;
            let Some(limits) = held(&line) else { return Ok(None) };
            second = Some((line, limits));
        }
        Ok(Some(entered.into_write(conn, visit, limits, second)))
    }
}

fn moving() -> crate::Error {
    crate::Error::Unavailable("the account keeps moving between trees".into())
}

/// Takes the locks of the trees of two accounts, in the order of their roots' ids.
async fn lock_both(conn: &mut Conn, at: AccountId, other: AccountId) -> Result<BTreeMap<AccountId, Limits>> {
    let roots: BTreeSet<_> = roots(conn, at, Some(other)).await?.into_values().collect();
    let mut locked = BTreeMap::new();
    for root in roots {
        if let Some(limits) = tree_lock(conn, root).await? {
            locked.insert(root, limits);
        }
    }
    Ok(locked)
}

/// Reads who is calling, and the accounts that the visit is about with all above them.
pub(crate) async fn admit(
    conn: &mut Conn,
    visit: &Visit,
    about: [Option<AccountId>; 2],
) -> Result<(Identity, Accounts)> {
    let [at, other] = about;
    let named = [visit.assume, at, other];
    let (caller, key, session, accounts) = match &visit.credential {
        Credential::Nobody => (Caller::nobody(), None, None, Accounts::new()),
        Credential::Operator => {
            let accounts = with_ancestors(conn, [visit.assume, at, other, None]).await?;
            let rules = rules_of(conn, &accounts).await?;
            (admit_as(Bearer::Operator, visit, &accounts, rules)?, None, None, accounts)
        }
        Credential::Key { hash } => {
            let (key, accounts) = with_key(conn, hash, named).await?;
            let key = key.ok_or(Refusal::from(Code::KeyUnknown))?;
            let people = people(conn, key.people(), [Some(key.account_id), visit.assume, at, other]).await?;
            let line = line_of(key.account_id, &accounts)?;
            let rules = rules_of(conn, &accounts).await?;
            let caller = admit_as(Bearer::Key { key: &key, line: &line, people }, visit, &accounts, rules)?;
            (caller, Some(key), None, accounts)
        }
        Credential::Session { hash } => {
            let found = session::by_hash(conn, hash).await?;
            let (session, own) = found.ok_or(Refusal::from(Code::SessionUnknown))?;
            let accounts = with_ancestors(conn, [Some(own), visit.assume, at, other]).await?;
            let mut known = people(conn, [Some(session.user_id), None], [Some(own), visit.assume, at, other]).await?;
            let person = known.pop().unwrap_or(Person { user: session.user_id, memberships: Vec::new() });
            let line = line_of(own, &accounts)?;
            let rules = rules_of(conn, &accounts).await?;
            let caller = admit_as(Bearer::Session { session: &session, line: &line, person }, visit, &accounts, rules)?;
            (caller, None, Some(session), accounts)
        }
    };
    Ok((Identity { caller, key, session }, accounts))
}

fn admit_as(bearer: Bearer<'_>, visit: &Visit, accounts: &Accounts, rules: Rules) -> Result<Caller> {
    let assumed = visit.assume.map(|id| (id, Lineage::assemble(id, accounts)));
    let assume = assumed.as_ref().map(|(id, line)| Assume { id: *id, line: line.as_ref() });
    Ok(Caller::admit(bearer, assume, rules, visit.now)?)
}

/// Somebody who may enter the account that the line leads to.
struct Entered {
    identity: Identity,
    line: Lineage,
    own: Option<UserId>,
}

impl Entered {
    fn into_read(self, conn: Conn) -> TenantRead {
        TenantRead { conn, identity: self.identity, line: self.line, own: self.own }
    }

    fn into_write(self, conn: Conn, visit: &Visit, limits: Limits, other: Option<(Lineage, Limits)>) -> TenantWrite {
        let about = About::account(self.line.account());
        TenantWrite { read: self.into_read(conn), visit: visit.clone(), limits, other, about, noted: Vec::new() }
    }
}

fn judged(
    visit: &Visit,
    mut identity: Identity,
    at: AccountId,
    accounts: &Accounts,
    access: Access,
) -> Result<Entered> {
    let line = line_of(at, accounts)?;
    identity.caller = identity.caller.facing(&line);
    let caller = &identity.caller;
    let mut own = None;
    match access {
        Access::Holding(permission) => caller.check(&line, permission)?,
        Access::HoldingOrOwn(permission) => {
            let denied = caller.check(&line, permission).err();
            let membership = caller.own_membership(at).map(|membership| membership.user);
            match (denied, membership) {
                (None, _) => (),
                (Some(denied), Some(user)) if denied.code == Code::PermissionDenied => own = Some(user),
                (Some(denied), _) => return Err(denied.into()),
            }
        }
        Access::Member => {
            caller.check_seen(&line)?;
            let member = caller.own_membership(at).ok_or(Refusal::from(Code::MembershipRequired))?;
            own = Some(member.user);
        }
        Access::Person => {
            // With a key, or on behalf of another account, nobody is themselves.
            let user = caller.roaming_user().filter(|_| identity.session.is_some());
            own = Some(user.ok_or(Refusal::from(Code::SessionRequired))?);
        }
        Access::Operator if !caller.sees(&line) => return Err(Code::NotFound.into()),
        Access::Operator => caller.check_operator()?,
    }
    check_rules(caller, visit, &line)?;
    Ok(Entered { identity, line, own })
}

/// Whether the rules of the accounts on all sides let this request through.
fn check_rules(caller: &Caller, visit: &Visit, line: &Lineage) -> Result<()> {
    let Some(route) = &visit.route else { return Ok(()) };
    let path = CanonicalPath::parse(&route.path)?;
    Ok(caller.check_call(&Call { api: CONTROL_API, method: route.method, path: &path }, visit.ip, line)?)
}

impl TenantRead {
    /// The account that this transaction is about.
    #[must_use]
    pub fn account(&self) -> &Account {
        self.line.account()
    }

    /// The account with its ancestors.
    #[must_use]
    pub fn line(&self) -> &Lineage {
        &self.line
    }

    /// The member who reaches only what is their own here, if that is all that let the caller in.
    #[must_use]
    pub fn own(&self) -> Option<UserId> {
        self.own
    }

    /// Who is calling.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Who is calling, with their rights.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.identity.caller
    }

    /// Ends the transaction.
    ///
    /// # Errors
    /// If the database went away.
    pub async fn finish(self) -> Result<()> {
        self.conn.commit().await
    }
}

impl Deref for TenantWrite {
    type Target = TenantRead;
    fn deref(&self) -> &TenantRead {
        &self.read
    }
}

impl DerefMut for TenantWrite {
    fn deref_mut(&mut self) -> &mut TenantRead {
        &mut self.read
    }
}

impl TenantWrite {
    /// The limits of the tree that the account is in, as of the lock.
    #[must_use]
    pub fn tree_limits(&self) -> Limits {
        self.limits
    }

    /// The second account that this transaction was opened for, with the limits of its tree.
    #[must_use]
    pub fn other(&self) -> Option<&(Lineage, Limits)> {
        self.other.as_ref()
    }

    /// Whether the caller holds `permission` over the parent of the account, too. A root has none
    /// to ask.
    ///
    /// # Errors
    /// `permission_denied`, also where the parent is invisible: the caller sees that there is one.
    pub fn check_parent(&self, permission: Permission) -> Result<()> {
        let Some(parent) = self.line().of_parent() else { return Ok(()) };
        if self.caller().rights_over(&parent).holds(permission) {
            return Ok(());
        }
        Err(Refusal::new(Code::PermissionDenied, format!("This needs `{permission}` on the parent account, too."))
            .into())
    }

    /// What the records of this change will be about.
    pub(crate) fn about(&mut self) -> &mut About {
        &mut self.about
    }

    /// Makes a user with their personal account, which is a tree of its own. The change is recorded as `event`.
    ///
    /// # Errors
    /// `email_taken`.
    pub async fn user_insert(
        &mut self,
        user: &User,
        personal: &Account,
        limits: Limits,
        audit: AuditId,
        event: Event,
    ) -> Result<()> {
        insert_user(&mut self.conn, user, personal, limits).await?;
        self.noted.push(Noted { audit, about: About::account(personal), event });
        Ok(())
    }

    /// Records a further change of the account in this transaction, besides the one that it is committed with.
    pub fn note(&mut self, audit: AuditId, event: Event) {
        self.noted.push(Noted { audit, about: self.about.clone(), event });
    }

    /// Makes `user` the admin of the child that was just inserted.
    pub async fn child_admin(&mut self, child: &Account, user: UserId) -> Result<()> {
        membership::insert(&mut self.conn, child.id, user, ADMIN, child.created_at).await
    }

    /// Commits what was written, together with its audit row, its changelog entries and the
    /// answer that a repetition of the request will get.
    ///
    /// # Errors
    /// `idempotency_in_flight` if the same request is being answered elsewhere; then nothing was written.
    pub async fn commit(mut self, event: &Event, answer: Option<Answer>) -> Result<Vec<Revision>> {
        let caller = self.identity.caller.clone();
        let mut changes = std::mem::take(&mut self.noted);
        changes.push(Noted { audit: self.visit.audit, about: self.about.clone(), event: event.clone() });
        let revisions = record(&mut self.read.conn, &self.visit, &caller, &changes, answer).await?;
        self.read.conn.commit().await?;
        Ok(revisions)
    }

    /// Ends the transaction without a change.
    ///
    /// # Errors
    /// If the database went away.
    pub async fn abandon(self) -> Result<()> {
        self.read.conn.rollback().await
    }
}

/// Makes a user with their personal account.
pub(crate) async fn insert_user(conn: &mut Conn, user: &User, personal: &Account, limits: Limits) -> Result<()> {
    tree_insert(conn, personal.id, limits).await?;
    account::insert(conn, personal).await?;
    person::insert(conn, user).await?;
    membership::insert(conn, personal.id, user.id, ADMIN, user.created_at).await
}
