//! Tickets, which links in mails are good for, and the outbox that mails wait in.

use tenantry_core::id::{InvitationId, MailId, TicketId, UserId};
use tenantry_core::refusal::Code;
use tenantry_core::ticket::{Mail, Purpose};
use tenantry_core::time::{Span, Timestamp};
use tenantry_core::{Document, Refusal};

use crate::db::{Conn, Row, args};
use crate::tenant::TenantWrite;
use crate::{Result, Store};

/// How long a mail is one sender's to send.
const LEASE: Span = Span::seconds(60);

/// A ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Its id.
    pub id: TicketId,
    /// What it is good for.
    pub purpose: Purpose,
    /// Whose it is, if it is a user's.
    pub user_id: Option<UserId>,
    /// The invitation that it answers, if any.
    pub invitation_id: Option<InvitationId>,
    /// The address that using it proves.
    pub email: String,
    /// What else was said when it was made.
    pub detail: Document,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A mail to be sent, with the ticket that its link is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMail {
    /// Its id.
    pub id: MailId,
    /// Which mail.
    pub kind: Mail,
    /// To whom.
    pub recipient: String,
    /// What it tells.
    pub detail: Document,
    /// What its link is good for, if it has one.
    pub ticket: Option<Ticket>,
}

/// A mail whose time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueMail {
    /// Its id.
    pub id: MailId,
    /// Which mail.
    pub kind: Mail,
    /// To whom.
    pub recipient: String,
    /// What it tells.
    pub detail: Document,
    /// What its link is good for, if it has one.
    pub ticket_id: Option<TicketId>,
    /// How often it was tried, this time included.
    pub attempts: i64,
}

fn ticket(row: &Row) -> Result<Ticket> {
    Ok(Ticket {
        id: row.id("id")?,
        purpose: row.word("purpose")?,
        user_id: row.optional_id("user_id")?,
        invitation_id: row.optional_id("invitation_id")?,
        email: row.text("email")?,
        detail: row.document("detail")?,
        created_at: row.time("created_at")?,
    })
}

pub(crate) async fn insert(conn: &mut Conn, new: &Ticket, hash: Option<[u8; 32]>) -> Result<()> {
    conn.execute(
        "INSERT INTO ticket (id, hash, purpose, user_id, invitation_id, email, detail, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        args![
            new.id,
            hash,
            new.purpose.as_str(),
            new.user_id,
            new.invitation_id,
            &new.email,
            &new.detail,
            new.created_at,
            new.created_at.plus(new.purpose.lifetime())
        ],
    )
    .await?;
    Ok(())
}

/// The ticket with this hash, if it is still good for one of these purposes. All else is the same answer.
pub(crate) async fn by_hash(conn: &mut Conn, hash: &[u8; 32], purposes: &[Purpose], now: Timestamp) -> Result<Ticket> {
    let row = conn
        .optional(
            "SELECT id, purpose, user_id, invitation_id, email, detail, created_at FROM ticket \
             WHERE hash = $1 AND expires_at > $2",
            args![*hash, now],
        )
        .await?;
    let found = row.as_ref().map(ticket).transpose()?.filter(|ticket| purposes.contains(&ticket.purpose));
    Ok(found.ok_or(Refusal::from(Code::TokenInvalid))?)
}

/// Uses a ticket up: only one of those who try gets it.
pub(crate) async fn take(conn: &mut Conn, ticket: TicketId) -> Result<()> {
    let taken = conn.execute("DELETE FROM ticket WHERE id = $1", args![ticket]).await?;
    if taken == 0 { Err(Code::TokenInvalid.into()) } else { Ok(()) }
}

pub(crate) async fn queue(conn: &mut Conn, mail: &NewMail, now: Timestamp) -> Result<()> {
    if let Some(ticket) = &mail.ticket {
        insert(conn, ticket, None).await?;
    }
    conn.execute(
        "INSERT INTO outbox (id, kind, recipient, ticket_id, detail, attempts, next_at, created_at) \
         VALUES ($1, $2, $3, $4, $5, 0, $6, $6)",
        args![mail.id, mail.kind.as_str(), &mail.recipient, mail.ticket.as_ref().map(|t| t.id), &mail.detail, now],
    )
    .await?;
    Ok(())
}

impl TenantWrite {
    /// Has a mail sent once this transaction is committed.
    pub async fn mail(&mut self, mail: &NewMail, now: Timestamp) -> Result<()> {
        queue(&mut self.conn, mail, now).await
    }

