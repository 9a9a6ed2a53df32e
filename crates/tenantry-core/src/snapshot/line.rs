//! Accounts with their ancestors, and what keys may do over them.
//!
//! The rules are those of [`crate::rights`] and [`crate::access`], over numbers instead of records; what a restriction says and
//! whom it binds is asked of [`crate::restriction`] itself. Nothing here allocates.

use super::{Credential, Held, Human, NONE, Node, Number, Ruled, Snapshot, Worth};
use crate::access::Rules;
use crate::account::{MAX_DEPTH, Status};
use crate::id::{AccountId, KeyId, UserId};
use crate::permission::{Permission, PermissionSet};
use crate::restriction::{Restriction, Standing};
use crate::rights::{OF_ACCOUNT, SHUT_OUT};
use crate::role::{BuiltIn, RoleRef};

const LONGEST: usize = MAX_DEPTH as usize;

/// Up to so many memberships are looked at one after the other.
const FEW: usize = 16;

/// An account and all above it, the account itself first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    numbers: [Number; LONGEST],
    nodes: [Option<&'a Node>; LONGEST],
    len: usize,
    /// The place of the first account that does not inherit administrators: who is above it administers nothing below.
    shut_at: usize,
    /// One bit for each place with rules.
    ruled: u16,
    /// Whether somebody on it has limits.
    pub(super) limited: bool,
}

impl<'a> Line<'a> {
    pub(super) fn numbers(&self) -> &[Number] {
        self.numbers.get(..self.len).unwrap_or_default()
    }

    pub(super) fn nodes(&self) -> impl DoubleEndedIterator<Item = &'a Node> + Clone + use<'a, '_> {
        self.nodes.iter().take(self.len).copied().flatten()
    }

    /// The account itself.
    pub(super) fn end(&self) -> Number {
        self.numbers().first().copied().unwrap_or(NONE)
    }

    pub(super) fn account(&self) -> Option<AccountId> {
        self.nodes().next().map(|node| node.id)
    }

    /// How far above the end an account is.
    pub(super) fn place(&self, account: Number) -> Option<usize> {
        self.numbers().iter().position(|number| *number == account)
    }

    /// The accounts from this far above the end upwards.
    fn from(&self, place: usize) -> &[Number] {
        self.numbers().get(place..).unwrap_or_default()
    }

    /// The places with rules, the highest first, as on a line of records.
    fn ruled(&self) -> impl Iterator<Item = (usize, &'a Node)> + use<'a, '_> {
        let mut rest = self.ruled;
        std::iter::from_fn(move || {
            let place = u16::BITS.checked_sub(rest.leading_zeros() + 1)? as usize;
            rest &= !(1 << place);
            Some((place, (*self.nodes.get(place)?)?))
        })
    }
}

/// Who acts: the key, the people behind it, and the account for which it acts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Who<'a> {
    pub(super) key: &'a Credential,
    pub(super) people: [Option<&'a Human>; 2],
    /// The account of the key, or the one assumed.
    pub(super) home: Number,
    /// What may be done at most.
    pub(super) ceiling: PermissionSet,
    /// The line of the account of the key.
    pub(super) own: Line<'a>,
    /// What all its people may do over that account.
    pub(super) own_rights: PermissionSet,
}

impl<'a> Who<'a> {
    fn people(&self) -> impl Iterator<Item = &'a Human> + Clone {
        self.people.into_iter().flatten()
    }
}

impl Snapshot {
    pub(super) fn node(&self, number: Number) -> Option<&Node> {
        self.accounts.get(number)
    }

