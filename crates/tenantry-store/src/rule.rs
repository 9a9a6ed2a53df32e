//! Rules that accounts hold: restrictions and IP allow-lists.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tenantry_core::access::Rules;
use tenantry_core::account::Account;
use tenantry_core::allowlist::{Allowlist, MOST_ALLOWLISTS};
use tenantry_core::id::{AccountId, AllowlistId, RestrictionId};
use tenantry_core::method::{Method, MethodSet};
use tenantry_core::network::Networks;
use tenantry_core::path::Pattern;
use tenantry_core::refusal::Code;
use tenantry_core::restriction::{Endpoints, Imposer, MOST_RESTRICTIONS, Restriction};

use crate::account::json;
use crate::db::{Conn, Row, args};
use crate::membership::{permissions, permissions_json};
use crate::tenant::{TenantRead, TenantWrite};
use crate::{Error, Page, Paged, Result};

macro_rules! restriction_columns {
    () => {
        "id, account_id, imposed_by, mode, target, endpoints, permissions, set_by, version, created_at, updated_at"
    };
}

macro_rules! allowlist_columns {
    () => {
        "id, account_id, api, networks, enforced, set_by, version, created_at, updated_at"
    };
}

/// Endpoints as stored.
#[derive(Serialize, Deserialize)]
struct StoredEndpoints {
    api: String,
    methods: Vec<String>,
    path: String,
}

fn endpoints(stored: StoredEndpoints) -> Result<Endpoints> {
    let wrong = |found: &str| Error::Inconsistent { column: "endpoints", found: found.to_owned() };
    let method = |word: &String| word.parse::<Method>().map_err(|_| wrong(word));
    Ok(Endpoints {
        api: stored.api.into(),
        methods: stored.methods.iter().map(method).collect::<Result<MethodSet>>()?,
        path: Pattern::parse(&stored.path).map_err(|_| wrong(&stored.path))?,
    })
}

fn stored(endpoints: &Endpoints) -> StoredEndpoints {
    StoredEndpoints {
        api: endpoints.api.to_string(),
        methods: endpoints.methods.iter().map(|method| method.to_string()).collect(),
        path: endpoints.path.to_string(),
    }
}

