//! Users: what is stored of a person, and what they prove themselves with.

use tenantry_core::id::{AccountId, PasskeyId, UserId};
use tenantry_core::invitation::email_key;
use tenantry_core::{Document, Timestamp};

use crate::db::{Conn, Row, args};
use crate::tenant::{TenantRead, TenantWrite};
use crate::{Belonging, Result, Store, membership};

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// Their personal account.
    pub account_id: AccountId,
    /// Their verified address.
    pub email: String,
    /// What people call them.
    pub name: String,
    /// The PHC string of their password, if they have one.
    pub password: Option<String>,
    /// The secret of their authenticator, sealed.
    pub totp: Option<Vec<u8>>,
    /// Whether codes of it are asked for.
    pub totp_on: bool,
    /// The time step of the last code that was taken: each is good once.
    pub totp_step: i64,
    /// Counts the changes of what they prove themselves with, and of their own data.
    pub version: i64,
    /// When they became a user.
    pub created_at: Timestamp,
    /// When something of theirs last changed.
    pub updated_at: Timestamp,
}

macro_rules! person_columns {
    () => {
        "id, account_id, email, name, password, totp, totp_on, totp_step, version, created_at, updated_at"
    };
}

fn user(row: &Row) -> Result<User> {
    Ok(User {
        id: row.id("id")?,
        account_id: row.id("account_id")?,
        email: row.text("email")?,
        name: row.text("name")?,
        password: row.optional_text("password")?,
        totp: row.optional_bytes("totp")?,
        totp_on: row.bool("totp_on")?,
        totp_step: row.int("totp_step")?,
        version: row.int("version")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

pub(crate) async fn by_id(conn: &mut Conn, id: UserId) -> Result<Option<User>> {
    let row = conn.optional(concat!("SELECT ", person_columns!(), " FROM person WHERE id = $1"), args![id]).await?;
    row.as_ref().map(user).transpose()
}

pub(crate) async fn by_email(conn: &mut Conn, email: &str) -> Result<Option<User>> {
    let row = conn
        .optional(concat!("SELECT ", person_columns!(), " FROM person WHERE email_key = $1"), args![email_key(email)])
        .await?;
    row.as_ref().map(user).transpose()
}

/// Stores a user whose personal account is there already.
///
/// # Errors
/// `email_taken`.
pub(crate) async fn insert(conn: &mut Conn, new: &User) -> Result<()> {
    conn.execute(
        "INSERT INTO person (id, account_id, email, email_key, name, password, totp, totp_on, totp_step, version, created_at, \
           updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)",
        args![
            new.id,
            new.account_id,
            &new.email,
            email_key(&new.email),
            &new.name,
            new.password.as_deref(),
            new.totp.as_deref(),
            new.totp_on,
            new.totp_step,
            new.version,
            new.created_at
        ],
    )
    .await?;
    Ok(())
}

/// A passkey of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passkey {
    /// Its id.
    pub id: PasskeyId,
    /// Whose it is.
    pub user_id: UserId,
    /// The id that the authenticator gave it.
    pub credential: Vec<u8>,
    /// What the user calls it.
    pub name: String,
    /// Its public half, with what is needed to check an answer.
    pub public: Document,
    /// When it was added.
    pub created_at: Timestamp,
    /// When somebody last signed in with it.
    pub last_used_at: Option<Timestamp>,
}

macro_rules! passkey_columns {
    () => {
        "id, user_id, credential, name, public, created_at, last_used_at"
    };
}

fn passkey(row: &Row) -> Result<Passkey> {
    Ok(Passkey {
        id: row.id("id")?,
        user_id: row.id("user_id")?,
        credential: row.bytes("credential")?,
        name: row.text("name")?,
        public: row.document("public")?,
        created_at: row.time("created_at")?,
        last_used_at: row.optional_time("last_used_at")?,
    })
}

async fn passkeys(conn: &mut Conn, user: UserId) -> Result<Vec<Passkey>> {
    let rows = conn
        .all(concat!("SELECT ", passkey_columns!(), " FROM passkey WHERE user_id = $1 ORDER BY id"), args![user])
        .await?;
    rows.iter().map(passkey).collect()
}

/// Who a user is at an identity provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedIdentity {
    /// The name of the provider in the configuration.
    pub provider: String,
    /// The provider's name for the user.
    pub subject: String,
    /// The address that the provider told.
    pub email: Option<String>,
    /// Since when.
    pub created_at: Timestamp,
}

/// Looking up who somebody claims to be. Nothing is told to callers before they prove it.
impl Store {
    /// The user with this address.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn user_by_email(&self, email: &str) -> Result<Option<User>> {
        let mut conn = self.db.begin_read().await?;
        let user = by_email(&mut conn, email).await?;
        conn.commit().await?;
        Ok(user)
    }

    /// The user with this id.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn user_by_id(&self, id: UserId) -> Result<Option<User>> {
        let mut conn = self.db.begin_read().await?;
        let user = by_id(&mut conn, id).await?;
        conn.commit().await?;
        Ok(user)
    }

    /// The passkeys of a user.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn passkeys_of(&self, user: UserId) -> Result<Vec<Passkey>> {
        let mut conn = self.db.begin_read().await?;
        let found = passkeys(&mut conn, user).await?;
        conn.commit().await?;
        Ok(found)
    }

    /// The user whom a provider knows by this name.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn user_by_identity(&self, provider: &str, subject: &str) -> Result<Option<User>> {
        let mut conn = self.db.begin_read().await?;
        let row = conn
            .optional("SELECT user_id FROM identity WHERE provider = $1 AND subject = $2", args![provider, subject])
            .await?;
        let found = match row {
            Some(row) => by_id(&mut conn, row.id("user_id")?).await?,
            None => None,
        };
        conn.commit().await?;
        Ok(found)
    }
}