    pub(super) fn line(&self, account: Number) -> Line<'_> {
        let mut line = Line {
            numbers: [NONE; LONGEST],
            nodes: [None; LONGEST],
            len: 0,
            shut_at: LONGEST,
            ruled: 0,
            limited: false,
        };
        let mut next = account;
        while let (Some(node), Some(number), Some(place)) =
            (self.node(next), line.numbers.get_mut(line.len), line.nodes.get_mut(line.len))
        {
            (*number, *place) = (next, Some(node));
            line.ruled |= u16::from(node.rules != NONE) << line.len;
            line.limited |= node.limits != NONE;
            if !node.inherits_admins {
                line.shut_at = line.shut_at.min(line.len);
            }
            line.len += 1;
            next = node.parent;
        }
        line
    }

    pub(super) fn status(line: &Line<'_>) -> Status {
        let above = line.nodes().skip(1).find(|node| node.status != Status::Active);
        let own = line.nodes().next().map_or(Status::Closed, |node| node.status);
        own.below(above.map_or(Status::Active, |node| node.status))
    }

    /// Whether an account at `place` of a line, and all between it and the account at `above`, inherit administrators.
    fn inherits(line: &Line<'_>, place: usize, above: usize) -> bool {
        line.nodes().skip(place).take(above.saturating_sub(place)).all(|node| node.inherits_admins)
    }

    /// What an account may do over the end of a line.
    pub(super) fn rights_of_account(home: Number, line: &Line<'_>) -> PermissionSet {
        match line.place(home) {
            None => PermissionSet::NONE,
            Some(above) if above <= line.shut_at => OF_ACCOUNT,
            Some(_) => SHUT_OUT,
        }
    }

    /// The role that is held by a membership at `place` of a line, if it counts there.
    fn role_of(&self, held: Held, line: &Line<'_>, place: usize) -> Option<&Worth> {
        let role = self.roles.get(held.role)?;
        (role.home == NONE || line.from(place).contains(&role.home)).then_some(role)
    }

    /// The role that somebody holds on an account at `place` of a line, if it counts there.
    fn role_at(&self, human: &Human, line: &Line<'_>, place: usize) -> Option<&Worth> {
        let account = line.from(place).first()?;
        let held = human.held.as_slice();
        let found = held.binary_search_by_key(account, |held| held.account).ok()?;
        self.role_of(*held.get(found)?, line, place)
    }

    /// What somebody may do over the end of a line.
    pub(super) fn rights_of_person(&self, human: &Human, line: &Line<'_>) -> PermissionSet {
        let worth = |place: usize, role: &Worth| {
            let held = if place == 0 { role.own } else { role.inherited };
            if place <= line.shut_at { held } else { held.and(SHUT_OUT) }
        };
        let held = human.held.as_slice();
        // Most people are members of a few accounts: looking at all of them is faster than searching for each of the line's.
        if held.len() <= FEW {
            let here = held.iter().filter_map(|held| {
                let place = line.place(held.account)?;
                Some(worth(place, self.role_of(*held, line, place)?))
            });
            return here.fold(PermissionSet::NONE, PermissionSet::or);
        }
        let here = (0..line.len).filter_map(|place| Some(worth(place, self.role_at(human, line, place)?)));
        here.fold(PermissionSet::NONE, PermissionSet::or)
    }

    fn of_people(&self, who: &Who<'_>, line: &Line<'_>) -> PermissionSet {
        if line.end() == who.own.end() {
            return who.own_rights;
        }
        who.people().fold(PermissionSet::ALL, |rights, human| rights.and(self.rights_of_person(human, line)))
    }

    /// What a key may do over the end of a line, before it assumes anything: as its account, or wherever its one person is.
    pub(super) fn rights<'s>(&'s self, who: &Who<'s>, line: &Line<'s>, roams: bool) -> PermissionSet {
        let reach = if roams { PermissionSet::ALL } else { Self::rights_of_account(who.home, line) };
        reach.and(self.of_people(who, line)).and(who.ceiling).without(self.taken_away(who, line))
    }

    /// The same once it has assumed an account, whose people are not asked any more.
    pub(super) fn rights_assumed<'s>(&'s self, who: &Who<'s>, line: &Line<'s>) -> PermissionSet {
        Self::rights_of_account(who.home, line).and(who.ceiling).without(self.taken_away(who, line))
    }

    fn taken_away<'s>(&'s self, who: &Who<'s>, line: &Line<'s>) -> PermissionSet {
        let taking = |rule: &Restriction| !rule.takes_away().is_empty();
        let taking = self.restrictions(who, line, |ruled| !ruled.takes.is_empty(), taking);
        taking.fold(PermissionSet::NONE, |taken, rule| taken.or(rule.takes_away()))
    }

    /// The restrictions that are `wanted` and bind who turns to the end of a line, on accounts where there `may` be some. Those of
    /// the account that the key belongs to go along wherever it turns.
    pub(super) fn restrictions<'s, 'x, M: Fn(&Ruled) -> bool + Copy + 'x, W: Fn(&Restriction) -> bool + Copy + 'x>(
        &'s self,
        who: &'x Who<'s>,
        line: &'x Line<'s>,
        may: M,
        wanted: W,
    ) -> impl Iterator<Item = &'s Restriction> + use<'s, 'x, M, W> {
        let own = line.place(who.own.end()).is_none().then_some(&who.own);
        own.into_iter().chain([line]).flat_map(move |line| self.restrictions_on(who, line, may, wanted))
    }

    fn restrictions_on<'s, 'x, M: Fn(&Ruled) -> bool + Copy + 'x, W: Fn(&Restriction) -> bool + Copy + 'x>(
        &'s self,
        who: &'x Who<'s>,
        line: &'x Line<'s>,
        may: M,
        wanted: W,
    ) -> impl Iterator<Item = &'s Restriction> + use<'s, 'x, M, W> {
        line.ruled().flat_map(move |(place, node)| {
            let ruled = self.rules.get(node.rules).filter(|ruled| may(ruled));
            ruled.map_or(&[][..], |ruled| &ruled.rules.restrictions).iter().filter(move |rule| {
                // What it says is soon told; whether it binds takes a look around.
                wanted(rule) && {
                    let seen = Seen { snapshot: self, who, line, place };
                    rule.counts(|id| seen.is_above(id)) && rule.binds(&seen)
                }
            })
        })
    }

    /// The rules of the accounts of a line that hold IP allow-lists, each with its place.
    pub(super) fn lists_on<'s, 'x>(
        &'s self,
        line: &'x Line<'s>,
    ) -> impl Iterator<Item = (usize, &'s Rules)> + use<'s, 'x> {
        line.ruled().filter_map(|(place, node)| {
            let ruled = self.rules.get(node.rules).filter(|ruled| ruled.lists)?;
            Some((place, ruled.rules.as_ref()))
        })
    }
}

