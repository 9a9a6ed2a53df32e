//! Invitations, and the links with which customers enroll.

use tenantry_core::id::{AccountId, InvitationId, LinkId};
use tenantry_core::invitation::{Invitation, Inviter, Status, email_key};
use tenantry_core::{Timestamp, refusal::Code};

use crate::db::{Conn, Row, args};
use crate::membership::{role_args, role_ref};
use crate::tenant::{TenantRead, TenantWrite};
use crate::{Page, Paged, Result};

macro_rules! invitation_columns {
    () => {
        "id, account_id, email, role, role_id, role_name, status, inviter_user, inviter_key, created_at, expires_at, settled_at"
    };
}

/// The invitations of account `$1` that have status `$2`, if one is given, at `$3`: one that nobody answered in time may
/// still be stored as pending.
macro_rules! with_status {
    () => {
        " WHERE account_id = $1 AND ($2 IS NULL OR $2 = CASE WHEN status = 'pending' AND expires_at <= $3 THEN 'expired' \
          ELSE status END)"
    };
}

fn invitation(row: &Row) -> Result<Invitation> {
    let inviter = match (row.optional_id("inviter_user")?, row.optional_id("inviter_key")?) {
        (Some(user), _) => Inviter::User(user),
        (None, Some(key)) => Inviter::Key(key),
        (None, None) => Inviter::Operator,
    };
    Ok(Invitation {
        id: row.id("id")?,
        account_id: row.id("account_id")?,
        email: row.text("email")?,
        role: role_ref(row)?,
        role_name: row.text("role_name")?,
        status: row.word("status")?,
        inviter,
        created_at: row.time("created_at")?,
        expires_at: row.time("expires_at")?,
        settled_at: row.optional_time("settled_at")?,
    })
}

pub(crate) async fn by_id(conn: &mut Conn, id: InvitationId) -> Result<Option<Invitation>> {
    let row =
        conn.optional(concat!("SELECT ", invitation_columns!(), " FROM invitation WHERE id = $1"), args![id]).await?;
    row.as_ref().map(invitation).transpose()
}

impl TenantRead {
    /// The invitations of the account, newest first; those with a status only, if one is given.
    pub async fn invitation_list(
        &mut self,
        status: Option<Status>,
        now: Timestamp,
        page: Page,
    ) -> Result<Paged<Invitation>> {
        let account = self.account().id;
        self.conn
            .page(
                concat!("SELECT COUNT(*) AS n FROM invitation", with_status!()),
                concat!(
                    "SELECT ",
                    invitation_columns!(),
                    " FROM invitation",
                    with_status!(),
                    " ORDER BY id DESC LIMIT $4 OFFSET $5"
                ),
                args![account, status.map(Status::as_str), now],
                page,
                invitation,
            )
            .await
    }

    /// An invitation of the account.
    pub async fn invitation_by_id(&mut self, id: InvitationId) -> Result<Option<Invitation>> {
        let account = self.account().id;
        Ok(by_id(&mut self.conn, id).await?.filter(|invitation| invitation.account_id == account))
    }
}

impl TenantWrite {
    /// Stores an invitation of the account.
    ///
    /// # Errors
    /// `invitation_pending` if the address has one that can still be answered.
    pub async fn invitation_insert(&mut self, new: &Invitation) -> Result<()> {
        let account = self.account().id;
        let key = email_key(&new.email);
        self.conn
            .execute(
                "UPDATE invitation SET status = 'expired' \
                 WHERE account_id = $1 AND email_key = $2 AND status = 'pending' AND expires_at <= $3",
                args![account, &key, new.created_at],
            )
            .await?;
        let (role, role_id) = role_args(new.role);
        let (user, by_key) = match new.inviter {
            Inviter::Operator => (None, None),
            Inviter::User(user) => (Some(user), None),
            Inviter::Key(key) => (None, Some(key)),
        };
        self.conn
            .execute(
                "INSERT INTO invitation (id, account_id, email, email_key, role, role_id, role_name, status, inviter_user, \
                   inviter_key, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
                args![
                    new.id,
                    account,
                    &new.email,
                    key,
                    role,
                    role_id,
                    &new.role_name,
                    new.status.as_str(),
                    user,
                    by_key,
                    new.created_at,
                    new.expires_at
                ],
            )
            .await?;
        Ok(())
    }

    /// Writes what became of an invitation, and ends the links to it.
    pub async fn invitation_settle(&mut self, id: InvitationId, status: Status, now: Timestamp) -> Result<()> {
        let account = self.account().id;
        self.conn
            .execute(
                "UPDATE invitation SET status = $3, settled_at = $4 WHERE account_id = $1 AND id = $2",
                args![account, id, status.as_str(), now],
            )
            .await?;
        self.conn
            .execute("UPDATE ticket SET expires_at = $2 WHERE invitation_id = $1 AND hash IS NULL", args![id, now])
            .await?;
        Ok(())
    }

