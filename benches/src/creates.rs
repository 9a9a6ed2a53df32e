//! How many accounts are created in a second, by clients that do nothing else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tenantry_core::Document;
use tenantry_core::account::{Account, Kind, Limits, Profile};
use tenantry_core::id::{AccountId, KeyId};
use tenantry_server::chance::Chance;
use tenantry_server::clock::Clock;
use tenantry_store::Store;
use tokio::task::JoinSet;

use crate::client::{Client, request};
use crate::disk::Disk;
use crate::options::Options;
use crate::plain::{Creation, Plain};
use crate::product::Product;
use crate::scratch::Scratch;
use crate::seed::{Forest, planted};
use crate::stats::{median, per_second, ratio, thousands};
use crate::table::Row;
use crate::{Result, check};

const CLIENTS: usize = 16;
const ROUNDS: usize = 5;
const APPENDS: u64 = 200;

/// How many accounts there are before. In an empty database, PostgreSQL would settle on plans that no deployment has.
const ACCOUNTS: usize = 10_000;

const NAME: &str = "Acme New York";
const EMAIL: &str = "new-york@acme.example";

/// The tree that one client makes accounts in.
struct Tree {
    root: AccountId,
    /// The secret of a key of the root.
    key: String,
}

/// One of those who create accounts, one after the other.
trait Creator: Send + 'static {
    fn create(&mut self) -> impl Future<Output = Result<()>> + Send;
}

/// Measures product, floor and disk in turns.
pub(crate) async fn run(scratch: &mut Scratch, options: &Options) -> Result<Vec<Row>> {
    let location = planted(scratch, &Forest::families(ACCOUNTS).0).await?;
    let product = Product::start(&location, scratch.directory()).await?;
    let mut trees = Vec::new();
    for number in 0..CLIENTS {
        let root = product.plant(&format!("Root {number}")).await?;
        trees.push(Tree { root, key: product.key(root).await? });
    }
    let floor = Floor::prepare(scratch, &trees).await?;
    let mut disk = Disk::open(scratch.directory())?;

    let warm_up = options.stretch / 3;
    round(floor.creators(), warm_up).await?;
    round(clients(product.address(), &trees).await?, warm_up).await?;
    let (mut plain, mut ours, mut appends) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        appends.push(append(&mut disk)?);
        plain.push(round(floor.creators(), options.stretch).await?);
        ours.push(round(clients(product.address(), &trees).await?, options.stretch).await?);
    }
    check("the product", product.store()).await?;
    product.stop().await;
    floor.close().await?;

    let by_round: Vec<String> = ours.iter().zip(&plain).map(|(ours, plain)| ratio(*ours, *plain)).collect();
    let (ours, plain) = (median(ours), median(plain));
    let rate = |number| format!("{}/s", thousands(number));
    let engine = scratch.engine().to_string();
    Ok(vec![vec![engine, rate(ours), rate(plain), ratio(ours, plain), by_round.join(", "), rate(median(appends))]])
}

/// Lets all of them create accounts for a while, and returns how many they made in a second.
async fn round<C: Creator>(creators: Vec<C>, stretch: Duration) -> Result<u64> {
    let start = Instant::now();
    let mut running = JoinSet::new();
    for mut creator in creators {
        running.spawn(async move {
            let mut made: u64 = 0;
            while start.elapsed() < stretch {
                creator.create().await?;
                made += 1;
            }
            Ok::<_, crate::Failure>(made)
        });
    }
    let mut made = 0;
    while let Some(done) = running.join_next().await {
        made += done??;
    }
    Ok(per_second(made, start.elapsed()))
}

fn append(disk: &mut Disk) -> Result<u64> {
    let start = Instant::now();
    for _ in 0..APPENDS {
        disk.append()?;
    }
    Ok(per_second(APPENDS, start.elapsed()))
}

/// A client of the product.
struct Poster {
    client: Client,
    request: Vec<u8>,
}

impl Creator for Poster {
    async fn create(&mut self) -> Result<()> {
        self.client.send(&self.request).await.map(drop)
    }
}

/// Clients with fresh connections: the server closes those that were idle while the floor was measured.
async fn clients(address: SocketAddr, trees: &[Tree]) -> Result<Vec<Poster>> {
    let body = json!({"name": NAME, "email": EMAIL}).to_string();
    let mut clients = Vec::new();
    for tree in trees {
        let request = request("POST", &format!("/v1/accounts/{}/children", tree.root), &tree.key, &body);
        clients.push(Poster { client: Client::connect(address).await?, request });
    }
    Ok(clients)
}

/// A database with the same roots, which therefore meet in the same sequences of the changelog.
struct Floor {
    store: Store,
    plain: Plain,
    roots: Vec<Account>,
    chance: Arc<Chance>,
}

/// A client of the floor.
struct Writer {
    plain: Plain,
    root: Account,
    key: KeyId,
    chance: Arc<Chance>,
}

impl Floor {
    async fn prepare(scratch: &mut Scratch, trees: &[Tree]) -> Result<Self> {
        let (mut forest, _) = Forest::families(ACCOUNTS);
        for tree in trees {
            forest.root_as(tree.root);
        }
        let location = planted(scratch, &forest).await?;
        let store = Store::open(&location, Limits::DEFAULT).await?;
        let plain = Plain::open(&location).await?;
        let root = |tree: &Tree| Account::new(tree.root, None, profile("Root"), Clock::system().now());
        Ok(Self { store, plain, roots: trees.iter().map(root).collect(), chance: Arc::default() })
    }

    fn creators(&self) -> Vec<Writer> {
        let writer = |root: &Account| Writer {
            plain: self.plain.clone(),
            root: root.clone(),
            key: self.chance.id(Clock::system().now()),
            chance: Arc::clone(&self.chance),
        };
        self.roots.iter().map(writer).collect()
    }

    async fn close(self) -> Result<()> {
        check("the floor", &self.store).await?;
        self.plain.close().await;
        self.store.close().await;
        Ok(())
    }
}

impl Creator for Writer {
    async fn create(&mut self) -> Result<()> {
        let now = Clock::system().now();
        let chance = &self.chance;
        let account = Account::new(chance.id(now), Some(&self.root), profile(NAME), now);
        let detail = detail(&account);
        let (audit, request) = (chance.id(now), chance.id(now));
        let parent = self.root.id;
        self.plain.create(&Creation { account, parent, key: self.key, audit, request, detail }).await
    }
}

fn profile(name: &str) -> Profile {
    Profile {
        kind: Kind::Organization,
        name: name.to_owned(),
        email: EMAIL.to_owned(),
        settings: std::collections::BTreeMap::new(),
        metadata: Document::empty(),
    }
}

/// What the product keeps in its records of a new account.
fn detail(account: &Account) -> String {
    let root = account.root_id;
    format!(
        "{{\"auditPolicies\":null,\"billingContacts\":null,\"billingMode\":\"delegated\",\"depth\":2,\
         \"email\":\"{EMAIL}\",\"inheritAdmins\":true,\"inheritAuditPolicies\":true,\"inheritBillingContacts\":true,\
         \"inheritSettings\":true,\"kind\":\"organization\",\"lockedSettings\":[],\"metadata\":{{}},\
         \"name\":\"{NAME}\",\"parentId\":\"{root}\",\"rootId\":\"{root}\",\"settings\":{{}},\"status\":\"active\"}}"
    )
}
