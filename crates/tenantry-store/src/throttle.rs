//! Counting attempts, exactly, across all nodes.

use tenantry_core::throttle::Limit;
use tenantry_core::time::{Span, Timestamp};

use crate::db::args;
use crate::{Result, Store};

/// One count: of what, and a hash of by whom or against whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// What is counted.
    pub limit: Limit,
    /// For whom.
    pub id: [u8; 32],
}

impl Store {
    /// Counts `count` more of each, or none at all. Answers how long to wait if one of them is too many.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn throttle_take(&self, counts: &[Count], count: i64, now: Timestamp) -> Result<Result<(), Span>> {
        let mut conn = self.db.begin_write().await?;
        let mut wait = Span::ZERO;
        // In one order everywhere, since each takes a row lock.
        let mut sorted = counts.to_vec();
        sorted.sort_by_key(|count| count.id);
        for counted in sorted {
            let due = conn
                .one(
                    "INSERT INTO throttle (id, due) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET due = throttle.due \
                     RETURNING due",
                    args![counted.id, now],
                )
                .await?
                .time("due")?;
            match counted.limit.rate().admit(due, now, count) {
                Ok(after) => {
                    conn.execute("UPDATE throttle SET due = $2 WHERE id = $1", args![counted.id, after]).await?;
                }
                Err(longer) => wait = wait.max(longer),
            }
        }
        if wait > Span::ZERO {
            conn.rollback().await?;
            return Ok(Err(wait));
        }
        conn.commit().await?;
        Ok(Ok(()))
    }

    /// Takes one back: the attempt turned out not to be one that counts.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn throttle_give_back(&self, counts: &[Count]) -> Result<()> {
        let mut conn = self.db.begin_write().await?;
        let mut sorted = counts.to_vec();
        sorted.sort_by_key(|count| count.id);
        for counted in sorted {
            let row =
                conn.optional("UPDATE throttle SET due = due WHERE id = $1 RETURNING due", args![counted.id]).await?;
            if let Some(row) = row {
                let due = counted.limit.rate().give_back(row.time("due")?);
                conn.execute("UPDATE throttle SET due = $2 WHERE id = $1", args![counted.id, due]).await?;
            }
        }
        conn.commit().await
    }
}
