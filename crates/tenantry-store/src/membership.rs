//! Memberships: who holds which role where.

use std::collections::BTreeMap;

use tenantry_core::Timestamp;
use tenantry_core::id::{AccountId, RoleId, UserId};
use tenantry_core::member::Headcount;
use tenantry_core::permission::{Permission, PermissionSet};
use tenantry_core::rights::{Membership, Person};
use tenantry_core::role::{BuiltIn, Role, RoleRef};

use crate::account::{json, with_up};
use crate::db::{Conn, Row, args};
use crate::tenant::{TenantRead, TenantWrite};
use crate::{Error, Page, Paged, Result};

/// The word that is stored for roles that an account made.
const CUSTOM: &str = "custom";

/// The columns of a role that is held: `m` has it, `r` is it if it is custom.
macro_rules! held_role {
    () => {
        "m.role, m.role_id, r.name AS role_name, r.account_id AS role_home, r.permissions AS role_permissions"
    };
}

/// A member as people see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Where and as what.
    pub membership: Membership,
    /// Their address.
    pub email: String,
    /// Their name.
    pub name: String,
    /// Whether codes of an authenticator are asked for when they sign in, or they have a passkey.
    pub second_factor: bool,
    /// Since when they hold the role there.
    pub since: Timestamp,
    /// When they last used a session.
    pub last_seen_at: Option<Timestamp>,
}

/// What is stored of a role: a word, and an id if the word is `custom`.
pub(crate) fn role_args(role: RoleRef) -> (&'static str, Option<RoleId>) {
    match role {
        RoleRef::BuiltIn(which) => (which.as_str(), None),
        RoleRef::Custom(id) => (CUSTOM, Some(id)),
    }
}

/// Which role a row with `role` and `role_id` names.
pub(crate) fn role_ref(row: &Row) -> Result<RoleRef> {
    match row.optional_id("role_id")? {
        Some(id) => Ok(RoleRef::Custom(id)),
        None => row.word::<BuiltIn>("role").map(RoleRef::BuiltIn),
    }
}

/// Names of permissions as a set. One that this binary does not know counts for nothing.
pub(crate) fn permissions(names: &[String]) -> PermissionSet {
    names.iter().filter_map(|name| name.parse::<Permission>().ok()).collect()
}

pub(crate) fn permissions_json(set: PermissionSet) -> String {
    json(&set.iter().map(Permission::as_str).collect::<Vec<_>>())
}

fn membership(row: &Row) -> Result<Membership> {
    let role = match role_ref(row)? {
        RoleRef::BuiltIn(which) => Role::built_in(which),
        which @ RoleRef::Custom(_) => Role {
            which,
            name: row.text("role_name")?,
            home: Some(row.id("role_home")?),
            permissions: permissions(&row.json::<Vec<String>>("role_permissions")?),
        },
    };
    Ok(Membership { account: row.id("account_id")?, user: row.id("user_id")?, role })
}

/// People, each with their memberships on the accounts named and above them, in one query.
pub(crate) async fn people(
    conn: &mut Conn,
    users: [Option<UserId>; 2],
    accounts: [Option<AccountId>; 4],
) -> Result<Vec<Person>> {
    let ([first, second], [a, b, c, d]) = (users, accounts);
    let mut people: BTreeMap<UserId, Vec<Membership>> = BTreeMap::new();
    if first.is_some() || second.is_some() {
        let rows = conn
            .all(
                concat!(
                    "WITH RECURSIVE line (id, parent_id) AS (\
                       SELECT id, parent_id FROM account WHERE id IN ($1, $2, $3, $4) \
                       UNION SELECT p.id, p.parent_id FROM account p JOIN line ON p.id = line.parent_id) \
                     SELECT m.account_id, m.user_id, ",
                    held_role!(),
                    " FROM line JOIN membership m ON m.account_id = line.id LEFT JOIN role r ON r.id = m.role_id \
                     WHERE m.user_id IN ($5, $6)"
                ),
                args![a, b, c, d, first, second],
            )
            .await?;
        for row in &rows {
            let membership = membership(row)?;
            people.entry(membership.user).or_default().push(membership);
        }
    }
    let person = |user| Person { user, memberships: people.remove(&user).unwrap_or_default() };
    Ok(users.into_iter().flatten().map(person).collect())
}

/// Makes `user` a member.
pub(crate) async fn insert(
    conn: &mut Conn,
    account: AccountId,
    user: UserId,
    role: RoleRef,
    now: Timestamp,
) -> Result<()> {
    let (word, id) = role_args(role);
    conn.execute(
        "INSERT INTO membership (account_id, user_id, role, role_id, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5)",
        args![account, user, word, id, now],
    )
    .await?;
    Ok(())
}

/// Everything that is listed of a member: `m` is the membership, `r` its role, `p` the person.
macro_rules! member_columns {
    () => {
        concat!(
            "m.account_id, m.user_id, ",
            held_role!(),
            ", m.updated_at AS since, p.email, p.name, \
             (p.totp_on OR EXISTS (SELECT 1 FROM passkey k WHERE k.user_id = p.id)) AS second_factor, \
             (SELECT MAX(s.last_seen_at) FROM session s WHERE s.user_id = p.id) AS last_seen_at"
        )
    };
}

/// Whose membership it is, and what the role is.
macro_rules! member_tables {
    () => {
        " FROM membership m JOIN person p ON p.id = m.user_id LEFT JOIN role r ON r.id = m.role_id "
    };
}

fn member(row: &Row) -> Result<Member> {
    Ok(Member {
        membership: membership(row)?,
        email: row.text("email")?,
        name: row.text("name")?,
        second_factor: row.bool("second_factor")?,
        since: row.time("since")?,
        last_seen_at: row.optional_time("last_seen_at")?,
    })
}

