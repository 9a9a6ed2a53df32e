//! Forests of accounts, planted in bulk: every row that the product would have written, so that all invariants hold.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use tenantry_core::account::Limits;
use tenantry_core::event::bucket;
use tenantry_core::id::{AccountId, AuditId, Id};
use tenantry_store::{Location, Store};

use crate::options::Engine;
use crate::plain::Plain;
use crate::scratch::Scratch;
use crate::{Result, check};

/// Accounts in the order in which they are created: parents come before their children.
#[derive(Debug, Default)]
pub(crate) struct Forest {
    nodes: Vec<Node>,
}

/// A place in a [`Forest`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node {
    pub(crate) id: AccountId,
    number: usize,
    parent: Option<AccountId>,
    root: AccountId,
    depth: u32,
    children: u32,
}

/// How many children a parent has, and a root of such parents, in [`Forest::families`].
pub(crate) const FAMILY: usize = 100;

impl Forest {
    /// Trees of three levels with at least so many accounts, and their parents of 100, each with its root.
    ///
    /// The children of one parent are created far from each other, as they would be in the course of a year: they are
    /// not neighbours on the disk.
    pub(crate) fn families(accounts: usize) -> (Self, Vec<(Node, Node)>) {
        let mut forest = Self::default();
        let families = accounts.div_ceil(FAMILY + 1);
        let roots: Vec<Node> = (0..families.div_ceil(FAMILY)).map(|_| forest.root()).collect();
        let mut parents = Vec::new();
        for root in roots.iter().cycle().take(families) {
            parents.push((*root, forest.child(*root)));
        }
        for _ in 0..FAMILY {
            for (_, parent) in &parents {
                forest.child(*parent);
            }
        }
        (forest, parents)
    }

    /// Adds the root of a tree.
    pub(crate) fn root(&mut self) -> Node {
        self.root_as(AccountId::from_bytes(bytes(Record::Account, self.nodes.len())))
    }

    /// Adds the root of a tree, with an id that something else has, too.
    pub(crate) fn root_as(&mut self, id: AccountId) -> Node {
        self.add(Node { id, number: self.nodes.len(), parent: None, root: id, depth: 1, children: 0 })
    }

    /// Adds a child.
    pub(crate) fn child(&mut self, parent: Node) -> Node {
        if let Some(parent) = self.nodes.get_mut(parent.number) {
            parent.children += 1;
        }
        let number = self.nodes.len();
        let id = AccountId::from_bytes(bytes(Record::Account, number));
        self.add(Node { id, number, parent: Some(parent.id), root: parent.root, depth: parent.depth + 1, children: 0 })
    }

    fn add(&mut self, node: Node) -> Node {
        self.nodes.push(node);
        node
    }
}

/// How many accounts one transaction plants.
const BATCH: usize = 10_000;

/// What differs between the accounts; all else is made from it by the engine.
const STAGE: &str = "CREATE TABLE seed (n BIGINT NOT NULL, at BIGINT NOT NULL, id UUID NOT NULL, parent_id UUID, \
   root_id UUID NOT NULL, parent_depth BIGINT, child_count BIGINT NOT NULL, entity TEXT NOT NULL, \
   audit_id UUID NOT NULL, bucket BIGINT NOT NULL, rev BIGINT NOT NULL)";

const PLANT: &str = "\
INSERT INTO tree (root_id, max_depth, max_children, super_organization, writes)
  SELECT id, NULL, NULL, TRUE, 1 FROM seed WHERE parent_id IS NULL;
INSERT INTO account (id, parent_id, root_id, parent_depth, child_count, kind, name, email, status, settings,
    locked_settings, inherit_settings, inherit_admins, inherit_billing_contacts, inherit_audit_policies, billing_contacts,
    audit_policies, billing_mode, metadata, version, created_at, updated_at, closed_at)
  SELECT id, parent_id, root_id, parent_depth, child_count, 'organization', 'Account ' || n, n || '@bench.example',
    'active', '{}', '[]', TRUE, TRUE, TRUE, TRUE, NULL, NULL,
    CASE WHEN parent_id IS NULL THEN 'owned' ELSE 'delegated' END, '{}', 1, at, at, NULL FROM seed ORDER BY n;
INSERT INTO resource (id, account_id, kind, name, external_id, metadata, version, created_at, updated_at)
  SELECT audit_id, id, 'device', 'Phone ' || n, NULL, '{}', 1, at, at FROM seed WHERE n % 10 = 0;
INSERT INTO audit_log (id, at, action, account_id, entity, actor_kind, actor_account, actor_key, subject, request_id, ip,
    detail)
  SELECT audit_id, at, 'account.created', id, entity, 'operator', NULL, NULL, NULL, audit_id, NULL, '{}' FROM seed
    ORDER BY n;
