//! An account: a node of the tree, its status, and the limits of the tree it is in.

use std::collections::{BTreeMap, BTreeSet};

use crate::feature::Feature;
use crate::id::AccountId;
use crate::limit::CallLimits;
use crate::{Document, Timestamp};

/// Enums whose values are stored and sent as lower-case words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word that is stored and sent.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::account::UnknownWord;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text { $($word => Ok(Self::$variant),)* _ => Err($crate::account::UnknownWord) }
            }
        }
    };
}
pub(crate) use words;

/// A text that is not one of the words of its enum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownWord;

words! {
    /// What kind of node an account is.
    Kind {
        /// A person's own account: no parent, no children.
        Personal = "personal",
        /// Everything else.
        Organization = "organization",
    }
}

words! {
    /// The status of an account. `Closed` is terminal.
    #[must_use]
    Status {
        /// In use.
        Active = "active",
        /// Shut until it is activated again.
        Suspended = "suspended",
        /// Over; its data is purged after the retention period.
        Closed = "closed",
    }
}

words! {
    /// Who is invoiced for an account.
    BillingMode {
        /// The account itself.
        Owned = "owned",
        /// The nearest ancestor that owns its billing.
        Delegated = "delegated",
    }
}

impl Status {
    /// The status that counts below an ancestor whose effective status is `above`.
    pub const fn below(self, above: Self) -> Self {
        match (self, above) {
            (Self::Active, Self::Suspended | Self::Closed) => Self::Suspended,
            (own, _) => own,
        }
    }
}

/// What an account takes over from its parent. Switching one off and on again restores the
/// inherited value, since nothing is ever copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inherits {
    /// Settings of the ancestors are the defaults here.
    pub settings: bool,
    /// Those who administer an ancestor administer this account.
    pub admins: bool,
    /// Billing contacts of the ancestors are used where there are none of its own.
    pub billing_contacts: bool,
    /// Audit policies of the ancestors are used where there are none of its own.
    pub audit_policies: bool,
}

impl Inherits {
    /// Everything is inherited: the state of a new account.
    pub const ALL: Self = Self { settings: true, admins: true, billing_contacts: true, audit_policies: true };
}

/// A node of the tree, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// The account above it, if any.
    pub parent_id: Option<AccountId>,
    /// The account without a parent above it (itself, if it has no parent).
    pub root_id: AccountId,
    /// Its level: 1 for a root.
    pub depth: u32,
    /// How many children are not closed.
    pub child_count: u32,
    /// Personal or organization.
    pub kind: Kind,
    /// What people call it.
    pub name: String,
    /// Its primary contact.
    pub email: String,
    /// Its own status; see [`crate::lineage::Lineage::effective_status`].
    pub status: Status,
    /// Values it sets itself, by the name of the setting.
    pub settings: BTreeMap<String, Document>,
    /// Settings that accounts below it cannot override.
    pub locked_settings: BTreeSet<String>,
    /// What it takes over from its parent.
    pub inherits: Inherits,
    /// E-mail addresses that get its invoices, if it names any itself.
    pub billing_contacts: Option<Vec<String>>,
    /// Its own audit policies, if any.
    pub audit_policies: Option<Document>,
    /// How many rules it holds: restrictions and IP allow-lists.
    pub rule_count: u32,
    /// Who is invoiced.
    pub billing_mode: BillingMode,
    /// Whatever its owner keeps with it.
    pub metadata: Document,
    /// Counts the changes of the account's own fields.
    pub version: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When one of its own fields last changed.
    pub updated_at: Timestamp,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
    /// When its admin canceled the organization; it takes no new members and keys since.
    pub canceled_at: Option<Timestamp>,
    /// What it may use, and how much, as assigned from above.
    pub features: BTreeMap<String, Feature>,
    /// What the calls for it, and for all accounts below it, are limited to together; set from above.
    pub call_limits: CallLimits,
}

impl Account {
    /// A new account below `parent`, or a new root.
    #[must_use]
    pub fn new(id: AccountId, parent: Option<&Self>, profile: Profile, now: Timestamp) -> Self {
        Self {
            id,
            parent_id: parent.map(|p| p.id),
            root_id: parent.map_or(id, |p| p.root_id),
            depth: parent.map_or(1, |p| p.depth + 1),
            child_count: 0,
            kind: profile.kind,
            name: profile.name,
            email: profile.email,
            status: Status::Active,
            settings: profile.settings,
            locked_settings: BTreeSet::new(),
            inherits: Inherits::ALL,
            billing_contacts: None,
            audit_policies: None,
            rule_count: 0,
            billing_mode: if parent.is_some() { BillingMode::Delegated } else { BillingMode::Owned },
            metadata: profile.metadata,
            version: 1,
            created_at: now,
            updated_at: now,
            closed_at: None,
            canceled_at: None,
            features: BTreeMap::new(),
            call_limits: CallLimits::NONE,
        }
    }

    /// Marks a change of the account's own fields.
    pub fn touch(&mut self, now: Timestamp) {
        self.version += 1;
        self.updated_at = now;
    }
}

/// What the creator of an account says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Personal or organization.
    pub kind: Kind,
    /// What people call it.
    pub name: String,
    /// Its primary contact.
    pub email: String,
    /// Values it sets itself.
    pub settings: BTreeMap<String, Document>,
    /// Whatever its owner keeps with it.
    pub metadata: Document,
}

/// The deepest level that can be stored, whatever the limits say.
pub const MAX_DEPTH: u32 = 16;

/// How far one tree may grow. They belong to its root; only the operator sets them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The deepest level; `None` leaves only [`MAX_DEPTH`].
    pub max_depth: Option<u32>,
    /// The most open children of one parent; `None` is no cap.
    pub max_children: Option<u32>,
    /// Whether the root is a super organization, which has no cap on children.
    pub super_organization: bool,
}

impl Limits {
    /// What a new tree starts with, unless the deployment is configured otherwise.
    pub const DEFAULT: Self = Self { max_depth: Some(5), max_children: Some(100), super_organization: false };

    /// The deepest level that counts.
    #[must_use]
    pub fn depth(self) -> u32 {
        self.max_depth.map_or(MAX_DEPTH, |depth| depth.min(MAX_DEPTH))
    }

    /// Whether a parent that has `children` open children may have one more.
    #[must_use]
    pub fn admits_child(self, children: u32) -> bool {
        self.max_children.is_none_or(|most| children < most)
    }
}
