//! The invariants that hold after every commit, checked in one snapshot while the deployment runs.
//!
//! Each check recounts in memory, or asks the database for rows that must not exist.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use tenantry_core::account::{MAX_DEPTH, Status};
use tenantry_core::id::AccountId;

use crate::account::limits;
use crate::db::Conn;
use crate::{Result, Store};

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The invariant.
    pub invariant: &'static str,
    /// Where and how it does not hold.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}

/// The result of all checks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Violations: there must be none.
    pub findings: Vec<Finding>,
    /// Places beyond the limits of their tree. Legal after a detach or a lowered limit, which keep what is there.
    pub over_limits: Vec<Finding>,
    /// How many accounts were checked.
    pub accounts: usize,
    /// How many changes were checked.
    pub changes: i64,
}

/// The tree, as far as the checks need it.
struct Node {
    parent: Option<AccountId>,
    root: AccountId,
    depth: u32,
    child_count: u32,
    status: Status,
}

type Nodes = BTreeMap<AccountId, Node>;

impl Store {
    /// Checks all invariants.
    ///
    /// # Errors
    /// If the database fails; what does not hold is in the report.
    pub async fn fsck(&self) -> Result<Report> {
        let mut conn = self.db.begin_scan().await?;
        let mut report = Report::default();
        let nodes = nodes(&mut conn).await?;
        report.accounts = nodes.len();
        check_places(&nodes, &mut report);
        check_counts(&nodes, &mut report);
        check_trees(&mut conn, &nodes, &mut report).await?;
        check_changelog(&mut conn, &mut report).await?;
        check_rows(&mut conn, &mut report).await?;
        conn.commit().await?;
        Ok(report)
    }

    /// A text that is the same for two databases exactly if they hold the same trees: place, depth, count and
    /// status of every account, by name. For comparing engines in tests.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn tree_digest(&self) -> Result<String> {
        let mut conn = self.db.begin_scan().await?;
        let rows = conn
            .all(
                "SELECT a.name, p.name AS parent, r.name AS root, a.depth, a.child_count, a.status FROM account a \
                 JOIN account r ON r.id = a.root_id LEFT JOIN account p ON p.id = a.parent_id ORDER BY a.name",
                vec![],
            )
            .await?;
        conn.commit().await?;
        let mut digest = String::new();
        for row in rows {
            let parent = row.optional_text("parent")?.unwrap_or_default();
            let (name, root, depth) = (row.text("name")?, row.text("root")?, row.int("depth")?);
            digest.push_str(&format!(
                "{name}<{parent}^{root}@{depth}#{}{}\n",
                row.int("child_count")?,
                row.text("status")?
            ));
        }
        Ok(digest)
    }
}

async fn nodes(conn: &mut Conn) -> Result<Nodes> {
    let rows = conn.all("SELECT id, parent_id, root_id, depth, child_count, status FROM account", vec![]).await?;
    rows.iter()
        .map(|row| {
            let node = Node {
                parent: row.optional_id("parent_id")?,
                root: row.id("root_id")?,
                depth: row.count("depth")?,
                child_count: row.count("child_count")?,
                status: row.word("status")?,
            };
            Ok((row.id("id")?, node))
        })
        .collect()
}

impl Report {
    fn find(&mut self, invariant: &'static str, what: impl Into<String>) {
        self.findings.push(Finding { invariant, what: what.into() });
    }
}

/// Every account reaches its root, and its depth and root are those of the way there.
fn check_places(nodes: &Nodes, report: &mut Report) {
    for (id, node) in nodes {
        let (mut top, mut steps, mut at) = (*id, 1, node.parent);
        while let Some(parent) = at {
            let Some(above) = nodes.get(&parent) else {
                report.find("I5 tree", format!("{id} has a parent {parent} that does not exist"));
                break;
            };
            (top, steps, at) = (parent, steps + 1, above.parent);
            if steps > MAX_DEPTH {
                report.find("I5 tree", format!("{id} is in a cycle or below level {MAX_DEPTH}"));
                break;
            }
        }
        if (top, steps) != (node.root, node.depth) {
            report.find(
                "I5 tree",
                format!("{id} says root {} at depth {}, but is at {steps} below {top}", node.root, node.depth),
            );
        }
    }
}

