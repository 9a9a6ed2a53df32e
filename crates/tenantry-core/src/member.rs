//! The rules of membership: who may give, change and take a role, who may leave, and how many there may be.

use crate::id::UserId;
use crate::lineage::Sourced;
use crate::permission::PermissionSet;
use crate::refusal::{Code, Refusal};
use crate::rights::Membership;
use crate::role::{Role, check_rank};

/// Facts about the members of an account, read under the lock of its tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headcount {
    /// How many memberships there are: the seats in use.
    pub members: i64,
    /// How many of them are admins.
    pub admins: i64,
    /// How many invitations can still be accepted.
    pub pending: i64,
}

/// Whether a member with `role` may leave.
///
/// # Errors
/// `admin_cannot_leave`.
pub fn check_leave(role: &Role) -> Result<(), Refusal> {
    if role.is_admin() { Err(Code::AdminCannotLeave.into()) } else { Ok(()) }
}

/// Whether somebody who holds `own` over the account may remove `member`.
///
/// # Errors
/// `last_admin`, `rank_exceeded`.
pub fn check_removal(own: PermissionSet, member: &Membership, count: Headcount) -> Result<(), Refusal> {
    keep_an_admin(member, count)?;
    check_rank(own, &member.role)
}

/// Whether `actor`, who holds `own` over the account, may give `member` the role `new`.
///
/// # Errors
/// `own_role`, `rank_exceeded`, `last_admin`.
pub fn check_change(
    actor: Option<UserId>,
    own: PermissionSet,
    member: &Membership,
    new: &Role,
    count: Headcount,
) -> Result<(), Refusal> {
    // An admin may step down, once there is another one.
    if actor == Some(member.user) && !member.role.is_admin() {
        return Err(Code::OwnRole.into());
    }
    check_rank(own, &member.role)?;
    check_rank(own, new)?;
    if new.is_admin() { Ok(()) } else { keep_an_admin(member, count) }
}

fn keep_an_admin(member: &Membership, count: Headcount) -> Result<(), Refusal> {
    if member.role.is_admin() && count.admins <= 1 { Err(Code::LastAdmin.into()) } else { Ok(()) }
}

/// Whether `more` invitations may be sent. Those that are pending hold a seat, but only against a cap.
///
/// # Errors
/// `seats_exceeded`.
pub fn check_seats_to_invite(count: Headcount, more: i64, cap: Option<&Sourced<i64>>) -> Result<(), Refusal> {
    check_seats(count.members + count.pending + more, cap)
}

/// Whether one more member fits.
///
/// # Errors
/// `seats_exceeded`.
pub fn check_seats_to_join(count: Headcount, cap: Option<&Sourced<i64>>) -> Result<(), Refusal> {
    check_seats(count.members + 1, cap)
}

fn check_seats(wanted: i64, cap: Option<&Sourced<i64>>) -> Result<(), Refusal> {
    match cap {
        Some(cap) if wanted > cap.value => {
            Err(Refusal::new(Code::SeatsExceeded, format!("{wanted} seats would be needed of at most {}.", cap.value)))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{AccountId, Id};
    use crate::role::BuiltIn::{self, Admin, Maintainer, Member};

    const ONE_ADMIN: Headcount = Headcount { members: 3, admins: 1, pending: 1 };
    const TWO_ADMINS: Headcount = Headcount { members: 3, admins: 2, pending: 1 };

    fn user(n: u8) -> UserId {
        UserId::from_bytes([n; 16])
    }

    fn member(role: BuiltIn) -> Membership {
        Membership { account: AccountId::from_bytes([1; 16]), user: user(1), role: Role::built_in(role) }
    }

    /// What happens when user `actor` with the role `own` gives user 1, who is `now`, the role `new`.
    fn change(actor: u8, own: BuiltIn, now: BuiltIn, new: BuiltIn, count: Headcount) -> Result<(), Code> {
        let new = Role::built_in(new);
        check_change(Some(user(actor)), own.permissions(), &member(now), &new, count).map_err(|refusal| refusal.code)
    }

    #[test]
    fn roles_change_within_the_rank_of_who_changes_them() {
        for (actor, own, now, new, count, expected) in [
            (2, Admin, Member, Admin, ONE_ADMIN, Ok(())),
            (2, Admin, Maintainer, Member, ONE_ADMIN, Ok(())),
            (2, Maintainer, Member, Maintainer, ONE_ADMIN, Ok(())),
            (2, Maintainer, Member, Admin, ONE_ADMIN, Err(Code::RankExceeded)),
            (2, Maintainer, Admin, Member, TWO_ADMINS, Err(Code::RankExceeded)),
            (1, Maintainer, Maintainer, Member, ONE_ADMIN, Err(Code::OwnRole)),
            (1, Admin, Admin, Maintainer, ONE_ADMIN, Err(Code::LastAdmin)),
            (1, Admin, Admin, Maintainer, TWO_ADMINS, Ok(())),
            (2, Admin, Admin, Member, ONE_ADMIN, Err(Code::LastAdmin)),
        ] {
            assert_eq!(change(actor, own, now, new, count), expected, "{actor} {own} {now} {new}");
        }
    }

    #[test]
    fn removing_and_leaving_keep_an_admin() {
        let remove = |own: BuiltIn, who: BuiltIn, count| {
            check_removal(own.permissions(), &member(who), count).map_err(|refusal| refusal.code)
        };
        assert_eq!(remove(Maintainer, Member, ONE_ADMIN), Ok(()));
        assert_eq!(remove(Maintainer, Admin, ONE_ADMIN), Err(Code::LastAdmin));
        assert_eq!(remove(Maintainer, Admin, TWO_ADMINS), Err(Code::RankExceeded));
        assert_eq!(remove(Admin, Admin, TWO_ADMINS), Ok(()));
        assert!(check_leave(&Role::built_in(Admin)).is_err() && check_leave(&Role::built_in(Member)).is_ok());
    }

    #[test]
    fn pending_invitations_hold_seats_only_against_a_cap() {
        let cap = |value| Sourced { value, source: AccountId::from_bytes([1; 16]) };
        assert!(check_seats_to_invite(ONE_ADMIN, 1_000, None).is_ok());
        assert!(check_seats_to_invite(ONE_ADMIN, 1, Some(&cap(5))).is_ok());
        assert!(check_seats_to_invite(ONE_ADMIN, 1, Some(&cap(4))).is_err());
        assert!(check_seats_to_join(ONE_ADMIN, Some(&cap(4))).is_ok());
        assert!(check_seats_to_join(ONE_ADMIN, Some(&cap(3))).is_err());
    }
}
