//! The world in a database: the accounts of [`Forest`], with rules, people, keys and a catalogue, as rows that the product would
//! have written.

use std::fmt::Write as _;

use tenantry_core::account::Limits;
use tenantry_core::id::AccountId;
use tenantry_core::path::Pattern;
use tenantry_core::secret::last_four;
use tenantry_store::{Location, Store};

use super::shape::{API, ENDPOINTS, FORBIDDEN, KEYS_OF_ONE, NETWORKS, Spot, endpoint, hash, leaves};
use crate::moves::Grove;
use crate::plain::Plain;
use crate::scratch::Scratch;
use crate::seed::{FEW, Forest, Node, Record, bytes, literal, planted, settle};
use crate::{Result, check};

/// How many rows one statement inserts.
const BATCH: usize = 10_000;

/// What differs between keys and between people.
const STAGE: &str = "\
CREATE TABLE seed_person (n BIGINT NOT NULL, id UUID NOT NULL, account_id UUID NOT NULL);
CREATE TABLE seed_key (n BIGINT NOT NULL, id UUID NOT NULL, account_id UUID NOT NULL, user_id UUID NOT NULL, hash BYTEA NOT NULL,
  last_four TEXT NOT NULL)";

/// Personal accounts are roots with one member. Nobody needs the devices of other benchmarks.
const PEOPLE: &str = "\
DELETE FROM resource;
UPDATE account SET kind = 'personal' WHERE id IN (SELECT account_id FROM seed_person);
INSERT INTO person (id, account_id, email, email_key, name, password, totp, totp_on, totp_step, version, created_at, updated_at)
  SELECT id, account_id, 'p' || n || '@bench.example', 'p' || n || '@bench.example', 'Person ' || n, NULL, NULL, FALSE, 0, 1, 1, 1
    FROM seed_person;
INSERT INTO membership (account_id, user_id, role, role_id, created_at, updated_at)
  SELECT account_id, id, 'admin', NULL, 1, 1 FROM seed_person;
DROP TABLE seed_person";

const KEYS: &str = "\
INSERT INTO membership (account_id, user_id, role, role_id, created_at, updated_at)
  SELECT DISTINCT account_id, user_id, 'member', NULL, 1, 1 FROM seed_key;
INSERT INTO api_key (id, account_id, user_id, maker_id, name, environment, last_four, hash, scopes, created_at, expires_at,
    rotated_from, networks)
  SELECT id, account_id, user_id, user_id, 'Key ' || n, 'live', last_four, hash, NULL, 1, NULL, NULL, NULL FROM seed_key ORDER BY n;
DROP TABLE seed_key";

const COUNT: &str = "UPDATE account SET rule_count = 1 WHERE id IN (SELECT account_id FROM restriction) \
   OR id IN (SELECT account_id FROM ip_allowlist)";

/// A world in a database, with a subtree that can be moved.
pub(crate) struct Planted {
    pub(crate) location: Location,
    pub(crate) grove: Grove,
}