/// `child_count` is the number of open children, and nothing open is below a closed account.
fn check_counts(nodes: &Nodes, report: &mut Report) {
    let mut open: BTreeMap<AccountId, u32> = BTreeMap::new();
    for (id, node) in nodes {
        let Some(parent) = node.parent.filter(|_| node.status != Status::Closed) else { continue };
        *open.entry(parent).or_default() += 1;
        if nodes.get(&parent).is_some_and(|above| above.status == Status::Closed) {
            report.find("I5 tree", format!("{id} is open below the closed account {parent}"));
        }
    }
    for (id, node) in nodes {
        let counted = open.get(id).copied().unwrap_or_default();
        if counted != node.child_count {
            report.find("I5 tree", format!("{id} says {} open children, but has {counted}", node.child_count));
        }
    }
}

/// Every root has a tree and every tree a root; what is beyond the limits is told apart.
async fn check_trees(conn: &mut Conn, nodes: &Nodes, report: &mut Report) -> Result<()> {
    let rows = conn.all("SELECT root_id, max_depth, max_children, super_organization FROM tree", vec![]).await?;
    let mut trees = BTreeMap::new();
    for row in &rows {
        trees.insert(row.id::<AccountId>("root_id")?, limits(row)?);
    }
    let roots: BTreeSet<_> = nodes.iter().filter(|(_, node)| node.parent.is_none()).map(|(id, _)| *id).collect();
    for id in roots.iter().filter(|id| !trees.contains_key(id)) {
        report.find("I5 tree", format!("the root {id} has no tree to lock"));
    }
    for id in trees.keys().filter(|id| !roots.contains(id)) {
        report.find("I5 tree", format!("there is a tree of {id}, which is no root"));
    }
    for (id, node) in nodes {
        let Some(limits) = trees.get(&node.root) else { continue };
        let over = node.depth > limits.depth() || limits.max_children.is_some_and(|most| node.child_count > most);
        if over {
            let what = format!("{id} at depth {} with {} children", node.depth, node.child_count);
            report.over_limits.push(Finding { invariant: "limits", what });
        }
    }
    Ok(())
}

/// The revisions of every bucket are 1 to its head, without a gap.
async fn check_changelog(conn: &mut Conn, report: &mut Report) -> Result<()> {
    let rows = conn
        .all(
            "SELECT h.bucket, h.rev, COUNT(c.rev) AS n, COALESCE(MAX(c.rev), 0) AS last FROM changelog_head h \
             LEFT JOIN changelog c ON c.bucket = h.bucket GROUP BY h.bucket, h.rev ORDER BY h.bucket",
            vec![],
        )
        .await?;
    for row in rows {
        let (bucket, head, entries, last) = (row.int("bucket")?, row.int("rev")?, row.int("n")?, row.int("last")?);
        report.changes += entries;
        if (entries, last) != (head, head) {
            report.find("changelog", format!("bucket {bucket}: head {head}, {entries} entries, the last is {last}"));
        }
    }
    Ok(())
}