fn restriction(row: &Row) -> Result<Restriction> {
    let named: Vec<StoredEndpoints> = row.json("endpoints")?;
    Ok(Restriction {
        id: row.id("id")?,
        account_id: row.id("account_id")?,
        imposed_by: row.optional_id("imposed_by")?.map_or(Imposer::Operator, Imposer::Account),
        mode: row.word("mode")?,
        target: row.word("target")?,
        endpoints: named.into_iter().map(endpoints).collect::<Result<_>>()?,
        permissions: permissions(&row.json::<Vec<String>>("permissions")?),
        set_by: row.text("set_by")?,
        version: row.int("version")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

fn allowlist(row: &Row) -> Result<Allowlist> {
    Ok(Allowlist {
        id: row.id("id")?,
        account_id: row.id("account_id")?,
        api: row.optional_text("api")?.map(Into::into),
        networks: networks(&row.json::<Vec<String>>("networks")?)?,
        enforced: row.bool("enforced")?,
        set_by: row.text("set_by")?,
        version: row.int("version")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

/// Networks as stored.
pub(crate) fn networks(texts: &[String]) -> Result<Networks> {
    Networks::parse(texts).map_err(|bad| Error::Inconsistent { column: "networks", found: format!("{bad:?}") })
}

pub(crate) fn networks_json(networks: &Networks) -> String {
    json(&networks.iter().map(|network| network.to_string()).collect::<Vec<_>>())
}

/// The rules of these accounts. Most accounts hold none, and say so.
pub(crate) async fn rules_of(conn: &mut Conn, accounts: &BTreeMap<AccountId, Account>) -> Result<Rules> {
    let mut rules = Rules::default();
    for account in accounts.values().filter(|account| account.rule_count > 0) {
        let own = rules_on(conn, account.id).await?;
        rules.restrictions.extend(own.restrictions);
        rules.allowlists.extend(own.allowlists);
    }
    Ok(rules)
}

/// The rules that an account holds.
pub(crate) async fn rules_on(conn: &mut Conn, account: AccountId) -> Result<Rules> {
    let of = concat!("SELECT ", restriction_columns!(), " FROM restriction WHERE account_id = $1 ORDER BY id");
    let restrictions = conn.all(of, args![account]).await?;
    let of = concat!("SELECT ", allowlist_columns!(), " FROM ip_allowlist WHERE account_id = $1 ORDER BY id");
    let allowlists = conn.all(of, args![account]).await?;
    Ok(Rules {
        restrictions: restrictions.iter().map(restriction).collect::<Result<_>>()?,
        allowlists: allowlists.iter().map(allowlist).collect::<Result<_>>()?,
    })
}

/// The rules of all accounts that hold any.
pub(crate) async fn rules_of_all(conn: &mut Conn) -> Result<BTreeMap<AccountId, Rules>> {
    let mut all: BTreeMap<AccountId, Rules> = BTreeMap::new();
    let restrictions = concat!("SELECT ", restriction_columns!(), " FROM restriction ORDER BY id");
    for row in conn.all(restrictions, vec![]).await? {
        let rule = restriction(&row)?;
        all.entry(rule.account_id).or_default().restrictions.push(rule);
    }
    let allowlists = concat!("SELECT ", allowlist_columns!(), " FROM ip_allowlist ORDER BY id");
    for row in conn.all(allowlists, vec![]).await? {
        let list = allowlist(&row)?;
        all.entry(list.account_id).or_default().allowlists.push(list);
    }
    Ok(all)
}

impl TenantRead {
    /// The restrictions of the account, oldest first.
    pub async fn restriction_list(&mut self, page: Page) -> Result<Paged<Restriction>> {
        let account = self.account().id;
        let list = concat!(
            "SELECT ",
            restriction_columns!(),
            " FROM restriction WHERE account_id = $1 ORDER BY id LIMIT $2 OFFSET $3"
        );
        let count = "SELECT COUNT(*) AS n FROM restriction WHERE account_id = $1";
        self.conn.page(count, list, args![account], page, restriction).await
    }

    /// A restriction of the account.
    pub async fn restriction_by_id(&mut self, id: RestrictionId) -> Result<Option<Restriction>> {
        let account = self.account().id;
        let sql = concat!("SELECT ", restriction_columns!(), " FROM restriction WHERE account_id = $1 AND id = $2");
        self.conn.optional(sql, args![account, id]).await?.as_ref().map(restriction).transpose()
    }

    /// The IP allow-lists of the account, oldest first.
    pub async fn allowlist_list(&mut self, page: Page) -> Result<Paged<Allowlist>> {
        let account = self.account().id;
        let list = concat!(
            "SELECT ",
            allowlist_columns!(),
            " FROM ip_allowlist WHERE account_id = $1 ORDER BY id LIMIT $2 OFFSET $3"
        );
        let count = "SELECT COUNT(*) AS n FROM ip_allowlist WHERE account_id = $1";
        self.conn.page(count, list, args![account], page, allowlist).await
    }

    /// The base path of an API of the catalogue.
    pub async fn api_base(&mut self, id: &str) -> Result<Option<String>> {
        let row = self.conn.optional("SELECT base_path FROM api WHERE id = $1", args![id]).await?;
        row.map(|row| row.text("base_path")).transpose()
    }

    /// An IP allow-list of the account.
    pub async fn allowlist_by_id(&mut self, id: AllowlistId) -> Result<Option<Allowlist>> {
        let account = self.account().id;
        let sql = concat!("SELECT ", allowlist_columns!(), " FROM ip_allowlist WHERE account_id = $1 AND id = $2");
        self.conn.optional(sql, args![account, id]).await?.as_ref().map(allowlist).transpose()
    }
}

impl TenantWrite {
    /// Stores a new restriction of the account.
    ///
    /// # Errors
    /// `rules_exceeded`.
    pub async fn restriction_insert(&mut self, new: &Restriction) -> Result<()> {
        self.room_for_rule("SELECT COUNT(*) AS n FROM restriction WHERE account_id = $1", MOST_RESTRICTIONS).await?;
        let imposer = imposer(new);
        self.conn
            .execute(
                "INSERT INTO restriction (id, account_id, imposed_by, mode, target, endpoints, permissions, set_by, version, \
                   created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)",
                args![
                    new.id,
                    new.account_id,
                    imposer,
                    new.mode.as_str(),
                    new.target.to_string(),
                    json(&new.endpoints.iter().map(stored).collect::<Vec<_>>()),
                    permissions_json(new.permissions),
                    &new.set_by,
                    new.version,
                    new.created_at
                ],
            )
            .await?;
        self.count_rules(1).await
    }

    /// Writes a changed restriction of the account. Whose it is and whom it narrows do not change.
    pub async fn restriction_update(&mut self, changed: &Restriction) -> Result<()> {
        let account = self.account().id;
        self.conn
            .execute(
                "UPDATE restriction SET mode = $3, endpoints = $4, permissions = $5, set_by = $6, version = $7, updated_at = $8 \
                 WHERE account_id = $1 AND id = $2",
                args![
                    account,
                    changed.id,
                    changed.mode.as_str(),
                    json(&changed.endpoints.iter().map(stored).collect::<Vec<_>>()),
                    permissions_json(changed.permissions),
                    &changed.set_by,
                    changed.version,
                    changed.updated_at
                ],
            )
            .await?;
        Ok(())
    }

    /// Deletes a restriction of the account.
    pub async fn restriction_delete(&mut self, id: RestrictionId) -> Result<()> {
        let account = self.account().id;
        self.conn.execute("DELETE FROM restriction WHERE account_id = $1 AND id = $2", args![account, id]).await?;
        self.count_rules(-1).await
    }

    /// Stores a new IP allow-list of the account.
    ///
    /// # Errors
    /// `rules_exceeded`.
    pub async fn allowlist_insert(&mut self, new: &Allowlist) -> Result<()> {
        self.room_for_rule("SELECT COUNT(*) AS n FROM ip_allowlist WHERE account_id = $1", MOST_ALLOWLISTS).await?;
        self.conn
            .execute(
                "INSERT INTO ip_allowlist (id, account_id, api, networks, enforced, set_by, version, created_at, updated_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)",
                args![
                    new.id,
                    new.account_id,
                    new.api.as_deref(),
                    networks_json(&new.networks),
                    new.enforced,
                    &new.set_by,
                    new.version,
                    new.created_at
                ],
            )
            .await?;
        self.count_rules(1).await
    }

    /// Writes a changed IP allow-list of the account.
    pub async fn allowlist_update(&mut self, changed: &Allowlist) -> Result<()> {
        let account = self.account().id;
        self.conn
            .execute(
                "UPDATE ip_allowlist SET networks = $3, enforced = $4, set_by = $5, version = $6, updated_at = $7 \
                 WHERE account_id = $1 AND id = $2",
                args![
                    account,
                    changed.id,
                    networks_json(&changed.networks),
                    changed.enforced,
                    &changed.set_by,
                    changed.version,
                    changed.updated_at
                ],
            )
            .await?;
        Ok(())
    }

    /// Deletes an IP allow-list of the account.
    pub async fn allowlist_delete(&mut self, id: AllowlistId) -> Result<()> {
        let account = self.account().id;
        self.conn.execute("DELETE FROM ip_allowlist WHERE account_id = $1 AND id = $2", args![account, id]).await?;
        self.count_rules(-1).await
    }

    async fn room_for_rule(&mut self, count: &'static str, most: u32) -> Result<()> {
        let account = self.account().id;
        let held = self.conn.one(count, args![account]).await?.int("n")?;
        if held < i64::from(most) { Ok(()) } else { Err(Code::RulesExceeded.into()) }
    }

    async fn count_rules(&mut self, more: i64) -> Result<()> {
        let account = self.account().id;
        let sql = "UPDATE account SET rule_count = rule_count + $2 WHERE id = $1";
        self.conn.execute(sql, args![account, more]).await.map(drop)
    }
}

fn imposer(rule: &Restriction) -> Option<AccountId> {
    match rule.imposed_by {
        Imposer::Operator => None,
        Imposer::Account(account) => Some(account),
    }
}
