//! The doors to what belongs to no account yet: new trees, made by the operator or by people; and, for the operator, all
//! trees at once.

use tenantry_core::access::Caller;
use tenantry_core::account::{Account, Status};
use tenantry_core::event::{Event, Revision};
use tenantry_core::refusal::Code;
use tenantry_core::rights::Person;
use tenantry_core::ticket::Purpose;

use crate::account::{Lined, insert, lined, tree_insert, with_lines};
use crate::db::{Conn, args};
use crate::person::{LinkedIdentity, User, identity_insert};
use crate::record::{About, Answer, Noted, kept_answer, record};
use crate::session::NewSession;
use crate::tenant::{ADMIN, Credential, Identity, Visit, admit, insert_user};
use crate::ticket::{self, Ticket};
use crate::{Error, Page, Paged, Result, Store, membership, session};

/// A transaction of the operator over all trees, for reading.
pub struct OperatorRead {
    conn: Conn,
}

/// A transaction that makes a new tree.
pub struct RootWrite {
    conn: Conn,
    visit: Visit,
    identity: Identity,
    about: About,
}

impl Store {
    /// Opens all trees for reading.
    ///
    /// # Errors
    /// `operator_only`.
    pub async fn read_everything(&self, visit: &Visit) -> Result<OperatorRead> {
        check_operator(visit)?;
        Ok(OperatorRead { conn: self.db.begin_read().await? })
    }

    /// Opens a transaction that makes a tree with `root` at its top: for the operator, or for somebody who is signed in,
    /// who becomes its admin.
    ///
    /// # Errors
    /// `operator_only`; [`Error::Answered`] if this request was answered before.
    pub async fn write_root(&self, visit: &Visit, root: &Account) -> Result<RootWrite> {
        let mut conn = self.begin_root(visit).await?;
        let (identity, _) = admit(&mut conn, visit, [None, None]).await?;
        let user = identity.caller.roaming_user();
        if user.is_none() && (!identity.caller.is_operator() || visit.assume.is_some()) {
            return Err(Code::OperatorOnly.into());
        }
        let mut tx = RootWrite { conn, visit: visit.clone(), identity, about: About::account(root) };
        tree_insert(&mut tx.conn, root.id, self.default_limits).await?;
        insert(&mut tx.conn, root).await?;
        if let Some(user) = user {
            membership::insert(&mut tx.conn, root.id, user, ADMIN, root.created_at).await?;
            tx.identity.caller = Caller::person(Person { user, memberships: Vec::new() }, root.id);
        }
        Ok(tx)
    }

    /// Makes a user, with their personal account, of somebody whose address a provider vouches for.
    ///
    /// # Errors
    /// `email_taken`.
    pub async fn write_new_user(&self, visit: &Visit, user: &User, personal: &Account) -> Result<RootWrite> {
        let caller = Caller::person(Person { user: user.id, memberships: Vec::new() }, personal.id);
        let identity = Identity { caller, key: None, session: None };
        let mut conn = self.begin_root(visit).await?;
        insert_user(&mut conn, user, personal, self.default_limits).await?;
        Ok(RootWrite { conn, visit: visit.clone(), identity, about: About::account(personal) })
    }

    /// The same for somebody who proves their address with a ticket, which is used up. `make` says who they are, from what
    /// was said when the ticket was made.
    ///
    /// # Errors
    /// `token_invalid`, `email_taken`.
    pub async fn write_new_user_by_ticket(
        &self,
        visit: &Visit,
        hash: &[u8; 32],
        make: impl FnOnce(&Ticket) -> Result<(User, Account)>,
    ) -> Result<(RootWrite, User)> {
        let found = self.ticket_peek(hash, &[Purpose::Verify], visit.now).await?;
        let (user, personal) = make(&found)?;
        let mut tx = self.write_new_user(visit, &user, &personal).await?;
        ticket::take(&mut tx.conn, found.id).await?;
        Ok((tx, user))
    }

    async fn begin_root(&self, visit: &Visit) -> Result<Conn> {
        let mut conn = self.db.begin_write().await?;
        match kept_answer(&mut conn, visit).await? {
            Some(answer) => Err(Error::Answered(answer)),
            None => Ok(conn),
        }
    }
}

pub(crate) fn check_operator(visit: &Visit) -> Result<()> {
    if visit.credential == Credential::Operator && visit.assume.is_none() {
        return Ok(());
    }
    Err(Code::OperatorOnly.into())
}

impl OperatorRead {
    /// All accounts: a page in the order of their ids, which is oldest first.
    pub async fn account_list(&mut self, status: Option<Status>, page: Page) -> Result<Paged<Lined>> {
        let status = status.map(Status::as_str);
        let total = self
            .conn
            .one("SELECT COUNT(*) AS n FROM account WHERE ($1 IS NULL OR status = $1)", args![status])
            .await?
            .int("n")?;
        let rows = self
            .conn
            .all(
                with_lines!("SELECT id FROM account WHERE ($1 IS NULL OR status = $1) ORDER BY id LIMIT $2 OFFSET $3"),
                args![status, page.limit, page.offset],
            )
            .await?;
        let mut rows = lined(&rows)?;
        rows.sort_by_key(|row| row.line.account().id);
        Ok(Paged { rows, total })
    }

    /// Ends the transaction.
    ///
    /// # Errors
    /// If the database went away.
    pub async fn finish(self) -> Result<()> {
        self.conn.commit().await
    }
}

impl RootWrite {
    /// Who makes the tree.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Stores a session of the user whose tree this is.
    pub async fn session_insert(&mut self, new: &NewSession) -> Result<()> {
        session::insert(&mut self.conn, new).await
    }

    /// Links the user whose tree this is to who they are at a provider.
    ///
    /// # Errors
    /// `identity_taken`.
    pub async fn identity_insert(&mut self, user: &User, identity: &LinkedIdentity) -> Result<()> {
        identity_insert(&mut self.conn, user.id, identity).await
    }

    /// Commits the new tree with its records; see [`crate::tenant::TenantWrite::commit`].
    ///
    /// # Errors
    /// `idempotency_in_flight` if the same request is being answered elsewhere.
    pub async fn commit(mut self, event: &Event, answer: Option<Answer>) -> Result<Vec<Revision>> {
        let change = Noted { audit: self.visit.audit, about: self.about, event: event.clone() };
        let revisions = record(&mut self.conn, &self.visit, &self.identity.caller, &[change], answer).await?;
        self.conn.commit().await?;
        Ok(revisions)
    }

    /// Ends the transaction without a change.
    ///
    /// # Errors
    /// If the database went away.
    pub async fn abandon(self) -> Result<()> {
        self.conn.rollback().await
    }
}
