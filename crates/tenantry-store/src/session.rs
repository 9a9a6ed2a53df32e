//! Sessions. Only hashes of their tokens are ever stored.

use tenantry_core::id::{AccountId, SessionId, UserId};
use tenantry_core::session::{IDLE, Proof, Session};
use tenantry_core::time::Timestamp;

use crate::db::{Conn, Row, args};
use crate::tenant::{TenantRead, TenantWrite};
use crate::{Result, Store};

/// A session to be stored, with the SHA-256 of its token.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// The record.
    pub session: Session,
    /// The hash.
    pub hash: [u8; 32],
}

macro_rules! session_columns {
    () => {
        "s.id, s.user_id, s.proof, s.proven_at, s.created_at, s.last_seen_at, s.ip, s.user_agent"
    };
}

fn session(row: &Row) -> Result<Session> {
    Ok(Session {
        id: row.id("id")?,
        user_id: row.id("user_id")?,
        proof: row.word("proof")?,
        proven_at: row.time("proven_at")?,
        created_at: row.time("created_at")?,
        last_seen_at: row.time("last_seen_at")?,
        ip: row.optional_text("ip")?,
        user_agent: row.optional_text("user_agent")?,
    })
}

/// The session with this hash, and the personal account of its user.
pub(crate) async fn by_hash(conn: &mut Conn, hash: &[u8; 32]) -> Result<Option<(Session, AccountId)>> {
    let row = conn
        .optional(
            concat!(
                "SELECT ",
                session_columns!(),
                ", p.account_id FROM session s JOIN person p ON p.id = s.user_id WHERE s.hash = $1"
            ),
            args![*hash],
        )
        .await?;
    row.as_ref().map(|row| Ok((session(row)?, row.id("account_id")?))).transpose()
}

pub(crate) async fn insert(conn: &mut Conn, new: &NewSession) -> Result<()> {
    let session = &new.session;
    conn.execute(
        "INSERT INTO session (id, user_id, hash, proof, proven_at, created_at, last_seen_at, ip, user_agent) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        args![
            session.id,
            session.user_id,
            new.hash,
            session.proof.as_str(),
            session.proven_at,
            session.created_at,
            session.last_seen_at,
            session.ip.as_deref(),
            session.user_agent.as_deref()
        ],
    )
    .await?;
    Ok(())
}

impl TenantRead {
    /// The sessions of the user that still work, newest first.
    pub async fn session_list(&mut self, user: UserId, now: Timestamp) -> Result<Vec<Session>> {
        let rows = self
            .conn
            .all(
                concat!("SELECT ", session_columns!(), " FROM session s WHERE s.user_id = $1 ORDER BY s.id DESC"),
                args![user],
            )
            .await?;
        let mut sessions: Vec<Session> = rows.iter().map(session).collect::<Result<_>>()?;
        sessions.retain(|session| session.check_usable(now).is_ok());
        Ok(sessions)
    }
}

impl TenantWrite {
    /// Stores a session of the user.
    pub async fn session_insert(&mut self, new: &NewSession) -> Result<()> {
        insert(&mut self.conn, new).await
    }

    /// Notes a fresh proof of who uses the session.
    pub async fn session_prove(&mut self, id: SessionId, proof: Proof, now: Timestamp) -> Result<()> {
        self.conn
            .execute("UPDATE session SET proof = $2, proven_at = $3 WHERE id = $1", args![id, proof.as_str(), now])
            .await?;
        Ok(())
    }

    /// Ends a session of the user. Answers whether there was one.
    pub async fn session_delete(&mut self, user: UserId, id: SessionId) -> Result<bool> {
        let ended = self.conn.execute("DELETE FROM session WHERE user_id = $1 AND id = $2", args![user, id]).await?;
        Ok(ended > 0)
    }

    /// Ends all sessions of the user but one. Answers how many.
    pub async fn sessions_delete(&mut self, user: UserId, except: Option<SessionId>) -> Result<u64> {
        self.conn
            .execute("DELETE FROM session WHERE user_id = $1 AND ($2 IS NULL OR id <> $2)", args![user, except])
            .await
    }
}

/// When and from where a session was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionUse {
    /// The session.
    pub session: SessionId,
    /// When it was last used.
    pub at: Timestamp,
    /// From which address.
    pub ip: Option<String>,
}

impl Store {
    /// Notes when sessions were last used. Not a change that anybody made, so it leaves no records.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn sessions_used(&self, uses: &[SessionUse]) -> Result<()> {
        let mut conn = self.db.begin_write().await?;
        for used in uses {
            conn.execute(
                "UPDATE session SET last_seen_at = $2, ip = $3 WHERE id = $1 AND last_seen_at < $2",
                args![used.session, used.at, used.ip.as_deref()],
            )
            .await?;
        }
        conn.commit().await
    }

    /// Forgets sessions, tickets and ceremonies that are over, and counts that no longer hold anybody back.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn leftovers_forget(&self, now: Timestamp) -> Result<()> {
        let mut conn = self.db.begin_write().await?;
        conn.execute("DELETE FROM session WHERE last_seen_at <= $1", args![now.minus(IDLE)]).await?;
        conn.execute("DELETE FROM ticket WHERE expires_at <= $1", args![now]).await?;
        conn.execute("DELETE FROM ceremony WHERE expires_at <= $1", args![now]).await?;
        conn.execute("DELETE FROM throttle WHERE due <= $1", args![now]).await?;
        conn.commit().await
    }
}
