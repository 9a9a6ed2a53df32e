//! An account together with its ancestors, and everything that is inherited down that line.
//!
//! Inherited values are computed, never copied, so each can say which account it comes from.

use std::collections::BTreeMap;

use crate::Document;
use crate::account::{Account, Status};
use crate::id::AccountId;

/// An account and all its ancestors, root first. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage {
    above: Vec<Account>,
    account: Account,
}

/// A value and the account that it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value that counts.
    pub value: T,
    /// The account that sets it.
    pub source: AccountId,
}

impl Lineage {
    /// Builds the line of `id` out of accounts that include it and all its ancestors, in any
    /// order. `None` if one is missing or the parents run in a circle.
    #[must_use]
    pub fn assemble(id: AccountId, accounts: &BTreeMap<AccountId, Account>) -> Option<Self> {
        let account = accounts.get(&id)?.clone();
        let mut above = Vec::new();
        let mut parent = account.parent_id;
        while let Some(next) = parent {
            let ancestor = accounts.get(&next)?;
            if above.len() > accounts.len() {
                return None;
            }
            parent = ancestor.parent_id;
            above.push(ancestor.clone());
        }
        above.reverse();
        Some(Self { above, account })
    }

    /// The line of an account that does not exist yet, below `self`.
    #[must_use]
    pub fn with_child(&self, child: Account) -> Self {
        Self { above: self.iter().cloned().collect(), account: child }
    }

    /// The line of a root.
    #[must_use]
    pub const fn of_root(account: Account) -> Self {
        Self { above: Vec::new(), account }
    }

    /// The same line with another state of the account itself.
    #[must_use]
    pub fn with_account(&self, account: Account) -> Self {
        Self { above: self.above.clone(), account }
    }

    /// The account that the line leads to.
    #[must_use]
    pub const fn account(&self) -> &Account {
        &self.account
    }

    /// The account directly above, if any.
    #[must_use]
    pub fn parent(&self) -> Option<&Account> {
        self.above.last()
    }

    /// The line of the account directly above, if any.
    #[must_use]
    pub fn of_parent(&self) -> Option<Self> {
        let (account, above) = self.above.split_last()?;
        Some(Self { above: above.to_vec(), account: account.clone() })
    }

    /// The line of an account on this one.
    #[must_use]
    pub fn up_to(&self, id: AccountId) -> Option<Self> {
        let above: Vec<Account> = self.iter().take_while(|account| account.id != id).cloned().collect();
        let account = self.iter().nth(above.len())?.clone();
        Some(Self { above, account })
    }

    /// The accounts above, root first.
    #[must_use]
    pub fn ancestors(&self) -> &[Account] {
        &self.above
    }

