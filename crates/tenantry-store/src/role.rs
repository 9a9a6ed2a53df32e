//! Custom roles: made by an account, assigned there and below.

use tenantry_core::Timestamp;
use tenantry_core::id::RoleId;
use tenantry_core::permission::PermissionSet;
use tenantry_core::role::{BuiltIn, Role, RoleRef};

use crate::Result;
use crate::account::with_up;
use crate::db::{Row, args};
use crate::membership::{permissions, permissions_json};
use crate::tenant::{TenantRead, TenantWrite};

/// A custom role as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomRole {
    /// Its id.
    pub id: RoleId,
    /// What it is worth.
    pub role: Role,
    /// Counts its changes.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// How many members hold it, wherever they are.
    pub members: i64,
}

macro_rules! role_columns {
    () => {
        "r.id, r.account_id, r.name, r.permissions, r.version, r.created_at, r.updated_at, \
         (SELECT COUNT(*) FROM membership m WHERE m.role_id = r.id) AS members"
    };
}

fn custom(row: &Row) -> Result<CustomRole> {
    let id: RoleId = row.id("id")?;
    Ok(CustomRole {
        id,
        role: Role {
            which: RoleRef::Custom(id),
            name: row.text("name")?,
            home: Some(row.id("account_id")?),
            permissions: permissions(&row.json::<Vec<String>>("permissions")?),
        },
        version: row.int("version")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        members: row.int("members")?,
    })
}

impl TenantRead {
    /// The custom roles that can be assigned on the account: its own and those of accounts above, the nearest first.
    pub async fn role_list(&mut self) -> Result<Vec<CustomRole>> {
        let account = self.account().id;
        let rows = self
            .conn
            .all(
                concat!(
                    with_up!(),
                    "SELECT ",
                    role_columns!(),
                    " FROM up JOIN account h ON h.id = up.id JOIN role r ON r.account_id = up.id ORDER BY h.depth DESC, r.id"
                ),
                args![account],
            )
            .await?;
        rows.iter().map(custom).collect()
    }

    /// A role that can be assigned on the account, by its id or its name. Of two custom roles with the same name, the nearest.
    pub async fn role_by_text(&mut self, text: &str) -> Result<Option<Role>> {
        if let Ok(which) = text.parse::<BuiltIn>() {
            return Ok(Some(Role::built_in(which)));
        }
        let (id, name) = (text.parse::<RoleId>().ok(), text.to_lowercase());
        let roles = self.role_list().await?;
        Ok(roles.into_iter().find(|role| Some(role.id) == id || role.role.name.to_lowercase() == name).map(|r| r.role))
    }

    /// The role that `which` names, if it can be assigned on the account now.
    pub async fn role_by_ref(&mut self, which: RoleRef) -> Result<Option<Role>> {
        match which {
            RoleRef::BuiltIn(which) => Ok(Some(Role::built_in(which))),
            RoleRef::Custom(_) => {
                Ok(self.role_list().await?.into_iter().map(|role| role.role).find(|role| role.which == which))
            }
        }
    }

    /// A custom role that the account made itself.
    pub async fn role_by_id(&mut self, id: RoleId) -> Result<Option<CustomRole>> {
        let account = self.account().id;
        let row = self
            .conn
            .optional(
                concat!("SELECT ", role_columns!(), " FROM role r WHERE r.account_id = $1 AND r.id = $2"),
                args![account, id],
            )
            .await?;
        row.as_ref().map(custom).transpose()
    }
}

impl TenantWrite {
    /// Stores a new custom role of the account.
    ///
    /// # Errors
    /// `role_name_taken`.
    pub async fn role_insert(
        &mut self,
        id: RoleId,
        name: &str,
        permissions: PermissionSet,
        now: Timestamp,
    ) -> Result<()> {
        let account = self.account().id;
        self.conn
            .execute(
                "INSERT INTO role (id, account_id, name, name_key, permissions, version, created_at, updated_at) \
                 VALUES ($1, $2, $3, $4, $5, 1, $6, $6)",
                args![id, account, name, name.to_lowercase(), permissions_json(permissions), now],
            )
            .await?;
        Ok(())
    }

    /// Writes a changed custom role of the account.
    ///
    /// # Errors
    /// `role_name_taken`.
    pub async fn role_update(&mut self, changed: &CustomRole) -> Result<()> {
        let account = self.account().id;
        self.conn
            .execute(
                "UPDATE role SET name = $3, name_key = $4, permissions = $5, version = $6, updated_at = $7 \
                 WHERE account_id = $1 AND id = $2",
                args![
                    account,
                    changed.id,
                    &changed.role.name,
                    changed.role.name.to_lowercase(),
                    permissions_json(changed.role.permissions),
                    changed.version,
                    changed.updated_at
                ],
            )
            .await?;
        Ok(())
    }

    /// Deletes a custom role of the account that nobody holds.
    ///
    /// # Errors
    /// `role_in_use`.
    pub async fn role_delete(&mut self, id: RoleId) -> Result<()> {
        let account = self.account().id;
        self.conn.execute("DELETE FROM role WHERE account_id = $1 AND id = $2", args![account, id]).await?;
        Ok(())
    }
}