impl TenantRead {
    /// The members of the account itself, oldest user first.
    pub async fn member_list(&mut self, page: Page) -> Result<Paged<Member>> {
        let account = self.account().id;
        self.conn
            .page(
                "SELECT COUNT(*) AS n FROM membership WHERE account_id = $1",
                concat!(
                    "SELECT ",
                    member_columns!(),
                    member_tables!(),
                    "WHERE m.account_id = $1 ORDER BY m.user_id LIMIT $2 OFFSET $3"
                ),
                args![account],
                page,
                member,
            )
            .await
    }

    /// All members of the accounts above, whether or not their roles reach down here.
    pub async fn members_above(&mut self) -> Result<Vec<Member>> {
        let account = self.account().id;
        let rows = self
            .conn
            .all(
                concat!(
                    with_up!(),
                    "SELECT ",
                    member_columns!(),
                    member_tables!(),
                    "WHERE m.account_id IN (SELECT id FROM up WHERE id <> $1) ORDER BY m.user_id, m.account_id"
                ),
                args![account],
            )
            .await?;
        rows.iter().map(member).collect()
    }

    /// A member of the account itself.
    pub async fn member_by_user(&mut self, user: UserId) -> Result<Option<Member>> {
        let account = self.account().id;
        let row = self
            .conn
            .optional(
                concat!("SELECT ", member_columns!(), member_tables!(), "WHERE m.account_id = $1 AND m.user_id = $2"),
                args![account, user],
            )
            .await?;
        row.as_ref().map(member).transpose()
    }

    /// Whether somebody with this address is a member.
    pub async fn is_member(&mut self, email_key: &str) -> Result<bool> {
        let account = self.account().id;
        let row = self
            .conn
            .optional(
                "SELECT m.user_id FROM person p JOIN membership m ON m.user_id = p.id \
                 WHERE p.email_key = $1 AND m.account_id = $2",
                args![email_key, account],
            )
            .await?;
        Ok(row.is_some())
    }

    /// How many members, admins and pending invitations there are.
    pub async fn headcount(&mut self, now: Timestamp) -> Result<Headcount> {
        let account = self.account().id;
        let row = self
            .conn
            .one(
                "SELECT COUNT(*) AS members, COUNT(CASE WHEN role = 'admin' THEN 1 END) AS admins, \
                   (SELECT COUNT(*) FROM invitation WHERE account_id = $1 AND status = 'pending' AND expires_at > $2) AS pending \
                 FROM membership WHERE account_id = $1",
                args![account, now],
            )
            .await?;
        Ok(Headcount { members: row.int("members")?, admins: row.int("admins")?, pending: row.int("pending")? })
    }

    /// A user as the person that counts here: with their memberships on the account and above.
    pub async fn person(&mut self, user: UserId) -> Result<Person> {
        let account = self.account().id;
        let mut found = people(&mut self.conn, [Some(user), None], [Some(account), None, None, None]).await?;
        Ok(found.pop().unwrap_or(Person { user, memberships: Vec::new() }))
    }
}

impl TenantWrite {
    /// Makes `user` a member of the account.
    pub async fn membership_insert(&mut self, user: UserId, role: RoleRef, now: Timestamp) -> Result<()> {
        let account = self.account().id;
        insert(&mut self.conn, account, user, role, now).await
    }

    /// Gives a member another role.
    pub async fn membership_update(&mut self, user: UserId, role: RoleRef, now: Timestamp) -> Result<()> {
        let account = self.account().id;
        let (word, id) = role_args(role);
        self.conn
            .execute(
                "UPDATE membership SET role = $3, role_id = $4, updated_at = $5 WHERE account_id = $1 AND user_id = $2",
                args![account, user, word, id, now],
            )
            .await?;
        Ok(())
    }

    /// Ends a membership, and with it the keys that act for it. Answers how many keys that were.
    pub async fn membership_delete(&mut self, user: UserId, now: Timestamp) -> Result<u64> {
        let account = self.account().id;
        let revoked = self
            .conn
            .execute(
                "UPDATE api_key SET revoked_at = $3 WHERE account_id = $1 AND user_id = $2 AND revoked_at IS NULL",
                args![account, user, now],
            )
            .await?;
        self.conn
            .execute("DELETE FROM membership WHERE account_id = $1 AND user_id = $2", args![account, user])
            .await?;
        Ok(revoked)
    }
}

/// A membership of a user, with what the account is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Belonging {
    /// Where and as what.
    pub membership: Membership,
    /// What the account is called.
    pub account_name: String,
    /// `personal` or `organization`.
    pub kind: tenantry_core::account::Kind,
    /// The account's own status.
    pub status: tenantry_core::account::Status,
}

/// Everything that a user is a member of: their personal account first, then the oldest.
pub(crate) async fn belongings(conn: &mut Conn, user: UserId) -> Result<Vec<Belonging>> {
    let rows = conn
        .all(
            concat!(
                "SELECT m.account_id, m.user_id, ",
                held_role!(),
                ", a.name AS account_name, a.kind, a.status FROM membership m JOIN account a ON a.id = m.account_id \
                 LEFT JOIN role r ON r.id = m.role_id WHERE m.user_id = $1 ORDER BY a.kind DESC, a.id"
            ),
            args![user],
        )
        .await?;
    let belonging = |row: &Row| {
        Ok::<_, Error>(Belonging {
            membership: membership(row)?,
            account_name: row.text("account_name")?,
            kind: row.word("kind")?,
            status: row.word("status")?,
        })
    };
    rows.iter().map(belonging).collect()
}