    /// Lets an invitation be answered until `expires_at`.
    pub async fn invitation_extend(&mut self, id: InvitationId, expires_at: Timestamp) -> Result<()> {
        let account = self.account().id;
        self.conn
            .execute(
                "UPDATE invitation SET expires_at = $3, status = 'pending' WHERE account_id = $1 AND id = $2",
                args![account, id, expires_at],
            )
            .await?;
        Ok(())
    }
}

/// A link with which customers make child organizations of the account that handed it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrollmentLink {
    /// Its id.
    pub id: LinkId,
    /// The account that handed it out.
    pub account_id: AccountId,
    /// What the account calls it.
    pub name: String,
    /// How many organizations it may make; `None`: any number.
    pub max_uses: Option<i64>,
    /// How many it has made.
    pub uses: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it works; `None`: until it is taken back.
    pub expires_at: Option<Timestamp>,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
}

impl EnrollmentLink {
    /// Whether the link makes another organization.
    ///
    /// # Errors
    /// `link_over`, `link_exhausted`.
    pub fn check_usable(&self, now: Timestamp) -> Result<(), tenantry_core::Refusal> {
        if self.revoked_at.is_some() || self.expires_at.is_some_and(|end| end <= now) {
            return Err(Code::LinkOver.into());
        }
        if self.max_uses.is_some_and(|most| self.uses >= most) {
            return Err(Code::LinkExhausted.into());
        }
        Ok(())
    }
}

macro_rules! link_columns {
    () => {
        "id, account_id, name, max_uses, uses, created_at, expires_at, revoked_at"
    };
}

fn link(row: &Row) -> Result<EnrollmentLink> {
    Ok(EnrollmentLink {
        id: row.id("id")?,
        account_id: row.id("account_id")?,
        name: row.text("name")?,
        max_uses: row.optional_int("max_uses")?,
        uses: row.int("uses")?,
        created_at: row.time("created_at")?,
        expires_at: row.optional_time("expires_at")?,
        revoked_at: row.optional_time("revoked_at")?,
    })
}

pub(crate) async fn link_by_hash(conn: &mut Conn, hash: &[u8; 32]) -> Result<Option<EnrollmentLink>> {
    let row = conn
        .optional(concat!("SELECT ", link_columns!(), " FROM enrollment_link WHERE hash = $1"), args![*hash])
        .await?;
    row.as_ref().map(link).transpose()
}

impl TenantRead {
    /// The enrollment links of the account, newest first.
    pub async fn link_list(&mut self, page: Page) -> Result<Paged<EnrollmentLink>> {
        let account = self.account().id;
        self.conn
            .page(
                "SELECT COUNT(*) AS n FROM enrollment_link WHERE account_id = $1",
                concat!(
                    "SELECT ",
                    link_columns!(),
                    " FROM enrollment_link WHERE account_id = $1 ORDER BY id DESC LIMIT $2 OFFSET $3"
                ),
                args![account],
                page,
                link,
            )
            .await
    }

    /// An enrollment link of the account.
    pub async fn link_by_id(&mut self, id: LinkId) -> Result<Option<EnrollmentLink>> {
        let account = self.account().id;
        let row = self
            .conn
            .optional(
                concat!("SELECT ", link_columns!(), " FROM enrollment_link WHERE account_id = $1 AND id = $2"),
                args![account, id],
            )
            .await?;
        row.as_ref().map(link).transpose()
    }
}

impl TenantWrite {
    /// Stores an enrollment link of the account.
    pub async fn link_insert(&mut self, new: &EnrollmentLink, hash: [u8; 32]) -> Result<()> {
        let account = self.account().id;
        self.conn
            .execute(
                "INSERT INTO enrollment_link (id, account_id, name, hash, max_uses, uses, created_at, expires_at) \
                 VALUES ($1, $2, $3, $4, $5, 0, $6, $7)",
                args![new.id, account, &new.name, hash, new.max_uses, new.created_at, new.expires_at],
            )
            .await?;
        Ok(())
    }

    /// Takes an enrollment link back.
    pub async fn link_revoke(&mut self, id: LinkId, now: Timestamp) -> Result<()> {
        let account = self.account().id;
        self.conn
            .execute(
                "UPDATE enrollment_link SET revoked_at = $3 WHERE account_id = $1 AND id = $2",
                args![account, id, now],
            )
            .await?;
        Ok(())
    }

    /// Counts one more organization that a link made.
    ///
    /// # Errors
    /// `link_exhausted`.
    pub async fn link_use(&mut self, id: LinkId) -> Result<()> {
        self.conn.execute("UPDATE enrollment_link SET uses = uses + 1 WHERE id = $1", args![id]).await?;
        Ok(())
    }
}
