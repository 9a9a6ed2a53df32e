//! Sessions: somebody who is signed in. Only the hash of a session's token is stored.

use crate::account::words;
use crate::id::{SessionId, UserId};
use crate::refusal::{Code, Refusal};
use crate::time::{Span, Timestamp};

/// How long a session lasts at most.
pub const LIFETIME: Span = Span::days(30);

/// How long a session lasts without being used.
pub const IDLE: Span = Span::days(7);

/// How long a proof of identity is good for sensitive acts.
pub const FRESH: Span = Span(Span::seconds(600).0);

words! {
    /// How somebody proved who they are.
    Proof {
        /// By their password.
        Password = "password",
        /// By their password and a code of their authenticator, or a recovery code.
        PasswordAndCode = "password_and_code",
        /// By a passkey.
        Passkey = "passkey",
        /// At an identity provider.
        Provider = "provider",
    }
}

/// A session as stored: everything but its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Who is signed in.
    pub user_id: UserId,
    /// How they proved who they are, last.
    pub proof: Proof,
    /// When they did.
    pub proven_at: Timestamp,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used, to about a minute.
    pub last_seen_at: Timestamp,
    /// From which address it was last used.
    pub ip: Option<String>,
    /// What the client calls itself.
    pub user_agent: Option<String>,
}

impl Session {
    /// When the session ends unless it is used again, at the latest when its lifetime is over.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.created_at.plus(LIFETIME).min(self.last_seen_at.plus(IDLE))
    }

    /// Whether the session works at `now`.
    ///
    /// # Errors
    /// `session_expired`.
    pub fn check_usable(&self, now: Timestamp) -> Result<(), Refusal> {
        if now < self.expires_at() { Ok(()) } else { Err(Code::SessionExpired.into()) }
    }

    /// Whether who uses the session proved who they are a short while ago.
    ///
    /// # Errors
    /// `step_up_required`.
    pub fn check_fresh(&self, now: Timestamp) -> Result<(), Refusal> {
        if now.since(self.proven_at) < FRESH { Ok(()) } else { Err(Code::StepUpRequired.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Id;

    #[test]
    fn a_session_ends_when_it_is_old_or_unused_or_its_proof_is() {
        let at = |days: i64| Timestamp(0).plus(Span::days(days));
        let session = Session {
            id: SessionId::from_bytes([1; 16]),
            user_id: UserId::from_bytes([1; 16]),
            proof: Proof::Password,
            proven_at: at(0),
            created_at: at(0),
            last_seen_at: at(0),
            ip: None,
            user_agent: None,
        };
        let usable = |session: &Session, now| session.check_usable(now).map_err(|refusal| refusal.code);
        assert_eq!(usable(&session, at(7)), Err(Code::SessionExpired), "unused for a week");
        let used = Session { last_seen_at: at(29), ..session };
        assert_eq!(usable(&used, at(29)), Ok(()));
        assert_eq!(usable(&used, at(30)), Err(Code::SessionExpired), "a month old");
        assert!(used.check_fresh(at(0)).is_ok() && used.check_fresh(at(0).plus(FRESH)).is_err());
    }
}