    /// All accounts of the line, root first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Account> {
        self.above.iter().chain(std::iter::once(&self.account))
    }

    /// Whether `id` is the account or above it.
    #[must_use]
    pub fn contains(&self, id: AccountId) -> bool {
        self.iter().any(|account| account.id == id)
    }

    /// The accounts strictly below `id` on this line, or `None` if `id` is not on it.
    pub fn below(&self, id: AccountId) -> Option<impl Iterator<Item = &Account>> {
        let position = self.iter().position(|account| account.id == id)?;
        Some(self.iter().skip(position + 1))
    }

    /// The status that counts: an account is suspended while any ancestor is.
    pub fn effective_status(&self) -> Status {
        self.iter().fold(Status::Active, |above, account| account.status.below(above))
    }

    /// The status that counts for an account of the line.
    #[must_use]
    pub fn status_of(&self, id: AccountId) -> Option<Status> {
        let mut above = Status::Active;
        for account in self.iter() {
            above = account.status.below(above);
            if account.id == id {
                return Some(above);
            }
        }
        None
    }

    /// Which settings are locked for the account, and by which ancestor (the highest wins).
    #[must_use]
    pub fn locks(&self) -> BTreeMap<String, AccountId> {
        let mut locks = BTreeMap::new();
        for account in &self.above {
            for name in &account.locked_settings {
                locks.entry(name.clone()).or_insert(account.id);
            }
        }
        locks
    }

    /// The settings that count, each with the account that sets it.
    ///
    /// An account that does not inherit starts empty, but a lock above it still binds: a locked
    /// setting always has the value that it has at the account that locked it.
    #[must_use]
    pub fn settings(&self) -> BTreeMap<String, Sourced<Document>> {
        let mut locked: BTreeMap<&str, ()> = BTreeMap::new();
        let mut values: BTreeMap<String, Sourced<Document>> = BTreeMap::new();
        for account in self.iter() {
            if !account.inherits.settings {
                values.retain(|name, _| locked.contains_key(name.as_str()));
            }
            for (name, value) in &account.settings {
                if !locked.contains_key(name.as_str()) {
                    values.insert(name.clone(), Sourced { value: value.clone(), source: account.id });
                }
            }
            locked.extend(account.locked_settings.iter().map(|name| (name.as_str(), ())));
        }
        values
    }

    /// Who gets the invoices: the nearest account with billing contacts of its own.
    #[must_use]
    pub fn billing_contacts(&self) -> Option<Sourced<&[String]>> {
        self.nearest(|account| account.inherits.billing_contacts, |account| account.billing_contacts.as_deref())
    }

    /// The audit policies that count: those of the nearest account that has its own.
    #[must_use]
    pub fn audit_policies(&self) -> Option<Sourced<&Document>> {
        self.nearest(|account| account.inherits.audit_policies, |account| account.audit_policies.as_ref())
    }

    fn nearest<'a, T>(
        &'a self,
        inherits: impl Fn(&Account) -> bool,
        own: impl Fn(&'a Account) -> Option<T>,
    ) -> Option<Sourced<T>> {
        for account in self.iter().rev() {
            if let Some(value) = own(account) {
                return Some(Sourced { value, source: account.id });
            }
            if !inherits(account) {
                return None;
            }
        }
        None
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::account::{Kind, Profile};
    use crate::id::Id;
    use crate::time::Timestamp;

    pub(crate) fn id(n: u8) -> AccountId {
        AccountId::from_bytes([n; 16])
    }

    /// A line of `n` accounts with the ids 1 to n.
    pub(crate) fn line(n: u8, change: impl Fn(u8, &mut Account)) -> Lineage {
        let mut made: Option<Lineage> = None;
        for i in 1..=n {
            let profile = Profile {
                kind: Kind::Organization,
                name: format!("a{i}"),
                email: "a@example.com".to_owned(),
                settings: BTreeMap::new(),
                metadata: Document::empty(),
            };
            let mut account = Account::new(id(i), made.as_ref().map(Lineage::account), profile, Timestamp(0));
            change(i, &mut account);
            made =
                Some(made.map_or_else(|| Lineage::of_root(account.clone()), |above| above.with_child(account.clone())));
        }
        made.unwrap_or_else(|| unreachable!("n > 0"))
    }

    fn json(text: &str) -> Document {
        Document::from_json(text.to_owned())
    }

    #[test]
    fn suspension_reaches_down_and_closing_does_not_come_back() {
        let suspended = line(3, |n, a| a.status = if n == 1 { Status::Suspended } else { Status::Active });
        assert_eq!(suspended.effective_status(), Status::Suspended);
        let closed = line(3, |n, a| {
            a.status = match n {
                1 => Status::Suspended,
                3 => Status::Closed,
                _ => Status::Active,
            };
        });
        assert_eq!(closed.effective_status(), Status::Closed);
    }

    #[test]
    fn settings_come_from_the_nearest_account_that_sets_them() {
        let line = line(3, |n, a| {
            if n == 1 {
                a.settings.insert("timezone".into(), json("\"UTC\""));
                a.settings.insert("language".into(), json("\"en\""));
            }
            if n == 3 {
                a.settings.insert("language".into(), json("\"de\""));
            }
        });
        let settings = line.settings();
        assert_eq!(settings.get("timezone"), Some(&Sourced { value: json("\"UTC\""), source: id(1) }));
        assert_eq!(settings.get("language"), Some(&Sourced { value: json("\"de\""), source: id(3) }));
    }

    #[test]
    fn a_lock_outlives_overrides_and_switches_below_it() {
        let line = line(3, |n, a| {
            if n == 1 {
                a.settings.insert("timezone".into(), json("\"UTC\""));
                a.settings.insert("language".into(), json("\"en\""));
                a.locked_settings.insert("timezone".into());
            }
            if n == 2 {
                a.inherits.settings = false;
                a.settings.insert("timezone".into(), json("\"Asia/Tokyo\""));
            }
        });
        assert_eq!(line.locks().get("timezone"), Some(&id(1)));
        let settings = line.settings();
        assert_eq!(settings.get("timezone").map(|s| s.source), Some(id(1)));
        assert_eq!(settings.get("language"), None, "account 2 does not inherit");
    }

    #[test]
    fn a_lock_without_a_value_keeps_the_setting_unset() {
        let line = line(2, |n, a| {
            if n == 1 {
                a.locked_settings.insert("recording".into());
            } else {
                a.settings.insert("recording".into(), json("true"));
            }
        });
        assert!(line.settings().is_empty());
    }

    #[test]
    fn contacts_and_policies_name_their_source_and_stop_at_a_switch() {
        let contacts = vec!["billing@example.com".to_owned()];
        let inherited = line(3, |n, a| a.billing_contacts = (n == 1).then(|| contacts.clone()));
        assert_eq!(inherited.billing_contacts(), Some(Sourced { value: contacts.as_slice(), source: id(1) }));
        let cut = line(3, |n, a| {
            a.billing_contacts = (n == 1).then(|| contacts.clone());
            a.audit_policies = (n == 1).then(Document::empty);
            a.inherits.billing_contacts = n != 2;
        });
        assert_eq!(cut.billing_contacts(), None);
        assert_eq!(cut.audit_policies().map(|s| s.source), Some(id(1)));
    }

    #[test]
    fn assembling_refuses_gaps_and_circles() {
        let whole = line(3, |_, _| ());
        let mut accounts: BTreeMap<_, _> = whole.iter().map(|a| (a.id, a.clone())).collect();
        assert_eq!(Lineage::assemble(id(3), &accounts), Some(whole));
        if let Some(root) = accounts.get_mut(&id(1)) {
            root.parent_id = Some(id(3));
        }
        assert_eq!(Lineage::assemble(id(3), &accounts), None);
        accounts.remove(&id(1));
        assert_eq!(Lineage::assemble(id(3), &accounts), None);
    }
}