INSERT INTO audit_log_scope (account_id, audit_id)
  SELECT id, audit_id FROM seed UNION ALL SELECT parent_id, audit_id FROM seed WHERE parent_id IS NOT NULL;
INSERT INTO changelog (bucket, rev, audit_id, kind, entity, version, body)
  SELECT bucket, rev, audit_id, 'account.created', entity, 1, '{}' FROM seed ORDER BY n;
DELETE FROM seed;
";

const FINISH: &str = "\
DROP TABLE seed;
UPDATE changelog_head
  SET rev = (SELECT COALESCE(MAX(c.rev), 0) FROM changelog c WHERE c.bucket = changelog_head.bucket)";

/// With up to so many accounts, it takes no time to check all that was planted.
pub(crate) const FEW: usize = 20_000;

/// Makes a database with a forest in it.
pub(crate) async fn planted(scratch: &mut Scratch, forest: &Forest) -> Result<Location> {
    let location = scratch.database().await?;
    let store = Store::migrate(&location, Limits::DEFAULT).await?;
    let plain = Plain::open(&location).await?;
    plant(scratch.engine(), &plain, forest).await?;
    if forest.nodes.len() <= FEW {
        check("the seeding", &store).await?;
    }
    plain.close().await;
    store.close().await;
    Ok(location)
}

/// Plants a forest in a database that has the schema and nothing else.
async fn plant(engine: Engine, plain: &Plain, forest: &Forest) -> Result<()> {
    plain.script(STAGE.to_owned()).await?;
    let mut revisions = BTreeMap::new();
    for batch in forest.nodes.chunks(BATCH) {
        let staged = staged(engine, batch, &mut revisions)?;
        plain.script(format!("BEGIN; {staged}; {PLANT}; COMMIT")).await?;
    }
    plain.script(FINISH.to_owned()).await?;
    settle(engine, plain).await
}

/// Does now what the engine would otherwise do while something is measured.
pub(crate) async fn settle(engine: Engine, plain: &Plain) -> Result<()> {
    match engine {
        Engine::Sqlite => plain.script("PRAGMA wal_checkpoint(TRUNCATE)".to_owned()).await,
        Engine::Postgres => {
            plain.script("VACUUM (ANALYZE)".to_owned()).await?;
            plain.script("CHECKPOINT".to_owned()).await
        }
    }
}

/// The statement that stages accounts.
fn staged(engine: Engine, batch: &[Node], revisions: &mut BTreeMap<u8, u64>) -> Result<String> {
    let mut sql = "INSERT INTO seed VALUES".to_owned();
    for (place, node) in batch.iter().enumerate() {
        let bucket = bucket(node.root);
        let rev = revisions.entry(bucket).and_modify(|rev| *rev += 1).or_insert(1);
        write!(
            sql,
            "{}({}, {}, {}, {}, {}, {}, {}, '{}', {}, {bucket}, {rev})",
            if place == 0 { " " } else { ", " },
            node.number,
            created_at(node.number) * 1_000,
            literal(engine, Some(node.id.bytes())),
            literal(engine, node.parent.map(Id::bytes)),
            literal(engine, Some(node.root.bytes())),
            node.parent.map_or_else(|| "NULL".to_owned(), |_| (node.depth - 1).to_string()),
            node.children,
            node.id,
            literal(engine, Some(AuditId::from_bytes(bytes(Record::Audit, node.number)).bytes())),
        )?;
    }
    Ok(sql)
}

/// Bytes of an id as they are written in SQL.
pub(crate) fn literal(engine: Engine, bytes: Option<[u8; 16]>) -> String {
    let Some(bytes) = bytes else { return "NULL".to_owned() };
    let number = u128::from_be_bytes(bytes);
    match engine {
        Engine::Sqlite => format!("x'{number:032x}'"),
        Engine::Postgres => format!("'{number:032x}'"),
    }
}

/// What an id is of.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub(crate) enum Record {
    Account,
    Audit,
    Person,
    Key,
    Allowlist,
    Restriction,
    Endpoint,
}

/// A version 7 UUID that sorts by `number`, and whose last bits are as spread as the random ones of a real one.
pub(crate) fn bytes(of: Record, number: usize) -> [u8; 16] {
    let spread = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) & (u64::MAX >> 2);
    let (time, kind) = (u128::from(created_at(number)), 0x7000 + u128::from(of as u8));
    (time << 80 | kind << 64 | 1 << 63 | u128::from(spread)).to_be_bytes()
}

/// Milliseconds since 1970: one account after the other, long ago.
fn created_at(number: usize) -> u64 {
    1_750_000_000_000 + u64::try_from(number).unwrap_or_default()
}