/// Plants accounts, as many keys of people, and one more key, the last, in the subtree that is moved.
pub(crate) async fn plant(scratch: &mut Scratch, accounts: usize, keys: &[String]) -> Result<Planted> {
    let mut forest = Forest::default();
    let mut nodes: Vec<Node> = Vec::with_capacity(accounts);
    for number in 0..accounts {
        let parent = Spot::of(number).parent.and_then(|parent| nodes.get(parent)).copied();
        nodes.push(match parent {
            None => forest.root(),
            Some(parent) => forest.child(parent),
        });
    }
    let grove = Grove::planted(&mut forest);
    let people: Vec<AccountId> = (0..keys.len().div_ceil(KEYS_OF_ONE)).map(|_| forest.root().id).collect();
    let mut at: Vec<AccountId> =
        leaves(accounts)?.iter().filter_map(|leaf| nodes.get(*leaf)).map(|node| node.id).collect();
    at = at.iter().copied().cycle().take(keys.len().saturating_sub(1)).chain([grove.last]).collect();
    let location = planted(scratch, &forest).await?;
    drop(forest);

    let plain = Plain::open(&location).await?;
    plain.script(STAGE.to_owned()).await?;
    let person = |(number, account): (usize, &AccountId)| {
        format!("({number}, {}, {})", own(Record::Person, number), of(*account))
    };
    insert(&plain, "seed_person", people.iter().enumerate().map(person)).await?;
    plain.script(format!("BEGIN; {PEOPLE}; COMMIT")).await?;
    let key = |((number, text), account): ((usize, &String), &AccountId)| {
        let (id, user, four) = (own(Record::Key, number), own(Record::Person, number / KEYS_OF_ONE), last_four(text));
        format!("({number}, {id}, {}, {user}, {}, '{four}')", of(*account), blob(&hash(text)))
    };
    insert(&plain, "seed_key", keys.iter().enumerate().zip(&at).map(key)).await?;
    plain.script(format!("BEGIN; {KEYS}; COMMIT")).await?;
    rules(&plain, &nodes).await?;
    catalogue(&plain).await?;
    settle(scratch.engine(), &plain).await?;
    plain.close().await;
    if accounts <= FEW {
        let store = Store::open(&location, Limits::DEFAULT).await?;
        check("the seeding of keys", &store).await?;
        store.close().await;
    }
    Ok(Planted { location, grove })
}

async fn insert(plain: &Plain, table: &str, mut rows: impl Iterator<Item = String>) -> Result<()> {
    loop {
        let some: Vec<String> = rows.by_ref().take(BATCH).collect();
        if some.is_empty() {
            return Ok(());
        }
        plain.script(format!("INSERT INTO {table} VALUES {}", some.join(", "))).await?;
    }
}

async fn rules(plain: &Plain, nodes: &[Node]) -> Result<()> {
    let spots = || nodes.iter().enumerate().map(|(number, node)| (number, of(node.id), Spot::of(number)));
    let networks = serde_json::to_string(&NETWORKS)?;
    let list = |(number, account, _): (usize, String, Spot)| {
        format!("({}, {account}, '{API}', '{networks}', TRUE, 'operator', 1, 1, 1)", own(Record::Allowlist, number))
    };
    insert(plain, "ip_allowlist", spots().filter(|(_, _, spot)| spot.is_listed()).map(list)).await?;
    let methods = r#"["GET","HEAD","POST","PUT","PATCH","DELETE","OPTIONS"]"#;
    let endpoints = format!(r#"[{{"api":"{API}","methods":{methods},"path":"{FORBIDDEN}"}}]"#);
    let restriction = |(number, account, _): (usize, String, Spot)| {
        let id = own(Record::Restriction, number);
        format!("({id}, {account}, {account}, 'deny', 'account', '{endpoints}', '[]', 'operator', 1, 1, 1)")
    };
    insert(plain, "restriction", spots().filter(|(_, _, spot)| spot.is_restricted()).map(restriction)).await?;
    plain.script(COUNT.to_owned()).await
}

async fn catalogue(plain: &Plain) -> Result<()> {
    let mut sql =
        format!("INSERT INTO api VALUES ('{API}', 'Voice', '/{API}', NULL, 1, 1, 1); INSERT INTO endpoint VALUES ");
    for number in 0..ENDPOINTS {
        let (id, path) = (own(Record::Endpoint, number), endpoint(number));
        let shape = Pattern::parse(&path)?.shape();
        let comma = if number == 0 { "" } else { ", " };
        write!(
            sql,
            "{comma}({id}, '{API}', 'GET', '{path}', '{shape}', 1, NULL, NULL, NULL, NULL, 'success', 1, 1, 1)"
        )?;
    }
    plain.script(sql).await
}

/// The id of the row of this number.
fn own(record: Record, number: usize) -> String {
    literal(crate::options::Engine::Sqlite, Some(bytes(record, number)))
}

fn of(account: AccountId) -> String {
    literal(crate::options::Engine::Sqlite, Some(tenantry_core::id::Id::bytes(account)))
}

fn blob(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("x'{digits}'")
}
