//! Who is calling, on whose behalf, and with what rights over an account.
//!
//! An API key of an account holds everything the account may do, narrowed by the key's scopes, on
//! the account and on its descendants. Somebody without a right to see an account is told that it
//! does not exist. `x-assume-org` makes a descendant the subject: rights are then what the
//! actor may do over the subject, intersected with what the subject itself may do.

use crate::account::Status;
use crate::id::{AccountId, KeyId};
use crate::key::Key;
use crate::lineage::Lineage;
use crate::permission::{Permission, PermissionSet};
use crate::refusal::{Code, Refusal};
use crate::time::Timestamp;

/// What is left to an ancestor where an account, or one between, does not inherit administrators:
/// it still sees the account, and nothing can be hidden from its auditors.
pub const SHUT_OUT: PermissionSet = PermissionSet::of(&[Permission::AccountRead, Permission::AuditRead]);

/// What a credential turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bearer<'a> {
    /// The operator token.
    Operator,
    /// A key, and the line of the account that it acts for.
    Key(&'a Key, &'a Lineage),
}

/// Who really calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// The operator of the deployment.
    Operator,
    /// A key of an account.
    Key {
        /// The key.
        key: KeyId,
        /// Its account.
        account: AccountId,
    },
    /// The deployment itself, doing scheduled work.
    System,
}

impl Actor {
    /// The account that acts, if it is one.
    #[must_use]
    pub const fn account(self) -> Option<AccountId> {
        match self {
            Self::Key { account, .. } => Some(account),
            Self::Operator | Self::System => None,
        }
    }

    /// The word for the kind of actor, as stored and sent.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Key { .. } => "key",
            Self::System => "system",
        }
    }
}

/// An authenticated caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// Who really calls.
    pub actor: Actor,
    /// The account on whose behalf; `None` is the operator acting for nobody.
    pub subject: Option<AccountId>,
    /// What may be done at most, over any account.
    ceiling: PermissionSet,
}

/// The account that a request wants to act for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assume<'a> {
    /// The id in the header.
    pub id: AccountId,
    /// Its line, if there is such an account.
    pub line: Option<&'a Lineage>,
}

impl Caller {
    /// Authenticates: the key works, its account is active, the assumed account may be assumed.
    ///
    /// # Errors
    /// `key_revoked`, `key_expired`, `account_suspended`, `account_closed`, `assume_forbidden`.
    pub fn admit(bearer: Bearer<'_>, assume: Option<Assume<'_>>, now: Timestamp) -> Result<Self, Refusal> {
        let caller = match bearer {
            Bearer::Operator => Self { actor: Actor::Operator, subject: None, ceiling: PermissionSet::ALL },
            Bearer::Key(key, line) => {
                key.check_usable(now)?;
                match line.effective_status() {
                    Status::Active => (),
                    Status::Suspended => return Err(Code::AccountSuspended.into()),
                    Status::Closed => return Err(Code::AccountClosed.into()),
                }
                let account = key.account_id;
                Self { actor: Actor::Key { key: key.id, account }, subject: Some(account), ceiling: key.scopes() }
            }
        };
        match assume {
            Some(assume) if caller.subject != Some(assume.id) => caller.assume(assume),
            _ => Ok(caller),
        }
    }

    fn assume(self, assume: Assume<'_>) -> Result<Self, Refusal> {
        // Unknown, foreign, above and beside are all the same answer: nothing is learned from it.
        let forbidden = || Refusal::from(Code::AssumeForbidden);
        let line = assume.line.ok_or_else(forbidden)?;
        let rights = self.rights_over(line);
        if !rights.holds(Permission::AccountAssume) || line.effective_status() != Status::Active {
            return Err(forbidden());
        }
        Ok(Self { subject: Some(assume.id), ceiling: rights, ..self })
    }

    /// Whether the caller is the operator, acting for no account.
    #[must_use]
    pub fn is_operator(&self) -> bool {
        self.actor == Actor::Operator && self.subject.is_none()
    }

    /// What the caller may do over the account that `target` leads to. Nothing: it is invisible.
    #[must_use]
    pub fn rights_over(&self, target: &Lineage) -> PermissionSet {
        let Some(subject) = self.subject else { return self.ceiling };
        let Some(mut between) = target.below(subject) else { return PermissionSet::NONE };
        let reach = if between.all(|account| account.inherits.admins) { PermissionSet::ALL } else { SHUT_OUT };
        reach.and(self.ceiling)
    }

    /// Whether the caller may see that the account exists.
    #[must_use]
    pub fn sees(&self, target: &Lineage) -> bool {
        match self.subject {
            None => true,
            Some(subject) => target.contains(subject),
        }
    }

    /// Whether the caller holds `permission` over the account that `target` leads to.
    ///
    /// # Errors
    /// `not_found` if the account is invisible to the caller, else `permission_denied`.
    pub fn check(&self, target: &Lineage, permission: Permission) -> Result<(), Refusal> {
        if !self.sees(target) {
            return Err(Code::NotFound.into());
        }
        if !self.rights_over(target).holds(permission) {
            return Err(Refusal::new(
                Code::PermissionDenied,
                format!("This needs `{permission}` on {}.", target.account().id),
            ));
        }
        Ok(())
    }

