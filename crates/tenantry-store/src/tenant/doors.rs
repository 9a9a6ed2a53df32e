//! The named doors for those who need no permission, since something else lets them in: a mailed token, a link, a proof of a
//! moment ago. Each says what.

use super::*;

/// An invitation as who has a link to it may see it.
#[derive(Debug, Clone)]
pub struct SeenInvitation {
    /// The invitation.
    pub invitation: Invitation,
    /// The account that it is for.
    pub account: Account,
    /// The user with the address that was invited, if there is one.
    pub invited: Option<User>,
}

impl Store {
    /// Opens account `at` for writing to somebody who needs no permission there, since something else lets them in. The
    /// doors below say what. `None` if the account has moved to a tree whose lock is not held.
    async fn try_enter(&self, visit: &Visit, at: AccountId, user: Option<UserId>) -> Result<Option<TenantWrite>> {
        let mut conn = self.db.begin_write().await?;
        let locked = tree_lock_of(&mut conn, at).await?;
        if let Some(answer) = kept_answer(&mut conn, visit).await? {
            return Err(crate::Error::Answered(answer));
        }
        let accounts = with_ancestors(&mut conn, [Some(at), None, None, None]).await?;
        let line = line_of(at, &accounts)?;
        let Some((_, limits)) = locked.filter(|(root, _)| *root == line.account().root_id) else { return Ok(None) };
        let mut known = people(&mut conn, [user, None], [Some(at), None, None, None]).await?;
        let caller = known.pop().map_or_else(Caller::nobody, |person| Caller::person(person, at));
        let identity = Identity { caller, key: None, session: None };
        Ok(Some(Entered { identity, line, own: user }.into_write(conn, visit, limits, None)))
    }

    async fn enter(&self, visit: &Visit, at: AccountId, user: Option<UserId>) -> Result<TenantWrite> {
        for _ in 0..LOCK_ATTEMPTS {
            if let Some(tx) = self.try_enter(visit, at, user).await? {
                return Ok(tx);
            }
        }
        Err(moving())
    }

    /// Opens the personal account of a user who proved a moment ago who they are.
    ///
    /// # Errors
    /// `sign_in_failed` if the user has changed since they were looked up: what was proven may not count any more.
    pub async fn write_as_user(&self, visit: &Visit, user: &User) -> Result<TenantWrite> {
        let mut tx = self.enter(visit, user.account_id, Some(user.id)).await?;
        // What was compared without a lock has to be what is there under it.
        match tx.user().await? {
            Some(now) if now.version == user.version => Ok(tx),
            _ => Err(Code::SignInFailed.into()),
        }
    }

    /// Opens the personal account of the user whose ticket this is, and uses the ticket up.
    ///
    /// # Errors
    /// `token_invalid`.
    pub async fn write_by_ticket(
        &self,
        visit: &Visit,
        hash: &[u8; 32],
        purpose: Purpose,
    ) -> Result<(TenantWrite, Ticket)> {
        let found = self.ticket_peek(hash, &[purpose], visit.now).await?;
        let invalid = || Refusal::from(Code::TokenInvalid);
        let id = found.user_id.ok_or_else(invalid)?;
        let user = self.user_by_id(id).await?.ok_or_else(invalid)?;
        let mut tx = self.enter(visit, user.account_id, Some(user.id)).await?;
        let found = tx.ticket_take(hash, purpose, visit.now).await?;
        Ok((tx, found))
    }

    /// Opens the account that an invitation is for, for somebody who has a link to it. `user` answers the invitation; they
    /// need not exist yet, and who declines need not say who they are.
    ///
    /// # Errors
    /// `token_invalid`.
    pub async fn write_by_invitation(
        &self,
        visit: &Visit,
        hash: &[u8; 32],
        user: Option<UserId>,
    ) -> Result<(TenantWrite, Invitation)> {
        let (account, id) =
            self.invitation_peek(hash, visit.now).await.map(|seen| (seen.account.id, seen.invitation.id))?;
        let mut tx = self.enter(visit, account, user).await?;
        let found = tx.invitation_by_id(id).await?.ok_or(Refusal::from(Code::TokenInvalid))?;
        Ok((tx, found))
    }

    /// Opens the account that handed out an enrollment link, for `user`, who makes the child `child` with it. They need
    /// not exist yet, either.
    ///
    /// # Errors
    /// `token_invalid`, `link_over`, `link_exhausted`.
    pub async fn write_by_link(
        &self,
        visit: &Visit,
        hash: &[u8; 32],
        user: UserId,
        child: AccountId,
    ) -> Result<(TenantWrite, EnrollmentLink)> {
        let seen = self.link_peek(hash, visit.now).await?;
        let mut tx = self.enter(visit, seen.account_id, Some(user)).await?;
        let found = link_by_hash(&mut tx.conn, hash).await?.ok_or(Refusal::from(Code::TokenInvalid))?;
        found.check_usable(visit.now)?;
        tx.read.identity.caller = Caller::person(Person { user, memberships: Vec::new() }, child);
        Ok((tx, found))
    }

    /// Looks at the invitation that a link is for, and at its account, without answering it.
    ///
    /// # Errors
    /// `token_invalid`.
    pub async fn invitation_peek(&self, hash: &[u8; 32], now: Timestamp) -> Result<SeenInvitation> {
        let mut conn = self.db.begin_read().await?;
        let invalid = || Refusal::from(Code::TokenInvalid);
        let found = ticket::by_hash(&mut conn, hash, &[Purpose::Invitation], now).await?;
        let invitation =
            invitation_by_id(&mut conn, found.invitation_id.ok_or_else(invalid)?).await?.ok_or_else(invalid)?;
        let accounts = with_ancestors(&mut conn, [Some(invitation.account_id), None, None, None]).await?;
        let account = line_of(invitation.account_id, &accounts)?.account().clone();
        let invited = person::by_email(&mut conn, &invitation.email).await?;
        conn.commit().await?;
        Ok(SeenInvitation { invitation, account, invited })
    }

    /// Looks at an enrollment link without using it.
    ///
    /// # Errors
    /// `token_invalid`, `link_over`, `link_exhausted`.
    pub async fn link_peek(&self, hash: &[u8; 32], now: Timestamp) -> Result<EnrollmentLink> {
        let mut conn = self.db.begin_read().await?;
        let found = link_by_hash(&mut conn, hash).await?.ok_or(Refusal::from(Code::TokenInvalid))?;
        conn.commit().await?;
        found.check_usable(now)?;
        Ok(found)
    }
}
