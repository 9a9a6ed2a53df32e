//! Everything that a decision needs to know, in memory: an immutable value that readers share.
//!
//! Accounts, keys and people have dense numbers inside; a line of ancestors is walked by following numbers. Rules and
//! features hang on the accounts that hold them. [`Snapshot::apply`] makes the next snapshot out of changes: pages that did not
//! change are shared between the two, so that a change costs what it changes and not what there is.
//!
//! | module | holds |
//! |---|---|
//! | `pages` | arrays and look-up tables that share what did not change |
//! | `apply` | how changes become the next snapshot |
//! | `line` | accounts with their ancestors, and what people and keys may do over them |
//! | `decide` | may this call happen? |
//! | `limited` | the limits that it has to keep to |
//! | `explain` | what would change the answer |
//! | `reach` | what a key can do, endpoint by endpoint |

mod apply;
mod decide;
mod explain;
mod limited;
mod line;
mod pages;
mod reach;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::access::Rules;
use crate::account::{Account, Kind, Status};
use crate::catalogue::Catalogue;
use crate::event::{BUCKETS, Revision};
use crate::feature::Feature;
use crate::id::{AccountId, KeyId, ResourceId, UserId};
use crate::key::Key;
use crate::limit::CallLimits;
use crate::network::Networks;
use crate::permission::PermissionSet;
use crate::restriction::{Endpoints, Mode, Restriction};
use crate::role::{Role, RoleRef};
use crate::time::Timestamp;
use crate::usage;

pub use decide::{Decision, Denial, Presented, Request, Rule};
pub use explain::Fix;
use pages::{Index, Pages};
pub use reach::{Reached, Verdict};

/// One thing that is different now. What is given is the whole present state of the thing.
#[derive(Debug, Clone)]
pub enum Change {
    /// An account is there, or has changed.
    Account(Place),
    /// An account is gone, with all that it held.
    AccountGone(AccountId),
    /// A key is there, or has changed; with the SHA-256 of its text.
    Key(Box<Key>, [u8; 32]),
    /// Somebody is a member, in this role.
    Member(AccountId, UserId, RoleRef),
    /// Somebody is no member.
    MemberGone(AccountId, UserId),
    /// A custom role is there, or has changed.
    Role(Role),
    /// The rules that an account holds, all of them.
    Rules(AccountId, Rules),
    /// A resource is there, or has changed: what it is, whose, and with whom it is shared.
    Resource(Resource),
    /// A resource is gone.
    ResourceGone(ResourceId),
    /// The catalogue, all of it.
    Catalogue(Arc<Catalogue>),
    /// Everything up to this revision is in.
    Revision(Revision),
}

/// An account, as far as decisions need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its id.
    pub id: AccountId,
    /// The account above it, if any.
    pub parent_id: Option<AccountId>,
    /// Its own status.
    pub status: Status,
    /// Whether those who administer an ancestor administer it.
    pub inherits_admins: bool,
    /// Whether it is a person's own.
    pub is_personal: bool,
    /// What it may use, as assigned from above.
    pub features: BTreeMap<String, Feature>,
    /// What the calls for it and for all below it are limited to.
    pub limits: CallLimits,
}

impl From<&Account> for Place {
    fn from(account: &Account) -> Self {
        Self {
            id: account.id,
            parent_id: account.parent_id,
            status: account.status,
            inherits_admins: account.inherits.admins,
            is_personal: account.kind == Kind::Personal,
            features: account.features.clone(),
            limits: account.call_limits,
        }
    }
}

/// A typed thing that calls can name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its id.
    pub id: ResourceId,
    /// Its owner.
    pub account: AccountId,
    /// What kind of thing.
    pub kind: String,
    /// Its id in the owner's own system: calls may name it so, too.
    pub external_id: Option<String>,
    /// With whom below the owner it is shared; the owner itself stands for all of them.
    pub shared_with: Vec<AccountId>,
}

/// Numbers of accounts, people, and so on. `NONE` is no one.
type Number = u32;
const NONE: Number = Number::MAX;

/// What there is to know about an account.
#[derive(Debug, Clone, Copy)]
struct Node {
    id: AccountId,
    parent: Number,
    status: Status,
    inherits_admins: bool,
    is_personal: bool,
    /// Numbers among `rules`, `features` and `limits`.
    rules: Number,
    features: Number,
    limits: Number,
}

/// What there is to know about a key.
#[derive(Debug, Clone, Copy)]
struct Credential {
    hash: [u8; 32],
    id: KeyId,
    account: Number,
    user: Number,
    maker: Number,
    networks: Number,
    limits: Number,
    scopes: PermissionSet,
    expires_at: Timestamp,
    revoked: bool,
}

/// Somebody, with what they are a member of.
#[derive(Debug, Clone)]
struct Human {
    id: UserId,
    held: Memberships,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    account: Number,
    role: Number,
}