    /// Whether the caller is the operator.
    ///
    /// # Errors
    /// `operator_only`.
    pub fn check_operator(&self) -> Result<(), Refusal> {
        if self.is_operator() { Ok(()) } else { Err(Code::OperatorOnly.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Account;
    use crate::id::Id;
    use crate::key::Environment;
    use crate::lineage::tests::{id, line};

    const NOW: Timestamp = Timestamp(10);

    fn key_of(n: u8, scopes: Option<PermissionSet>) -> Key {
        Key {
            id: KeyId::from_bytes([n; 16]),
            account_id: id(n),
            name: "k".to_owned(),
            environment: Environment::Live,
            last_four: "abcd".to_owned(),
            scopes,
            created_at: Timestamp(0),
            expires_at: None,
            revoked_at: None,
            last_used_at: None,
            last_used_ip: None,
            rotated_from: None,
        }
    }

    fn plain(n: u8) -> Lineage {
        line(n, |_, _| ())
    }

    fn caller(n: u8) -> Caller {
        Caller::admit(Bearer::Key(&key_of(n, None), &plain(n)), None, NOW).expect("active")
    }

    fn assume(n: u8, target: u8, change: impl Fn(u8, &mut Account)) -> Result<Caller, Code> {
        let target_line = line(target, &change);
        let assume = Assume { id: id(target), line: Some(&target_line) };
        Caller::admit(Bearer::Key(&key_of(n, None), &line(n, &change)), Some(assume), NOW).map_err(|r| r.code)
    }

    #[test]
    fn a_key_reaches_down_and_never_up() {
        let caller = caller(2);
        assert_eq!(caller.rights_over(&plain(2)), PermissionSet::ALL);
        assert_eq!(caller.rights_over(&plain(4)), PermissionSet::ALL);
        assert!(!caller.sees(&plain(1)));
        assert_eq!(caller.check(&plain(1), Permission::AccountRead).map_err(|r| r.code), Err(Code::NotFound));
    }

    #[test]
    fn scopes_narrow_a_key_everywhere() {
        let scopes = PermissionSet::of(&[Permission::AccountRead]);
        let caller = Caller::admit(Bearer::Key(&key_of(1, Some(scopes)), &plain(1)), None, NOW).expect("active");
        assert_eq!(caller.rights_over(&plain(3)), scopes);
        assert_eq!(caller.check(&plain(3), Permission::AccountMove).map_err(|r| r.code), Err(Code::PermissionDenied));
    }

    #[test]
    fn an_account_that_does_not_inherit_admins_keeps_ancestors_out_but_not_their_auditors() {
        let target = line(4, |n, a| a.inherits.admins = n != 3);
        assert_eq!(caller(1).rights_over(&target), SHUT_OUT);
        assert_eq!(caller(3).rights_over(&target), PermissionSet::ALL, "the switch is about those above it");
        assert_eq!(assume(1, 4, |n, a| a.inherits.admins = n != 3), Err(Code::AssumeForbidden));
    }

    #[test]
    fn assuming_moves_the_subject_down_only() {
        let caller = assume(1, 3, |_, _| ()).expect("a descendant");
        assert_eq!((caller.subject, caller.actor.account()), (Some(id(3)), Some(id(1))));
        assert!(!caller.sees(&plain(2)), "what the subject cannot see, the actor cannot see through it");
        assert_eq!(assume(2, 2, |_, _| ()), Ok(super::tests::caller(2)), "the own id changes nothing");
        assert_eq!(assume(3, 1, |_, _| ()), Err(Code::AssumeForbidden), "upwards");
        let suspended = |n: u8, a: &mut Account| a.status = if n == 3 { Status::Suspended } else { Status::Active };
        assert_eq!(assume(1, 3, suspended), Err(Code::AssumeForbidden));
        let unknown = Assume { id: id(9), line: None };
        let key = key_of(1, None);
        assert_eq!(
            Caller::admit(Bearer::Key(&key, &plain(1)), Some(unknown), NOW).map_err(|r| r.code),
            Err(Code::AssumeForbidden)
        );
    }

    #[test]
    fn the_operator_may_all_but_keeps_to_the_subject_while_assuming() {
        let operator = Caller::admit(Bearer::Operator, None, NOW).expect("always");
        assert!(operator.is_operator() && operator.sees(&plain(3)));
        let line = plain(2);
        let assumed =
            Caller::admit(Bearer::Operator, Some(Assume { id: id(2), line: Some(&line) }), NOW).expect("active");
        assert!(!assumed.sees(&plain(1)) && assumed.check_operator().is_err());
    }

    #[test]
    fn dead_keys_and_shut_accounts_are_told_apart() {
        let revoked = Key { revoked_at: Some(Timestamp(1)), expires_at: Some(Timestamp(1)), ..key_of(2, None) };
        let admit = |key: &Key, line: &Lineage| Caller::admit(Bearer::Key(key, line), None, NOW).map_err(|r| r.code);
        assert_eq!(admit(&revoked, &plain(2)), Err(Code::KeyRevoked));
        let expired = Key { expires_at: Some(NOW), ..key_of(2, None) };
        assert_eq!(admit(&expired, &plain(2)), Err(Code::KeyExpired));
        let below = line(2, |n, a| a.status = if n == 1 { Status::Suspended } else { Status::Active });
        assert_eq!(admit(&key_of(2, None), &below), Err(Code::AccountSuspended));
        let closed = line(2, |n, a| a.status = if n == 2 { Status::Closed } else { Status::Active });
        assert_eq!(admit(&key_of(2, None), &closed), Err(Code::AccountClosed));
    }
}
