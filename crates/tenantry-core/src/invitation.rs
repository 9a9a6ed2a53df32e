//! Invitations: a person is asked to become a member, by a mail to their address.

use crate::account::words;
use crate::id::{AccountId, InvitationId, KeyId, UserId};
use crate::refusal::{Code, Refusal};
use crate::role::RoleRef;
use crate::time::{Span, Timestamp};

/// How long an invitation can be accepted.
pub const LIFETIME: Span = Span::days(7);

words! {
    /// What became of an invitation.
    Status {
        /// Nothing yet.
        Pending = "pending",
        /// The person is a member.
        Accepted = "accepted",
        /// The person does not want to be.
        Declined = "declined",
        /// Somebody with the right to took it back.
        Canceled = "canceled",
        /// Nobody answered in time.
        Expired = "expired",
    }
}

/// Who invited: their right is asked for again at acceptance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inviter {
    /// The operator, who always may.
    Operator,
    /// A person.
    User(UserId),
    /// A key that no person stands behind.
    Key(KeyId),
}

/// An invitation as stored; the tokens of its links are stored apart, as hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Its id.
    pub id: InvitationId,
    /// The account to become a member of.
    pub account_id: AccountId,
    /// To which address.
    pub email: String,
    /// As what.
    pub role: RoleRef,
    /// What the role was called then.
    pub role_name: String,
    /// As stored; see [`Invitation::status_at`].
    pub status: Status,
    /// Who invited.
    pub inviter: Inviter,
    /// When.
    pub created_at: Timestamp,
    /// Until when it can be accepted.
    pub expires_at: Timestamp,
    /// When it was accepted, declined or canceled.
    pub settled_at: Option<Timestamp>,
}

impl Invitation {
    /// The status that counts at `now`: one that nobody answered in time has expired.
    #[must_use]
    pub fn status_at(&self, now: Timestamp) -> Status {
        match self.status {
            Status::Pending if self.expires_at <= now => Status::Expired,
            status => status,
        }
    }

    /// Whether the invitation can still be answered.
    ///
    /// # Errors
    /// `invitation_used`, `invitation_over`.
    pub fn check_pending(&self, now: Timestamp) -> Result<(), Refusal> {
        match self.status_at(now) {
            Status::Pending => Ok(()),
            Status::Accepted => Err(Code::InvitationUsed.into()),
            over => Err(Refusal::new(Code::InvitationOver, format!("The invitation is {over}."))),
        }
    }

    /// Whether it is meant for somebody whose verified address is `email`. Case does not count.
    ///
    /// # Errors
    /// `wrong_address`.
    pub fn check_address(&self, email: &str) -> Result<(), Refusal> {
        if email_key(&self.email) == email_key(email) { Ok(()) } else { Err(Code::WrongAddress.into()) }
    }
}

/// The form of an address by which it is compared.
#[must_use]
pub fn email_key(email: &str) -> String {
    email.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Id;
    use crate::role::BuiltIn;

    #[test]
    fn what_can_be_accepted_when_and_by_whom() {
        let invitation = Invitation {
            id: InvitationId::from_bytes([1; 16]),
            account_id: AccountId::from_bytes([1; 16]),
            email: "Ann@Example.com".to_owned(),
            role: RoleRef::BuiltIn(BuiltIn::Member),
            role_name: "member".to_owned(),
            status: Status::Pending,
            inviter: Inviter::Operator,
            created_at: Timestamp(0),
            expires_at: Timestamp(10),
            settled_at: None,
        };
        let check = |status, now| {
            let at = Invitation { status, ..invitation.clone() };
            at.check_pending(Timestamp(now)).map_err(|refusal| refusal.code)
        };
        assert_eq!(check(Status::Pending, 9), Ok(()));
        assert_eq!(check(Status::Pending, 10), Err(Code::InvitationOver));
        assert_eq!(check(Status::Accepted, 0), Err(Code::InvitationUsed));
        assert_eq!(check(Status::Canceled, 0), Err(Code::InvitationOver));
        assert!(invitation.check_address("ann@example.com").is_ok());
        assert!(invitation.check_address("ann@example.org").is_err());
    }
}