/// Memberships in the order of the accounts' numbers. The few that most people have are where the person is: one place in
/// memory less to go to.
#[derive(Debug, Clone)]
enum Memberships {
    Few([Held; 4], u8),
    Many(Arc<[Held]>),
}

impl Memberships {
    fn new(held: &[Held]) -> Self {
        let mut few = [Held { account: NONE, role: NONE }; 4];
        match (few.get_mut(..held.len()), u8::try_from(held.len())) {
            (Some(places), Ok(count)) => {
                places.copy_from_slice(held);
                Self::Few(few, count)
            }
            _ => Self::Many(held.into()),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Few(_, count) => usize::from(*count),
            Self::Many(many) => many.len(),
        }
    }

    fn as_slice(&self) -> &[Held] {
        match self {
            Self::Few(few, count) => few.get(..usize::from(*count)).unwrap_or_default(),
            Self::Many(many) => many,
        }
    }
}

/// A role with what it is worth.
#[derive(Debug, Clone, Copy)]
struct Worth {
    which: RoleRef,
    /// The account that made it, if one did: it counts there and below.
    home: Number,
    own: PermissionSet,
    inherited: PermissionSet,
}

/// The rules of an account, with what tells at a glance that they have nothing to say: most do not, and are elsewhere in memory.
#[derive(Debug, Clone)]
struct Ruled {
    /// What its restrictions take away from those whom they bind.
    takes: PermissionSet,
    /// The first segments of paths that its restrictions may forbid: one bit for many texts.
    forbids: u64,
    /// Whether there are IP allow-lists.
    lists: bool,
    rules: Arc<Rules>,
}

impl Ruled {
    fn new(rules: Rules) -> Self {
        let none = (PermissionSet::NONE, 0);
        let (takes, forbids) = rules
            .restrictions
            .iter()
            .fold(none, |(takes, forbids), rule| (takes.or(rule.takes_away()), forbids | firsts(rule)));
        Self { takes, forbids, lists: !rules.allowlists.is_empty(), rules: Arc::new(rules) }
    }
}

/// The bits of the first segments that a restriction may forbid.
fn firsts(rule: &Restriction) -> u64 {
    let first = |endpoints: &Endpoints| match (endpoints.path.parts().next(), endpoints.path.has_rest()) {
        (Some(Some(literal)), _) => first_segment(literal),
        (None, false) => first_segment(""),
        (Some(None), _) | (None, true) => u64::MAX,
    };
    match rule.mode {
        Mode::Deny => rule.endpoints.iter().fold(0, |bits, endpoints| bits | first(endpoints)),
        // Whatever it does not name.
        Mode::Allow if rule.endpoints.is_empty() => 0,
        Mode::Allow => u64::MAX,
    }
}

/// The bit of a first segment: the same for all texts that a careless reader takes for one another, without regard to case
/// and to an extension.
fn first_segment(text: &str) -> u64 {
    let stem = text.bytes().take_while(|byte| *byte != b'.').map(|byte| byte.to_ascii_lowercase());
    // FNV-1a.
    let hash =
        stem.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    1 << (hash >> 58)
}

type Features = Arc<BTreeMap<String, Feature>>;

/// Everything that decisions need, as of some revisions. Cloning one costs a copy of the directory of its pages.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    accounts: Pages<Node>,
    account_numbers: Index,
    keys: Pages<Credential>,
    key_numbers: Index,
    /// Keys by their ids: for changes, not for decisions.
    key_ids: Index,
    people: Pages<Human>,
    people_numbers: Index,
    roles: Pages<Worth>,
    role_numbers: Index,
    networks: Pages<Arc<Networks>>,
    rules: Pages<Ruled>,
    features: Pages<Features>,
    /// Of the keys and accounts that have some.
    limits: Pages<CallLimits>,
    resources: Pages<Arc<Resource>>,
    resource_ids: Index,
    resource_names: Index,
    catalogue: Arc<Catalogue>,
    revisions: Revisions,
}

/// How far each sequence of the changelog is in.
#[derive(Debug, Clone)]
struct Revisions([i64; BUCKETS as usize]);

impl Default for Revisions {
    fn default() -> Self {
        Self([0; BUCKETS as usize])
    }
}

impl Snapshot {
    /// How far the sequence of this bucket is in.
    #[must_use]
    pub fn revision(&self, bucket: u8) -> i64 {
        self.revisions.0.get(usize::from(bucket)).copied().unwrap_or_default()
    }

    /// The account at the top of the tree that an account is in.
    #[must_use]
    pub fn root_of(&self, account: AccountId) -> Option<AccountId> {
        let line = self.line(self.account_number(account)?);
        line.nodes().last().map(|node| node.id)
    }

    /// An account with all above it, as usage names it.
    #[must_use]
    pub fn line_of(&self, account: AccountId) -> Option<usage::Line> {
        let line = self.line(self.account_number(account)?);
        usage::Line::new(line.nodes().map(|node| node.id))
    }

    /// The APIs and endpoints.
    #[must_use]
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }
}

#[cfg(test)]
mod tests;