/// Rows that must not exist, by the query that would find them.
const IMPOSSIBLE: &[(&str, &str)] = &[
    (
        "I10 a change without its audit row",
        "SELECT COUNT(*) AS n FROM changelog c WHERE NOT EXISTS (SELECT 1 FROM audit_log a WHERE a.id = c.audit_id AND a.action = c.kind)",
    ),
    (
        "I10 an audit row without its change",
        "SELECT COUNT(*) AS n FROM audit_log a WHERE NOT EXISTS (SELECT 1 FROM changelog c WHERE c.audit_id = a.id)",
    ),
    (
        "I10 an audit row in nobody's log",
        "SELECT COUNT(*) AS n FROM audit_log a WHERE a.action NOT LIKE 'api.%' AND a.action NOT LIKE 'endpoint.%' \
           AND NOT EXISTS (SELECT 1 FROM audit_log_scope s WHERE s.audit_id = a.id)",
    ),
    (
        "I10 an account that nobody is recorded to have created",
        "SELECT COUNT(*) AS n FROM account a WHERE NOT EXISTS (\
           SELECT 1 FROM audit_log_scope s JOIN audit_log u ON u.id = s.audit_id \
           WHERE s.account_id = a.id AND u.account_id = a.id AND u.action = 'account.created')",
    ),
    (
        "I7 an account that began with its maker as admin, and has none",
        "SELECT COUNT(*) AS n FROM audit_log u JOIN account a ON a.id = u.account_id \
         WHERE u.action = 'account.created' AND u.actor_kind = 'user' AND u.actor_account = u.account_id \
           AND NOT EXISTS (SELECT 1 FROM membership m WHERE m.account_id = a.id AND m.role = 'admin')",
    ),
    (
        "a user who is not the one member of their personal account",
        "SELECT COUNT(*) AS n FROM person p WHERE (SELECT COUNT(*) FROM membership m WHERE m.account_id = p.account_id) <> 1 \
           OR NOT EXISTS (SELECT 1 FROM membership m WHERE m.account_id = p.account_id AND m.user_id = p.id)",
    ),
    (
        "I12 a key that acts for somebody who is no member",
        "SELECT COUNT(*) AS n FROM api_key k WHERE k.user_id IS NOT NULL AND k.revoked_at IS NULL AND NOT EXISTS (\
           SELECT 1 FROM membership m WHERE m.account_id = k.account_id AND m.user_id = k.user_id)",
    ),
    (
        "I13 a mail whose link is for a ticket that is gone",
        "SELECT COUNT(*) AS n FROM outbox o WHERE o.ticket_id IS NOT NULL AND o.attempts = 0 \
           AND NOT EXISTS (SELECT 1 FROM ticket t WHERE t.id = o.ticket_id)",
    ),
    ("I12 a key that ends before it was made", "SELECT COUNT(*) AS n FROM api_key WHERE revoked_at < created_at"),
    (
        "an account that holds more or fewer rules than it says",
        "SELECT COUNT(*) AS n FROM account a WHERE a.rule_count <> \
           (SELECT COUNT(*) FROM restriction r WHERE r.account_id = a.id) + \
           (SELECT COUNT(*) FROM ip_allowlist l WHERE l.account_id = a.id)",
    ),
    (
        "usage by endpoint and by user that differ",
        "SELECT COUNT(*) AS n FROM (SELECT line_id, day FROM (\
           SELECT line_id, hour - hour % 86400000000 AS day, calls, failures, credits FROM usage_by_endpoint \
           UNION ALL SELECT line_id, day, -calls, -failures, -credits FROM usage_by_user) a \
         GROUP BY line_id, day HAVING SUM(calls) <> 0 OR SUM(failures) <> 0 OR SUM(credits) <> 0) b",
    ),
    (
        "usage by key and by user that differ",
        "SELECT COUNT(*) AS n FROM (SELECT line_id, day, user_id FROM (\
           SELECT line_id, day, user_id, calls, failures, credits FROM usage_by_key \
           UNION ALL SELECT line_id, day, user_id, -calls, -failures, -credits FROM usage_by_user) a \
         GROUP BY line_id, day, user_id HAVING SUM(calls) <> 0 OR SUM(failures) <> 0 OR SUM(credits) <> 0) b",
    ),
    (
        "usage on a line that is not known, or without the account that was called for",
        "SELECT COUNT(*) AS n FROM usage_by_user u WHERE NOT EXISTS (\
           SELECT 1 FROM usage_line l WHERE l.line_id = u.line_id AND l.ancestor_id = l.account_id)",
    ),
    (
        "a share with an account that is gone",
        "SELECT COUNT(*) AS n FROM share s WHERE NOT EXISTS (SELECT 1 FROM account a WHERE a.id = s.to_account)",
    ),
];

async fn check_rows(conn: &mut Conn, report: &mut Report) -> Result<()> {
    for (invariant, sql) in IMPOSSIBLE {
        let rows = conn.one(sql, vec![]).await?.int("n")?;
        if rows > 0 {
            report.find(invariant, format!("{rows} rows"));
        }
    }
    Ok(())
}
