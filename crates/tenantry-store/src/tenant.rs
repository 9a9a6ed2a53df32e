//! The door to tenant data. Opening a transaction for an account *is* the authorization, and the
//! queries on tenant data exist only on what the door returns.
//!
//! A write first takes the lock of its tree (of both trees, in the order of their ids, where it
//! touches two), then reads who is calling and where the account stands, and judges that. Whatever else runs
//! at the same time, the judgement and the write see one and the same tree.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut};

use tenantry_core::access::{Assume, Bearer, Caller};
use tenantry_core::account::{Account, Limits};
use tenantry_core::event::{Event, Revision};
use tenantry_core::id::{AccountId, AuditId, RequestId};
use tenantry_core::key::Key;
use tenantry_core::lineage::Lineage;
use tenantry_core::permission::Permission;
use tenantry_core::refusal::Code;
use tenantry_core::{Refusal, Timestamp};

use crate::account::{line_of, roots, tree_lock, tree_lock_of, with_ancestors};
use crate::db::Conn;
use crate::record::{About, Answer, Idempotency, kept_answer, record};
use crate::{Result, Store, key};

/// A request that wants in: the parts of it that matter to the store.
#[derive(Debug, Clone)]
pub struct Visit {
    /// What was presented.
    pub credential: Credential,
    /// The account to act for, if the request names one.
    pub assume: Option<AccountId>,
    /// When the request is judged.
    pub now: Timestamp,
    /// The id of the request.
    pub request: RequestId,
    /// The id of the audit row, if the request changes something.
    pub audit: AuditId,
    /// The client address.
    pub ip: Option<String>,
    /// How to recognise a repetition, if the request may be repeated.
    pub idempotency: Option<Idempotency>,
}

/// A credential, as far as it can be told without the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// The operator token.
    Operator,
    /// A key, by the SHA-256 of its text.
    Key {
        /// The hash.
        hash: [u8; 32],
    },
}

/// What a route asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// A permission over the account that the path names.
    Holding(Permission),
    /// To be the operator, acting for nobody.
    Operator,
}

/// Who turned out to be calling.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Actor, subject and rights.
    pub caller: Caller,
    /// The key that was presented, unless it was the operator token.
    pub key: Option<Key>,
}

/// Accounts, by id: those that a visit is about, and all above them.
type Accounts = BTreeMap<AccountId, Account>;

/// How often a write follows an account that moves to another tree while it waits for the lock.
const LOCK_ATTEMPTS: u32 = 10;

/// A transaction on one account that its caller was allowed to open for reading.
pub struct TenantRead {
    pub(crate) conn: Conn,
    identity: Identity,
    line: Lineage,
}

/// A transaction on one account that its caller was allowed to open for writing. Dropped without
/// [`TenantWrite::commit`], it changes nothing.
pub struct TenantWrite {
    read: TenantRead,
    visit: Visit,
    limits: Limits,
    other: Option<(Lineage, Limits)>,
    about: About,
}

impl Store {
    /// Finds out who is calling, without opening anything.
    ///
    /// # Errors
    /// `key_unknown` and the refusals of [`Caller::admit`].
    pub async fn identify(&self, visit: &Visit) -> Result<Identity> {
        let mut conn = self.db.begin_read().await?;
        let (identity, _) = admit(&mut conn, visit, [None, None]).await?;
        conn.commit().await?;
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
        let at = at.or(identity.caller.subject).ok_or(Refusal::from(Code::AssumeRequired))?;
        let line = judged(&identity.caller, at, &accounts, access)?;
        Ok(TenantRead { conn, identity, line })
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
        Err(crate::Error::Unavailable("the account keeps moving between trees".into()))
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
        let locked = match other {
            None => tree_lock_of(&mut conn, at).await?.into_iter().collect(),
            Some(other) => lock_both(&mut conn, at, other).await?,
        };
        if let Some(answer) = kept_answer(&mut conn, visit).await? {
            return Err(crate::Error::Answered(answer));
        }
        let (identity, accounts) = admit(&mut conn, visit, [Some(at), other]).await?;
        let held = |line: &Lineage| locked.get(&line.account().root_id).copied();
        let line = judged(&identity.caller, at, &accounts, access)?;
        let Some(limits) = held(&line) else { return Ok(None) };
        let mut second = None;
        if let Some(other) = other {
            let line = judged(&identity.caller, other, &accounts, access)?;
            let Some(limits) = held(&line) else { return Ok(None) };
            second = Some((line, limits));
        }
        let about = About::account(line.account());
        let read = TenantRead { conn, identity, line };
        Ok(Some(TenantWrite { read, visit: visit.clone(), limits, other: second, about }))
    }
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

async fn admit(conn: &mut Conn, visit: &Visit, about: [Option<AccountId>; 2]) -> Result<(Identity, Accounts)> {
    let key = match &visit.credential {
        Credential::Operator => None,
        Credential::Key { hash } => Some(key::by_hash(conn, hash).await?.ok_or(Refusal::from(Code::KeyUnknown))?),
    };
    let [at, other] = about;
    let own = key.as_ref().map(|key| key.account_id);
    let accounts = with_ancestors(conn, [own, visit.assume, at, other]).await?;
    let own = key.as_ref().map(|key| line_of(key.account_id, &accounts)).transpose()?;
    let bearer = match (&key, &own) {
        (Some(key), Some(line)) => Bearer::Key(key, line),
        _ => Bearer::Operator,
    };
    let assumed = visit.assume.map(|id| (id, Lineage::assemble(id, &accounts)));
    let assume = assumed.as_ref().map(|(id, line)| Assume { id: *id, line: line.as_ref() });
    let caller = Caller::admit(bearer, assume, visit.now)?;
    Ok((Identity { caller, key }, accounts))
}

fn judged(caller: &Caller, at: AccountId, accounts: &Accounts, access: Access) -> Result<Lineage> {
    let line = line_of(at, accounts)?;
    match access {
        Access::Holding(permission) => caller.check(&line, permission)?,
        Access::Operator if !caller.sees(&line) => return Err(Code::NotFound.into()),
        Access::Operator => caller.check_operator()?,
    }
    Ok(line)
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

    /// Commits what was written, together with its audit row, its changelog entries and the
    /// answer that a repetition of the request will get.
    ///
    /// # Errors
    /// `idempotency_in_flight` if the same request is being answered elsewhere; then nothing was written.
    pub async fn commit(mut self, event: &Event, answer: Option<Answer>) -> Result<Vec<Revision>> {
        let caller = self.identity.caller;
        let revisions = record(&mut self.read.conn, &self.visit, &caller, &self.about, event, answer).await?;
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