    /// Stores a ticket whose token the caller shows itself.
    pub async fn ticket_insert(&mut self, ticket: &Ticket, hash: [u8; 32]) -> Result<()> {
        insert(&mut self.conn, ticket, Some(hash)).await
    }

    /// Ends the tickets of a user for a purpose.
    pub async fn tickets_delete(&mut self, user: UserId, purpose: Purpose) -> Result<()> {
        self.conn
            .execute("DELETE FROM ticket WHERE user_id = $1 AND purpose = $2", args![user, purpose.as_str()])
            .await?;
        Ok(())
    }

    /// Uses up the ticket with this hash, and answers it.
    ///
    /// # Errors
    /// `token_invalid`.
    pub async fn ticket_take(&mut self, hash: &[u8; 32], purpose: Purpose, now: Timestamp) -> Result<Ticket> {
        let found = by_hash(&mut self.conn, hash, &[purpose], now).await?;
        take(&mut self.conn, found.id).await?;
        Ok(found)
    }
}

/// The named doors of mail: what is sent tells of no change, or of one that is committed.
impl Store {
    /// Has a mail sent that tells of no change: to somebody who is not signed in.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn mail_queue(&self, mail: &NewMail, now: Timestamp) -> Result<()> {
        let mut conn = self.db.begin_write().await?;
        queue(&mut conn, mail, now).await?;
        conn.commit().await
    }

    /// Looks at the ticket with this hash without using it.
    ///
    /// # Errors
    /// `token_invalid`.
    pub async fn ticket_peek(&self, hash: &[u8; 32], purposes: &[Purpose], now: Timestamp) -> Result<Ticket> {
        let mut conn = self.db.begin_read().await?;
        let found = by_hash(&mut conn, hash, purposes, now).await?;
        conn.commit().await?;
        Ok(found)
    }

    /// Up to `limit` mails that are due; nobody else gets them for a minute.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn mails_due(&self, now: Timestamp, limit: i64) -> Result<Vec<DueMail>> {
        let mut conn = self.db.begin_write().await?;
        let rows = conn
            .all(
                "UPDATE outbox SET attempts = attempts + 1, next_at = $2 WHERE next_at <= $1 AND id IN (\
                   SELECT id FROM outbox WHERE next_at <= $1 ORDER BY next_at, id LIMIT $3) \
                 RETURNING id, kind, recipient, ticket_id, detail, attempts",
                args![now, now.plus(LEASE), limit],
            )
            .await?;
        conn.commit().await?;
        let due = |row: &Row| {
            Ok(DueMail {
                id: row.id("id")?,
                kind: row.word("kind")?,
                recipient: row.text("recipient")?,
                detail: row.document("detail")?,
                ticket_id: row.optional_id("ticket_id")?,
                attempts: row.int("attempts")?,
            })
        };
        rows.iter().map(due).collect()
    }

    /// Gives a ticket the hash of a new token. Answers whether the ticket is still good for anything.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn ticket_issue(&self, id: TicketId, hash: [u8; 32], now: Timestamp) -> Result<bool> {
        let mut conn = self.db.begin_write().await?;
        let issued =
            conn.execute("UPDATE ticket SET hash = $2 WHERE id = $1 AND expires_at > $3", args![id, hash, now]).await?;
        conn.commit().await?;
        Ok(issued > 0)
    }

    /// Takes a mail out of the outbox: it was sent, or nobody needs it any more.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn mail_done(&self, id: MailId) -> Result<()> {
        let mut conn = self.db.begin_write().await?;
        conn.execute("DELETE FROM outbox WHERE id = $1", args![id]).await?;
        conn.commit().await
    }

    /// Notes that a mail was not sent, and when to try again; `None`: never.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn mail_failed(&self, id: MailId, error: &str, next_at: Option<Timestamp>) -> Result<()> {
        let mut conn = self.db.begin_write().await?;
        conn.execute("UPDATE outbox SET last_error = $2, next_at = $3 WHERE id = $1", args![id, error, next_at])
            .await?;
        conn.commit().await
    }

    /// How many mails wait, and how many were given up.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn mails_left(&self) -> Result<(i64, i64)> {
        let mut conn = self.db.begin_read().await?;
        let row = conn.one("SELECT COUNT(next_at) AS waiting, COUNT(*) AS n FROM outbox", vec![]).await?;
        conn.commit().await?;
        let waiting = row.int("waiting")?;
        Ok((waiting, row.int("n")? - waiting))
    }
}
