//! What a link in a mail is good for, and the mails themselves.

use crate::account::words;
use crate::time::Span;

words! {
    /// What a ticket may be used for; one for something else is no ticket at all.
    Purpose {
        /// To prove an address and become a user.
        Verify = "verify",
        /// The same, together with a child organization of whoever handed out an enrollment link.
        Enroll = "enroll",
        /// To set a new password.
        Reset = "reset",
        /// To prove a new address of a user.
        Email = "email",
        /// To accept or decline an invitation.
        Invitation = "invitation",
    }
}

impl Purpose {
    /// How long the link works.
    #[must_use]
    pub const fn lifetime(self) -> Span {
        match self {
            Self::Verify | Self::Enroll | Self::Email => Span::days(1),
            Self::Reset => Span::hours(1),
            // Longer than the invitation, so that who comes late is told what became of it.
            Self::Invitation => Span::days(30),
        }
    }
}

words! {
    /// The mails that are sent.
    Mail {
        /// To somebody who signs up.
        Verify = "verify",
        /// To somebody who signs up though they are a user already.
        AlreadyUser = "already_user",
        /// To somebody who forgot their password.
        Reset = "reset",
        /// To somebody who wants to reset the password of an address that is no user's.
        NoUser = "no_user",
        /// To somebody who enrolls with a link.
        Enroll = "enroll",
        /// To the new address of a user.
        ChangeEmail = "change_email",
        /// To the old address of a user, afterwards.
        EmailChanged = "email_changed",
        /// To a user whose password was changed.
        PasswordChanged = "password_changed",
        /// To somebody who is invited.
        Invitation = "invitation",
    }
}
