//! What is kept of a ceremony between its first and its second request.

use tenantry_core::id::UserId;
use tenantry_core::{Document, Refusal, Timestamp, refusal::Code};

use crate::db::args;
use crate::{Result, Store};

/// A ceremony that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ceremony {
    /// Which kind; an answer to another is none.
    pub kind: String,
    /// The user who began it, if it was one.
    pub user_id: Option<UserId>,
    /// What the answer is checked against.
    pub state: Document,
}

impl Store {
    /// Keeps a ceremony until its answer comes.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn ceremony_begin(&self, id: [u8; 32], ceremony: &Ceremony, expires_at: Timestamp) -> Result<()> {
        let mut conn = self.db.begin_write().await?;
        conn.execute(
            "INSERT INTO ceremony (id, kind, user_id, state, expires_at) VALUES ($1, $2, $3, $4, $5)",
            args![id, &ceremony.kind, ceremony.user_id, &ceremony.state, expires_at],
        )
        .await?;
        conn.commit().await
    }

    /// Takes a ceremony for its one answer.
    ///
    /// # Errors
    /// `token_invalid` if there is none, or one of another kind.
    pub async fn ceremony_take(&self, id: [u8; 32], kind: &str, now: Timestamp) -> Result<Ceremony> {
        let mut conn = self.db.begin_write().await?;
        let row = conn
            .optional(
                "DELETE FROM ceremony WHERE id = $1 AND kind = $2 AND expires_at > $3 RETURNING kind, user_id, state",
                args![id, kind, now],
            )
            .await?;
        conn.commit().await?;
        let row = row.ok_or(Refusal::from(Code::TokenInvalid))?;
        Ok(Ceremony { kind: row.text("kind")?, user_id: row.optional_id("user_id")?, state: row.document("state")? })
    }
}