/// Who acts, seen from the account at `place` of a line.
struct Seen<'s, 'x> {
    snapshot: &'s Snapshot,
    who: &'x Who<'s>,
    line: &'x Line<'s>,
    place: usize,
}

impl Seen<'_, '_> {
    fn is_above(&self, id: AccountId) -> bool {
        self.line.nodes().skip(self.place).any(|node| node.id == id)
    }

    fn is_admin(&self, human: &Human) -> bool {
        let admin = |place: usize| {
            let role = self.snapshot.role_at(human, self.line, place);
            role.is_some_and(|role| role.which == RoleRef::BuiltIn(BuiltIn::Admin))
        };
        (self.place..self.line.len).any(|above| admin(above) && Snapshot::inherits(self.line, self.place, above))
    }
}

impl Standing for Seen<'_, '_> {
    fn is_admin(&self) -> bool {
        let mut people = self.who.people().peekable();
        if people.peek().is_some() {
            return people.all(|human| self.is_admin(human));
        }
        // The account itself administers what is below it, but is bound by what it says about itself.
        self.line
            .place(self.who.home)
            .is_some_and(|above| above > self.place && Snapshot::inherits(self.line, self.place, above))
    }

    fn acts_from(&self, imposer: AccountId) -> bool {
        let imposer = self.line.nodes().position(|node| node.id == imposer);
        imposer.is_some_and(|imposer| self.line.place(self.who.home).is_some_and(|home| home >= imposer))
    }

    fn has_role(&self, which: RoleRef) -> bool {
        let holds = |human: &Human| {
            human.held.as_slice().iter().any(|held| {
                self.snapshot.roles.get(held.role).is_some_and(|role| role.which == which)
                    && self.line.place(held.account).is_some()
            })
        };
        self.who.people().any(holds)
    }

    fn is_user(&self, user: UserId) -> bool {
        self.who.people().any(|human| human.id == user)
    }

    fn is_key(&self, key: KeyId) -> bool {
        self.who.key.id == key
    }
}

/// The permission that lets somebody act for another account.
pub(super) const ASSUME: Permission = Permission::AccountAssume;