/// A person's own data, read in a transaction on their personal account.
impl TenantRead {
    /// The user whose personal account this is.
    pub async fn user(&mut self) -> Result<Option<User>> {
        let account = self.account().id;
        let row = self
            .conn
            .optional(concat!("SELECT ", person_columns!(), " FROM person WHERE account_id = $1"), args![account])
            .await?;
        row.as_ref().map(user).transpose()
    }

    /// What a user is called.
    pub async fn user_name(&mut self, id: UserId) -> Result<Option<String>> {
        Ok(by_id(&mut self.conn, id).await?.map(|user| user.name))
    }

    /// Everything that the user is a member of.
    pub async fn user_belongings(&mut self, user: UserId) -> Result<Vec<Belonging>> {
        membership::belongings(&mut self.conn, user).await
    }

    /// The passkeys of the user.
    pub async fn passkey_list(&mut self, user: UserId) -> Result<Vec<Passkey>> {
        passkeys(&mut self.conn, user).await
    }

    /// How many recovery codes the user has left.
    pub async fn recovery_codes_left(&mut self, user: UserId) -> Result<i64> {
        self.conn.one("SELECT COUNT(*) AS n FROM recovery_code WHERE user_id = $1", args![user]).await?.int("n")
    }

    /// Who the user is at identity providers.
    pub async fn identity_list(&mut self, user: UserId) -> Result<Vec<LinkedIdentity>> {
        let rows = self
            .conn
            .all(
                "SELECT provider, subject, email, created_at FROM identity WHERE user_id = $1 ORDER BY provider, subject",
                args![user],
            )
            .await?;
        let identity = |row: &Row| {
            Ok(LinkedIdentity {
                provider: row.text("provider")?,
                subject: row.text("subject")?,
                email: row.optional_text("email")?,
                created_at: row.time("created_at")?,
            })
        };
        rows.iter().map(identity).collect()
    }
}

/// A person's own data, written in a transaction on their personal account.
impl TenantWrite {
    /// Writes a changed user.
    ///
    /// # Errors
    /// `email_taken`.
    pub async fn user_update(&mut self, changed: &User) -> Result<()> {
        let account = self.account().id;
        self.conn
            .execute(
                "UPDATE person SET email = $2, email_key = $3, name = $4, password = $5, totp = $6, totp_on = $7, \
                   totp_step = $8, version = $9, updated_at = $10 WHERE account_id = $1",
                args![
                    account,
                    &changed.email,
                    email_key(&changed.email),
                    &changed.name,
                    changed.password.as_deref(),
                    changed.totp.as_deref(),
                    changed.totp_on,
                    changed.totp_step,
                    changed.version,
                    changed.updated_at
                ],
            )
            .await?;
        Ok(())
    }

    /// Takes a code of this time step, unless one of it or of a later one was taken before.
    pub async fn totp_take(&mut self, user: UserId, step: i64) -> Result<bool> {
        let taken = self
            .conn
            .execute("UPDATE person SET totp_step = $2 WHERE id = $1 AND totp_step < $2", args![user, step])
            .await?;
        Ok(taken > 0)
    }

    /// Replaces the recovery codes of the user; each is kept as a hash.
    pub async fn recovery_codes_set(&mut self, user: UserId, hashes: &[[u8; 32]]) -> Result<()> {
        self.conn.execute("DELETE FROM recovery_code WHERE user_id = $1", args![user]).await?;
        for hash in hashes {
            self.conn.execute("INSERT INTO recovery_code (user_id, hash) VALUES ($1, $2)", args![user, *hash]).await?;
        }
        Ok(())
    }

    /// Uses a recovery code up, if the user has it.
    pub async fn recovery_code_take(&mut self, user: UserId, hash: [u8; 32]) -> Result<bool> {
        let taken =
            self.conn.execute("DELETE FROM recovery_code WHERE user_id = $1 AND hash = $2", args![user, hash]).await?;
        Ok(taken > 0)
    }

    /// Stores a passkey.
    pub async fn passkey_insert(&mut self, new: &Passkey) -> Result<()> {
        self.conn
            .execute(
                "INSERT INTO passkey (id, user_id, credential, name, public, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
                args![new.id, new.user_id, new.credential.as_slice(), &new.name, &new.public, new.created_at],
            )
            .await?;
        Ok(())
    }

    /// Writes what an answer of a passkey changed.
    pub async fn passkey_used(&mut self, id: PasskeyId, public: &Document, now: Timestamp) -> Result<()> {
        self.conn
            .execute("UPDATE passkey SET public = $2, last_used_at = $3 WHERE id = $1", args![id, public, now])
            .await?;
        Ok(())
    }

    /// Deletes a passkey of the user. Answers whether there was one.
    pub async fn passkey_delete(&mut self, user: UserId, id: PasskeyId) -> Result<bool> {
        let deleted = self.conn.execute("DELETE FROM passkey WHERE user_id = $1 AND id = $2", args![user, id]).await?;
        Ok(deleted > 0)
    }

    /// Links the user to who they are at a provider.
    ///
    /// # Errors
    /// `identity_taken`.
    pub async fn identity_insert(&mut self, user: UserId, identity: &LinkedIdentity) -> Result<()> {
        identity_insert(&mut self.conn, user, identity).await
    }
}

pub(crate) async fn identity_insert(conn: &mut Conn, user: UserId, identity: &LinkedIdentity) -> Result<()> {
    conn.execute(
        "INSERT INTO identity (provider, subject, user_id, email, created_at) VALUES ($1, $2, $3, $4, $5)",
        args![&identity.provider, &identity.subject, user, identity.email.as_deref(), identity.created_at],
    )
    .await?;
    Ok(())
}
